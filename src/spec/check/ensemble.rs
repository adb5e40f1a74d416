//! Rules of ensembles.

use super::Refuse;
use super::network::{groups_features, has};
use crate::spec::language::{Block, Diversity, Ensemble, Spec};
use crate::spec::members::{differ, member};
use crate::spec::names::Names;
use crate::spec::piece::standard;

/// Between members and how they differ: every member must be a valid model.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let Ensemble { members, diversity, .. } = &spec.ensemble;
    if *members == 1 && *diversity != standard() {
        refuse("ensemble.diversity", "one member has none to differ from; set ensemble.members to 2 or more".into());
        return;
    }
    if diversity.features < 1.0 && spec.network.iter().any(|block| has(block, &needs_sets)) {
        let message = "a member may see no feature of a set that an `inputs` block names or a token is made of; leave one of \
                       the two out";
        refuse("ensemble.diversity.features", message.into());
    }
    if !differ(diversity) {
        return;
    }
    // What is wrong with all of them is said at its own place.
    let alike =
        Ensemble { diversity: Diversity { features: diversity.features, ..standard() }, ..spec.ensemble.clone() };
    if Spec::from_value(&Spec { ensemble: alike, ..spec.clone() }.canonical()).is_err() {
        return;
    }
    let first = (0..*members).find_map(|index| Some((index, member(spec, index).err()?)));
    let Some((index, wrong)) = first else { return };
    for error in wrong.errors {
        let path = match diversity.schedules.len() {
            schedules if schedules > 0 && error.path.starts_with("schedule") => {
                format!("ensemble.diversity.schedules[{}]", index as usize % schedules)
            }
            _ => "ensemble.diversity".into(),
        };
        refuse(&path, format!("member {index} would be invalid: {}: {}", error.path, error.message));
    }
}

/// Whether what a block gives depends on which sets have a feature.
fn needs_sets(block: &Block) -> bool {
    groups_features(block) || matches!(block, Block::Inputs(inputs) if inputs.sets != Names::All)
}
