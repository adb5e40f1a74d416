//! `autoresearch init DIR`

use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use prepare::Preset;

use super::{Context, out};
use crate::error::Result;
use crate::lab::error::shell;
use crate::lab::init::create;

/// Make a new lab.
///
/// Makes a lab: a git repository with the configuration, the research brief, a baseline and the evaluation protocol.
///
/// Presets of the protocol: `demo` is a small made-up market that a laptop can learn about in minutes; `bench` is a made-up
/// market of realistic size; `numerai` reads Numerai's own files.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to make it.
    dir: PathBuf,
    /// The protocol: demo, bench or numerai.
    #[arg(long, default_value = "demo", value_parser = preset)]
    preset: Preset,
}

fn preset(text: &str) -> Result<Preset, String> {
    Preset::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let created = create(&arguments.dir, arguments.preset, Timestamp::now())?;
    if context.json {
        return out::json(&serde_json::json!({
            "lab": arguments.dir, "preset": arguments.preset.name(),
            "written": created.written, "left": created.left, "commit": created.commit,
        }));
    }
    out::line(&format!("made a lab in {} (protocol: {})", arguments.dir.display(), arguments.preset.name()));
    for name in &created.left {
        out::line(&format!("  left as it was: {name}"));
    }
    out::line("next:");
    out::line(&format!("  cd {}", shell(&arguments.dir)));
    if arguments.preset == Preset::Numerai {
        out::line("  put Numerai's files where prepare/protocol.yaml says, then: autoresearch prepare");
    }
    out::line("  autoresearch run --trials 12");
    Ok(())
}
