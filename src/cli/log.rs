//! `autoresearch log`

use super::{Context, out, view};
use crate::error::Result;
use crate::report::status::line;
use crate::report::text::trial_line;
use crate::research::trial::Verdict;

/// List the trials, one a line.
///
/// Lists the trials, one a line, newest first: number, verdict, payout, gain over the incumbent of then, time, title.
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
    let lines: Vec<_> = chosen.take(arguments.limit.unwrap_or(usize::MAX)).map(line).collect();
    if context.json {
        return out::json(&lines);
    }
    if lines.is_empty() {
        out::note("no trial yet; `autoresearch run` makes some");
    }
    for each in &lines {
        out::line(&trial_line(each));
    }
    Ok(())
}
