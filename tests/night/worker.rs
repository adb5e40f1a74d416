//! In the place of the training: a score function. A spec's payout is a function of its knobs, recorded here; each cell
//! adds the luck of a run and the noise of its eras, always the same for the same spec, fold and seed.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use autoresearch::spec::knobs::knobs;
use autoresearch::spec::rates::DeviceRates;
use autoresearch::spec::{Spec, Value, cost};
use autoresearch::worker::wire::{FailureKind, Job, Reply, Request, VERSION};
use prepare::data::Harness;
use prepare::evaluate::{CellScore, EraScore};
use prepare::protocol::Protocol;

/// Standard deviation of a cell's luck, and of an era's noise, in payout.
const LUCK: f64 = 0.0012;
const NOISE: f64 = 0.003;

pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    let after = |name: &str| arguments.iter().position(|own| own == name).and_then(|at| arguments.get(at + 1));
    let (Some(protocol), Some(packed)) = (after("--protocol"), after("--packed")) else { return ExitCode::FAILURE };
    let protocol = Protocol::read(Path::new(protocol)).expect("a protocol");
    let harness = Harness::open(&protocol, Path::new(packed)).expect("data");
    let facts = autoresearch::train::facts(&harness);
    let folds: Vec<Vec<u32>> = harness.plan().folds.iter().map(|fold| fold.test.clone()).collect();
    say(&Reply::Ready {
        version: VERSION,
        device: "a score function".into(),
        cpu_threads: Some(2),
        facts: facts.clone(),
        test_eras: folds.clone(),
        protocol_hash: harness.protocol().hash(),
        data_hash: harness.data_hash().to_owned(),
    });
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        match serde_json::from_str::<Request>(&line).expect("a request") {
            Request::Train { jobs, .. } => {
                for (number, Job { spec, cells, .. }) in jobs.into_iter().enumerate() {
                    let spec = Spec::parse(&spec, "spec").expect("the daemon has checked it");
                    // Some models always diverge, as some always do.
                    if rate(&spec) > 0.05 {
                        let (cell, kind) = (cells.first().copied(), FailureKind::Training);
                        let message = "the loss is not a number".into();
                        say(&Reply::JobFailed { job: number, cell, kind, message, params: 0 });
                        continue;
                    }
                    for cell in cells {
                        let score = score(&spec, cell.fold, cell.seed, &folds[cell.fold], protocol.objective.corr);
                        say(&Reply::Cell { job: number, score, exposure: None, rows_trained: 1, seconds: 0.001 });
                    }
                    say(&Reply::JobDone { job: number, params: cost::estimate(&spec, &facts).params });
                }
                say(&Reply::Done { seconds: 0.001 });
            }
            Request::Rates => say(&Reply::Rates { rates: rates() }),
            Request::Holdout { .. } => {
                say(&Reply::Failed { kind: FailureKind::Lab, message: "there is no holdout here".into() });
            }
        }
    }
    ExitCode::SUCCESS
}

fn rates() -> DeviceRates {
    DeviceRates { lanes: 2, group_bytes: None, flops: 1e10, numbers: 1e9, seconds_an_operation: 1e-6, host: 1e9 }
}

fn say(reply: &Reply) {
    let mut line = serde_json::to_string(reply).expect("JSON");
    line.push('\n');
    let mut out = std::io::stdout().lock();
    // A daemon that is gone needs no answer.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn score(spec: &Spec, fold: usize, seed: u64, eras: &[u32], corr: f64) -> CellScore {
    let hash = spec.hash();
    let truth = truth(spec);
    let luck = LUCK * normal(&[&hash, "luck", &fold.to_string(), &seed.to_string()]);
    let eras = eras
        .iter()
        .map(|era| {
            let era_text = era.to_string();
            // What an era does to every model, and what it does to this run alone.
            let common = 0.02 * normal(&["era", &era_text]);
            let own = NOISE * normal(&[&hash, "rest", &seed.to_string(), &era_text]);
            let payout = truth + luck + common + own;
            EraScore { era: *era, corr: payout / corr, bmc: 0.0, payout }
        })
        .collect::<Vec<_>>();
    let corr_with_benchmark = vec![0.4; eras.len()];
    CellScore { fold, seed, eras, corr_with_benchmark }
}

/// A standard normal number that is always the same for the same words: the sum of twelve uniform ones, less six.
fn normal(words: &[&str]) -> f64 {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(word.as_bytes()).update(b"/");
    }
    let mut bytes = [0_u8; 96];
    hasher.finalize_xof().fill(&mut bytes);
    let uniform =
        |chunk: &[u8]| chunk.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)) as f64 / u64::MAX as f64;
    bytes.chunks(8).map(uniform).sum::<f64>() - 6.0
}

fn number(spec: &Spec, path: &str) -> Option<f64> {
    knobs(spec).into_iter().find(|knob| knob.path == path).and_then(|knob| knob.value.number())
}

fn rate(spec: &Spec) -> f64 {
    number(spec, "optimizer.adamw.lr").unwrap_or(0.003)
}

/// The true payout: the landscape that the night explores.
fn truth(spec: &Spec) -> f64 {
    let bowl = |value: Option<f64>, best: f64, steepness: f64| {
        value
            .filter(|value| *value > 0.0)
            .map_or(-steepness, |value| -steepness * (value / best).log2().powi(2).min(9.0))
    };
    let activation =
        knobs(spec).iter().filter(|knob| knob.path.ends_with("dense.activation")).fold(0.0_f64, |sum, knob| {
            sum + match &knob.value {
                Value::Text(word) if word == "gelu" => 0.002,
                Value::Text(word) if word == "tanh" => -0.003,
                _ => 0.0,
            }
        });
    let widths: Vec<f64> = knobs(spec)
        .iter()
        .filter(|knob| knob.path.ends_with("dense.width"))
        .filter_map(|knob| knob.value.number())
        .collect();
    let width = widths.iter().map(|width| bowl(Some(*width), 256.0, 0.0006)).sum::<f64>() / widths.len().max(1) as f64;
    0.01 + bowl(Some(rate(spec)), 0.004, 0.0008)
        + bowl(number(spec, "optimizer.adamw.weight_decay"), 1e-3, 0.0004)
        + bowl(number(spec, "training.epochs"), 30.0, 0.0008)
        + f64::clamp(activation, -0.006, 0.006)
        + width
        - 0.0015 * (widths.len() as f64 - 3.0).abs()
}
