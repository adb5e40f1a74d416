//! What one trial is: the proposal that started it, the verdict it came to, and the record that the lab keeps.
//!
//! `TrialRecord` is an on-disk format (`runs/NNNNNN/result.json` and the ledger hold it): it carries a version, and a
//! change that an older program could not read bumps it.

use std::fmt;

use prepare::Evaluation;
use serde::{Deserialize, Serialize};

/// The version of [`TrialRecord`] that this program writes.
pub const RECORD_VERSION: u32 = 1;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Better than the incumbent by the gate's rules: it is the incumbent now.
    Keep,
    /// Trained, and not proven better.
    Discard,
    /// Training failed: not a number, out of memory, a worker that died.
    Crash,
    /// Training went over the trial's wall-clock limit.
    Timeout,
    /// The proposal never became a valid spec.
    Invalid,
    /// The same model (by canonical hash) has been tried before.
    Duplicate,
    /// A do-not-retry rule forbids it.
    Blocked,
}

impl Verdict {
    /// Every verdict, in the order in which people read them.
    pub const ALL: [Self; 7] =
        [Self::Keep, Self::Discard, Self::Crash, Self::Timeout, Self::Invalid, Self::Duplicate, Self::Blocked];

    /// Whether the trial cost training time; only such trials count against `--trials`.
    pub fn was_trained(self) -> bool {
        matches!(self, Self::Keep | Self::Discard | Self::Crash | Self::Timeout)
    }

    /// The word in files, commits and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Discard => "discard",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

/// What a proposal cost the researcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// US dollars, by the price table of the configuration; 0 without one.
    pub cost_usd: f64,
    /// Seconds spent waiting for the researcher.
    pub seconds: f64,
}

impl Usage {
    /// Adds another call's cost to this one.
    pub fn add(&mut self, other: &Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_usd += other.cost_usd;
        self.seconds += other.seconds;
    }
}

/// One edit of the model spec, as a researcher puts it forward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// One line: what is tried.
    pub title: String,
    /// Why it should help.
    pub hypothesis: String,
    /// The kind of change (`optimizer`, `loss`, `architecture`, …), for the evidence table.
    pub category: String,
    /// The gain in payout that the researcher expects, if it says.
    pub expected_effect: Option<f64>,
    /// The whole proposed model.yaml, as written.
    pub spec: String,
    /// Who proposed it (`optimizer`, `openai`, …).
    pub researcher: String,
    /// Earlier trials that it builds on, beside the incumbent.
    #[serde(default)]
    pub parents: Vec<u32>,
    /// What it cost to obtain, repairs included.
    #[serde(default)]
    pub usage: Usage,
}

/// One knob that differs between two specs, as text for people: `network[0].dense.width`, `64`, `128`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnobChange {
    /// Where in the spec.
    pub path: String,
    /// The old value, or None where the slot did not exist.
    pub from: Option<String>,
    /// The new value, or None where the slot is gone.
    pub to: Option<String>,
}

impl From<crate::spec::diff::Change> for KnobChange {
    fn from(change: crate::spec::diff::Change) -> Self {
        Self { path: change.path, from: change.from, to: change.to }
    }
}

impl fmt::Display for KnobChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(formatter, "{} {from} → {to}", self.path),
            (None, Some(to)) => write!(formatter, "{} added: {to}", self.path),
            (Some(from), None) => write!(formatter, "{} removed (was {from})", self.path),
            (None, None) => write!(formatter, "{} unchanged", self.path),
        }
    }
}

/// Per-era payouts of one seed, aligned with [`Scores::eras`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedPayouts {
    /// The seed.
    pub seed: u64,
    /// Payout of each era, in the order of `eras`.
    pub payout: Vec<f64>,
}

/// What the gate compares: payouts by seed and era.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Era numbers, ascending.
    pub eras: Vec<u32>,
    /// One entry a seed.
    pub seeds: Vec<SeedPayouts>,
}

impl Scores {
    /// Whether a seed is among them.
    pub fn has(&self, seed: u64) -> bool {
        self.seeds.iter().any(|own| own.seed == seed)
    }
}

/// What training and scoring a spec gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The scores that people read.
    pub evaluation: Evaluation,
    /// The scores that the gate compares.
    pub scores: Scores,
    /// Seconds of wall-clock, training and scoring.
    pub wall_seconds: f64,
    /// Training rows a second, over all replicas.
    pub rows_per_second: f64,
    /// Trainable parameters of one net.
    pub params: u64,
    /// What it ran on, in words.
    pub device: String,
}

/// How a judgement came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgementKind {
    /// Proven better: the reason for most keeps.
    #[default]
    Better,
    /// Smaller, and as good within the margin: a keep of its own kind.
    Simpler,
    /// Ahead at the most seeds, and not proven: the best kind of near miss.
    Undecided,
    /// Not better, or with too little hope of being proven so.
    NotBetter,
    /// Proven better, and a constraint is broken.
    Constrained,
}

/// How the gate judged a candidate against the incumbent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether it is kept.
    pub keep: bool,
    /// How it was decided.
    #[serde(default)]
    pub kind: JudgementKind,
    /// Mean difference in payout, candidate minus incumbent, era by era, over the seeds that each has.
    pub delta: f64,
    /// Standard error of `delta`: noise of seeds and of eras.
    pub standard_error: f64,
    /// One-sided p-value of `delta` > 0, of this look alone.
    pub p_value: f64,
    /// How many whole seeds of the candidate were compared; 0 where it fell in its first.
    pub seeds: usize,
    /// How many folds a whole seed has; None where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// The level of the whole trial: its share of the night's error.
    #[serde(default)]
    pub level: Option<f64>,
    /// What the p-value had to be below at this look; None where the race ended between looks.
    #[serde(default)]
    pub bound: Option<f64>,
    /// The part of the standard error that seeds contribute, as a standard error.
    #[serde(default)]
    pub between_seeds: Option<f64>,
    /// The part that eras contribute.
    #[serde(default)]
    pub between_eras: Option<f64>,
    /// Degrees of freedom of Student's t; None where there is no noise, or where it was not recorded.
    #[serde(default)]
    pub degrees_of_freedom: Option<f64>,
    /// One sentence: why.
    pub reason: String,
}

/// Where a trial's proposal stood in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The round.
    pub round: u32,
    /// Canonical hash of the spec as it was proposed.
    pub spec_hash: String,
    /// The incumbent that it was proposed against. Where another stood by the time of its training, what it changed was
    /// put onto that one.
    pub against: u32,
}

/// One trial, whole: what was tried, what came out, why it ended as it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The trial's number; 0 is the baseline.
    pub trial: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// One sentence: why it ended so.
    pub reason: String,
    /// The proposal, spec included.
    pub proposal: Proposal,
    /// The phase that it was proposed in.
    pub phase: String,
    /// Why the search had come to that phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_why: Option<String>,
    /// The round that it came from; None for a proposal that was asked for alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Canonical hash of the spec; None where it never became valid.
    pub spec_hash: Option<String>,
    /// The protocol it was measured under.
    pub protocol_hash: String,
    /// The data it was measured on.
    pub data_hash: String,
    /// The trial that was the incumbent then; None for the baseline.
    pub incumbent: Option<u32>,
    /// What differs from that incumbent's spec.
    pub changes: Vec<KnobChange>,
    /// What was measured; None where nothing was trained to the end.
    pub measurement: Option<Measurement>,
    /// The gate's judgement; None for the baseline and where nothing was measured.
    pub judgement: Option<Judgement>,
    /// Wall-clock seconds from the proposal's acceptance to the verdict.
    pub wall_seconds: f64,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// When it ended, RFC 3339, UTC.
    pub ended: String,
}

impl TrialRecord {
    /// The measured payout, where a seed is whole: that of a part of the folds is no payout to compare with another.
    pub fn payout(&self) -> Option<f64> {
        let measured = self.measurement.as_ref().filter(|measured| !measured.scores.seeds.is_empty())?;
        Some(measured.evaluation.payout)
    }

    /// The folds that a trial which fell in its first seed was trained in; None where a seed is whole, or nothing was measured.
    pub fn folds_of_no_whole_seed(&self) -> Option<usize> {
        let measured = self.measurement.as_ref().filter(|measured| measured.scores.seeds.is_empty())?;
        // Until the first seed is whole no other is begun, so that each fold has one cell.
        Some(measured.evaluation.folds.len())
    }

    /// The payout of the incumbent that the trial was compared with: over the same eras, and over every seed that the incumbent
    /// had then. None where nothing was compared.
    pub fn compared_with(&self) -> Option<f64> {
        Some(self.measurement.as_ref()?.evaluation.payout - self.judgement.as_ref()?.delta)
    }

    /// The folder below `runs/`, and the trial's name in commits: six digits.
    pub fn folder(&self) -> String {
        format!("{:06}", self.trial)
    }
}
