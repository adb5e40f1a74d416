//! `autoresearch show N`

use super::{Context, out, view};
use crate::error::{Error, Result};
use crate::report::text::trial_text;

/// Show one trial whole.
///
/// Shows one trial whole: hypothesis, what changed, scores by seed and fold, the gate's judgement, why it ended so.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The trial's number; 0 is the baseline.
    #[arg(value_name = "N")]
    trial: u32,
    /// Print its spec as well.
    #[arg(long)]
    spec: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let (_, history) = view::history(&context.open()?)?;
    let record = history.trial(arguments.trial).ok_or_else(|| {
        let known = history
            .trials()
            .last()
            .map_or_else(|| "there is none yet".to_owned(), |last| format!("the last is {}", last.trial));
        Error::Usage(format!("no trial {}: {known}", arguments.trial))
    })?;
    if context.json {
        return out::json(record);
    }
    out::print_fitted(&trial_text(record, &history));
    if arguments.spec {
        out::line(&format!("\n{}", record.proposal.spec.trim_end()));
    }
    Ok(())
}
