//! What the optimizer makes of the ledger, for people and for a language model that proposes beside it.

use serde::Serialize;

/// What the trials so far say about the knobs of the language, by the optimizer's belief.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Trials that it rests on.
    pub trials: usize,
    /// Knobs by how much they seem to matter, the most important first.
    pub knobs: Vec<KnobView>,
    /// Changes of the incumbent that look best, the best first.
    pub best: Vec<Lead>,
    /// Knobs (dimensions) of the incumbent's design that no trial has turned yet.
    pub untried: Vec<String>,
}

/// One knob.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnobView {
    /// The dimension: `optimizer.adamw.lr`, `network.dense.activation=gelu`.
    pub knob: String,
    /// Trials that turned it.
    pub tries: usize,
    /// How much of the payout it seems to move: the standard deviation of its estimated effect over what was tried.
    pub importance: f64,
    /// 95 % interval of `importance`.
    pub interval: (f64, f64),
    /// Where it looks best, in the knob's own units, in words: `about 0.0012 (now 0.001)`.
    pub best: String,
}

/// A change that looks good.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    /// In words: `optimizer.adamw.lr 0.001 → 0.002`.
    pub change: String,
    /// Expected gain in payout.
    pub expected: f64,
    /// Its standard deviation.
    pub deviation: f64,
}
