//! Rules of the targets.

use super::{DataFacts, Refuse};
use crate::spec::error::nearest;
use crate::spec::language::{Spec, Weighting};
use crate::spec::names::Names;

/// Between weights and the targets that a spec names.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    if let (Weighting::Fixed(weights), Names::Only(names)) = (&spec.targets.weighting, &spec.targets.train_on) {
        fixed_weights(&weights.0, names, refuse);
    }
}

/// Between weights and the targets that the data has.
pub(super) fn data_rules(spec: &Spec, facts: &DataFacts, refuse: &mut Refuse<'_>) {
    if let (Weighting::Fixed(weights), Names::All) = (&spec.targets.weighting, &spec.targets.train_on) {
        fixed_weights(&weights.0, &facts.targets, refuse);
    }
}

fn fixed_weights(weights: &[(String, f64)], targets: &[String], refuse: &mut Refuse<'_>) {
    for target in targets {
        if !weights.iter().any(|(name, _)| name == target) {
            refuse("targets.weighting.fixed", format!("no weight for `{target}`, which is trained on"));
        }
    }
    for (name, _) in weights {
        if !targets.contains(name) {
            let all: Vec<&str> = targets.iter().map(String::as_str).collect();
            refuse("targets.weighting.fixed", format!("`{name}` is not trained on.{}", nearest(name, &all)));
        }
    }
}
