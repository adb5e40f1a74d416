//! Where researchers work beside the loop: one round and one synthesis at a time, so that neither the model nor the device
//! waits for the other.

use std::time::Instant;

use tokio::task::JoinHandle;

use super::round::{Answer, Packet, round, synthesis};
use crate::error::{Error, Result};
use crate::research::trial::{TrialRecord, Usage};
use crate::researcher::error::ResearcherError;
use crate::researcher::settings::Kind;
use crate::researcher::{Meter, Researcher, Synthesis, Team};

type Written = Result<(Kind, Researcher, std::result::Result<Option<Synthesis>, ResearcherError>)>;

/// The session's researchers, and what they are at.
pub(super) struct Desk {
    pub(super) team: Team,
    asking: Option<Asking>,
    writing: Option<Writing>,
}

struct Writing {
    kind: Kind,
    meter: Meter,
    task: JoinHandle<Written>,
}

/// A call whose answer was not waited for.
pub(super) struct GivenUp {
    pub(super) kind: Kind,
    /// What it was for.
    pub(super) purpose: &'static str,
    /// What is known of its cost.
    pub(super) usage: Usage,
    /// Whether tokens of a prompt under way are in it, estimated.
    pub(super) estimated: bool,
}

struct Asking {
    kind: Kind,
    count: usize,
    since: Instant,
    meter: Meter,
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
        let meter = Meter::default();
        let task = tokio::spawn(round(kind, researcher.metered(&meter), packet, count));
        self.asking = Some(Asking { kind, count, since: Instant::now(), meter, task });
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

    /// Begins a synthesis of learnings.md beside the loop. Nothing happens while one is under way.
    pub(super) fn write(&mut self, kind: Kind, researcher: Researcher, packet: Packet, last: TrialRecord) {
        if self.writing.is_some() {
            return;
        }
        let meter = Meter::default();
        let task = tokio::spawn(synthesis(kind, researcher.metered(&meter), packet, last));
        self.writing = Some(Writing { kind, meter, task });
    }

    /// Whether a synthesis is under way, and whether it has come to its end.
    pub(super) fn writing(&self) -> Option<bool> {
        self.writing.as_ref().map(|writing| writing.task.is_finished())
    }

    /// Waits for the synthesis under way. It may be cancelled, and asked again. None where none is.
    pub(super) async fn written(&mut self) -> Option<Written> {
        let joined = (&mut self.writing.as_mut()?.task).await;
        self.writing = None;
        Some(joined.unwrap_or_else(|broken| Err(Error::Internal(format!("the synthesis broke: {broken}")))))
    }

    /// Ends whatever is under way, and says what it has cost: nobody will hear what comes of it.
    pub(super) fn close(&mut self) -> Vec<GivenUp> {
        let asking =
            self.asking.take().map(|asking| (asking.kind, "a round", asking.meter, asking.task.abort_handle()));
        let writing =
            self.writing.take().map(|writing| (writing.kind, "learnings", writing.meter, writing.task.abort_handle()));
        let ended = asking.into_iter().chain(writing).map(|(kind, purpose, meter, task)| {
            task.abort();
            let (usage, estimated) = meter.read();
            GivenUp { kind, purpose, usage, estimated }
        });
        ended.filter(|given_up| given_up.usage.input_tokens + given_up.usage.output_tokens > 0).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
