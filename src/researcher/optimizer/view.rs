//! What the optimizer makes of the ledger, for people and for a language model that proposes beside it.

use serde::Serialize;

/// What the trials so far say about the knobs of the language, by the optimizer's belief.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Trials that it rests on: the latest that measured something, 400 at most.
    pub trials: usize,
    /// Knobs by how much they seem to matter, the most important first.
    pub knobs: Vec<KnobView>,
    /// Changes of the incumbent that look best, the best first; no two of them turn the same knob.
    pub best: Vec<Lead>,
    /// Knobs (dimensions) of the incumbent's design that none of those trials turned, what is expected to matter most first.
    pub untried: Vec<String>,
}

/// One knob.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnobView {
    /// The dimension, blocks of the net taken together: `optimizer.adamw.lr`, `network.dense.activation`; for what can be
    /// in or out, `loss=mse`, `network=cross`, `features.sets=serenity`.
    pub knob: String,
    /// Trials that turned it.
    pub tries: usize,
    /// How much of the payout it seems to move: the standard deviation of its effect over the places that were tried, the
    /// median of posterior draws.
    pub importance: f64,
    /// 95 % of those draws. It never reaches 0, for a standard deviation never is: what counts is how near it begins.
    pub interval: (f64, f64),
    /// Where it looks best, in the knob's own units, and the gain that is expected of going there, by itself:
    /// `about 0.0012 (now 0.001): +0.0004 ± 0.0006`; or `where it is (0.001)`.
    pub best: String,
}

/// A change that looks good.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    /// In words: `optimizer.adamw.lr 0.001 → 0.002`, or a title where that would be long.
    pub change: String,
    /// Expected gain in payout.
    pub expected: f64,
    /// Its standard deviation.
    pub deviation: f64,
}
