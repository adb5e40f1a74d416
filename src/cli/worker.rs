//! `autoresearch worker`, hidden: the training process of a session.

use std::path::PathBuf;

use super::Context;
use crate::error::{Error, Result};
use crate::train::DeviceSettings;
use crate::worker::child::serve;

/// Train for a session (started by it, never by hand).
///
/// Reads requests on standard input, trains, writes replies to standard output, one JSON object a line.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The protocol's file.
    #[arg(long)]
    protocol: PathBuf,
    /// The folder of the packed data.
    #[arg(long)]
    packed: PathBuf,
    #[command(flatten)]
    device: DeviceSettings,
}

pub(super) fn run(_: &Context<'_>, arguments: &Arguments) -> Result<()> {
    serve(&arguments.protocol, &arguments.packed, &arguments.device)
        .map_err(|error| Error::Internal(format!("the session is gone: {error}")))
}
