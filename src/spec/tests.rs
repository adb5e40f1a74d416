//! The language as its users meet it: what is refused and how it is said, and what holds for every spec there is.

mod at_once;
mod cost;
mod diff;
mod errors;
pub(crate) mod examples;
mod hostile;
mod idle;
mod knobs;
mod meaning;
mod merge;
pub(crate) mod random;
mod schema;
mod shapes;
mod slots;

use super::{Spec, SpecErrors};

/// The errors of a spec that must not be valid.
fn refused(text: &str) -> SpecErrors {
    match Spec::parse(text, "model.yaml") {
        Ok(spec) => panic!("accepted:\n{text}\nas {spec:?}"),
        Err(errors) => errors,
    }
}
