//! What a running session is doing at this moment, in a small file for `status` to read. It holds nothing that is not
//! derived or passing: losing it loses nothing.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::layout::Lab;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    /// Process of the session.
    pub pid: u32,
    /// When the session began.
    pub session_started: Option<Timestamp>,
    /// In words: `training`, `asking the researcher`, …
    pub doing: String,
    /// The trial in hand.
    pub trial: Option<u32>,
    /// Its title.
    pub title: Option<String>,
    /// When it began.
    pub trial_started: Option<Timestamp>,
    /// Nets trained of it.
    pub nets_done: usize,
    /// Nets of it in all, as far as is known.
    pub nets_total: usize,
    /// Trials trained in this session.
    pub trained: u32,
    /// Trained trials asked for.
    pub trials: Option<u32>,
    /// When the session must end.
    pub until: Option<Timestamp>,
    /// Median seconds of this session's trained trials, for estimates.
    pub seconds_a_trial: Option<f64>,
    /// The device in words.
    pub device: String,
    /// Who proposes.
    pub researcher: String,
    /// What people should know.
    pub warnings: Vec<String>,
    /// When this was written.
    pub updated: Option<Timestamp>,
}

/// How often the file is written at most.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Reads what a session said last; None if there is nothing readable.
pub fn read(lab: &Lab) -> Option<Live> {
    serde_json::from_slice(&std::fs::read(lab.live()).ok()?).ok()
}

/// Writes the file.
#[derive(Debug)]
pub(crate) struct Writer {
    lab: Lab,
    /// What it says.
    pub(crate) live: Live,
    written: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(lab: &Lab, live: Live) -> Self {
        Self { lab: lab.clone(), live, written: None }
    }

    /// Writes it now.
    pub(crate) fn write(&mut self) {
        self.written = Some(Instant::now());
        self.live.updated = Some(Timestamp::now());
        let written = serde_json::to_vec(&self.live)
            .map_err(|error| error.to_string())
            .and_then(|text| atomic::replace(&self.lab.live(), &text).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::debug!(%error, "the live state could not be written");
        }
    }

    /// Writes it if that was a while ago.
    pub(crate) fn write_soon(&mut self) {
        if self.written.is_none_or(|written| written.elapsed() >= AT_MOST_EVERY) {
            self.write();
        }
    }
}
