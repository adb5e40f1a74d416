//! The worker's own side: it reads requests, trains, and writes replies.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use prepare::data::Harness;
use prepare::holdout::Holdout;
use prepare::protocol::Protocol;

use super::wire::{FailureKind, Job, Reply, Request, VERSION};
use crate::spec::Spec;
use crate::train::{self, CellResult, DeviceSettings, Progress, TrainError, Trainer};

/// Signs of life between two nets come at most this often.
const SIGNS_OF_LIFE: Duration = Duration::from_secs(1);

/// Serves requests until standard input ends. Every failure is a reply; none is a panic message.
///
/// # Errors
/// Standard output is gone, so nobody listens.
pub fn serve(protocol: &Path, packed: &Path, device: &DeviceSettings) -> std::io::Result<()> {
    die_with_parent();
    report_panics();
    let out = Mutex::new(std::io::stdout());
    let trainer = match open(protocol, packed, device) {
        Ok(trainer) => trainer,
        Err((kind, message)) => return say(&out, &Reply::Failed { kind, message }),
    };
    let harness = trainer.harness();
    say(
        &out,
        &Reply::Ready {
            version: VERSION,
            device: trainer.device(),
            cpu_threads: trainer.cpu_threads(),
            facts: crate::train::facts(harness),
            test_eras: harness.plan().folds.iter().map(|fold| fold.test.clone()).collect(),
            protocol_hash: harness.protocol().hash(),
            data_hash: harness.data_hash().to_owned(),
        },
    )?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let reply = match serde_json::from_str::<Request>(&line) {
            Ok(Request::Train { jobs, exposure }) => train(&trainer, &jobs, exposure, &out)?,
            Ok(Request::Holdout { spec, seeds }) => holdout(&trainer, packed, &spec, &seeds, &out),
            Ok(Request::Rates) => Reply::Rates { rates: trainer.rates() },
            Err(error) => Reply::Failed { kind: FailureKind::Lab, message: format!("a request that is none: {error}") },
        };
        say(&out, &reply)?;
    }
    Ok(())
}

fn open(protocol: &Path, packed: &Path, device: &DeviceSettings) -> Result<Trainer, (FailureKind, String)> {
    let protocol = Protocol::read(protocol).map_err(|error| (FailureKind::Lab, error.to_string()))?;
    let harness = Harness::open(&protocol, packed).map_err(|error| (FailureKind::Data, error.to_string()))?;
    Trainer::new(harness, device).map_err(|error| (FailureKind::Lab, error.to_string()))
}

/// Trains jobs together, and tells of each what it came to; the last reply is given back.
fn train(trainer: &Trainer, jobs: &[Job], exposure: bool, out: &Mutex<std::io::Stdout>) -> std::io::Result<Reply> {
    let started = Instant::now();
    let specs: Result<Vec<Spec>, _> = jobs.iter().map(|job| Spec::parse(&job.spec, "spec")).collect();
    let specs = match specs {
        Ok(specs) => specs,
        Err(error) => return Ok(Reply::Failed { kind: FailureKind::Lab, message: error.to_string() }),
    };
    let wanted: Vec<train::Job<'_>> =
        specs.iter().zip(jobs).map(|(spec, job)| train::Job { spec, cells: &job.cells }).collect();
    let told = Mutex::new(Instant::now());
    let report = |job: usize, progress: Progress<'_>| tell(out, &told, job, &progress);
    let trained = trainer.train_together(&wanted, exposure, &AtomicBool::new(false), &report);
    for (number, ((spec, job), trained)) in specs.iter().zip(jobs).zip(trained).enumerate() {
        let done = trained.and_then(|cells| {
            if let Some(path) = &job.predictions {
                let mut all: Vec<(usize, u64, Vec<f32>)> =
                    cells.into_iter().map(|cell| (cell.score.fold, cell.score.seed, cell.predictions)).collect();
                all.sort_by_key(|(fold, seed, _)| (*seed, *fold));
                trainer.harness().write_predictions(path, &all).map_err(TrainError::from)?;
            }
            Ok(trainer.params(spec)?)
        });
        let reply = match done {
            Ok(params) => Reply::JobDone { job: number, params },
            Err(train::Failed { cell, error }) => {
                let params = trainer.params(spec).unwrap_or_default();
                Reply::JobFailed { job: number, cell, kind: kind(&error), message: error.to_string(), params }
            }
        };
        say(out, &reply)?;
    }
    Ok(Reply::Done { seconds: started.elapsed().as_secs_f64() })
}

/// Scores the holdout. Nothing but the last reply holds a score.
fn holdout(trainer: &Trainer, packed: &Path, spec: &str, seeds: &[u64], out: &Mutex<std::io::Stdout>) -> Reply {
    let spec = match Spec::parse(spec, "spec") {
        Ok(spec) => spec,
        Err(error) => return Reply::Failed { kind: FailureKind::Lab, message: error.to_string() },
    };
    let holdout = match Holdout::open(trainer.harness().protocol(), packed) {
        Ok(holdout) => holdout,
        Err(error) => {
            let kind = if error.is_configuration() { FailureKind::Lab } else { FailureKind::Data };
            return Reply::Failed { kind, message: error.to_string() };
        }
    };
    let told = Mutex::new(Instant::now());
    let report = |progress: Progress<'_>| {
        if !matches!(progress, Progress::Cell(_)) {
            tell(out, &told, 0, &progress);
        }
    };
    match trainer.holdout(&holdout, &spec, seeds, &AtomicBool::new(false), &report) {
        Ok(mut cells) => {
            cells.sort_by_key(|cell| seeds.iter().position(|seed| *seed == cell.score.seed));
            Reply::Holdout { scores: cells.into_iter().map(|cell| cell.score).collect() }
        }
        Err(error) => failed(&error),
    }
}

/// Passes progress on; a sign of life only if the last thing told is a while ago.
fn tell(out: &Mutex<std::io::Stdout>, told: &Mutex<Instant>, job: usize, progress: &Progress<'_>) {
    // A parent that is gone ends this process, so a line that cannot be written needs no care of its own.
    let _ = match progress {
        Progress::Epoch => {
            let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if told.elapsed() < SIGNS_OF_LIFE {
                return;
            }
            *told = Instant::now();
            say(out, &Reply::Epoch)
        }
        Progress::Replica { done, total } => say(out, &Reply::Replica { job, done: *done, total: *total }),
        Progress::Cell(cell) => say(out, &cell_reply(job, cell)),
    };
}

fn failed(error: &TrainError) -> Reply {
    Reply::Failed { kind: kind(error), message: error.to_string() }
}

fn kind(error: &TrainError) -> FailureKind {
    match error {
        TrainError::Data(_) => FailureKind::Data,
        TrainError::Cells(_) => FailureKind::Lab,
        _ => FailureKind::Training,
    }
}

fn cell_reply(job: usize, cell: &CellResult) -> Reply {
    Reply::Cell {
        job,
        score: cell.score.clone(),
        exposure: cell.exposure,
        rows_trained: cell.rows_trained,
        seconds: cell.seconds,
    }
}

fn say(out: &Mutex<std::io::Stdout>, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_string(reply).map_err(std::io::Error::other)?;
    line.push('\n');
    let mut out = out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// The kernel kills this process when the daemon dies, however it dies.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        let parent = nix::unistd::getppid();
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
        // The parent may have died before the line above.
        if nix::unistd::getppid() != parent {
            std::process::exit(1);
        }
    }
    // If memory runs out, the kernel should take the worker, not the daemon.
    let _ = std::fs::write("/proc/self/oom_score_adj", "900");
}

/// A panic (a backend's assertion, a bug of ours) becomes a reply, and the process ends: its state is not to be trusted.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info
            .payload()
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| info.payload().downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        let reply = Reply::Failed { kind: FailureKind::Training, message: format!("internal error: {message}{place}") };
        if let Ok(line) = serde_json::to_string(&reply) {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
        std::process::exit(101);
    }));
}
