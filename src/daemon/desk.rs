//! Where researchers work beside the loop: one round and one synthesis at a time, so that neither the model nor the device
//! waits for the other.

use std::time::Instant;

use tokio::task::JoinHandle;

use super::round::{Answer, Packet, round, synthesis};
use crate::error::{Error, Result};
use crate::research::trial::TrialRecord;
use crate::researcher::error::ResearcherError;
use crate::researcher::settings::Kind;
use crate::researcher::{Researcher, Synthesis, Team};

type Written = Result<(Kind, Researcher, std::result::Result<Option<Synthesis>, ResearcherError>)>;

/// The session's researchers, and what they are at.
pub(super) struct Desk {
    pub(super) team: Team,
    asking: Option<Asking>,
    writing: Option<JoinHandle<Written>>,
}

struct Asking {
    kind: Kind,
    count: usize,
    since: Instant,
    task: JoinHandle<Result<Answer>>,
}

impl Desk {
    pub(super) fn new(team: Team) -> Self {
        Self { team, asking: None, writing: None }
    }

    /// Begins a round beside the loop. Nothing happens while one is under way.
    pub(super) fn ask(&mut self, kind: Kind, packet: Packet, count: usize) {
        if self.asking.is_some() {
            return;
        }
        let Some(researcher) = self.team.researcher(kind) else { return };
        tracing::info!(researcher = kind.name(), count, "asking");
        let task = tokio::spawn(round(kind, researcher, packet, count));
        self.asking = Some(Asking { kind, count, since: Instant::now(), task });
    }

    /// Who is being asked, for how many candidates, and since when.
    pub(super) fn asked(&self) -> Option<(Kind, usize, Instant)> {
        self.asking.as_ref().map(|asking| (asking.kind, asking.count, asking.since))
    }

    /// Whether the round under way has come to its end.
    pub(super) fn has_an_answer(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.task.is_finished())
    }

    /// Waits for the round under way. It may be cancelled, and asked again. None where none is.
    pub(super) async fn answer(&mut self) -> Option<Result<Answer>> {
        let joined = (&mut self.asking.as_mut()?.task).await;
        self.asking = None;
        Some(joined.unwrap_or_else(|broken| Err(Error::Internal(format!("asking a researcher broke: {broken}")))))
    }

    /// Begins a synthesis of learnings.md beside the loop, in place of one that is under way still.
    pub(super) fn write(&mut self, kind: Kind, researcher: Researcher, packet: Packet, last: TrialRecord) {
        if let Some(old) = self.writing.replace(tokio::spawn(synthesis(kind, researcher, packet, last))) {
            old.abort();
        }
    }

    /// Whether a synthesis is under way, and whether it has come to its end.
    pub(super) fn writing(&self) -> Option<bool> {
        self.writing.as_ref().map(JoinHandle::is_finished)
    }

    /// Waits for the synthesis under way. It may be cancelled, and asked again. None where none is.
    pub(super) async fn written(&mut self) -> Option<Written> {
        let joined = self.writing.as_mut()?.await;
        self.writing = None;
        Some(joined.unwrap_or_else(|broken| Err(Error::Internal(format!("the synthesis broke: {broken}")))))
    }

    /// Ends whatever is under way.
    pub(super) fn close(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.task.abort();
        }
        if let Some(writing) = self.writing.take() {
            writing.abort();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.close();
    }
}
