//! The spec of each member of an ensemble: the ensemble's, with what `ensemble.diversity` gives to that member. Pure.

use super::error::SpecErrors;
use super::knobs::{self, Domain};
use super::language::{Diversity, Ensemble, Spec};
use super::piece::{Piece, standard};
use super::value::Value;

/// Whether members are trained by specs that may differ. Subsets of features are not in this: they differ in nothing that
/// a spec says.
pub(super) fn differ(diversity: &Diversity) -> bool {
    Diversity { features: 1.0, ..diversity.clone() } != standard()
}

/// The spec that a member, counted from 0, is trained by. Its learning rates, widths and dropouts stay in their ranges.
///
/// # Errors
/// The member's spec breaks a rule between fields; a checked spec has no such member.
pub fn member(spec: &Spec, member: u32) -> Result<Spec, SpecErrors> {
    let diversity = &spec.ensemble.diversity;
    if !differ(diversity) {
        return Ok(spec.clone());
    }
    let place = place(member, spec.ensemble.members);
    let schedule = match diversity.schedules.as_slice() {
        [] => spec.schedule.clone(),
        schedules => schedules[member as usize % schedules.len()].clone(),
    };
    let ensemble =
        Ensemble { diversity: Diversity { features: diversity.features, ..standard() }, ..spec.ensemble.clone() };
    let plain = Spec { schedule, ensemble, ..spec.clone() };
    let mut tree = plain.write();
    for knob in knobs::knobs(&plain) {
        let Some(number) = knob.value.number() else { continue };
        let name = knob.path.rsplit('.').next().unwrap_or_default();
        let wanted = match (knob.path.starts_with("network["), name) {
            (true, "width") => number * diversity.width.powf(place),
            (true, "dropout") => number + diversity.dropout * place,
            (false, "lr") if knob.path.starts_with("optimizer") => number * diversity.rate.powf(place),
            _ => continue,
        };
        let value = match knob.domain {
            Domain::Int { min, max, .. } => Value::Int((wanted.round() as i64).clamp(min, max)),
            Domain::Float { min, max, .. } => Value::Float(wanted.clamp(min, max)),
            Domain::Bool | Domain::Choice(_) => continue,
        };
        if let Some(here) = knobs::descend(&mut tree, &knob.path) {
            *here = value;
        }
    }
    Spec::from_value(&tree)
}

/// Where a member stands among the others, from -1 to 1.
fn place(member: u32, members: u32) -> f64 {
    -1.0 + 2.0 * f64::from(member) / f64::from(members.max(2) - 1)
}

/// How many of the available features each member sees.
pub fn seen_features(spec: &Spec, available: usize) -> usize {
    let share = spec.ensemble.diversity.features;
    ((share * available as f64).round() as usize).clamp(available.min(1), available)
}

#[cfg(test)]
mod tests {
    use super::{member, seen_features};
    use crate::spec::{Spec, knobs};

    fn spec(diversity: &str) -> Spec {
        let text = format!(
            "network: [{{ dense: {{ width: 64, dropout: 0.1 }} }}, {{ residual: [{{ dense: {{ width: 3 }} }}] }}]\n\
             optimizer: {{ sgd: {{ lr: 0.1 }} }}\nensemble: {{ members: 3, diversity: {diversity} }}\n"
        );
        Spec::parse(&text, "test").expect("valid")
    }

    /// The numbers of all knobs of one name, in the order of the language.
    fn named(spec: &Spec, name: &str) -> Vec<f64> {
        let knobs = knobs::knobs(spec).into_iter().filter(|knob| knob.path.rsplit('.').next() == Some(name));
        knobs.filter_map(|knob| knob.value.number()).collect()
    }

    #[test]
    fn members_are_spread_as_ratios_around_the_spec() {
        let spec = spec("{ rate: 2, width: 1.5, dropout: 0.2 }");
        // 64 / 1.5 = 42.67, 3 / 1.5 = 2, 3 · 1.5 = 4.5; a dropout stays in its range.
        let wanted = [(0.05, [43.0, 2.0], [0.0, 0.0]), (0.1, [64.0, 3.0], [0.1, 0.0]), (0.2, [96.0, 5.0], [0.3, 0.2])];
        for (index, (rate, widths, dropouts)) in (0..).zip(wanted) {
            let member = member(&spec, index).expect("valid");
            let near = |name: &str, wanted: &[f64]| {
                let found: Vec<f64> = named(&member, name);
                let same = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(same, "{name} of member {index}: {found:?}, wanted {wanted:?}");
            };
            near("lr", &[rate]);
            near("width", &[widths.as_slice(), &[1.0]].concat());
            near("dropout", &[dropouts.as_slice(), &[0.0]].concat());
        }
    }

    #[test]
    fn schedules_go_round_and_nothing_else_changes() {
        let spec = spec("{ schedules: [cosine, { one_cycle: {}, warmup_epochs: 1 }] }");
        let members: Vec<Spec> = (0..3).map(|index| member(&spec, index).expect("valid")).collect();
        assert_eq!(members[0], members[2]);
        assert_eq!(members[1].schedule, spec.ensemble.diversity.schedules[1]);
        assert_eq!(members[1].network, spec.network);
    }

    #[test]
    fn without_diversity_a_member_is_the_spec() {
        let spec = spec("{ features: 0.5 }");
        assert_eq!(member(&spec, 2).expect("valid"), spec);
        assert_eq!([0, 1, 2, 3, 24].map(|available| seen_features(&spec, available)), [0, 1, 1, 2, 12]);
    }
}
