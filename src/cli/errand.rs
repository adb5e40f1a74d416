//! What `calibrate`, `audit` and `remeasure` share: a session that does one thing, and what is said when it was given up.

use serde::Serialize;

use super::screen::Screen;
use super::session::with_session;
use super::{Context, logging, out};
use crate::daemon::{Errand, Options, Outcome};
use crate::error::Result;
use crate::researcher::settings::Kind;

/// What `--json` prints when nothing came of it.
#[derive(Serialize)]
struct GivenUp {
    given_up: String,
}

/// Carries an errand out in a session of its own.
pub(super) fn carry_out(context: &Context<'_>, errand: &Errand) -> Result<Outcome> {
    let lab = context.open()?;
    let mut screen = Screen::of_an_errand();
    logging::start(context.verbose, screen.is_live());
    // Nothing is proposed, so that a key or an endpoint that is missing must not stand in the way.
    let options = Options { researcher: Some(Kind::Optimizer), ..Options::default() };
    with_session(lab, &options, &mut screen, async |session| session.carry_out(errand).await, Outcome::GivenUp)
}

/// Says that an errand was given up before it came to anything.
pub(super) fn given_up(context: &Context<'_>, reason: String) -> Result<()> {
    if context.json {
        return out::json(&GivenUp { given_up: reason });
    }
    out::line(&format!(
        "given up: {reason}. Seeds of the incumbent that were whole stand in the ledger; ask again to go on"
    ));
    Ok(())
}
