//! `autoresearch log`

use super::{Context, out, view};
use crate::error::Result;
use crate::report::errands::last_errands;
use crate::report::status::line;
use crate::report::text::{remeasured_line, trial_line};
use crate::research::trial::Verdict;

/// List the trials, one a line.
///
/// Lists the trials, one a line, newest first: number, verdict, payout, gain over the incumbent of then, seeds, time, title.
/// `2/4` in place of seeds are two of four folds: the trial fell in its first seed, which leaves it without a payout to compare.
/// Between the trials stand re-measurements of the incumbent, and above them what the last calibration and audits found.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// List at most so many.
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// List keeps only (the baseline among them): how the incumbent evolved.
    #[arg(long)]
    keeps: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let (_, history) = view::history(&context.open()?)?;
    let chosen = history.trials().iter().rev().filter(|record| !arguments.keeps || record.verdict == Verdict::Keep);
    let lines: Vec<_> =
        chosen.take(arguments.limit.unwrap_or(usize::MAX)).map(|record| line(record, &history)).collect();
    if context.json {
        return out::json(&lines);
    }
    if history.trials().is_empty() {
        out::note("no trial yet; `autoresearch run` makes some");
    }
    let (null, planted) = (history.last_null_audit(), history.last_planted_audit());
    for (name, text) in last_errands(history.noise_floor(), null, planted) {
        out::line_fitted(&format!("{name:<6} {text}"));
    }
    let mut again = history.remeasurements().iter().rev().peekable();
    for each in &lines {
        while let Some(found) = again.next_if(|found| found.after_trial >= each.trial) {
            out::line_fitted(&remeasured_line(found));
        }
        out::line_fitted(&trial_line(each));
    }
    Ok(())
}
