//! `autoresearch hint TEXT`

use jiff::Timestamp;

use super::{Context, out};
use crate::error::{Error, Result};
use crate::lab::hints;

/// Tell the researchers something, while the loop runs or before.
///
/// Passes a hint on to whoever proposes, as `try wider nets with less dropout` or `leave the loss alone tonight`. A language
/// model or an agent reads it; the embedded optimizer cannot. It is one line of at most 600 characters.
///
/// A running session takes it in before its next proposal, the next session otherwise. It stands in the prompts of the 30
/// trials after that, the latest ten hints of them, and `status` shows those in force. What should hold for good belongs into
/// program.md, and what must not be tried into do_not_retry.toml.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to tell them; several words are one hint.
    #[arg(value_name = "TEXT", required = true)]
    text: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    let text = hints::checked(&arguments.text.join(" ")).map_err(Error::Usage)?;
    hints::append(&lab, &text, Timestamp::now())?;
    if context.json {
        return out::json(&serde_json::json!({ "hint": text, "waiting": hints::waiting(&lab)?.len() }));
    }
    out::note("noted; the loop takes it in before its next proposal");
    Ok(())
}
