//! The rules between fields, and between a spec and the data that it is to be trained on.

mod loss;
mod names;
mod network;
mod schedule;
mod targets;

use super::error::{SpecError, SpecErrors};
use super::language::Spec;
use super::node::Node;

/// What the data offers a spec.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataFacts {
    /// Feature sets: name and number of features. Their features may overlap.
    pub feature_sets: Vec<(String, usize)>,
    /// Features of all sets together.
    pub features: usize,
    /// Training targets.
    pub targets: Vec<String>,
    /// Rows that cross-validation uses.
    pub rows: u64,
    /// Folds.
    pub folds: usize,
    /// Seeds of the protocol.
    pub seeds: usize,
}

/// Takes a mistake at a path.
type Refuse<'a> = dyn FnMut(&str, String) + 'a;

/// Checks a spec by itself. `node` is what it was read from, for places.
pub(super) fn whole(spec: &Spec, node: &Node, errors: &mut Vec<SpecError>) {
    let mut refuse = |path: &str, message: String| {
        let (line, column) = node.place(path);
        errors.push(SpecError { line, column, path: path.to_owned(), message });
    };
    network::rules(spec, &mut refuse);
    loss::rules(spec, &mut refuse);
    schedule::rules(spec, &mut refuse);
    targets::rules(spec, &mut refuse);
}

/// Checks a spec against the data: the names in it exist, and it can be trained on that much data.
///
/// # Errors
/// Every mistake, a name with the nearest that exists.
pub(super) fn against_data(spec: &Spec, facts: &DataFacts) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    let mut refuse = |path: &str, message: String| {
        errors.push(SpecError { line: 0, column: 0, path: path.to_owned(), message });
    };
    names::rules(spec, facts, &mut refuse);
    targets::data_rules(spec, facts, &mut refuse);
    network::data_rules(spec, &mut refuse);
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors { origin: "spec".into(), errors }) }
}
