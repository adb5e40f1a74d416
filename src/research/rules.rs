//! Do-not-retry rules: regions of the search that are ruled out, in a file that people and the loop write and that is
//! checked before a proposal costs any training (`do_not_retry.toml`).
//!
//! ```toml
//! [[rule]]
//! name = "no-silu"
//! status = "confidently-bad"                 # exhausted | confidently-bad | ambiguous
//! by = "human"                               # human (default) | loop
//! reason = "lost a third of the payout in every trial"
//! paths = ["network[*].dense.activation"]    # `[*]` any index, `*` any name, `**` any run of both
//! values = ["silu"]                          # or: range = { min = 0.5, max = 0.9 }; neither: any change there
//! category = "activation"                    # alone: the whole category
//! evidence = [12, 31]                        # trials
//! revisit = "when the net is deeper than four blocks"
//! revisit_after = 50                         # so many trained trials after the newest evidence, one retry is let through
//! blocks = ["network[0].dense.activation: relu -> silu"]  # examples, tested whenever the file is read
//! ```
//!
//! A rule looks at what a proposal changes, not at what the incumbent already is: what was there before, or has only
//! moved to another index, is nobody's fault. Paths and category together must both hold. `ambiguous` informs and
//! never blocks. A person's rule wins over a learned one: first when both forbid, and a person's `ambiguous` lifts
//! what the loop has learned about the same change.
//!
//! A rule with `revisit_after` is due once so many trials were trained after its newest evidence ([`Rules::at`]): it then
//! lets a proposal through. Whatever was trained of what it speaks of counts as evidence too, so that this is one retry, and
//! the rule holds again afterwards.

use serde::Serialize;

use super::history::History;
use super::knob_path::{Leaf, Pattern, leaves, number, same_value};
use super::trial::{KnobChange, TrialRecord};

mod example;
mod read;
mod write;

pub use example::Example;
pub use read::RulesError;
pub use write::render;

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Tried so often that nothing new can be expected.
    Exhausted,
    /// Clearly worse whenever it was tried.
    ConfidentlyBad,
    /// Tried, with mixed results: worth knowing, and not forbidden.
    Ambiguous,
}

/// Who made the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A person.
    Human,
    /// The loop, from its own evidence.
    Loop,
}

/// An interval of numbers, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// Least; None: no lower end.
    pub min: Option<f64>,
    /// Most; None: no upper end.
    pub max: Option<f64>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// What it is called in verdicts; unique in the file.
    pub name: String,
    /// How sure it is.
    pub status: Status,
    /// Who made it.
    pub by: By,
    /// Why.
    pub reason: String,
    /// The knobs it is about; empty: any.
    #[serde(serialize_with = "read::as_text")]
    pub paths: Vec<Pattern>,
    /// The values it is about; empty: any, or the range.
    pub values: Vec<String>,
    /// The numbers it is about.
    pub range: Option<Range>,
    /// The category it is about, in lower case; None: any.
    pub category: Option<String>,
    /// The trials that it rests on.
    pub evidence: Vec<u32>,
    /// When to think again.
    pub revisit: Option<String>,
    /// After so many trained trials since the newest evidence, one retry is let through; None: never.
    pub revisit_after: Option<u32>,
    /// Examples of what it blocks.
    #[serde(serialize_with = "read::as_text")]
    pub blocks: Vec<Example>,
}

/// The rules of a lab, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Of those that may be retried now, the places in the list.
    due: Vec<usize>,
}

impl Rules {
    /// Reads the text of do_not_retry.toml. `origin` (its path) stands in front of the error. An empty text has no
    /// rules.
    ///
    /// # Errors
    /// The first mistake in the file, with its line, what was found, what is allowed, and the nearest valid name.
    pub fn parse(text: &str, origin: &str) -> Result<Self, RulesError> {
        read::rules(text, origin).map(|rules| Self { rules, due: Vec::new() })
    }

    /// Every rule, in the order of the file.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// Adds a rule behind the others.
    pub fn push(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// The same rules at this moment of the search: those of them that are due for a retry are known as such.
    pub fn at(&self, history: &History) -> Self {
        let waits = self.rules.iter().enumerate().filter_map(|(index, rule)| {
            Some((index, rule, usize::try_from(rule.revisit_after?).ok()?, rule.evidence.iter().max().copied()?))
        });
        let waits: Vec<_> = waits.filter(|(_, rule, ..)| rule.status != Status::Ambiguous).collect();
        let most = waits.iter().map(|(_, _, after, _)| *after).max().unwrap_or(0);
        let trained = |record: &&TrialRecord| record.verdict.was_trained() && record.incumbent.is_some();
        let latest: Vec<&TrialRecord> = history.records().rev().filter(trained).take(most).collect();
        // What each trial changed is taken apart once, and only if a rule asks.
        let mut sets: Vec<Option<Sets>> = Vec::new();
        sets.resize_with(latest.len(), || None);
        let mut due = Vec::new();
        for (index, rule, after, newest) in waits {
            let since = latest.partition_point(|record| record.trial > newest);
            if since < after {
                continue;
            }
            let retried = latest.iter().zip(&mut sets).take(after).any(|(record, sets)| {
                let sets = sets.get_or_insert_with(|| Sets::of(&record.changes));
                rule.hit(sets, &record.proposal.category).is_some()
            });
            if !retried {
                due.push(index);
            }
        }
        Self { rules: self.rules.clone(), due }
    }

    /// The rules that let one retry through, as [`Rules::at`] found.
    pub fn due(&self) -> impl Iterator<Item = &Rule> {
        self.due.iter().filter_map(|index| self.rules.get(*index))
    }

    /// The rules that would forbid a proposal if they were not due: to be said when it is trained.
    pub fn retried(&self, changes: &[KnobChange], category: &str) -> Vec<&Rule> {
        let sets = Sets::of(changes);
        self.due().filter(|rule| rule.hit(&sets, category).is_some()).collect()
    }

    /// The rule that forbids a proposal, if one does: a person's before a learned one.
    pub fn blocks(&self, changes: &[KnobChange], category: &str) -> Option<&Rule> {
        let sets = Sets::of(changes);
        let in_force = self.rules.iter().enumerate().filter(|(index, _)| !self.due.contains(index));
        let found: Vec<(&Rule, Hit)> =
            in_force.filter_map(|(_, rule)| rule.hit(&sets, category).map(|hit| (rule, hit))).collect();
        let by = |by: By| found.iter().filter(move |(rule, _)| rule.by == by);
        let forbids = |rule: &Rule| rule.status != Status::Ambiguous;
        if let Some((rule, _)) = by(By::Human).find(|(rule, _)| forbids(rule)) {
            return Some(rule);
        }
        let lifted = |hit: &Hit| by(By::Human).any(|(_, person)| person.includes(hit));
        by(By::Loop).find(|(rule, hit)| forbids(rule) && !lifted(hit)).map(|(rule, _)| *rule)
    }

    /// The `ambiguous` rules that a proposal touches: to be told, not to be stopped by.
    pub fn informs(&self, changes: &[KnobChange], category: &str) -> Vec<&Rule> {
        let sets = Sets::of(changes);
        let touched = |rule: &&Rule| rule.status == Status::Ambiguous && rule.hit(&sets, category).is_some();
        self.rules.iter().filter(touched).collect()
    }
}

impl Rule {
    /// Whether it speaks of these changes, in its own category where it has one.
    fn speaks_of(&self, changes: &[KnobChange]) -> bool {
        self.hit(&Sets::of(changes), self.category.as_deref().unwrap_or_default()).is_some()
    }

    /// Whether it rules a whole category out.
    pub(super) fn forbids_the_category(&self, category: &str) -> bool {
        self.status != Status::Ambiguous && self.paths.is_empty() && self.category.as_deref() == Some(category)
    }

    /// The rule with an example of what it blocks, where the changes make one.
    pub(super) fn with_example(mut self, changes: &[KnobChange]) -> Self {
        self.blocks.extend(Example::of(changes).filter(|example| self.speaks_of(example.changes())));
        self
    }

    /// Whether the rule speaks of this proposal, and of which of its changes.
    fn hit(&self, sets: &Sets, category: &str) -> Option<Hit> {
        if let Some(own) = &self.category
            && *own != category_key(category)
        {
            return None;
        }
        if self.paths.is_empty() {
            return Some(Hit::Category);
        }
        let touched = if self.values.is_empty() && self.range.is_none() {
            // Any change there, a removal too.
            let meant = |leaf: &&Leaf| self.paths.iter().any(|path| path.covers(&leaf.path));
            surplus(&sets.to, &sets.from, meant).chain(surplus(&sets.from, &sets.to, meant)).collect::<Vec<_>>()
        } else {
            let meant =
                |leaf: &&Leaf| self.paths.iter().any(|path| path.matches(&leaf.path)) && self.means(&leaf.value);
            surplus(&sets.to, &sets.from, meant).collect()
        };
        (!touched.is_empty()).then_some(Hit::Places(touched))
    }

    fn means(&self, value: &str) -> bool {
        self.values.iter().any(|own| same_value(own, value))
            || self.range.is_some_and(|range| {
                number(value).is_some_and(|value| {
                    range.min.is_none_or(|min| min <= value) && range.max.is_none_or(|max| value <= max)
                })
            })
    }
}

/// A category as rules and evidence compare it.
pub(super) fn category_key(category: &str) -> String {
    category.trim().to_lowercase()
}

/// What all changes of a proposal together take away and put there.
struct Sets {
    from: Vec<Leaf>,
    to: Vec<Leaf>,
}

impl Sets {
    fn of(changes: &[KnobChange]) -> Self {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for change in changes {
            let (old, new) = leaves(change);
            from.extend(old);
            to.extend(new);
        }
        Self { from, to }
    }
}

/// What a rule is about in one proposal.
enum Hit {
    /// The proposal as a whole.
    Category,
    /// These places.
    Places(Vec<String>),
}

impl Hit {
    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Category, _) => true,
            (Self::Places(_), Self::Category) => false,
            (Self::Places(own), Self::Places(theirs)) => theirs.iter().all(|path| own.contains(path)),
        }
    }
}

/// The places of the meant leaves of one side that have no counterpart of the same name and value on the other: a value
/// that only moved to another index was there before.
fn surplus(side: &[Leaf], other: &[Leaf], meant: impl Fn(&&Leaf) -> bool) -> impl Iterator<Item = String> {
    let mut counterparts: Vec<&Leaf> = other.iter().filter(&meant).collect();
    let mut left = Vec::new();
    for leaf in side.iter().filter(&meant) {
        let same = |other: &&Leaf| name(&other.path) == name(&leaf.path) && same_value(&other.value, &leaf.value);
        match counterparts.iter().position(same) {
            Some(index) => {
                counterparts.swap_remove(index);
            }
            None => left.push(leaf.path.clone()),
        }
    }
    left.into_iter()
}

/// The name of a place, whatever it stands in; none for an item of a list.
fn name(path: &str) -> &str {
    if path.ends_with(']') { "" } else { path.rsplit('.').next().unwrap_or(path) }
}

#[cfg(test)]
mod tests;
