//! autoresearch.yaml: read, refused with its line, and documented setting by setting.

use super::*;

fn parse(text: &str) -> Result<Config, LabError> {
    Config::parse(text, Path::new("autoresearch.yaml"))
}

fn refused(text: &str) -> String {
    parse(text).expect_err("the configuration is wrong").to_string()
}

#[test]
fn what_a_lab_leaves_out_is_what_the_shipped_file_says() {
    let shipped = parse(EMBEDDED).expect("the shipped file is valid");
    assert_eq!(parse("version: 1\n").expect("the least configuration is valid"), shipped);
    assert_eq!(Config::default(), shipped);
    let names: Vec<_> = shipped.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(
        names,
        ["explore", "combine", "diverge", "exploit", "robustness", "architectures", "paradigms", "ensembles"]
    );
}

/// Narrow phases ask for several variants of one idea, wide ones for few that differ; only what combines does so by plan.
#[test]
fn the_shipped_phases_say_how_rounds_are_made() {
    use crate::research::settings::Breadth::{Combined, Focused, Narrow, Wide};
    let shipped = Config::default().phases;
    for phase in &shipped {
        let (candidates, share) = (phase.candidates, phase.combinations.unwrap_or(f64::NAN));
        match phase.breadth {
            Narrow | Focused => assert!(candidates == 5 && share <= 0.1, "{phase:?}"),
            Combined => assert!((4..=5).contains(&candidates) && share >= 0.5, "{phase:?}"),
            Wide => assert!(candidates == 4 && share <= 0.1, "{phase:?}"),
        }
    }
    let trials: u32 = shipped.iter().map(|phase| phase.trials.unwrap_or(0)).sum();
    assert!(shipped[..3].iter().all(|phase| phase.trials == Some(25)) && trials > 75, "the first three are short");
}

#[test]
fn the_shipped_file_names_every_setting() {
    // A setting that the commented file does not show is one that nobody finds.
    let whole = serde_json::to_value(Config::default()).expect("a configuration is data");
    let places = Places::of(EMBEDDED);
    let mut missing = Vec::new();
    for key in leaves("", &whole).into_iter().filter(|key| !key.starts_with("phases[")) {
        let (line, _) = places.find(&key);
        let word = key.rsplit('.').next().and_then(|word| word.split('[').next()).unwrap_or_default();
        let there = EMBEDDED.lines().nth(line.saturating_sub(1)).is_some_and(|text| text.contains(word));
        if !there {
            missing.push(key);
        }
    }
    assert!(missing.is_empty(), "autoresearch.yaml does not show {missing:?}");
}

fn leaves(path: &str, value: &serde_json::Value) -> Vec<String> {
    let below =
        |key: String, value| leaves(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value);
    match value {
        serde_json::Value::Object(map) => map.iter().flat_map(|(key, value)| below(key.clone(), value)).collect(),
        serde_json::Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, item)| leaves(&format!("{path}[{index}]"), item)).collect()
        }
        _ => vec![path.to_owned()],
    }
}

#[test]
fn mistakes_are_located_and_say_what_is_allowed() {
    let table: &[(&str, &str, &[&str])] = &[
        ("", "autoresearch.yaml:1:1", &["empty", "version: 1"]),
        ("plateau: 3\n", "autoresearch.yaml", &["`version` is missing"]),
        ("version: 2\n", "autoresearch.yaml:1:10", &["version", "found 2", "version 1"]),
        ("version: 1\ngate:\n  alpah: 0.1\n", "autoresearch.yaml:3:3", &["`alpah`", "Did you mean `alpha`?"]),
        ("version: 1\ngate:\n  alpha: 0.9\n", "autoresearch.yaml:3:10", &["gate.alpha", "0.9", "at most 0.5"]),
        ("version: 1\ngate: { alpha: .nan }\n", "autoresearch.yaml:2:16", &["gate.alpha"]),
        ("version: 1\ngate: { min_effect: .inf }\n", "autoresearch.yaml:2:21", &["gate.min_effect"]),
        ("version: 1\ngate: { min_effect: most }\n", "autoresearch.yaml:2", &["gate.min_effect", "`most`", "auto"]),
        (
            "version: 1\ngate: { min_effect: [1] }\n",
            "autoresearch.yaml:2",
            &["gate.min_effect: found a list", "a payout such as 0.0005, or `auto`"],
        ),
        ("version: 1\ngate: { min_effect: -0.1 }\n", "autoresearch.yaml:2:21", &["gate.min_effect", "-0.1"]),
        ("version: 1\ngate: { claim: all_eras }\n", "autoresearch.yaml:2", &["all_eras", "new_eras", "these_eras"]),
        ("version: 1\ngate: { control: fdr }\n", "autoresearch.yaml:2", &["fdr", "familywise", "discovery_rate"]),
        ("version: 1\ngate: { screen_alpha: 0.3 }\n", "autoresearch.yaml:2:9", &["`screen_alpha`"]),
        ("version: 1\ngate: { trials: 0 }\n", "autoresearch.yaml:2:17", &["gate.trials", "found 0"]),
        ("version: 1\ngate: { futility: 1 }\n", "autoresearch.yaml:2:19", &["gate.futility", "0.95"]),
        ("version: 1\ngate: { power: 0.2 }\n", "autoresearch.yaml:2:16", &["gate.power", "0.5 to 0.99"]),
        ("version: 1\ngate: { most_seeds: 2 }\n", "autoresearch.yaml:2:21", &["gate.most_seeds", "found 2"]),
        ("version: 1\ngate: { incumbent_seeds: 1 }\n", "autoresearch.yaml:2:26", &["gate.incumbent_seeds"]),
        (
            "version: 1\ngate: { remeasure: { seeds: 1 } }\n",
            "autoresearch.yaml:2:29",
            &["gate.remeasure.seeds", "found 1", "2 to"],
        ),
        ("version: 1\ngate: { remeasure: { level: 0 } }\n", "autoresearch.yaml:2:29", &["gate.remeasure.level"]),
        (
            "version: 1\ngate: { constraints: { positive_eras: 1.5 } }\n",
            "autoresearch.yaml:2:39",
            &["gate.constraints.positive_eras", "1.5"],
        ),
        (
            "version: 1\ngate: { constraints: { drawdown: .nan } }\n",
            "autoresearch.yaml:2:34",
            &["gate.constraints.drawdown"],
        ),
        (
            "version: 1\ngate: { simplify: { parameters: 0 } }\n",
            "autoresearch.yaml:2:33",
            &["gate.simplify.parameters", "found 0"],
        ),
        ("version: 1\ngate: { simplify: { alpha: 0.6 } }\n", "autoresearch.yaml:2:28", &["gate.simplify.alpha"]),
        ("version: 1\ndevice: cud\n", "autoresearch.yaml:2:9", &["device", "`cud`", "`cuda`", "auto"]),
        ("version: 1\nprecision: fp16\n", "autoresearch.yaml:2:12", &["precision", "`fp16`", "bf16"]),
        ("version: 1\ndevice: cpu\nprecision: bf16\n", "autoresearch.yaml:3:12", &["precision", "device: cpu", "fp32"]),
        ("version: 1\ngpu_memory_mb: 1\n", "autoresearch.yaml:2:16", &["gpu_memory_mb: found 1", "64 to"]),
        ("version: 1\nholdout: { budget: 10001 }\n", "autoresearch.yaml:2:20", &["holdout.budget", "0 to 10000"]),
        ("version: 1\nplateau: soon\n", "autoresearch.yaml:2:10", &["plateau"]),
        ("version: 1\nplateau: 0\n", "autoresearch.yaml:2:10", &["plateau: found 0", "1 to"]),
        ("version: 1\nphases: []\n", "autoresearch.yaml:2:9", &["phases", "at least one"]),
        (
            "version: 1\nphases:\n  - { name: a, brief: x, breadth: wide }\n  - { name: a, brief: y, breadth: wide }\n",
            "autoresearch.yaml:4:13",
            &["phases[1].name", "earlier phase"],
        ),
        (
            "version: 1\nphases:\n  - { name: a, brief: x, breadth: wide, candidates: 0 }\n",
            "autoresearch.yaml:3:53",
            &["phases[0].candidates", "found 0", "1 to 16"],
        ),
        (
            "version: 1\nphases:\n  - { name: a, brief: x, breadth: wide, candidates: 17 }\n",
            "autoresearch.yaml:3",
            &["phases[0].candidates", "found 17"],
        ),
        (
            "version: 1\nphases:\n  - { name: a, brief: x, breadth: wide, combinations: 1.5 }\n",
            "autoresearch.yaml:3:55",
            &["phases[0].combinations", "1.5", "0 to 1"],
        ),
        (
            "version: 1\nphases:\n  - { name: a, brief: x, breadth: wide, combinations: .nan }\n",
            "autoresearch.yaml:3",
            &["phases[0].combinations"],
        ),
        ("version: 1\ntag: \"a b\"\n", "autoresearch.yaml:2:6", &["tag", "branch name"]),
        ("version: 1\ntag: a.lock\n", "autoresearch.yaml:2:6", &["tag"]),
        ("version: 1\nbudget: { trial_seconds: 0 }\n", "autoresearch.yaml:2:26", &["budget.trial_seconds"]),
        ("version: 1\nbudget: { session_hours: -1 }\n", "autoresearch.yaml:2:26", &["budget.session_hours"]),
        (
            "version: 1\nresearcher: { command: { run: [\"\", -p] } }\n",
            "autoresearch.yaml:2",
            &["researcher.command.run[0]", "must name a program"],
        ),
        (
            "version: 1\nresearcher: { command: { run: [./agent] } }\n",
            "autoresearch.yaml:2",
            &["researcher.command.run[0]", "`./agent`", "absolute path"],
        ),
        (
            "version: 1\nresearcher: { command: { environment: [A_KEY, B=c] } }\n",
            "autoresearch.yaml:2",
            &["researcher.command.environment[1]", "without its value"],
        ),
        (
            "version: 1\nresearcher: { command: { timeout_seconds: 0 } }\n",
            "autoresearch.yaml:2:43",
            &["researcher.command.timeout_seconds", "1 to 14400"],
        ),
        (
            "version: 1\nresearcher: { command: { model: \"\" } }\n",
            "autoresearch.yaml:2",
            &["researcher.command.model", "the name of a model"],
        ),
        (
            "version: 1\nresearcher: { openai: { key_file: keys/openai } }\n",
            "autoresearch.yaml:2",
            &["researcher.openai.key_file", "absolute path", "outside the lab"],
        ),
        ("version: 1\nversion: 1\n", "autoresearch.yaml:2:1", &["version"]),
        ("version: [1\n", "autoresearch.yaml", &[]),
        ("just words\n", "autoresearch.yaml", &[]),
    ];
    for (text, place, parts) in table {
        let words = refused(text);
        assert!(words.starts_with(place), "{text:?}: {words}");
        for part in *parts {
            assert!(words.contains(part), "{text:?}: {words} lacks {part:?}");
        }
        assert!(!words.contains('\n'), "one line: {words}");
    }
}

/// Values of the wrong type: path, what was found, what is allowed, in the words of the ranges.
#[test]
fn a_value_of_the_wrong_type_is_told_what_may_stand_there() {
    let table: &[(&str, &str)] = &[
        ("gate: { alpha: five }", "2:16: gate.alpha: found `five`; must be a number, above 0 and at most 0.5"),
        ("gate: { alpha: [1] }", "2:16: gate.alpha: found a list; must be a number, above 0 and at most 0.5"),
        ("gate: { alpha: null }", "2:16: gate.alpha: found nothing; must be a number, above 0 and at most 0.5"),
        ("gate: { alpha: true }", "2:16: gate.alpha: found `true`; must be a number, above 0 and at most 0.5"),
        ("gate: { trials: 1.5 }", "2:17: gate.trials: found `1.5`; must be a whole number, 1 to 1000000"),
        ("gate: { trials: -1 }", "2:17: gate.trials: found `-1`; must be a whole number, 1 to 1000000"),
        (
            "gate: { trials: 99999999999 }",
            "2:17: gate.trials: found `99999999999`; must be a whole number, 1 to 1000000",
        ),
        ("gate: { most_seeds: few }", "2:21: gate.most_seeds: found `few`; must be a whole number, 3 to 1000, or null"),
        ("gate: strict", "2:7: gate: found `strict`; must be settings, each as `name: value`"),
        (
            "gate: { simplify: true }",
            "2:19: gate.simplify: found `true`; must be settings, each as `name: value`, or null",
        ),
        ("gate: { simplify: { margin: a } }", "2:29: gate.simplify.margin: found `a`; must be a number, 0 to 1"),
        (
            "gate: { constraints: { drawdown: big } }",
            "2:34: gate.constraints.drawdown: found `big`; must be a number, 0 to 1000000, or null",
        ),
        ("gate: { claim: [a] }", "2:16: gate.claim: found a list; must be `new_eras` or `these_eras`"),
        (
            "gate: { min_effect: { a: 1 } }",
            "gate.min_effect: found a mapping; must be a payout such as 0.0005, or `auto`",
        ),
        ("gate: { min_effect: null }", "gate.min_effect: found nothing; must be a payout such as 0.0005, or `auto`"),
        ("holdout: { score_keeps: maybe }", "2:25: holdout.score_keeps: found `maybe`; must be true or false"),
        ("phases: 3", "2:9: phases: found `3`; must be a list"),
        ("phases:\n  - 3", "3:5: phases[0]: found `3`; must be settings, each as `name: value`"),
        (
            "phases:\n  - { name: a, brief: b, breadth: wide, trials: all }",
            "phases[0].trials: found `all`; must be a whole number, 1 to 1000000, or null",
        ),
        ("tag: [a]", "2:6: tag: found a list; must be a text, or null"),
        ("side_by_side: 0", "2:15: side_by_side: found 0; must be 1 to 4096"),
        ("threads: all", "2:10: threads: found `all`; must be a whole number, 1 to 4096, or null"),
        ("budget: { session_hours: 8h }", "found `8h`; must be a number, above 0 and at most 8784, or null"),
    ];
    for (text, words) in table {
        let said = refused(&format!("version: 1\n{text}\n"));
        assert!(said.ends_with(words), "{text:?}: {said}");
    }
    let words = refused("version: 1\nresearcher: { openai: { temperature: sk-verysecret123 } }\n");
    assert!(words.ends_with("temperature: found another value; must be a number, 0 to 2, or null"), "{words}");
}

#[test]
fn a_key_in_the_place_of_its_variable_is_not_repeated() {
    let words = refused("version: 1\nresearcher: { openai: { key_variable: sk-verysecret123 } }\n");
    assert!(words.contains("key_variable") && words.contains("environment variable"), "{words}");
    assert!(!words.contains("verysecret"), "{words}");
    let words = refused("version: 1\nresearcher: { openai: { base_url: \"https://user:hunter2@host/v1\" } }\n");
    assert!(words.contains("base_url") && !words.contains("hunter2"), "{words}");
    let words = refused("version: 1\nresearcher: { command: { run: [agent, --key, sk-verysecret0123456789] } }\n");
    assert!(words.contains("researcher.command.run[2]") && !words.contains("verysecret"), "{words}");
    let words = refused("version: 1\nresearcher: { openai: { key_file: sk-verysecret0123456789 } }\n");
    assert!(words.contains("key_file") && !words.contains("verysecret"), "{words}");
}

#[test]
fn a_key_in_the_lab_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("lab")).expect("made");
    for name in ["key", "lab/key"] {
        fs::write(place(name), "sk-verysecret0123456789").expect("written");
    }
    std::os::unix::fs::symlink(place("lab/key"), place("link")).expect("linked");
    let read = |file: &str| {
        let file = fs::canonicalize(folder.path()).expect("it is there").join(file);
        let text = format!("version: 1\nresearcher:\n  openai:\n    key_file: \"{}\"\n", file.display());
        fs::write(place("lab/autoresearch.yaml"), text).expect("written");
        Config::read(&Lab::open(&place("lab")).expect("a lab"))
    };
    read("key").expect("outside the lab");
    read("absent").expect("whether it is there is looked at when it is read");
    for inside in ["lab/key", "lab/absent", "link"] {
        let words = read(inside).expect_err("inside the lab").to_string();
        assert!(words.contains("autoresearch.yaml:4") && words.contains("stands in the lab"), "{inside}: {words}");
        assert!(!words.contains("verysecret"), "{words}");
    }
}
