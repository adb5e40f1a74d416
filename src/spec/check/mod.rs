//! The rules between fields, and between a spec and the data that it is to be trained on.

mod augment;
mod ensemble;
mod loss;
mod names;
mod network;
mod optimizer;
mod schedule;
mod targets;
mod training;

use super::error::{SpecError, SpecErrors};
use super::facts::DataFacts;
use super::language::Spec;
use super::node::Node;

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
    optimizer::rules(spec, &mut refuse);
    schedule::rules(spec, &mut refuse);
    targets::rules(spec, &mut refuse);
    augment::rules(spec, &mut refuse);
    ensemble::rules(spec, &mut refuse);
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
    training::data_rules(spec, facts, &mut refuse);
    network::data_rules(spec, facts, &mut refuse);
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors { origin: "spec".into(), errors }) }
}
