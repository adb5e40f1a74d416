//! Rules that the loop learns by itself: one kind of change to one knob that has lost clearly, again and again, and
//! categories in which nothing was ever close. They are appended to do_not_retry.toml, where a person can read, change and lift
//! them. Each says what all of its trials took for granted, is due for a retry after a while, and carries an example that it is
//! tested by.

use std::collections::BTreeMap;

use super::assumptions::Assumptions;
use super::effect::{Effect, of_all};
use super::history::History;
use super::knob_path::{Aim, Pattern, number, wildcarded};
use super::rules::{By, Range, Rule, Rules, Status, category_key};
use super::trial::{TrialRecord, Verdict};

/// From this many tries on, a rule is learned.
pub const ENOUGH: usize = 5;

/// From this many measured tries on, a category is exhausted.
pub const ENOUGH_OF_A_CATEGORY: usize = 12;

/// So many of the categories that were tried stay open: a search that rules everything out has ended.
const LEAST_OPEN: usize = 3;

/// So many trained trials after the newest evidence, a knob is tried once again; there are many knobs, and each costs a trial.
const REVISIT_A_KNOB: u32 = 100;

/// The same of a category, of which there are few.
const REVISIT_A_CATEGORY: u32 = 50;

/// A try counts as clearly worse when its difference is negative and the one-sided p-value of it being positive is at
/// least this.
pub const CLEARLY_WORSE: f64 = 0.9;

/// The rules that the trials so far justify and that `rules` does not hold yet.
///
/// A try belongs to a knob only if nothing else was changed with it, so that it cannot be blamed for another's fault.
/// Tries are taken together by category, knob and direction (or value); all of them must have been clearly worse. A
/// knob of which a person's rule speaks is left to that person.
///
/// A category is exhausted by at least [`ENOUGH_OF_A_CATEGORY`] measured tries that were all clearly worse, so that none of
/// them was kept or came close; but never so many categories that fewer than three of those that were tried stay open.
pub fn learned_rules(history: &History, rules: &Rules) -> Vec<Rule> {
    let mut found = knobs(history);
    found.extend(categories(history, rules));
    let is_new = |rule: &Rule| {
        !rules.all().iter().any(|known| known.name == rule.name || (known.by == By::Human && concerns(known, rule)))
    };
    found.retain(is_new);
    found
}

fn knobs(history: &History) -> Vec<Rule> {
    let mut assumptions = Assumptions::new(history);
    let mut tries: BTreeMap<(String, String, Aim), Vec<Try<'_>>> = BTreeMap::new();
    for record in history.comparable() {
        if let Some((path, aim, attempt)) = single_knob(record) {
            tries.entry((category_key(&record.proposal.category), path, aim)).or_default().push(attempt);
        }
    }
    tries
        .into_iter()
        .filter(|(_, tries)| {
            tries.len() >= ENOUGH && tries.iter().all(|attempt| clearly_worse(attempt.record, history))
        })
        .filter_map(|((category, path, aim), tries)| rule(&category, &path, &aim, &tries, &mut assumptions, history))
        .collect()
}

/// Categories in which every try was clearly worse, those with the most tries first.
fn categories(history: &History, rules: &Rules) -> Vec<Rule> {
    let mut tries: BTreeMap<String, Vec<&TrialRecord>> = BTreeMap::new();
    let measured = |record: &&TrialRecord| record.incumbent.is_some() && record.judgement.is_some();
    for record in history.comparable().filter(measured) {
        tries.entry(category_key(&record.proposal.category)).or_default().push(record);
    }
    let is_exhausted = |(name, tries): &(String, Vec<&TrialRecord>)| {
        !name.is_empty()
            && tries.len() >= ENOUGH_OF_A_CATEGORY
            && tries.iter().all(|record| clearly_worse(record, history))
    };
    let is_closed = |name: &String| rules.all().iter().any(|rule| rule.forbids_the_category(name));
    let mut open = tries.keys().filter(|name| !is_closed(name)).count();
    let mut exhausted: Vec<(String, Vec<&TrialRecord>)> = tries.into_iter().filter(is_exhausted).collect();
    exhausted.sort_by_key(|(_, tries)| std::cmp::Reverse(tries.len()));
    let mut assumptions = Assumptions::new(history);
    let mut found = Vec::new();
    for (category, tries) in exhausted.into_iter().filter(|(name, _)| !is_closed(name)) {
        if open <= LEAST_OPEN {
            break;
        }
        open -= 1;
        let evidence: Vec<u32> = tries.iter().map(|record| record.trial).collect();
        let bare = Rule {
            name: format!("learned: category {category}"),
            status: Status::Exhausted,
            by: By::Loop,
            reason: format!(
                "clearly worse in each of {} trials{}; none was kept or came close",
                tries.len(),
                mean_of(&tries, history)
            ),
            paths: Vec::new(),
            values: Vec::new(),
            range: None,
            revisit: Some(revisit(assumptions.of(&evidence))),
            category: Some(category),
            evidence,
            revisit_after: Some(REVISIT_A_CATEGORY),
            blocks: Vec::new(),
        };
        found.push(with_an_example(bare, tries.into_iter()));
    }
    found
}

/// The rule with the first of the trials' changes that makes an example.
fn with_an_example<'a>(rule: Rule, tries: impl Iterator<Item = &'a TrialRecord>) -> Rule {
    tries.fold(rule, |rule, record| if rule.blocks.is_empty() { rule.with_example(&record.changes) } else { rule })
}

/// `, by -0.0030 in the mean`
fn mean_of(tries: &[&TrialRecord], history: &History) -> String {
    let effects = tries.iter().filter_map(|record| Effect::of(record, history));
    of_all(effects).map_or_else(String::new, |(_, found)| format!(", by {:+.4} in the mean", found.mean))
}

/// When to think again, and how to lift a learned rule.
fn revisit(assumption: Option<String>) -> String {
    let held = assumption.map_or_else(String::new, |held| format!("; all were tried with {held}"));
    format!(
        "when the incumbent has become another model{held}. To lift it, set by = \"human\" and status = \"ambiguous\"; a rule that is deleted is learned again"
    )
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

fn rule(
    category: &str,
    path: &str,
    aim: &Aim,
    tries: &[Try<'_>],
    assumptions: &mut Assumptions<'_>,
    history: &History,
) -> Option<Rule> {
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
    let records: Vec<&TrialRecord> = tries.iter().map(|attempt| attempt.record).collect();
    let evidence: Vec<u32> = records.iter().map(|record| record.trial).collect();
    let bare = Rule {
        name: format!("learned: {path} {aim} ({category})"),
        status: Status::ConfidentlyBad,
        by: By::Loop,
        reason: format!("clearly worse in each of {} trials{}", tries.len(), mean_of(&records, history)),
        paths: vec![Pattern::parse(path).ok()?],
        values,
        range,
        category: Some(category.to_owned()).filter(|category| !category.is_empty()),
        revisit: Some(revisit(assumptions.of(&evidence))),
        evidence,
        revisit_after: Some(REVISIT_A_KNOB),
        blocks: Vec::new(),
    };
    Some(with_an_example(bare, records.into_iter()))
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
mod tests;
