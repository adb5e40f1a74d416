//! `autoresearch trial SPEC`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prepare::{Lock, Protocol};
use serde::Serialize;

use super::check::prepared;
use super::diff::spec_text;
use super::screen::Screen;
use super::{Context, logging, out};
use crate::daemon::{Update, budget, known_or_measured_rates, known_rates, worker_settings};
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::report::text::evaluation_text;
use crate::research::measurement::evaluate;
use crate::spec::{DataFacts, Spec};
use crate::worker::supervisor::{Worker, WorkerProgress};
use crate::worker::wire::Job;

/// Evaluate one spec under the protocol; git and the ledger stay as they are.
///
/// Evaluates one spec under the protocol, every fold and seed, and prints its scores. Neither git nor the ledger is
/// touched, and it may run beside a session. A spec that is over the budget of autoresearch.yaml is refused, as in a
/// session.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec's file.
    spec: PathBuf,
    /// Write the out-of-fold predictions (id, era, fold, seed, prediction) there.
    #[arg(long, value_name = "OUT.parquet")]
    predictions: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts {
    #[serde(flatten)]
    evaluation: prepare::Evaluation,
    feature_exposure: Option<prepare::Exposure>,
    wall_seconds: f64,
    rows_per_second: f64,
    params: u64,
    device: String,
    spec_hash: String,
    protocol_hash: String,
    data_hash: String,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    logging::start(context.verbose, true);
    let config = Config::read(&lab)?;
    let protocol = Protocol::read(&lab.protocol())?;
    let text = spec_text(&arguments.spec)?;
    let origin = arguments.spec.display().to_string();
    let predictions = arguments.predictions.as_ref().map(std::path::absolute).transpose();
    let predictions = predictions.map_err(|source| Error::File { path: "--predictions".into(), source })?;
    if let Some(folder) = predictions.as_deref().and_then(std::path::Path::parent).filter(|folder| !folder.is_dir()) {
        return Err(Error::Usage(format!(
            "--predictions: the folder {} does not exist; make it first",
            folder.display()
        )));
    }
    if lab.protocol_lock().exists() {
        Lock::read(&lab.protocol_lock())?.check_protocol(&protocol)?;
    }
    let settings = worker_settings(&lab, &config);
    let checked = |facts: &DataFacts, rates| {
        Spec::check(&text, &origin, facts, &budget(&config, &settings, rates)).accepted().map(|(spec, _)| spec)
    };
    // What is wrong is said before a worker starts.
    match prepared(&lab) {
        Some(facts) => checked(&facts, known_rates(&lab, &settings).map(|measured| measured.rates))?,
        None => Spec::parse(&text, &origin)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime did not start: {error}")))?;
    let started = Instant::now();
    let mut screen = Screen::new();
    let (spec, trained, seconds, greeting) = runtime.block_on(async {
        let worker = Worker::start(settings.clone()).await?;
        let greeting = worker.greeting().clone();
        let (mut worker, rates) =
            known_or_measured_rates(&lab, &settings, worker, &mut |note| out::note(&note)).await?;
        let spec = checked(&greeting.facts, rates.map(|measured| measured.rates))?;
        screen.show(&Update::Training { trial: 0, title: origin.clone(), changes: Vec::new() });
        let cells = prepare::all_cells(greeting.facts.folds.len(), &protocol.seeds);
        let job = Job { spec: spec.to_yaml(), cells, predictions };
        let limit = config.budget.trial_seconds as f64;
        let deadline = Instant::now() + Duration::from_secs_f64(limit);
        let trained = worker
            .train(vec![job], true, deadline, limit, |progress| {
                if let WorkerProgress::Replica { done, total, .. } = progress {
                    screen.show(&Update::Nets { done, total, stage: "every seed".into() });
                }
            })
            .await;
        worker.kill().await;
        let trained = trained?;
        let seconds = trained.seconds;
        Ok::<_, Error>((spec, trained.only()?, seconds, greeting))
    })?;
    screen.clear();
    let cells: Vec<_> = trained.cells.iter().map(|cell| cell.score.clone()).collect();
    let exposures: Vec<_> = trained.cells.iter().filter_map(|cell| cell.exposure).collect();
    let rows: u64 = trained.cells.iter().map(|cell| cell.rows_trained).sum();
    let facts = Facts {
        evaluation: evaluate(&cells, &protocol.objective)?,
        feature_exposure: prepare::Exposure::mean_of(&exposures),
        wall_seconds: started.elapsed().as_secs_f64(),
        rows_per_second: rows as f64 / seconds.max(1e-9),
        params: trained.params,
        device: greeting.device,
        spec_hash: spec.hash(),
        protocol_hash: greeting.protocol_hash,
        data_hash: greeting.data_hash,
    };
    if context.json {
        return out::json(&facts);
    }
    out::print(&evaluation_text(&facts.evaluation));
    if let Some(exposure) = &facts.feature_exposure {
        out::line(&format!("feature exposure: mean {:.4}, max {:.4}", exposure.mean, exposure.max));
    }
    out::line(&format!(
        "{:.1} s, {:.0} rows/s, {} parameters a net, on {}; spec {}",
        facts.wall_seconds, facts.rows_per_second, facts.params, facts.device, facts.spec_hash
    ));
    Ok(())
}
