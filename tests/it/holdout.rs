//! `holdout`: counted, answered once a spec, and its numbers nowhere that a researcher, a log or a commit could get them from.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint};
use crate::lab::{GOOD, KEY_VARIABLE, PROTOCOL, TestLab, UNTRAINED, eventually};

const LEARNINGS: &str = "# Learnings\n\nPearson losses help here.\n\n## What works\n\n- Pearson.\n\n## Confidently bad\n\n\
    Nothing yet.\n\n## Ambiguous\n\nNothing yet.\n\n## Near misses\n\nNothing yet.\n\n## Open questions\n\n- Width?\n";

fn proposal(title: &str, spec: &str) -> Answer {
    let text = json!({
        "title": title, "hypothesis": "It follows the score.", "category": "loss", "expected_effect": 0.01, "spec": spec,
    });
    Answer::Says(text.to_string())
}

/// A lab after two sessions with a scripted model; `between` is done between them. Everything that was said on the way:
/// what the program printed, and what the model was told.
fn two_sessions(between: impl Fn(&TestLab)) -> (TestLab, String) {
    let wider =
        |width: u32| proposal(&format!("Width {width}"), &GOOD.replace("width: 32", &format!("width: {width}")));
    let script = vec![proposal("Pearson loss", GOOD), wider(24), wider(40)];
    let endpoint = Endpoint::start(script, wider(28), Answer::Says(LEARNINGS.into()));
    let lab = TestLab::with(PROTOCOL, UNTRAINED);
    lab.ask(&endpoint.base_url());
    lab.commit("a researcher");
    let mut said = String::new();
    for trials in ["1", "2"] {
        let mut command = lab.command(&["run", "--researcher", "openai", "--trials", trials, "--json", "-vvv"]);
        let output = command.env(KEY_VARIABLE, "sk-1234567890").output().expect("the program runs");
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        if trials == "1" {
            between(&lab);
        }
    }
    for (_, body) in endpoint.requests() {
        said.push_str(&body.to_string());
    }
    (lab, said)
}

/// Everything that a lab holds as text but for the data and the holdout's answers: files, notebook, ledger, logs.
fn written(lab: &TestLab) -> String {
    let mut text = lab.git(&["log", "--all", "-p", "--format=fuller"]);
    let mut folders = vec![lab.root()];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            let inside = path.strip_prefix(lab.root()).expect("below").display().to_string();
            if path.is_dir() {
                if ![".git", ".autoresearch/data"].contains(&inside.as_str()) {
                    folders.push(path);
                }
            } else if inside != ".autoresearch/holdout.jsonl" {
                text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).expect("readable")));
            }
        }
    }
    text
}

/// Every score that the holdout told.
fn told(lab: &TestLab) -> Vec<f64> {
    let lines = lab.read(".autoresearch/holdout.jsonl");
    let answers = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut numbers: Vec<f64> = Vec::new();
    for answer in answers {
        for score in ["payout", "corr", "bmc"] {
            numbers.extend(["mean", "standard_error"].iter().filter_map(|part| answer[score][part].as_f64()));
            let eras = answer["eras"].as_array().expect("eras");
            numbers.extend(eras.iter().filter_map(|era| era[score].as_f64()));
        }
    }
    numbers
}

/// The first ten significant digits of a number, as any notation has them.
fn digits(number: f64) -> String {
    let text = format!("{:.16e}", number.abs());
    text.chars().filter(char::is_ascii_digit).take(10).collect()
}

/// How people would write it, rounded.
fn rounded(number: f64) -> Vec<String> {
    let size = number.abs();
    let places = |significant: i32| usize::try_from(significant - 1 - size.log10().floor() as i32).unwrap_or(0);
    let mut forms: Vec<String> = (4..=6).map(|decimals| format!("{size:.decimals$}")).collect();
    forms.extend((4..=6).map(|significant| format!("{size:.0$}", places(significant))));
    forms.sort();
    forms.dedup();
    // "0.0123" would be found by chance, and says less than a score is worth.
    forms.retain(|form| form.trim_start_matches(['0', '.']).len() >= 4);
    forms
}

/// How often a number stands in a text, whole: not as a part of a longer one.
fn times(text: &str, number: &str) -> usize {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let whole = |at: usize| {
        let before = at.checked_sub(1).and_then(|place| bytes.get(place));
        !is_digit(before) && before != Some(&b'.') && !is_digit(bytes.get(at + number.len()))
    };
    text.match_indices(number).filter(|(at, _)| whole(*at)).count()
}

#[test]
fn no_number_of_the_holdout_is_anywhere_but_in_its_own_file() {
    let (asked, said) = two_sessions(|lab| {
        for arguments in [["holdout", "--json", "-vvv"].as_slice(), &["holdout", "--trial", "0", "-vvv"]] {
            let outcome = lab.run(arguments).exits(0);
            for number in told(lab) {
                assert!(!outcome.stderr.contains(&digits(number)), "its log: {}", outcome.stderr);
            }
        }
    });
    // The same night without a query: what stands there as well is no leak, but chance.
    let (control, heard) = two_sessions(|_| {});
    let (all, none) = (written(&asked) + &said, written(&control) + &heard);
    let numbers = told(&asked);
    assert!(numbers.len() >= 2 * (3 + 3 * 4), "{numbers:?}");
    assert_eq!(asked.events("holdout_queried").len(), 2);
    assert!(all.contains("holdout_queried"), "the count is there");
    let without_points = all.replace('.', "");
    for number in numbers {
        let exact = digits(number);
        assert!(!without_points.contains(&exact), "{number} ({exact}) is somewhere");
        for form in rounded(number) {
            let (here, there) = (times(&all, &form), times(&none, &form));
            assert!(here <= there, "{number} stands there as {form}, {here} times, and {there} times without a query");
        }
    }
    // What people are told holds it: else the search above would find nothing by mistake.
    let status = asked.status();
    let last = status["holdout"]["last"]["payout"].as_f64().expect("the last answer");
    assert!(told(&asked).contains(&last) && asked.run(&["status"]).exits(0).stdout.contains(&format!("{last:.5}")));
    assert!(told(&asked).iter().any(|number| status.to_string().replace('.', "").contains(&digits(*number))));
}

#[test]
fn queries_are_counted_and_the_budget_holds() {
    let lab = TestLab::new();
    lab.run(&["holdout"]).exits(4).says(&["no packed data", "autoresearch run", "run `autoresearch prepare`"]);
    lab.run(&["prepare"]).exits(0);
    lab.run(&["holdout"]).exits(3).says(&["nothing has been kept yet", "autoresearch run"]);
    lab.edit("autoresearch.yaml", "budget: 10 ", "budget: 1 ");
    lab.commit("one query");
    let session = lab.run(&["run", "--trials", "2", "--json"]).exits(0).json();
    assert_eq!(session["holdout"], json!({ "queries": 0, "budget": 1, "last": null }));
    let before = lab.contents();

    let first = lab.run(&["holdout", "--json"]).exits(0).json();
    assert_eq!((&first["query"], &first["queries"], &first["asked_now"]), (&json!(1), &json!(1), &json!(true)));
    for score in ["payout", "corr", "bmc"] {
        assert!(first[score]["mean"].is_f64() && first["cross_validated"][score]["mean"].is_f64(), "{first}");
    }
    assert_eq!(first["eras"].as_array().map(Vec::len), Some(4));
    assert_eq!(first["cross_validated"]["payout"]["mean"], lab.status()["incumbent"]["payout"]);
    let mode = std::fs::metadata(lab.path(".autoresearch/holdout.jsonl")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let status = lab.status();
    assert_eq!((&status["holdout"]["queries"], &status["holdout"]["budget"]), (&json!(1), &json!(1)));
    assert_eq!(status["holdout"]["last"]["payout"], first["payout"]["mean"]);

    // The same spec costs nothing, whatever the budget; its answer is the same.
    let again = lab.run(&["holdout", "--json"]).exits(0).json();
    assert_eq!((&again["payout"], &again["asked_now"]), (&first["payout"], &json!(false)));
    assert!(lab.run(&["holdout"]).exits(0).stdout.contains("no query was spent"));
    assert_eq!(lab.events("holdout_queried").len(), 1);
    let mut after = lab.contents();
    after.insert(lab.path("runs/ledger.jsonl"), before[&lab.path("runs/ledger.jsonl")].clone());
    assert_eq!(after, before, "nothing but the ledger has changed");

    // Another spec is over the budget; neither a lost file nor a lost ledger gives the query back.
    let trials = lab.run(&["log", "--json"]).exits(0).json();
    let kept = |wanted: &str| {
        let all = trials.as_array().expect("a list");
        all.iter().find(|trial| trial["verdict"] == wanted).and_then(|trial| trial["trial"].as_u64())
    };
    if let Some(trial) = kept("discard") {
        lab.run(&["holdout", "--trial", &trial.to_string()]).exits(2).says(&["is a discard", "what was kept"]);
    }
    lab.run(&["holdout", "--trial", "99"]).exits(2).says(&["no trial 99"]);
    let answers = lab.read(".autoresearch/holdout.jsonl");
    std::fs::remove_file(lab.path(".autoresearch/holdout.jsonl")).expect("removed");
    lab.run(&["holdout"]).exits(3).says(&["1 of 1 queries", "holdout.budget"]);
    assert_eq!(lab.status()["holdout"]["queries"], 1);
    lab.write(".autoresearch/holdout.jsonl", answers.replace("\"spec_hash\":\"", "\"spec_hash\":\"0"));
    std::fs::remove_file(lab.path("runs/ledger.jsonl")).expect("removed");
    lab.run(&["holdout"]).exits(3).says(&["1 of 1 queries"]);
    lab.edit("autoresearch.yaml", "budget: 1 ", "budget: 2 ");
    let raised = lab.run(&["holdout", "--json"]).exits(0).json();
    assert_eq!((&raised["query"], &raised["payout"]), (&json!(2), &first["payout"]), "training is deterministic");
    lab.write(".autoresearch/holdout.jsonl", "{}\n");
    lab.run(&["holdout"]).exits(3).says(&["holdout.jsonl, line 1"]);
    assert!(lab.status()["warnings"].to_string().contains("holdout.jsonl"));
}

#[test]
fn a_running_session_keeps_the_lab_to_itself() {
    let lab = TestLab::new();
    let session = lab.start(&["run"]);
    eventually("a trial has ended", || (!lab.events("trial_ended").is_empty()).then_some(()));
    lab.run(&["holdout"]).exits(7).says(&["has held this lab since"]);
    session.signal(Signal::SIGINT);
    session.ends().exits(0);
    assert!(lab.events("holdout_queried").is_empty());
}
