//! `autoresearch remeasure`

use super::{Context, errand, out, view};
use crate::daemon::{Errand, Outcome};
use crate::error::{Error, Result};
use crate::report::errands::remeasurement_text;

/// Measure the incumbent again, on seeds that nothing was selected by.
///
/// Trains the incumbent, and the trial that it took its place from, under fresh seeds, and says whether its gain stands.
/// What was selected because it scored high is on average luckier than it is good; on fresh seeds that luck is drawn anew.
///
/// A gain that does not stand is taken back: model.yaml is the predecessor's again, in a commit of its own. A session does
/// this by itself after every gate.remeasure.every_keeps keeps. It holds the lab while it trains.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context<'_>, _arguments: &Arguments) -> Result<()> {
    let found = match errand::carry_out(context, &Errand::Remeasure)? {
        Outcome::Remeasured(found) => found,
        Outcome::GivenUp(reason) => return errand::given_up(context, reason),
        other => return Err(Error::Internal(format!("a re-measurement came to {other:?}"))),
    };
    if context.json {
        return out::json(&found);
    }
    out::print_wrapped(&remeasurement_text(&found, &view::title(&context.open()?, found.trial)?));
    Ok(())
}
