//! The gate from outside: what is kept, taken back, and not kept whatever it earns.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint};
use crate::lab::{GOOD, KEY_VARIABLE, Outcome, PROTOCOL, TestLab, UNTRAINED, eventually};
use crate::session::notebook_is_sound;

const LEARNINGS: &str = "# Learnings\n\nPearson losses help here.\n\n## What works\n\n- Pearson.\n\n## Confidently bad\n\n\
    Nothing yet.\n\n## Ambiguous\n\nNothing yet.\n\n## Near misses\n\nNothing yet.\n\n## Open questions\n\n- Width?\n";

/// A gain over its predecessor can never be as sure as this: every keep is taken back.
const DEMOTES: [(&str, &str); 3] = [
    ("every_keeps: 5 ", "every_keeps: 1 "),
    ("    seeds: 6\n", "    seeds: 2\n"),
    ("level: 0.25 ", "level: 1.0e-300 "),
];

fn proposal(title: &str, spec: &str) -> Answer {
    let text = json!({
        "title": title, "hypothesis": "It follows the score.", "category": "loss", "expected_effect": 0.01, "spec": spec,
    });
    Answer::Says(text.to_string())
}

fn wider(width: u32) -> Answer {
    proposal(&format!("Width {width}"), &GOOD.replace("width: 32", &format!("width: {width}")))
}

/// An untrained baseline, a model that proposes what is far better, and a gate that is quick.
fn lab(settings: &[(&str, &str)]) -> (TestLab, Endpoint) {
    let script = vec![proposal("Pearson loss", GOOD), wider(24), wider(40)];
    let endpoint = Endpoint::start(script, wider(28), Answer::Says(LEARNINGS.into()));
    let lab = TestLab::with(PROTOCOL, UNTRAINED);
    lab.ask(&endpoint.base_url());
    lab.edit("autoresearch.yaml", "kind: optimizer ", "kind: openai ");
    lab.edit("autoresearch.yaml", "most_seeds: null ", "most_seeds: 3 ");
    lab.edit("autoresearch.yaml", "incumbent_seeds: 12 ", "incumbent_seeds: 6 ");
    for (from, to) in settings {
        lab.edit("autoresearch.yaml", from, to);
    }
    lab.commit("a researcher");
    (lab, endpoint)
}

fn run(lab: &TestLab, trials: &str) -> Outcome {
    lab.program_with_key(&["run", "--trials", trials], "sk-1234567890")
}

fn record(lab: &TestLab, trial: u64) -> Value {
    let ended = lab.events("trial_ended").into_iter().map(|event| event["record"].clone());
    ended.into_iter().find(|record| record["trial"] == trial).unwrap_or_else(|| panic!("no trial {trial}"))
}

fn subjects(lab: &TestLab, word: &str) -> Vec<String> {
    let log = lab.git(&["log", "--format=%s"]);
    log.lines().filter(|line| line.starts_with(word)).map(str::to_owned).collect()
}

#[test]
fn a_keep_that_does_not_stand_is_taken_back_and_the_next_is_compared_with_its_predecessor() {
    let (lab, _endpoint) = lab(&DEMOTES);
    run(&lab, "1").exits(0);
    assert_eq!(record(&lab, 1)["verdict"], "keep", "{}", record(&lab, 1)["reason"]);
    assert_eq!(record(&lab, 1)["judgement"]["kind"], "better");
    assert!(lab.read("model.yaml").contains("width: 32"));
    run(&lab, "1").exits(0);
    lab.is_clean();
    notebook_is_sound(&lab);

    let found = lab.events("remeasured");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = &found[0]["found"];
    assert_eq!((&found["trial"], &found["demoted_to"], &found["predecessor"]), (&json!(1), &json!(0), &json!(0)));
    assert!(found["gain"].as_f64().is_some_and(|gain| gain > 0.0), "a gain, and not sure enough: {found}");
    let fresh = found["seeds"].as_array().expect("seeds");
    assert_eq!(fresh.len(), 2);
    for event in lab.events("seeds_measured") {
        let seeds = event["scores"]["seeds"].as_array().expect("seeds");
        let again = event["purpose"] == "remeasurement";
        assert!(seeds.iter().all(|own| fresh.contains(&own["seed"]) == again), "fresh seeds select nothing: {event}");
    }
    assert_eq!(lab.events("remeasurement_committed").len(), 1);

    let [subject] = &subjects(&lab, "demote ")[..] else { panic!("one demotion") };
    assert!(subject.starts_with("demote 000001: Pearson loss "), "{subject}");
    let commit = lab.git(&["log", "--format=%H", "--grep", "^demote 000001"]);
    let commit = commit.trim();
    assert_eq!(
        lab.git(&["show", &format!("{commit}:model.yaml")]),
        UNTRAINED,
        "its predecessor's model, byte for byte"
    );
    let mut changed: Vec<String> =
        lab.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", commit]).lines().map(str::to_owned).collect();
    changed.sort();
    assert_eq!(changed, ["model.yaml", "runs/000001/remeasured.json"]);
    let trailers = lab.git(&["show", "-s", "--format=%(trailers)", commit]);
    assert!(trailers.contains("Remeasured: 1") && trailers.contains("Stands: no"), "{trailers}");

    // The next trial had the baseline to beat, without a new baseline's being measured.
    assert_eq!(record(&lab, 2)["incumbent"], 0);
    assert_eq!(lab.events("trial_ended").len(), 3);
    // From git alone the lab knows the same.
    let incumbent = lab.status()["incumbent"]["trial"].clone();
    std::fs::remove_file(lab.path("runs/ledger.jsonl")).expect("removed");
    assert_eq!(lab.status()["incumbent"]["trial"], incumbent);
    run(&lab, "1").exits(0).says(&["rebuilt from"]);
    lab.is_clean();
    notebook_is_sound(&lab);
}

#[test]
fn killed_in_a_demotion_the_next_start_completes_it() {
    let (lab, _endpoint) = lab(&DEMOTES);
    run(&lab, "1").exits(0);
    let mut command = lab.command(&["run", "--trials", "1"]);
    let mut child = command
        .env(KEY_VARIABLE, "sk-1234567890")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    // At its event; the files and the commit follow at once, and may have been made or not.
    eventually("the incumbent is measured again", || (!lab.events("remeasured").is_empty()).then_some(()));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process number"));
    nix::sys::signal::kill(pid, Signal::SIGKILL).expect("killed");
    child.wait().expect("dead");
    lab.is_deserted();
    run(&lab, "1").exits(0);
    lab.is_clean();
    notebook_is_sound(&lab);
    assert_eq!(subjects(&lab, "demote 000001").len(), 1, "{:?}", subjects(&lab, ""));
    assert_eq!(lab.events("remeasured").iter().filter(|event| event["found"]["trial"] == 1).count(), 1);
    assert_eq!(record(&lab, 2)["incumbent"], 0);
}

#[test]
fn what_breaks_a_constraint_is_not_kept_however_good_it_is() {
    // No prediction is without any correlation with a feature.
    let (lab, _endpoint) = lab(&[("feature_exposure: null ", "feature_exposure: 0.0 ")]);
    run(&lab, "1").exits(0);
    let tried = record(&lab, 1);
    assert_eq!((&tried["verdict"], &tried["judgement"]["kind"]), (&json!("discard"), &json!("constrained")), "{tried}");
    let reason = tried["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("better than the incumbent: +") && reason.contains("gate.constraints.feature_exposure"),
        "{reason}"
    );
    assert_eq!(lab.read("model.yaml"), UNTRAINED);
    lab.is_clean();
    notebook_is_sound(&lab);
    // One that it holds stands in nobody's way.
    lab.edit("autoresearch.yaml", "feature_exposure: 0.0 ", "feature_exposure: 1.0 ");
    lab.commit("looser");
    run(&lab, "1").exits(0);
    assert_eq!(record(&lab, 2)["verdict"], "keep", "{}", record(&lab, 2)["reason"]);
}

/// A gate that hopes little trains little: whoever is not nearly sure to be kept is given up before the first look.
#[test]
fn little_patience_costs_little_training() {
    let lab = TestLab::new();
    lab.edit("autoresearch.yaml", "incumbent_seeds: 12 ", "incumbent_seeds: 6 ");
    let patience = lab.read("autoresearch.yaml");
    let line = patience.lines().find(|line| line.trim_start().starts_with("futility: ")).expect("a setting").to_owned();
    lab.edit("autoresearch.yaml", &line, "  futility: 0.95");
    lab.commit("no patience");
    lab.run(&["run", "--trials", "4"]).exits(0);
    lab.is_clean();
    notebook_is_sound(&lab);
    for ended in lab.events("trial_ended") {
        let judged = &ended["record"]["judgement"];
        if judged["keep"] == false {
            assert!(judged["seeds"].as_u64().is_some_and(|seeds| seeds < 6), "{judged}");
            assert!(["not_better", "undecided"].contains(&judged["kind"].as_str().unwrap_or_default()), "{judged}");
        }
    }
}

/// A worker that hangs in a trial's cells ends the trial by its time, not the night.
#[test]
fn a_race_over_its_time_is_a_timeout() {
    let lab = TestLab::new();
    lab.edit("autoresearch.yaml", "trial_seconds: 1800 ", "trial_seconds: 6 ");
    lab.edit("autoresearch.yaml", "incumbent_seeds: 12 ", "incumbent_seeds: 3 ");
    lab.commit("little time");
    lab.run(&["run", "--trials", "1"]).exits(0);
    let session = lab.start(&["run"]);
    let before = lab.events("trial_ended").len();
    let late = |event: &Value| event["record"]["verdict"] == "timeout";
    // The worker of each trial is halted once, until a trial has ended by it: a quick one may end before.
    let mut halted_in = None;
    eventually("a trial takes too long", || {
        let last = lab.ledger().pop()?;
        let (event, trial) = (&last["event"]["event"], last["event"]["trial"].as_u64());
        if event == "trial_started" && trial != halted_in {
            halted_in = trial;
            for pid in lab.processes().into_iter().filter(|pid| *pid != session.pid()) {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process number"));
                // It may be gone already.
                let _ = nix::sys::signal::kill(pid, Signal::SIGSTOP);
            }
        }
        lab.events("trial_ended").iter().skip(before).any(late).then_some(())
    });
    let ended = lab.events("trial_ended").len();
    eventually("the night goes on", || {
        lab.events("trial_ended").iter().skip(ended).any(|event| !late(event)).then_some(())
    });
    session.signal(Signal::SIGTERM);
    session.ends().exits(0);
    let record = lab.events("trial_ended").into_iter().find(late).expect("a timeout")["record"].clone();
    assert_eq!((&record["judgement"], &record["measurement"]), (&Value::Null, &Value::Null), "{record}");
    notebook_is_sound(&lab);
    lab.is_clean();
    lab.is_deserted();
}
