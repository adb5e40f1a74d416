//! The model spec: the one file that a researcher edits. Raw YAML becomes a checked [`Spec`], and only the checked type
//! goes further. Pure: no file, no tensor, no network.
//!
//! The language is declared once, in [`language`]; reading with located errors, the canonical form and its hash, the
//! JSON Schema, the reference, the diff and the knob view all follow from that declaration.

mod check;
pub mod cost;
mod declare;
pub mod diff;
mod effective;
mod error;
mod examples;
pub(crate) mod facts;
mod findings;
pub mod knobs;
pub mod language;
pub mod members;
mod mend;
pub mod merge;
mod names;
pub mod net;
mod node;
mod piece;
pub mod rates;
pub mod reference;
pub mod schema;
mod shape;
mod value;
mod yaml;

pub use error::{SpecError, SpecErrors};
pub use facts::{DataFacts, FoldFacts};
pub use findings::Findings;
pub use language::{
    Activation, Adam, AdamW, Adan, Aggregate, Augment, Batches, Block, Cosine, Curve, Dense, Diversity, Ema, Ensemble,
    EraWeighting, GradientNoise, Init, Lamb, Lion, Lookahead, LossTerm, Muon, MuonAdamW, MuonScale, Neutralizer, Norm,
    Optimization, Optimizer, OptimizerExtras, Post, Rank, Rates, RmsProp, Sam, Schedule, Sgd, Spec, Swa, Training,
    Transform, Weighting, Within,
};
pub use names::{Names, Weights};
pub use piece::Beside;
pub use value::Value;
pub use yaml::text_of;

use node::Node;
use piece::Piece;

impl Spec {
    /// Reads and checks a spec. `origin` (a file, a researcher) stands in front of each error.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, each with line, column, path and what is allowed.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpecErrors> {
        findings::read(&Node::parse(text, origin)?, origin)
    }

    /// Checks a spec that was built as a tree of values.
    ///
    /// # Errors
    /// As [`Spec::parse`], without lines.
    pub fn from_value(value: &Value) -> Result<Self, SpecErrors> {
        findings::read(&Node::from_value(value), "spec")
    }

    /// The canonical form: every default filled, in the language's order.
    pub fn canonical(&self) -> Value {
        self.write()
    }

    /// 16 hexadecimal digits of BLAKE3 over the canonical form: the identity of the model.
    pub fn hash(&self) -> String {
        blake3::hash(self.canonical().hash_text().as_bytes()).to_hex()[..16].to_owned()
    }

    /// YAML that reads back as this spec, made to be read in a diff.
    pub fn to_yaml(&self) -> String {
        value::to_yaml(&knobs::without_defaults(&self.canonical()))
    }

    /// Checks the spec against the data: the names in it exist, and it can be trained on that much data.
    ///
    /// # Errors
    /// Every mistake by its path, a name with the nearest known one. [`SpecErrors::located`] adds lines.
    pub fn check_data(&self, facts: &DataFacts) -> Result<(), SpecErrors> {
        check::against_data(self, facts)
    }

    /// Checks the estimated cost against the budget.
    ///
    /// # Errors
    /// What is over the budget, with the numbers, at `network`.
    pub fn check_cost(&self, facts: &DataFacts, budget: &cost::Budget) -> Result<cost::Cost, SpecErrors> {
        let cost = cost::estimate(self, facts);
        cost::check(&cost, budget).map(|()| cost).map_err(|message| SpecErrors {
            origin: "spec".into(),
            errors: vec![SpecError { line: 0, column: 0, path: "network".into(), message }],
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
