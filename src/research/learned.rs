//! Rules that the loop learns by itself: one kind of change to one knob that has lost clearly, again and again. They
//! are appended to do_not_retry.toml, where a person can read, change and lift them.

use std::collections::BTreeMap;

use super::effect::{Effect, of_all};
use super::history::History;
use super::knob_path::{Aim, Pattern, number, wildcarded};
use super::rules::{By, Range, Rule, Rules, Status, category_key};
use super::trial::{TrialRecord, Verdict};

/// From this many tries on, a rule is learned.
pub const ENOUGH: usize = 5;

/// A try counts as clearly worse when its difference is negative and the one-sided p-value of it being positive is at
/// least this.
pub const CLEARLY_WORSE: f64 = 0.9;

/// The rules that the trials so far justify and that `rules` does not hold yet.
///
/// A try belongs to a knob only if nothing else was changed with it, so that it cannot be blamed for another's fault.
/// Tries are taken together by category, knob and direction (or value); all of them must have been clearly worse. A
/// knob of which a person's rule speaks is left to that person.
pub fn learned_rules(history: &History, rules: &Rules) -> Vec<Rule> {
    let mut tries: BTreeMap<(String, String, Aim), Vec<Try<'_>>> = BTreeMap::new();
    for record in history.trials() {
        if let Some((path, aim, attempt)) = single_knob(record) {
            tries.entry((category_key(&record.proposal.category), path, aim)).or_default().push(attempt);
        }
    }
    tries
        .into_iter()
        .filter(|(_, tries)| {
            tries.len() >= ENOUGH && tries.iter().all(|attempt| clearly_worse(attempt.record, history))
        })
        .filter_map(|((category, path, aim), tries)| rule(&category, &path, &aim, &tries, history))
        .filter(|rule| {
            !rules.all().iter().any(|known| known.name == rule.name || (known.by == By::Human && concerns(known, rule)))
        })
        .collect()
}

/// One trial that changed one knob.
struct Try<'a> {
    record: &'a TrialRecord,
    from: Vec<f64>,
    to: Vec<f64>,
}

/// The knob that a measured trial changed, if it changed only one (in however many blocks), and which way.
fn single_knob(record: &TrialRecord) -> Option<(String, Aim, Try<'_>)> {
    record.judgement.as_ref()?;
    if let Some((path, kind)) = switched_kind(record) {
        return Some((path, Aim::To(kind), Try { record, from: Vec::new(), to: Vec::new() }));
    }
    let first = record.changes.first()?;
    let (path, aim) = (wildcarded(&first.path), Aim::of(first));
    let alike = record.changes.iter().all(|change| wildcarded(&change.path) == path && Aim::of(change) == aim);
    // Structural changes differ too much from each other to be taken together.
    if !alike || matches!(aim, Aim::Added | Aim::Removed | Aim::Replaced) {
        return None;
    }
    let numbers = |side: &dyn Fn(&super::trial::KnobChange) -> Option<String>| -> Vec<f64> {
        record.changes.iter().filter_map(side).filter_map(|text| number(&text)).collect()
    };
    let attempt =
        Try { record, from: numbers(&|change| change.from.clone()), to: numbers(&|change| change.to.clone()) };
    Some((path, aim, attempt))
}

/// A change from one kind to another in the same place (`optimizer.adamw` gone, `optimizer.sgd` there), and no other.
fn switched_kind(record: &TrialRecord) -> Option<(String, String)> {
    let [one, other] = record.changes.as_slice() else { return None };
    let (gone, new) = if one.to.is_none() { (one, other) } else { (other, one) };
    if gone.to.is_some() || new.from.is_some() {
        return None;
    }
    let (old_place, _) = gone.path.rsplit_once('.')?;
    let (place, kind) = new.path.rsplit_once('.')?;
    (old_place == place).then(|| (wildcarded(place), kind.to_owned()))
}

fn clearly_worse(record: &TrialRecord, history: &History) -> bool {
    (record.verdict == Verdict::Discard || history.is_demoted(record.trial))
        && Effect::of(record, history).is_some_and(|found| found.delta < 0.0 && found.p_value >= CLEARLY_WORSE)
}

fn rule(category: &str, path: &str, aim: &Aim, tries: &[Try<'_>], history: &History) -> Option<Rule> {
    let (values, range) = match aim {
        Aim::To(value) => (vec![value.clone()], None),
        Aim::Raised | Aim::Lowered => {
            let to = || tries.iter().flat_map(|attempt| attempt.to.iter().copied());
            let (min, max) = (to().min_by(f64::total_cmp)?, to().max_by(f64::total_cmp)?);
            // A region that an incumbent stood in is not ruled out by steps from there.
            if tries.iter().flat_map(|attempt| &attempt.from).any(|from| (min..=max).contains(from)) {
                return None;
            }
            (Vec::new(), Some(Range { min: Some(min), max: Some(max) }))
        }
        Aim::Added | Aim::Removed | Aim::Replaced => return None,
    };
    let effects = tries.iter().filter_map(|attempt| Effect::of(attempt.record, history));
    let mean = of_all(effects).map_or_else(String::new, |(_, found)| format!(", by {:+.4} in the mean", found.mean));
    Some(Rule {
        name: format!("learned: {path} {aim} ({category})"),
        status: Status::ConfidentlyBad,
        by: By::Loop,
        reason: format!("clearly worse in each of {} trials{mean}", tries.len()),
        paths: vec![Pattern::parse(path).ok()?],
        values,
        range,
        category: Some(category.to_owned()).filter(|category| !category.is_empty()),
        evidence: tries.iter().map(|attempt| attempt.record.trial).collect(),
        revisit: Some(
            "when the incumbent has become another model. To lift it, set by = \"human\" and status = \"ambiguous\"; a rule that is deleted is learned again"
                .into(),
        ),
    })
}

/// Whether a person's rule speaks of the knob that a learned one is about.
fn concerns(known: &Rule, learned: &Rule) -> bool {
    let same_category = known.category.is_none() || known.category == learned.category;
    let same_place = known.paths.is_empty()
        || learned.paths.iter().any(|path| {
            known
                .paths
                .iter()
                .any(|own| own.covers(&path.to_string()) || own.covers(&path.to_string().replace("[*]", "[0]")))
        });
    same_category && same_place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::rules::render;
    use crate::research::sample::{baseline, change, ended, judged};
    use crate::research::trial::KnobChange;

    const BAD: (bool, f64, f64) = (false, -0.003, 0.97);

    fn silu(index: usize) -> Vec<KnobChange> {
        vec![change(&format!("network[{index}].dense.activation"), Some("relu"), Some("silu"))]
    }

    fn dropout(to: &str) -> Vec<KnobChange> {
        vec![change("network[0].dense.dropout", Some("0.2"), Some(to))]
    }

    fn learn(records: Vec<TrialRecord>, rules: &str) -> Vec<Rule> {
        let events: Vec<_> = std::iter::once(baseline(0.01)).chain(records).map(ended).collect();
        learned_rules(&History::from_events(&events), &Rules::parse(rules, "x").expect("valid rules"))
    }

    fn five(changes: impl Fn(u32) -> Vec<KnobChange>) -> Vec<TrialRecord> {
        (1..=5).map(|number| judged(number, "Regularization", &changes(number), BAD)).collect()
    }

    #[test]
    fn a_value_that_always_lost_is_ruled_out() {
        let found = learn(five(|number| silu(number as usize % 2)), "");
        let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
        assert_eq!((rule.status, rule.by), (Status::ConfidentlyBad, By::Loop));
        assert_eq!(rule.paths[0].to_string(), "network[*].dense.activation");
        assert_eq!(
            (rule.values.as_slice(), rule.evidence.as_slice()),
            (&["silu".to_owned()][..], &[1, 2, 3, 4, 5][..])
        );
        let mut rules = Rules::default();
        rules.push(rule.clone());
        assert!(rules.blocks(&silu(7), "regularization").is_some());
        assert!(rules.blocks(&dropout("0.3"), "regularization").is_none());
        assert_eq!(Rules::parse(&render(rule), "x").expect("rendered rules read back").all(), found);
    }

    #[test]
    fn a_direction_is_ruled_out_as_far_as_it_was_tried() {
        let found = learn(five(|number| dropout(&format!("0.{}", number + 2))), "");
        let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
        assert_eq!(rule.range, Some(Range { min: Some(0.3), max: Some(0.7) }));
        assert_eq!(rule.name, "learned: network[*].dense.dropout raised (regularization)");
    }

    #[test]
    fn a_switch_of_kinds_is_ruled_out() {
        let found = learn(
            five(|_| {
                vec![
                    change("optimizer.adamw", Some("{ lr: 0.001 }"), None),
                    change("optimizer.sgd", None, Some("{ lr: 0.1 }")),
                ]
            }),
            "",
        );
        let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
        assert_eq!((rule.paths[0].to_string().as_str(), rule.values[0].as_str()), ("optimizer", "sgd"));
    }

    #[test]
    fn nothing_is_learned_from_too_little() {
        let mut four = five(|_| silu(0));
        four.pop();
        let mut doubtful = five(|_| silu(0));
        doubtful[4] = judged(5, "regularization", &silu(0), (false, -0.0001, 0.55));
        let both = |number: u32| [silu(0), dropout(&format!("0.{}", number + 2))].concat();
        let mut elsewhere = five(|_| silu(0));
        elsewhere[4].proposal.category = "loss".into();
        let stood = |number: u32| {
            let (from, to) = if number == 1 { ("0.5", "0.6") } else { ("0.2", "0.4") };
            vec![change("network[0].dense.dropout", Some(from), Some(to))]
        };
        let block = |_| vec![change("network[2]", None, Some("{ dense: { width: 8 } }"))];
        for (records, why) in [
            (four, "four tries"),
            (doubtful, "one of them is not clearly worse"),
            (five(both), "two knobs at once: which is to blame?"),
            (elsewhere, "another category"),
            (five(stood), "an incumbent stood in the region"),
            (five(block), "blocks differ too much"),
        ] {
            assert!(learn(records, "").is_empty(), "{why}");
        }
    }

    #[test]
    fn what_is_known_is_not_learned_again_and_a_persons_word_stands() {
        let known = render(&learn(five(|_| silu(0)), "")[0]);
        let person = "[[rule]]\nname = \"mine\"\nstatus = \"ambiguous\"\nreason = \"I like it\"\npaths = [\"network[0].dense.activation\"]\n";
        let other = "[[rule]]\nname = \"mine\"\nstatus = \"exhausted\"\nreason = \"r\"\npaths = [\"**.width\"]\n";
        assert!(learn(five(|_| silu(0)), &known).is_empty());
        assert!(learn(five(|_| silu(0)), person).is_empty());
        assert_eq!(learn(five(|_| silu(0)), other).len(), 1, "a person's rule about another knob");
    }
}
