//! Rules of the targets.

use super::{DataFacts, Refuse};
use crate::spec::error::nearest;
use crate::spec::language::{Spec, Weighting};
use crate::spec::names::Names;

/// Between weights and the targets that a spec names.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    if let Names::Only(names) = &spec.targets.train_on {
        weighting(spec, names, refuse);
    }
}

/// Between weights and the targets that the data has.
pub(super) fn data_rules(spec: &Spec, facts: &DataFacts, refuse: &mut Refuse<'_>) {
    if spec.targets.train_on == Names::All {
        weighting(spec, &facts.targets, refuse);
    }
}

fn weighting(spec: &Spec, targets: &[String], refuse: &mut Refuse<'_>) {
    match &spec.targets.weighting {
        Weighting::Uniform(_) => {}
        _ if targets.len() == 1 => {
            refuse("targets.weighting", "one target counts for all; leave it out, or train on more targets".into());
        }
        Weighting::Learned(_) => {}
        Weighting::Fixed(weights) => {
            fixed_weights(&weights.0, targets, refuse);
            if weights.0.windows(2).all(|pair| pair[0].1 == pair[1].1) {
                refuse("targets.weighting.fixed", "equal weights are `weighting: uniform`".into());
            }
        }
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
