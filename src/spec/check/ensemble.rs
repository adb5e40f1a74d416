//! Rules of ensembles.

use super::Refuse;
use super::network::{groups_features, has};
use crate::spec::language::{Aggregate, Block, Constant, Curve, Diversity, Ensemble, Schedule, Spec};
use crate::spec::members::{differ, member};
use crate::spec::names::Names;
use crate::spec::piece::{Beside, standard};

/// Between members and how they differ: every member must be a valid model.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let Ensemble { members, aggregate, diversity } = &spec.ensemble;
    aggregate_rules(aggregate, *members, refuse);
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
    schedules_rules(spec, refuse);
    // What is wrong with all of them is said at its own place.
    let alike =
        Ensemble { diversity: Diversity { features: diversity.features, ..standard() }, ..spec.ensemble.clone() };
    if Spec::from_value(&Spec { ensemble: alike, ..spec.clone() }.canonical()).is_err() {
        return;
    }
    for (name, alone) in parts(diversity) {
        let spec = Spec { ensemble: Ensemble { diversity: alone, ..spec.ensemble.clone() }, ..spec.clone() };
        // The last member's numbers grow; they may not where they are at the end of their range.
        if [0, members - 1].iter().all(|index| member(&spec, *index).is_ok_and(|own| same_net(&own, &spec))) {
            let message = "no member differs by it: the spec has none, or none that can change so far; leave it out";
            refuse(&format!("ensemble.diversity.{name}"), message.into());
        }
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

/// An aggregate is what it says of so many members, and not another.
fn aggregate_rules(aggregate: &Aggregate, members: u32, refuse: &mut Refuse<'_>) {
    match aggregate {
        Aggregate::Mean(_) => {}
        _ if members == 1 => {
            refuse("ensemble.aggregate", "one member is the prediction; set ensemble.members to 2 or more".into());
        }
        Aggregate::Median(_) if members == 2 => {
            refuse(
                "ensemble.aggregate",
                "the median of 2 members is their mean; take mean, or 3 members or more".into(),
            );
        }
        Aggregate::Trimmed(trimmed) => {
            let (all, cut) = (members as usize, trimmed.cut(members as usize));
            let same = match all - 2 * cut {
                _ if cut == 0 => "none is left out, so it is the mean",
                1 | 2 => "what stays is the median",
                _ => return,
            };
            let message = format!(
                "{} of {members} members is {cut} at each end: {same}; take that, or 5 members or more",
                trimmed.share
            );
            refuse("ensemble.aggregate.trimmed.share", message);
        }
        Aggregate::RankMean(_) | Aggregate::Median(_) => {}
    }
}

/// Members' schedules stand in one place, and each is somebody's.
fn schedules_rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let (schedules, members) = (&spec.ensemble.diversity.schedules, spec.ensemble.members as usize);
    let Some(first) = schedules.first() else { return };
    let constant: Schedule = Beside { kind: Curve::Constant(Constant {}), beside: standard() };
    if spec.schedule != constant {
        refuse("schedule", "no member follows it: ensemble.diversity.schedules says theirs; leave it out".into());
    }
    if schedules.iter().all(|schedule| schedule == first) {
        let message = "all members follow the same; say it once, as `schedule`";
        refuse("ensemble.diversity.schedules", message.into());
    }
    if schedules.len() > members {
        let message = format!("{} schedules for {members} members: the last is nobody's", schedules.len());
        refuse(&format!("ensemble.diversity.schedules[{members}]"), message);
    }
}

/// What changes the members' specs, each part by itself where it is there.
fn parts(diversity: &Diversity) -> Vec<(&'static str, Diversity)> {
    let Diversity { rate, width, dropout, .. } = *diversity;
    let all = [
        ("rate", rate != 1.0, Diversity { rate, ..standard() }),
        ("width", width != 1.0, Diversity { width, ..standard() }),
        ("dropout", dropout != 0.0, Diversity { dropout, ..standard() }),
    ];
    all.into_iter().filter_map(|(name, there, alone)| there.then_some((name, alone))).collect()
}

/// Whether a member has the spec's own net and optimizer.
fn same_net(member: &Spec, spec: &Spec) -> bool {
    member.network == spec.network && member.optimizer == spec.optimizer
}

/// Whether what a block gives depends on which sets have a feature.
fn needs_sets(block: &Block) -> bool {
    groups_features(block) || matches!(block, Block::Inputs(inputs) if inputs.sets != Names::All)
}
