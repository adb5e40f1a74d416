//! Everything that can end a command, and the one place that maps it to an exit code.

use crate::lab::LabError;
use crate::researcher::error::ResearcherError;
use crate::spec::SpecErrors;
use crate::worker::supervisor::WorkerError;
use crate::worker::wire::FailureKind;

/// Why a command failed. Each message says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lab, its configuration, its notebook.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A spec.
    #[error(transparent)]
    Spec(#[from] SpecErrors),
    /// The protocol or the data.
    #[error(transparent)]
    Harness(#[from] prepare::Error),
    /// The researcher.
    #[error("{}: {source}", .who)]
    Researcher {
        /// Which one.
        who: String,
        /// What happened.
        source: Box<ResearcherError>,
    },
    /// Training.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Training, in the words of the session.
    #[error("{0}")]
    Training(String),
    /// A command line that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A configuration that contradicts itself or the lab.
    #[error("{0}")]
    Configuration(String),
    /// A file of a person's that is no part of the lab.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that should not happen.
    #[error("internal error: {0}; this is a bug of autoresearch, please report it")]
    Internal(String),
}

/// The exit codes, as `--help` documents them.
pub mod exit {
    /// Something that should not happen.
    pub const INTERNAL: u8 = 1;
    /// A command line that makes no sense.
    pub const USAGE: u8 = 2;
    /// The lab or its configuration, a spec included.
    pub const LAB: u8 = 3;
    /// The data.
    pub const DATA: u8 = 4;
    /// The researcher.
    pub const RESEARCHER: u8 = 5;
    /// Training.
    pub const TRAINING: u8 = 6;
    /// Another process holds the lab.
    pub const HELD: u8 = 7;
}

impl Error {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Lab(LabError::Held { .. }) => exit::HELD,
            Self::Lab(_) | Self::Spec(_) | Self::Configuration(_) | Self::File { .. } => exit::LAB,
            Self::Harness(error) if error.is_configuration() => exit::LAB,
            Self::Harness(_) => exit::DATA,
            Self::Researcher { .. } => exit::RESEARCHER,
            Self::Worker(WorkerError::Failed { kind: FailureKind::Lab, .. }) => exit::LAB,
            Self::Worker(WorkerError::Failed { kind: FailureKind::Data, .. }) => exit::DATA,
            Self::Worker(_) | Self::Training(_) => exit::TRAINING,
            Self::Usage(_) => exit::USAGE,
            Self::Internal(_) => exit::INTERNAL,
        }
    }
}

/// Result of commands.
pub type Result<T, E = Error> = std::result::Result<T, E>;
