//! `autoresearch check SPEC` and `autoresearch schema`

use std::path::PathBuf;

use prepare::{Harness, Protocol};

use super::diff::spec_and_text;
use super::{Context, out};
use crate::daemon::{budget, worker_settings};
use crate::error::Result;
use crate::lab::Lab;
use crate::lab::config::Config;
use crate::spec::{reference, schema as language};
use crate::train::facts;

/// Validate a spec.
///
/// Validates a spec: every mistake at once, each with line, path and what is allowed. In a lab whose data is prepared it
/// also checks the names of feature sets and targets, and the estimated cost against the budget.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec's file, for example model.yaml.
    spec: PathBuf,
}

/// Print the spec's JSON Schema, or its reference.
///
/// Prints the JSON Schema of model.yaml, for editors and structured output, or the reference for people.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArguments {
    /// Print the reference in Markdown instead.
    #[arg(long)]
    reference: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let (spec, text) = spec_and_text(&arguments.spec)?;
    let lab = Lab::open(context.lab).ok();
    let harness = lab.as_ref().and_then(|lab| {
        let protocol = Protocol::read(&lab.protocol()).ok()?;
        Harness::open(&protocol, &lab.packed_data()).ok()
    });
    let mut estimated = None;
    if let (Some(lab), Some(harness)) = (&lab, &harness) {
        let config = Config::read(lab)?;
        let found = spec
            .check_all(&facts(harness), &budget(&config, &worker_settings(lab, &config)))
            .map_err(|errors| errors.located(&text, &arguments.spec.display().to_string()))?;
        estimated = Some(found);
    }
    if context.json {
        return out::json(&serde_json::json!({
            "spec_hash": spec.hash(),
            "canonical": language::to_json(&spec.canonical()),
            "checked_against_data": estimated.is_some(),
            "params": estimated.map(|cost| cost.params),
            "flops": estimated.map(|cost| cost.flops),
        }));
    }
    out::line(&format!("{}: valid, hash {}", arguments.spec.display(), spec.hash()));
    match estimated {
        Some(cost) => out::line(&format!(
            "{} parameters a net, {} MiB a net in training, {:.2e} floating point operations a trial",
            cost.params,
            (cost.replica_bytes >> 20).max(1),
            cost.flops
        )),
        None => out::note("no prepared data here, so names of feature sets and targets were not checked"),
    }
    Ok(())
}

pub(super) fn schema(_: &Context<'_>, arguments: &SchemaArguments) -> Result<()> {
    if arguments.reference {
        out::print(&reference::markdown());
        return Ok(());
    }
    out::json(&language::json())
}
