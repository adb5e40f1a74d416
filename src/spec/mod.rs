//! The model spec: the one file that a researcher edits. Raw YAML becomes a checked [`Spec`], and only the checked type
//! goes further. Pure: no file, no tensor, no network.
//!
//! The language is declared once, in [`language`]; reading with located errors, the canonical form and its hash, the
//! JSON Schema, the reference, the diff and the knob view all follow from that declaration.

mod check;
pub mod cost;
mod declare;
pub mod diff;
mod error;
pub mod knobs;
pub mod language;
pub mod members;
mod names;
pub mod net;
mod node;
mod piece;
pub mod reference;
pub mod schema;
mod shape;
mod value;

pub use check::DataFacts;
pub use error::{SpecError, SpecErrors};
pub use language::{
    Activation, Adam, AdamW, Adan, Aggregate, Augment, Batches, Block, Cosine, Curve, Dense, Diversity, Ema, Ensemble,
    EraWeighting, GradientNoise, Init, Lamb, Lion, Lookahead, LossTerm, Muon, MuonAdamW, MuonScale, Neutralizer, Norm,
    Optimization, Optimizer, OptimizerExtras, Post, Rank, Rates, RmsProp, Sam, Schedule, Sgd, Spec, Swa, Training,
    Transform, Weighting, Within,
};
pub use names::{Names, Weights};
pub use piece::Beside;
pub use value::Value;

use node::Node;
use piece::Piece;

impl Spec {
    /// Reads and checks a spec. `origin` (a file, a researcher) stands in front of each error.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, each with line, column, path and what is allowed.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpecErrors> {
        Self::read_node(&Node::parse(text, origin)?, origin)
    }

    /// Checks a spec that was built as a tree of values.
    ///
    /// # Errors
    /// As [`Spec::parse`], without lines.
    pub fn from_value(value: &Value) -> Result<Self, SpecErrors> {
        Self::read_node(&Node::from_value(value), "spec")
    }

    fn read_node(node: &Node, origin: &str) -> Result<Self, SpecErrors> {
        let mut errors = Vec::new();
        node.check_depth(origin)?;
        let spec = <Self as Piece>::read(node, &(), "", &mut errors);
        if let Some(spec) = &spec
            && errors.is_empty()
        {
            spec.check_whole(node, &mut errors);
        }
        match spec {
            Some(spec) if errors.is_empty() => Ok(spec),
            _ => Err(SpecErrors { origin: origin.to_owned(), errors }),
        }
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

    /// Checks the names in the spec against the data.
    ///
    /// # Errors
    /// Every unknown feature set and target, with the nearest known name.
    pub fn check_data(&self, facts: &DataFacts) -> Result<(), SpecErrors> {
        check::against_data(self, facts)
    }
}

#[cfg(test)]
pub(crate) mod tests;
