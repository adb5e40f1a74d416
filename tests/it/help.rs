//! What the program says of itself.

use std::process::Command;

use crate::lab::TestLab;

const COMMANDS: [(&str, &[&str]); 19] = [
    ("init", &["--preset"]),
    ("prepare", &["prepare/protocol.yaml"]),
    ("run", &["--trials", "--until", "--researcher"]),
    ("status", &["--watch"]),
    ("log", &["trials"]),
    ("show", &["trial"]),
    ("diff", &["specs"]),
    ("hint", &["600 characters", "program.md", "30"]),
    ("trial", &["--predictions"]),
    ("check", &["spec"]),
    ("schema", &["JSON Schema"]),
    ("folds", &["embargoed"]),
    ("score", &["--predictions", "--truth"]),
    ("holdout", &["--trial", "holdout.budget"]),
    ("calibrate", &["--seeds", "gate.power", "auto"]),
    ("remeasure", &["fresh seeds", "gate.remeasure.every_keeps"]),
    ("audit", &["--null", "--planted", "--proposals"]),
    ("doctor", &["night"]),
    ("service", &["install", "print"]),
];

#[test]
fn every_command_has_help_and_the_exit_codes_are_in_it() {
    let lab = TestLab::bare();
    let top = lab.program(&["--help"]).exits(0).stdout;
    let unwrapped = top.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in
        ["0 fine", "1 internal", "2 usage", "3 lab", "4 data", "5 researcher", "6 training", "7 another process"]
    {
        assert!(unwrapped.contains(word), "`{word}` in: {top}");
    }
    for (command, words) in COMMANDS {
        assert!(top.contains(&format!("\n  {command} ")), "{command} in: {top}");
        assert!(include_str!("../../README.md").contains(&format!("\n| `{command}")), "{command} in README's table");
        let help = lab.program(&[command, "--help"]).exits(0).stdout;
        for word in words.iter().chain(&["--lab", "--json", "Usage: autoresearch"]) {
            assert!(help.contains(word), "`{word}` in the help of {command}: {help}");
        }
    }
    assert!(!top.contains("worker"), "what people do not call is not listed");
    assert!(lab.program(&["--version"]).exits(0).stdout.starts_with("autoresearch 0."));
}

/// `doctor` sends people who lack Numerai's files there; the README has the same lines.
#[test]
fn the_help_of_prepare_has_the_lines_that_fetch_numerais_files() {
    let readme = include_str!("../../README.md");
    let (_, lines) = readme.split_once("python -c \"\n").expect("the lines of the README");
    let (lines, _) = lines.split_once("\n\"\n").expect("their end");
    assert!(lines.contains("download_dataset"), "{lines}");
    let help = TestLab::bare().program(&["prepare", "--help"]).exits(0).stdout;
    assert!(help.contains(lines), "{help}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
    let lab = TestLab::new();
    let before = lab.contents();
    for (arguments, words) in [
        (["frobnicate"].as_slice(), "frobnicate"),
        (&["stauts"], "status"),
        (&["run", "--trials", "many"], "many"),
        (&["run", "--until", "tomorrow"], "07:30"),
        (&["run", "--researcher", "oracle"], "openai"),
        (&["score"], "--predictions"),
        (&["show", "99"], "99"),
        (&["init", "other", "--preset", "dmeo"], "demo"),
        (&[], "Usage"),
    ] {
        lab.run(arguments).exits(2).says(&[words]);
    }
    lab.is_unchanged_since(&before);
}

#[test]
fn the_schema_knows_every_block() {
    let lab = TestLab::bare();
    let schema = lab.program(&["schema"]).exits(0).json();
    let text = schema.to_string();
    let words = [
        "features",
        "targets",
        "network",
        "loss",
        "optimizer",
        "schedule",
        "training",
        "ensemble",
        "dense",
        "residual",
        "pearson",
        "mse",
        "mae",
        "output_l2",
        "weight_l2",
        "adamw",
        "sgd",
        "polynomial",
        "cosine",
        "one_cycle",
        "rank_mean",
        "gelu",
        "batch",
        "layer",
        "he_uniform",
        "clip_norm",
        "learned",
    ];
    for word in words {
        assert!(text.contains(&format!("\"{word}\"")), "`{word}` in the schema");
    }
    let reference = lab.program(&["schema", "--reference"]).exits(0).stdout;
    for word in words {
        assert!(reference.contains(word), "`{word}` in the reference");
    }
}

#[test]
fn the_shipped_model_is_valid_and_the_new_lab_is_a_repository() {
    let lab = TestLab::bare();
    lab.program(&["init", "lab"]).exits(0).stdout.contains("run --trials").then_some(()).expect("what to do next");
    lab.is_clean();
    let found = lab.run(&["check", &lab.path("model.yaml").display().to_string(), "--json"]).exits(0).json();
    assert_eq!(found["spec_hash"].as_str().map(str::len), Some(16));
    assert!(lab.program(&["init", "lab"]).code == Some(3), "a lab is never made over another");
    for preset in ["bench", "numerai"] {
        lab.program(&["init", preset, "--preset", preset]).exits(0);
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let lab = TestLab::new();
    let unit = lab.run(&["service", "print", "--user"]).exits(0).stdout;
    for line in ["Type=notify", "WatchdogSec=", "Restart=on-failure", "RestartPreventExitStatus=", "NoNewPrivileges="] {
        assert!(unit.lines().any(|own| own.starts_with(line)), "`{line}` in: {unit}");
    }
    assert!(unit.contains(&lab.root().display().to_string()));
    let installed = lab.run(&["service", "install", "--user", "--json"]).exits(0).json();
    let path = installed["path"].as_str().expect("a path");
    assert!(path.starts_with(&lab.home().join(".config/systemd/user").display().to_string()), "{path}");
    assert_eq!(std::fs::read_to_string(path).expect("the unit"), unit);
    assert_eq!(lab.run(&["service", "install", "--user", "--json"]).exits(0).json()["changed"], false);

    let system = lab.run(&["service", "print"]).exits(0).stdout;
    let file = lab.home().join("autoresearch-lab.service");
    std::fs::write(&file, system).expect("written");
    // Where systemd is not installed there is nothing to ask.
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output() else { return };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    assert!(!said.contains("autoresearch-lab.service"), "{said}");
}
