//! `autoresearch check SPEC` and `autoresearch schema`

use std::path::PathBuf;

use prepare::{Harness, Protocol};

use super::diff::spec_text;
use super::{Context, out};
use crate::daemon::{budget, known_rates, measure_rates, worker_settings};
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::lab::config::Config;
use crate::lab::measured::Measured;
use crate::spec::cost::Cost;
use crate::spec::rates::seconds;
use crate::spec::{DataFacts, Spec, reference, schema as language};
use crate::train::facts;
use crate::worker::supervisor::{Worker, WorkerSettings};

/// Validate a spec.
///
/// Validates a spec: every mistake at once, each with line, path and what is allowed. In a lab whose data is prepared it
/// also checks the names of feature sets and targets, and the estimated cost against the budget.
///
/// With --json, standard output says `valid`, and `errors`: a list of line, column, path and message, empty for a valid
/// spec. The exit code is the same: 0, or 3 for a spec that is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec's file, for example model.yaml.
    spec: PathBuf,
}

/// Print the spec's JSON Schema, or its reference.
///
/// Prints the JSON Schema of model.yaml, for editors and structured output, or the reference for people. In a lab whose data
/// is prepared the schema has the names of its feature sets and targets. It says what may stand where; rules between
/// fields, such as what fits together in a net, only `check` knows.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArguments {
    /// Print the reference in Markdown instead.
    #[arg(long)]
    reference: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    match examine(context, arguments) {
        Ok(examined) => report(context, arguments, &examined),
        Err(Error::Spec(errors)) if context.json => {
            let each = errors.errors.iter().map(|error| {
                serde_json::json!({ "line": error.line, "column": error.column, "path": error.path, "message": error.message })
            });
            out::json(&serde_json::json!({ "valid": false, "errors": each.collect::<Vec<_>>() }))?;
            Err(Error::Spec(errors))
        }
        Err(error) => Err(error),
    }
}

/// A valid spec, and what is known of its cost.
struct Examined {
    spec: Spec,
    cost: Option<Cost>,
    measured: Option<Measured>,
    folds: usize,
}

fn examine(context: &Context<'_>, arguments: &Arguments) -> Result<Examined> {
    let text = spec_text(&arguments.spec)?;
    let origin = arguments.spec.display().to_string();
    let lab = Lab::open(context.lab).ok();
    let Some((lab, facts)) = lab.as_ref().and_then(|lab| Some((lab, prepared(lab)?))) else {
        let spec = Spec::parse(&text, &origin)?;
        return Ok(Examined { spec, cost: None, measured: None, folds: 0 });
    };
    let config = Config::read(lab)?;
    let settings = worker_settings(lab, &config);
    let against = |measured: Option<&Measured>| {
        let budget = budget(&config, &settings, measured.map(|measured| measured.rates));
        Spec::check(&text, &origin, &facts, &budget).accepted()
    };
    let known = known_rates(lab, &settings);
    let (mut spec, mut cost) = against(known.as_ref())?;
    // Only a spec that is right so far is worth a measurement.
    let measured = match known {
        Some(known) => Some(known),
        None => {
            let measured = device_rates(lab, settings.clone())?;
            if measured.is_some() {
                (spec, cost) = against(measured.as_ref())?;
            }
            measured
        }
    };
    Ok(Examined { spec, cost: Some(cost), measured, folds: facts.folds.len() })
}

/// What a lab's data offers a spec, where it is prepared.
pub(super) fn prepared(lab: &Lab) -> Option<DataFacts> {
    let protocol = Protocol::read(&lab.protocol()).ok()?;
    Harness::open(&protocol, &lab.packed_data()).ok().map(|harness| facts(&harness))
}

fn report(context: &Context<'_>, arguments: &Arguments, examined: &Examined) -> Result<()> {
    let Examined { spec, cost: estimated, measured, folds } = examined;
    let estimated = *estimated;
    let trial_seconds = estimated.zip(measured.as_ref()).map(|(cost, measured)| seconds(&cost, &measured.rates));
    if context.json {
        return out::json(&serde_json::json!({
            "valid": true,
            "errors": [],
            "spec_hash": spec.hash(),
            "canonical": language::to_json(&spec.canonical()),
            "checked_against_data": estimated.is_some(),
            "params": estimated.map(|cost| cost.params),
            "weight_bytes": estimated.map(|cost| cost.weight_bytes),
            "activation_bytes": estimated.map(|cost| cost.activation_bytes),
            "replica_bytes": estimated.map(|cost| cost.replica_bytes),
            "flops": estimated.map(|cost| cost.flops),
            "numbers": estimated.map(|cost| cost.numbers),
            "operations": estimated.map(|cost| cost.operations),
            "host": estimated.map(|cost| cost.host),
            "shared_bytes": estimated.map(|cost| cost.shared_bytes),
            "era_bytes": estimated.map(|cost| cost.era_bytes),
            "seconds": trial_seconds,
            "device": measured.as_ref().map(|measured| &measured.device),
        }));
    }
    out::line(&format!("{}: valid, hash {}", arguments.spec.display(), spec.hash()));
    match estimated {
        Some(cost) => {
            out::line(&format!(
                "{} parameters a net; in training {:.1} MiB of weights and {:.1} MiB of activations a net; {:.2e} floating point \
                 operations a trial",
                cost.params,
                mebibytes(cost.weight_bytes),
                mebibytes(cost.activation_bytes),
                cost.flops
            ));
            if let (Some(seconds), Some(measured)) = (trial_seconds, &measured) {
                out::line(&format!(
                    "about {} a trial on {}: {} nets ({folds} folds, every seed and member), all epochs",
                    duration(seconds),
                    measured.device,
                    cost.nets
                ));
            }
        }
        None => out::note("no prepared data here, so names of feature sets and targets were not checked"),
    }
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seconds, or minutes where they are many.
fn duration(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// How fast this lab's device trains, measured now. A device that cannot be had is no fault of the spec.
fn device_rates(lab: &Lab, settings: WorkerSettings) -> Result<Option<Measured>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime did not start: {error}")))?;
    let measured = runtime.block_on(async {
        let mut worker = Worker::start(settings).await?;
        let measured = measure_rates(lab, &mut worker).await;
        worker.kill().await;
        measured
    });
    if let Err(error) = &measured {
        out::note(&format!("the seconds of a trial are not estimated: {error}"));
    }
    Ok(measured.ok())
}

pub(super) fn schema(context: &Context<'_>, arguments: &SchemaArguments) -> Result<()> {
    if arguments.reference {
        out::print(&reference::markdown());
        return Ok(());
    }
    let facts = Lab::open(context.lab).ok().and_then(|lab| prepared(&lab));
    out::json(&language::json(facts.as_ref()))
}
