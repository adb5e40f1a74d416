//! The events that a session appends to the ledger. Everything else that the loop knows is derived from them.

use serde::{Deserialize, Serialize};

use super::audit::AuditReport;
use super::calibration::NoiseFloor;
use super::remeasure::Remeasurement;
use super::round::Round;
use super::trial::{Scores, TrialRecord, Usage};

/// One fact of a session. On disk each is a line of JSON with a sequence number, a time and a checksum (`lab::ledger`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A session began.
    SessionStarted {
        /// Process of the daemon.
        pid: u32,
        /// The notebook's branch.
        branch: String,
        /// Version of the program.
        version: String,
        /// The researcher that proposes.
        researcher: String,
        /// The protocol's hash.
        protocol_hash: String,
        /// The data's hash.
        data_hash: String,
    },
    /// A session ended, and why.
    SessionEnded {
        /// For people: `12 trials done`, `SIGTERM`, …
        reason: String,
    },
    /// The search entered a phase.
    PhaseEntered {
        /// Name of the phase.
        phase: String,
        /// Why: `session start`, `plateau: 15 discards in a row`, …
        why: String,
    },
    /// A checked proposal went into training. If the process dies now, this trial's number is free again.
    TrialStarted {
        /// The trial's number.
        trial: u32,
        /// What is tried.
        title: String,
        /// Canonical hash of the spec.
        spec_hash: String,
    },
    /// A trial came to its verdict. The commit follows; recovery makes it if the process died in between.
    TrialEnded {
        /// The whole record.
        record: Box<TrialRecord>,
    },
    /// The trial's commit is in the notebook. A trial that ended without this is committed by recovery; one that has
    /// this and is not in git belongs to another branch, or a person took it back.
    TrialCommitted {
        /// The trial's number.
        trial: u32,
    },
    /// The researcher gave nothing usable (outage, quota, a reply that could not be read).
    ResearcherFailed {
        /// Which one.
        researcher: String,
        /// What happened, without secrets.
        error: String,
        /// What it cost all the same.
        usage: Usage,
    },
    /// Tokens that were spent on something other than a proposal (synthesis of learnings).
    TokensSpent {
        /// On what.
        purpose: String,
        /// By whom; None in old ledgers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        researcher: Option<String>,
        /// How many.
        usage: Usage,
    },
    /// A researcher put forward candidates that may be trained; each waits for its turn. They are written whole, so that
    /// none is paid for twice when the process dies.
    RoundProposed {
        /// The round.
        round: Round,
    },
    /// A candidate of a round was dropped before it was trained.
    CandidateDropped {
        /// The round that it came from.
        round: u32,
        /// Canonical hash of its spec.
        spec_hash: String,
        /// What would have been tried.
        title: String,
        /// Why not: it repeats a trial, it cannot be put onto the present incumbent, …
        why: String,
    },
    /// A person's hint to the researchers was taken in.
    Hinted {
        /// The hint.
        text: String,
    },
    /// The holdout was asked about a kept spec. Its answer stands elsewhere, where only people look.
    HoldoutQueried {
        /// The trial whose spec was scored.
        trial: u32,
        /// Canonical hash of the spec.
        spec_hash: String,
        /// Which query it was, counted from 1.
        query: u32,
        /// How many the configuration allowed.
        budget: u32,
    },
    /// Recovery repaired something, said in words.
    Recovered {
        /// What was found and done.
        what: String,
    },
    /// A person's edit of the lab's own files was picked up and committed as theirs.
    PersonEdited {
        /// Paths in the lab.
        files: Vec<String>,
    },
    /// A kept spec was measured under further seeds. They sharpen every later comparison with it.
    SeedsMeasured {
        /// The trial that was kept.
        trial: u32,
        /// What for.
        purpose: SeedPurpose,
        /// The further seeds' scores.
        scores: Scores,
        /// Seconds that it took.
        wall_seconds: f64,
    },
    /// The noise floor was measured.
    Calibrated {
        /// What was found.
        floor: NoiseFloor,
    },
    /// The incumbent was measured on seeds that nothing was selected by. The commit follows.
    Remeasured {
        /// What was found, and whether it stands.
        found: Box<Remeasurement>,
    },
    /// The commit of a re-measurement is in the notebook.
    RemeasurementCommitted {
        /// The trial that was measured again.
        trial: u32,
    },
    /// The gate itself was put to the test.
    Audited {
        /// What was found.
        report: AuditReport,
    },
}

/// What further seeds of a kept spec were measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedPurpose {
    /// To compare a candidate with it.
    Comparison,
    /// To measure the noise floor.
    Calibration,
    /// To see whether its gain stands on seeds that nothing was selected by.
    Remeasurement,
}
