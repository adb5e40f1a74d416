//! Rules of ensembles.

use super::network::{MAX_BLOCKS, blocks, groups_features, has, member_faults};
use super::{DataFacts, Refuse};
use crate::spec::language::{Aggregate, Block, Constant, Curve, Diversity, Ensemble, Schedule, Spec};
use crate::spec::members::{differ, member};
use crate::spec::names::Names;
use crate::spec::piece::{Beside, standard};

/// Between members and how they differ: every member must be a valid model.
pub(super) fn rules(spec: &Spec, facts: Option<&DataFacts>, refuse: &mut Refuse<'_>) {
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
    let alike = Spec { ensemble: alike, ..spec.clone() };
    if blocks(spec) > MAX_BLOCKS
        || Spec::from_value(&alike.canonical()).is_err()
        || facts.is_some_and(|facts| !member_faults(&alike, facts).is_empty())
    {
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
    let mut wrong: Vec<(String, String, Vec<u32>)> = Vec::new();
    for index in 0..*members {
        for (path, message) in member_errors(spec, index, facts) {
            match wrong.iter_mut().find(|known| known.0 == path && known.1 == message) {
                Some((.., indices)) => indices.push(index),
                None => wrong.push((path, message, vec![index])),
            }
        }
    }
    for (path, message, indices) in wrong {
        let who: Vec<String> = indices.iter().map(u32::to_string).collect();
        let who = format!("member{} {}", if who.len() == 1 { "" } else { "s" }, who.join(", "));
        refuse(&path, format!("{who} would be invalid: {message}"));
    }
}

/// What would be wrong with one member, by the place in the diversity that makes it so.
fn member_errors(spec: &Spec, index: u32, facts: Option<&DataFacts>) -> Vec<(String, String)> {
    let schedules = spec.ensemble.diversity.schedules.len();
    let errors = match member(spec, index) {
        Err(wrong) => wrong.errors.into_iter().map(|error| (error.path, error.message)).collect(),
        Ok(own) => {
            let faults = facts.map(|facts| member_faults(&own, facts)).unwrap_or_default();
            faults.into_iter().map(|fault| (fault.path, fault.message)).collect::<Vec<_>>()
        }
    };
    let placed = errors.into_iter().map(|(path, message)| {
        let place = if schedules > 0 && path.starts_with("schedule") {
            format!("ensemble.diversity.schedules[{}]", index as usize % schedules)
        } else {
            "ensemble.diversity".to_owned()
        };
        (place, format!("{path}: {message}"))
    });
    placed.collect()
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
