//! `autoresearch diff A B`

use std::path::Path;

use super::{Context, out, view};
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::research::trial::KnobChange;
use crate::spec::{Spec, diff::changes, text_of};

/// Compare two specs, knob by knob.
///
/// Each is a trial's number or a file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A trial's number, or a file.
    a: String,
    /// A trial's number, or a file.
    b: String,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let (a, b) = (read(context, &arguments.a)?, read(context, &arguments.b)?);
    let found: Vec<KnobChange> = changes(&a, &b)
        .into_iter()
        .map(|change| KnobChange { path: change.path, from: change.from, to: change.to })
        .collect();
    if context.json {
        return out::json(&found);
    }
    if found.is_empty() {
        out::note("the same model");
    }
    for change in &found {
        out::line(&change.to_string());
    }
    Ok(())
}

fn read(context: &Context<'_>, name: &str) -> Result<Spec> {
    let Ok(trial) = name.parse::<u32>() else { return spec_file(Path::new(name)) };
    let (_, history) = view::history(&Lab::open(context.lab)?)?;
    let record = history.trial(trial).ok_or_else(|| Error::Usage(format!("no trial {trial} in this lab")))?;
    Ok(Spec::parse(&record.proposal.spec, &format!("runs/{}/spec.yaml", record.folder()))?)
}

/// Reads and checks a spec's file.
fn spec_file(path: &Path) -> Result<Spec> {
    Ok(Spec::parse(&spec_text(path)?, &path.display().to_string())?)
}

/// Reads the text of a spec's file.
pub(super) fn spec_text(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => Ok(text_of(bytes, &name)?),
        Err(source) => Err(Error::File { path: name, source }),
    }
}
