//! What some trials took for granted: the settings that the incumbents of all of them had in common. A change that always lost
//! lost under these; where one of them falls, it may be worth another try.

use std::collections::BTreeMap;

use super::history::History;
use crate::spec::{Spec, Value};

/// Of many trials the latest ones are looked at.
const MOST_TRIALS: usize = 30;

/// One setting in words, by what it is a setting of.
type Settings = BTreeMap<Setting, String>;

/// What incumbents are compared by, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Setting {
    Blocks,
    Activation,
    Loss,
    Optimizer,
    Schedule,
    Members,
}

/// Reads incumbents, each once.
pub struct Assumptions<'a> {
    history: &'a History,
    read: BTreeMap<u32, Option<Settings>>,
}

impl<'a> Assumptions<'a> {
    /// Of the trials of this history.
    pub fn new(history: &'a History) -> Self {
        Self { history, read: BTreeMap::new() }
    }

    /// What the incumbents that these trials were compared with all had: `2 dense blocks, relu, pearson, adamw`. None where
    /// they had nothing in common, or could not be read.
    pub fn of(&mut self, trials: &[u32]) -> Option<String> {
        let latest = &trials[trials.len().saturating_sub(MOST_TRIALS)..];
        let mut common: Option<Settings> = None;
        for trial in latest {
            let Some(incumbent) = self.history.trial(*trial).and_then(|record| record.incumbent) else { continue };
            let Some(own) = self.settings(incumbent) else { continue };
            match &mut common {
                None => common = Some(own.clone()),
                Some(common) => common.retain(|setting, word| own.get(setting) == Some(word)),
            }
        }
        let words: Vec<String> = common?.into_values().collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn settings(&mut self, trial: u32) -> Option<&Settings> {
        let history = self.history;
        let read = || {
            let record = history.trial(trial)?;
            Some(settings(&Spec::parse(&record.proposal.spec, "incumbent").ok()?.canonical()))
        };
        self.read.entry(trial).or_insert_with(read).as_ref()
    }
}

fn settings(spec: &Value) -> Settings {
    let blocks = items(spec, "network");
    let kinds = |items: &[Value]| items.iter().filter_map(kind).map(str::to_owned).collect::<Vec<String>>();
    let mut activations: Vec<String> = Vec::new();
    blocks.iter().for_each(|block| activations_in(block, &mut activations));
    let members = spec.get("ensemble").and_then(|ensemble| ensemble.get("members")).and_then(Value::number);
    let word = |field: &str| spec.get(field).and_then(kind).map(str::to_owned);
    let found = [
        (Setting::Blocks, Some(counted(&kinds(blocks), "block"))),
        (Setting::Activation, Some(activations.join(" and "))),
        (Setting::Loss, Some(kinds(items(spec, "loss")).join(" + "))),
        (Setting::Optimizer, word("optimizer")),
        (Setting::Schedule, word("schedule").map(|word| format!("{word} rate"))),
        (Setting::Members, members.map(|members| format!("{members} member{}", if members == 1.0 { "" } else { "s" }))),
    ];
    found.into_iter().filter_map(|(setting, word)| Some((setting, word.filter(|word| !word.is_empty())?))).collect()
}

/// `2 dense blocks`, `1 residual + 2 dense blocks`: in the order in which each kind comes first.
fn counted(kinds: &[String], what: &str) -> String {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for kind in kinds {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    let words: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    match kinds.len() {
        0 => String::new(),
        1 => format!("{} {what}", words.join(" + ")),
        _ => format!("{} {what}s", words.join(" + ")),
    }
}

fn items<'a>(spec: &'a Value, field: &str) -> &'a [Value] {
    match spec.get(field) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// The word of a kind: itself, or the name of the first entry.
fn kind(value: &Value) -> Option<&str> {
    match value {
        Value::Text(word) => Some(word),
        Value::Map(entries) => entries.first().map(|(name, _)| name.as_str()),
        _ => None,
    }
}

/// The activations of a block and of what is in it, each once.
fn activations_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Map(entries) => {
            for (name, inner) in entries {
                match (name.as_str(), kind(inner)) {
                    ("activation", Some(word)) if found.iter().all(|known| known != word) => {
                        found.push(word.to_owned());
                    }
                    ("activation", _) => {}
                    _ => activations_in(inner, found),
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| activations_in(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::{baseline, ended, judged};
    use crate::research::trial::TrialRecord;

    fn incumbent(number: u32, spec: &str) -> TrialRecord {
        let mut record = if number == 0 { baseline(0.01) } else { judged(number, "loss", &[], (true, 0.002, 0.001)) };
        record.proposal.spec = spec.to_owned();
        record
    }

    fn against(number: u32, incumbent: u32) -> TrialRecord {
        let mut record = judged(number, "loss", &[], (false, -0.002, 0.99));
        record.incumbent = Some(incumbent);
        record
    }

    const TWO: &str = "network: [{ dense: { width: 64, activation: relu } }, { dense: { width: 32, activation: relu } }]\n\
                       loss: [pearson]\noptimizer: { adamw: { lr: 1e-3 }, lookahead: { k: 3, alpha: 0.5 } }\n";

    #[test]
    fn what_never_varied_is_told() {
        let records = [
            incumbent(0, TWO),
            against(1, 0),
            incumbent(2, &TWO.replace("relu", "gelu").replace("width: 64", "width: 96")),
            against(3, 2),
            incumbent(4, &TWO.replace("loss: [pearson]", "loss: [mse]\nschedule: cosine\nensemble: { members: 4 }")),
            against(5, 4),
        ];
        let history = History::from_events(&records.map(ended));
        let mut assumptions = Assumptions::new(&history);
        let one = assumptions.of(&[1]).expect("one incumbent");
        assert_eq!(one, "2 dense blocks, relu, pearson, adamw, constant rate, 1 member");
        let two = "2 dense blocks, pearson, adamw, constant rate, 1 member";
        assert_eq!(assumptions.of(&[1, 3]).as_deref(), Some(two), "activation and width varied");
        assert_eq!(assumptions.of(&[1, 3, 5]).as_deref(), Some("2 dense blocks, adamw"));
        assert_eq!(assumptions.of(&[]), None);
        assert_eq!(assumptions.of(&[99]), None, "no such trial");
    }

    #[test]
    fn nets_are_counted_by_kind() {
        let net = "network: [{ residual: [{ dense: { width: 8, activation: gelu } }] }, { dense: { width: 8, activation: relu } }]\n";
        let history = History::from_events(&[ended(incumbent(0, net)), ended(against(1, 0))]);
        let found = Assumptions::new(&history).of(&[1]).expect("a net");
        assert!(found.starts_with("1 residual + 1 dense blocks, gelu and relu, "), "{found}");
    }

    #[test]
    fn specs_that_cannot_be_read_say_nothing() {
        let history = History::from_events(&[ended(incumbent(0, "network: 7")), ended(against(1, 0))]);
        assert_eq!(Assumptions::new(&history).of(&[1]), None);
    }
}
