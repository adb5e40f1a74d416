//! Candidates of a round, trained together and judged one by one: what comes of it is what comes of training one after another.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint, proposes};
use crate::lab::{GOOD, KEY_VARIABLE, Outcome, PROTOCOL, Running, TestLab, eventually};
use crate::session::notebook_is_sound;

const LEARNINGS: &str = "# Learnings\n\nNothing yet.\n";

/// As good as untrained.
const DULL: &str = "\
version: 1
network: [ { dense: { width: 8 } } ]
loss: [ { mse: { weight: 1.0 } } ]
optimizer: { sgd: { lr: 1.0e-6 } }
training: { epochs: 8, batch_rows: 1024, patience: 8 }
";

/// The numbers of this one run away.
const WILD: &str = "\
version: 1
network: [ { dense: { width: 32, activation: identity } }, { dense: { width: 32, activation: identity } } ]
loss: [ { mse: { weight: 100 } } ]
optimizer: { sgd: { lr: 10, momentum: 0.9 } }
training: { epochs: 8, batch_rows: 1024, patience: 8 }
";

fn candidate(title: &str, spec: &str) -> Value {
    json!({ "title": title, "hypothesis": "It may.", "category": "architecture", "expected_effect": null, "spec": spec })
}

fn round(candidates: &[Value]) -> Answer {
    Answer::Says(json!({ "candidates": candidates }).to_string())
}

/// Edits of the dull baseline: one that is as dull, one that diverges, one that is kept, two that are put onto that; and then
/// edits of the one that was kept: with company, too, the next round is asked for after the keep.
fn script() -> Vec<Answer> {
    let wider = |width: u32| GOOD.replace("width: 32", &format!("width: {width}"));
    vec![
        round(&[
            candidate("Dull and wide", &DULL.replace("width: 8", "width: 24")),
            candidate("Wild", WILD),
            candidate("Pearson loss", GOOD),
            candidate("Ranks", &format!("{DULL}targets: {{ transform: rank }}\n")),
            candidate("Normal scores", &format!("{DULL}targets: {{ transform: gaussian }}\n")),
        ]),
        round(&[candidate("Width 40", &wider(40)), candidate("Width 24", &wider(24))]),
    ]
}

/// A lab whose model says what the script has, on two threads.
fn lab(baseline: &str, script: Vec<Answer>, settings: &[(&str, &str)]) -> (TestLab, Endpoint) {
    let afterwards = Answer::Fails(500, "nothing more".into());
    let endpoint = Endpoint::start(script, afterwards, Answer::Says(LEARNINGS.into()));
    let lab = TestLab::with(PROTOCOL, baseline);
    lab.ask(&endpoint.base_url());
    lab.edit("autoresearch.yaml", "kind: optimizer ", "kind: openai ");
    lab.edit("autoresearch.yaml", "most_seeds: null ", "most_seeds: 6 ");
    lab.edit("autoresearch.yaml", "incumbent_seeds: 12 ", "incumbent_seeds: 6 ");
    lab.edit("autoresearch.yaml", "threads: null ", "threads: 2 ");
    for (from, to) in settings {
        lab.edit("autoresearch.yaml", from, to);
    }
    lab.commit("a researcher");
    (lab, endpoint)
}

fn run(lab: &TestLab, trials: &str) -> Outcome {
    lab.program_with_key(&["run", "-v", "--trials", trials], "sk-1234567890")
}

fn records(lab: &TestLab) -> Vec<Value> {
    lab.events("trial_ended").into_iter().map(|event| event["record"].clone()).collect()
}

/// What a record says that is no matter of time.
fn facts(record: &Value) -> Value {
    let measured = &record["measurement"];
    json!({
        "trial": record["trial"], "verdict": record["verdict"], "reason": record["reason"], "spec": record["spec_hash"],
        "title": record["proposal"]["title"], "origin": record["origin"], "incumbent": record["incumbent"],
        "changes": record["changes"], "judgement": record["judgement"],
        "scores": measured["scores"], "evaluation": measured["evaluation"], "params": measured["params"],
    })
}

#[test]
fn company_changes_nothing_but_the_time_that_trials_take() {
    let told = |settings: &[(&str, &str)]| {
        let (lab, _endpoint) = lab(DULL, script(), settings);
        let outcome = run(&lab, "7").exits(0);
        lab.is_clean();
        notebook_is_sound(&lab);
        (lab, outcome.stderr)
    };
    let (alone, said_alone) = told(&[("side_by_side: null ", "side_by_side: 1 ")]);
    let (together, said) = told(&[]);
    assert!(!said_alone.contains("training together"), "{said_alone}");
    assert!(said.contains("training together"), "nobody had company: {said}");
    let (one, other) = (records(&alone), records(&together));
    let of =
        |records: &[Value], key: &str| -> Vec<Value> { records.iter().map(|record| record[key].clone()).collect() };
    assert_eq!(of(&one, "verdict"), of(&other, "verdict"));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(facts(one), facts(other));
    }
    assert_eq!(one.len(), other.len());
    let verdicts: Vec<String> = of(&other, "verdict").iter().map(|word| word.to_string().replace('"', "")).collect();
    assert_eq!(verdicts[..4], ["keep", "discard", "crash", "keep"], "the baseline, and one of each: {other:?}");
    // What waited when one was kept is an edit of that one now.
    assert_eq!((&other[4]["incumbent"], &other[4]["origin"]["against"]), (&json!(3), &json!(0)));
    assert!(
        other[4]["proposal"]["spec"].as_str().is_some_and(|spec| spec.contains("width: 32") && spec.contains("rank"))
    );
    // Nobody pays for another's training: together the trials took no longer than from the first one's start to the last
    // one's end.
    let seconds = |found: &[Value]| -> f64 { found.iter().filter_map(|one| one["wall_seconds"].as_f64()).sum() };
    let times = |kind: &str, at: usize| -> jiff::Timestamp {
        let lines: Vec<Value> = together.ledger().into_iter().filter(|line| line["event"]["event"] == kind).collect();
        let line = if at == 0 { lines.get(1) } else { lines.last() };
        line.and_then(|line| line["time"].as_str()?.parse().ok()).expect("a time")
    };
    let span = times("trial_ended", 1).duration_since(times("trial_started", 0)).as_secs_f64();
    assert!(seconds(&other[1..]) <= span, "{} s of trials in {span} s", seconds(&other[1..]));
    assert!(other.iter().all(|record| record["wall_seconds"].as_f64().is_some_and(|own| own > 0.0)));
}

/// Trains for some seconds.
const LONG: &str = "\
version: 1
network: [ { dense: { width: 48 } }, { dense: { width: 48 } } ]
training: { epochs: 60, batch_rows: 32, patience: null }
";

fn start(lab: &TestLab, trials: &str) -> Running {
    lab.start_with(&["run", "-v", "--trials", trials], &[(KEY_VARIABLE, "sk-1234567890")])
}

#[test]
fn a_worker_that_dies_with_company_proves_nothing() {
    let wide =
        |width: u32| candidate(&format!("Width {width}"), &LONG.replacen("width: 48", &format!("width: {width}"), 1));
    let (lab, _endpoint) = lab(DULL, vec![round(&[wide(48), wide(56), wide(40)])], &[]);
    let running = start(&lab, "2");
    // A worker is killed while it trains one beside another, as the kernel does where memory is short.
    eventually("somebody has company", || {
        let live: Value =
            serde_json::from_str(&std::fs::read_to_string(lab.path(".autoresearch/live.json")).ok()?).ok()?;
        let doing = live["doing"].as_str()?;
        assert!(!lab.events("session_ended").iter().any(|_| true), "the session ended before");
        doing.contains("beside 1 candidate that waits").then_some(())
    });
    for pid in lab.processes() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).split('\0').any(|word| word == "worker") {
            kill(Pid::from_raw(i32::try_from(pid).expect("a process number")), Signal::SIGKILL).expect("it is killed");
        }
    }
    let outcome = running.ends().exits(0);
    assert!(outcome.stderr.contains("it is trained again by itself"), "{}", outcome.stderr);
    let records = records(&lab);
    assert_eq!(records.len(), 3, "{records:?}");
    for record in &records[1..] {
        assert!(record["verdict"] == "keep" || record["verdict"] == "discard", "{}", record["reason"]);
    }
    // The one that took part is left alone from then on, and so is the one beside it.
    let shared = outcome.stderr.matches("training together").count();
    let pair =
        |line: &&str| line.contains("training together") && line.contains("Width 48") && line.contains("Width 56");
    assert!(shared >= 1 && outcome.stderr.lines().filter(pair).count() == 1, "{}", outcome.stderr);
    notebook_is_sound(&lab);
    lab.is_clean();
    lab.is_deserted();
}

#[test]
fn the_optimizer_keeps_as_many_ready_as_train_together_and_no_more() {
    for (settings, rounds) in [(("threads: null ", "threads: 1 "), 0), (("threads: null ", "threads: 2 "), 1)] {
        let lab = TestLab::new();
        lab.edit("autoresearch.yaml", settings.0, settings.1);
        lab.commit("so many threads");
        lab.run(&["run", "--trials", "5"]).exits(0);
        let trained = records(&lab).iter().filter(|record| record["origin"].is_object()).count();
        let proposed: usize = lab
            .events("round_proposed")
            .iter()
            .map(|event| event["round"]["candidates"].as_array().map_or(0, Vec::len))
            .sum();
        let dropped = lab.events("candidate_dropped").len();
        let mut waiting: i64 = 0;
        for line in lab.ledger() {
            let event = &line["event"];
            waiting += match event["event"].as_str() {
                Some("round_proposed") => event["round"]["candidates"].as_array().map_or(0, |all| all.len() as i64),
                Some("trial_ended") if event["record"]["origin"].is_object() => -1,
                Some("candidate_dropped") => -1,
                _ => 0,
            };
            assert!(waiting <= 2 * rounds, "more wait than train together: {waiting}");
        }
        assert_eq!(trained + dropped, proposed, "nobody waits when the trials are over");
        assert_eq!(proposed > 0, rounds > 0, "where one trains at a time, none waits");
        notebook_is_sound(&lab);
        lab.is_clean();
    }
}

#[test]
fn who_has_run_dry_waits_for_the_model() {
    let idea = json!({ "title": "Width 24", "hypothesis": "It may.", "category": "hunch", "expected_effect": null,
        "spec": DULL.replace("width: 8", "width: 24") });
    let late = Answer::SaysLate(Duration::from_secs(6), json!({ "candidates": [idea] }).to_string());
    let (lab, endpoint) = lab(DULL, vec![late], &[("patience_seconds: 120 ", "patience_seconds: 1 ")]);
    // The optimizer's every category is ruled out, so that it has nothing to offer in the model's place.
    let words = "features targets architecture activation normalization regularization loss optimizer schedule training \
                 ensemble augmentation post other";
    let rule = |word: &str| {
        format!("[[rule]]\nname = \"no-{word}\"\nstatus = \"exhausted\"\nreason = \"test\"\ncategory = \"{word}\"\n\n")
    };
    lab.write("do_not_retry.toml", words.split_whitespace().map(rule).collect::<String>());
    lab.commit("nothing for the optimizer");
    let outcome = run(&lab, "1").exits(0);
    let records = records(&lab);
    assert_eq!(records[1]["proposal"]["researcher"], "openai", "{}", outcome.stderr);
    let failures = lab.events("researcher_failed");
    assert_eq!(failures.len(), 1, "the optimizer is not asked again and again: {failures:?}");
    assert_eq!(failures[0]["researcher"], "optimizer");
    let asked = endpoint.requests().iter().filter(|(_, body)| proposes(body)).count();
    assert_eq!(asked, 1, "the model was asked once, and waited for");
}
