//! `autoresearch status`

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::{Context, out, view};
use crate::error::Result;
use crate::report::text::status_text;

/// Say what runs, what it found, and what is wrong.
///
/// Says what runs, the phase, the incumbent with its uncertainty, the last trials, keep rate, speed, cost, and anything
/// that is wrong. It reads the lab and changes nothing, so it can be called at any time. With an autoresearch.yaml that
/// cannot be read it says what it can all the same, what is wrong first, and ends with exit code 3.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show it again every two seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    loop {
        let (status, wrong) = view::status(&lab)?;
        if arguments.watch && std::io::stdout().is_terminal() && !context.json {
            // Home, and clear from there: no flicker, and nothing of the scroll-back is lost.
            let _ = std::io::stdout().write_all(b"\x1b[H\x1b[2J");
        }
        if context.json {
            out::json(&status)?;
        } else {
            out::print_wrapped(&status_text(&status));
        }
        if !arguments.watch {
            return wrong.map_or(Ok(()), |wrong| Err(wrong.into()));
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}
