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

/// Takes a mistake at a path.
type Refuse<'a> = dyn FnMut(&str, String) + 'a;

/// The rules between fields, and, where facts are known, those between the spec and the data.
pub(super) fn rules(spec: &Spec, facts: Option<&DataFacts>, refuse: &mut Refuse<'_>) {
    let mut unknown = Vec::new();
    if let Some(facts) = facts {
        names::rules(spec, facts, &mut |path, message| unknown.push((path.to_owned(), message)));
    }
    // What the data has under names that it does not know is nobody's guess.
    let known = facts.filter(|_| unknown.is_empty());
    network::rules(spec, known, &mut |path, message| {
        if unknown.is_empty() || !path.ends_with(".inputs.sets") {
            refuse(path, message);
        }
    });
    unknown.into_iter().for_each(|(path, message)| refuse(&path, message));
    loss::rules(spec, refuse);
    optimizer::rules(spec, refuse);
    schedule::rules(spec, refuse);
    targets::rules(spec, refuse);
    augment::rules(spec, refuse);
    ensemble::rules(spec, known, refuse);
    if let Some(facts) = facts {
        targets::data_rules(spec, facts, refuse);
        training::data_rules(spec, facts, refuse);
    }
}

/// Whether its net is small enough to be laid out, whatever else is wrong with it.
pub(super) fn is_bounded(spec: &Spec) -> bool {
    network::blocks(spec) <= network::MAX_BLOCKS
}

/// Checks a spec against the data: the names in it exist, and it can be trained on that much data.
///
/// # Errors
/// Every mistake, a name with the nearest that exists.
pub(super) fn against_data(spec: &Spec, facts: &DataFacts) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    rules(spec, Some(facts), &mut |path, message| {
        errors.push(SpecError { line: 0, column: 0, path: path.to_owned(), message });
    });
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors { origin: "spec".into(), errors }) }
}
