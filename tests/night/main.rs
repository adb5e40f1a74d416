//! A whole night in a minute: a session of more than two hundred trials with the real daemon, the real client over a real
//! socket, real git and a real ledger; only the training is replaced by a score function (`worker.rs`), and the language
//! model by a script that is as unreliable as the real ones (`model.rs`).
//!
//! The test is a program of its own, without a harness, because the daemon starts its own executable as the worker: called
//! as `worker` it scores, called with any other command it is `autoresearch`, and called with none of these it is the test.

#[path = "../it/lab.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod lab;
mod model;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use autoresearch::research::event::Event;
use autoresearch::research::history::History;
use autoresearch::research::near_duplicate::Measured;
use autoresearch::research::rules::Rules;
use autoresearch::research::trial::{TrialRecord, Verdict};
use autoresearch::spec::Spec;
use serde_json::Value;

use self::lab::{PROTOCOL, TestLab};
use self::model::Model;

const TRIALS: usize = 220;
const KEY: &str = "sk-test-night-0123456789-very-secret";
/// What a person rules out, on places that the model and the optimizer both like to go to.
const RULES: &str = "
[[rule]]
name = \"no-silu\"
status = \"confidently-bad\"
reason = \"a person says so\"
paths = [\"network[*].dense.activation\"]
values = [\"silu\"]

[[rule]]
name = \"no-wild-rates\"
status = \"exhausted\"
reason = \"a person says so\"
paths = [\"optimizer.adamw.lr\"]
range = { min = 0.02 }
";
const BASELINE: &str = "\
version: 1
network: [ { dense: { width: 64 } }, { dense: { width: 32 } } ]
loss: [ { pearson: { weight: 1.0 } } ]
optimizer: { adamw: { lr: 1.0e-3, weight_decay: 1.0e-4 } }
training: { epochs: 10, batch_rows: 256 }
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("worker") => worker::serve(&arguments),
        Some("--lab" | "init") => autoresearch::cli::main(),
        // A harness's options (`--nocapture`, a filter): there is one test, and it is run.
        _ => {
            let started = Instant::now();
            a_night();
            tell(&format!("a night of {TRIALS} trials ... ok ({:.0} s)", started.elapsed().as_secs_f64()));
            ExitCode::SUCCESS
        }
    }
}

fn a_night() {
    let lab = TestLab::with(PROTOCOL, BASELINE);
    let model = Model::start();
    lab.edit("autoresearch.yaml", "kind: optimizer ", "kind: mix ");
    lab.edit("autoresearch.yaml", "https://api.openai.com/v1 ", &format!("{} ", model.base_url()));
    lab.edit("autoresearch.yaml", "OPENAI_API_KEY ", "NIGHT_KEY ");
    lab.edit("autoresearch.yaml", "timeout_seconds: 180", "timeout_seconds: 2");
    lab.edit("autoresearch.yaml", "retries: 5 ", "retries: 1 ");
    lab.edit("autoresearch.yaml", "patience_seconds: 120 ", "patience_seconds: 1 ");
    lab.edit("autoresearch.yaml", "rest_seconds: 30 ", "rest_seconds: 1 ");
    lab.edit("autoresearch.yaml", "prices: {} ", "prices: { gpt-5-mini: { input: 1.0, output: 10.0 } } ");
    lab.write("do_not_retry.toml", RULES);
    lab.commit("a night");
    let here = std::env::current_exe().expect("this program");
    let log = std::fs::File::create(lab.home().join("night.log")).expect("a file");
    let mut command = Command::new(here);
    command.arg("--lab").arg(lab.root()).args(["run", "--trials", &TRIALS.to_string(), "-v"]);
    command.env_clear().current_dir(lab.home()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", lab.home()).env("TZ", "UTC").env("NIGHT_KEY", KEY);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = log.try_clone().expect("a second handle");
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().expect("it starts");
    let memory = watch(&mut child, &lab);
    let said = std::fs::read_to_string(lab.home().join("night.log")).expect("the log");
    let status = child.wait().expect("it ended");
    assert!(status.success(), "{status}: {}", tail(&said));
    let records = records(&lab);
    let trained: Vec<&TrialRecord> =
        records.iter().filter(|record| record.verdict.was_trained() && record.incumbent.is_some()).collect();
    assert_eq!(trained.len(), TRIALS, "{}", tail(&said));
    no_model_was_trained_twice(&trained);
    no_neighbour_was_trained(&records);
    no_rule_was_broken(&lab, &records, &trained);
    everybody_proposed(&trained);
    rounds_came_to_their_end(&lab, &records);
    every_fault_happened_and_none_ended_the_night(&lab, &model);
    prompts_stayed_bounded(&model);
    memory_stayed_flat(&memory);
    the_notebook_tells_all(&lab, &records);
    the_key_is_nowhere(&lab, &said, &model);
    tell(&summary(&lab, &trained, &memory, &model));
}

/// As a harness does.
fn tell(words: &str) {
    // Whoever does not listen any more has lost nothing.
    let _ = writeln!(std::io::stdout(), "{words}");
}

fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(6_000);
    text.get(from..).unwrap_or(text).to_owned()
}

/// Resident memory of the daemon in kB by the number of trials that had ended, until it ends.
fn watch(child: &mut std::process::Child, lab: &TestLab) -> Vec<(usize, u64)> {
    let limit = Instant::now() + Duration::from_secs(900);
    let mut found = Vec::new();
    loop {
        if child.try_wait().expect("a child").is_some() {
            return found;
        }
        assert!(Instant::now() < limit, "the night did not end within a quarter of an hour");
        std::thread::sleep(Duration::from_millis(250));
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        let trials = std::fs::read_dir(lab.path("runs")).map_or(0, Iterator::count);
        if let Some(resident) = resident {
            found.push((trials, resident));
        }
    }
}

fn records(lab: &TestLab) -> Vec<TrialRecord> {
    let read = |event: Value| serde_json::from_value(event["record"].clone()).expect("a record");
    lab.events("trial_ended").into_iter().map(read).collect()
}

fn no_model_was_trained_twice(trained: &[&TrialRecord]) {
    let mut seen = BTreeSet::new();
    for record in trained {
        assert!(seen.insert(record.spec_hash.clone()), "trial {} repeats a model", record.trial);
    }
}

/// Nothing was trained that the gate could not have told from what had been measured by then.
fn no_neighbour_was_trained(records: &[TrialRecord]) {
    let (mut history, mut known) = (History::default(), Measured::default());
    for record in records {
        if record.verdict.was_trained() && record.incumbent.is_some() {
            let spec = Spec::parse(&record.proposal.spec, "trial").expect("a valid spec");
            known.learn(&history, &record.protocol_hash, &record.data_hash);
            assert_eq!(known.near(&spec), None, "trial {}", record.trial);
        }
        history.apply(&Event::TrialEnded { record: Box::new(record.clone()) });
    }
}

fn no_rule_was_broken(lab: &TestLab, records: &[TrialRecord], trained: &[&TrialRecord]) {
    let rules = Rules::parse(RULES, "rules").expect("rules");
    let alone = records.iter().filter(|record| record.verdict == Verdict::Blocked).count();
    let rounds = lab.events("round_proposed");
    let refused: Vec<&Value> = rounds.iter().flat_map(|event| event["round"]["refused"].as_array()).flatten().collect();
    let in_rounds = refused.iter().filter(|refused| refused["verdict"] == "blocked").count();
    assert!(alone + in_rounds > 0, "the model proposed what is ruled out, and was refused: {refused:?}");
    for record in trained {
        let broken = rules.blocks(&record.changes, &record.proposal.category);
        assert!(broken.is_none(), "trial {} breaks {broken:?}", record.trial);
    }
}

fn everybody_proposed(trained: &[&TrialRecord]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in trained {
        *counts.entry(record.proposal.researcher.as_str()).or_default() += 1;
    }
    // The model's outages cost it some of its half.
    assert!(counts.get("openai").is_some_and(|count| *count >= TRIALS / 5), "{counts:?}");
    assert!(counts.get("optimizer").is_some_and(|count| *count >= TRIALS / 3), "{counts:?}");
}

/// Every candidate of a round was tried or dropped, in their order, but for those that waited when the night ended.
fn rounds_came_to_their_end(lab: &TestLab, records: &[TrialRecord]) {
    let rounds = lab.events("round_proposed");
    let dropped = lab.events("candidate_dropped");
    let (mut by_the_model, mut candidates, mut waiting) = (0, 0, 0);
    for (index, round) in (1..).zip(&rounds) {
        let round = &round["round"];
        assert_eq!(round["round"], index, "rounds are counted");
        let several = round["researcher"] == "openai";
        by_the_model += usize::from(several);
        for candidate in round["candidates"].as_array().expect("a list") {
            candidates += usize::from(several);
            let hash = candidate["spec_hash"].as_str().expect("a hash");
            let number = index as u32;
            let tried = records.iter().any(|record| {
                record.origin.as_ref().is_some_and(|origin| origin.round == number && origin.spec_hash == hash)
            });
            let dropped = dropped.iter().any(|event| event["round"] == number && event["spec_hash"] == hash);
            assert!(!(tried && dropped), "round {index}, {hash}");
            assert!(waiting == 0 || !(tried || dropped), "round {index}, {hash}: one before it waits");
            waiting += usize::from(!tried && !dropped);
        }
    }
    assert!(by_the_model >= 10, "{by_the_model} rounds");
    assert!(candidates > 2 * by_the_model, "several a round: {candidates} of {by_the_model} rounds");
    assert!(waiting <= 6, "no more wait than a round has, and one of the optimizer's: {waiting}");
    let rebased =
        |record: &&TrialRecord| record.origin.as_ref().is_some_and(|origin| record.incumbent != Some(origin.against));
    let rebased = records.iter().filter(rebased).count();
    assert!(rebased + dropped.len() > 0, "an incumbent changed within a round, and what waited was rebased or dropped");
}

fn every_fault_happened_and_none_ended_the_night(lab: &TestLab, model: &Model) {
    let faults = model.faults();
    for (fault, count) in &faults {
        assert!(*count > 0, "{fault} never happened: {faults:?}");
    }
    assert!(!lab.events("researcher_failed").is_empty(), "what failed is in the ledger");
}

fn prompts_stayed_bounded(model: &Model) {
    // Four characters a token, as the configuration counts; 24,000 tokens are its default.
    let longest = model.longest_prompt();
    assert!(longest <= 24_000 * 4, "{longest} characters");
    assert!(longest > 20_000, "the language's reference is in it: {longest}");
}

/// What grows is the ledger's own history: some kilobytes a trial.
fn memory_stayed_flat(memory: &[(usize, u64)]) {
    let mean = |from: usize, to: usize| {
        let of: Vec<u64> = memory.iter().filter(|(trials, _)| (from..to).contains(trials)).map(|(_, kb)| *kb).collect();
        of.iter().sum::<u64>() as f64 / of.len().max(1) as f64
    };
    let (early, late) = (mean(40, 90), mean(TRIALS - 40, TRIALS + 20));
    assert!(late < 1.35 * early + 8_192.0, "{early:.0} kB at trials 40 to 90, {late:.0} kB at the end");
}

/// One commit a trial, and nothing uncommitted.
fn the_notebook_tells_all(lab: &TestLab, records: &[TrialRecord]) {
    lab.is_clean();
    let trailers = lab.git(&["log", "--format=%(trailers:key=Trial,valueonly)"]);
    let mut numbers: Vec<u32> = trailers.lines().filter_map(|line| line.trim().parse().ok()).collect();
    numbers.sort_unstable();
    let mut wanted: Vec<u32> = records.iter().map(|record| record.trial).collect();
    wanted.sort_unstable();
    assert_eq!(numbers, wanted);
}

fn the_key_is_nowhere(lab: &TestLab, said: &str, model: &Model) {
    assert!(!said.contains(KEY), "it was printed");
    assert!(!model.a_prompt_holds(KEY), "it was in a prompt");
    for (path, bytes) in lab.contents() {
        assert!(!holds(&bytes), "{}", path.display());
    }
    let mut folders = vec![lab.path(".autoresearch")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                assert!(!holds(&std::fs::read(&path).unwrap_or_default()), "{}", path.display());
            }
        }
    }
    assert!(!lab.git(&["log", "-p", "--all"]).contains(KEY), "it was committed");
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes())
}

/// What the night was like, for whoever runs the test with its output shown.
fn summary(lab: &TestLab, trained: &[&TrialRecord], memory: &[(usize, u64)], model: &Model) -> String {
    let kept = trained.iter().filter(|record| record.verdict.word() == "keep").count();
    let most = memory.iter().map(|(_, kb)| kb).max().copied().unwrap_or_default();
    format!(
        "{} trials, {kept} kept, {} rounds, {} candidates dropped, {} failures of the model; longest prompt {} characters; \
         at most {} MB resident",
        trained.len(),
        lab.events("round_proposed").len(),
        lab.events("candidate_dropped").len(),
        lab.events("researcher_failed").len(),
        model.longest_prompt(),
        most / 1024
    )
}
