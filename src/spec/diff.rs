//! Two specs compared in the language's own terms: knobs and blocks, not lines.

use super::language::Spec;
use super::piece::join;
use super::value::Value;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: `network[2].dense.dropout`.
    pub path: String,
    /// The old value; None where the slot did not exist.
    pub from: Option<String>,
    /// The new value; None where the slot is gone.
    pub to: Option<String>,
}

/// What differs, in the language's order. Lists are aligned: first by their longest common subsequence, so that a block put
/// in front is one addition and not a change of every block behind it; then what is left between the common items by kind,
/// the most alike first, so that a knob turned in a block is that knob, wherever the block has moved to. The rest is gone or
/// new. A block that changed stands at its new place; one that is gone, at its old one.
pub fn changes(from: &Spec, to: &Spec) -> Vec<Change> {
    changes_of(&from.canonical(), &to.canonical())
}

/// What differs between two canonical values.
pub(super) fn changes_of(from: &Value, to: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(from, to, "", &mut found);
    found
}

fn compare(from: &Value, to: &Value, path: &str, found: &mut Vec<Change>) {
    match (from, to) {
        _ if from == to => {}
        (Value::Map(old), Value::Map(new)) => {
            for (key, value) in old {
                match to.get(key) {
                    Some(other) => compare(value, other, &join(path, key), found),
                    None => found.push(Change { path: join(path, key), from: Some(value.to_string()), to: None }),
                }
            }
            for (key, value) in new {
                if from.get(key).is_none() {
                    found.push(Change { path: join(path, key), from: None, to: Some(value.to_string()) });
                }
            }
        }
        (Value::List(old), Value::List(new)) => compare_lists(old, new, path, found),
        _ => found.push(Change { path: path.to_owned(), from: Some(from.to_string()), to: Some(to.to_string()) }),
    }
}

fn compare_lists(old: &[Value], new: &[Value], path: &str, found: &mut Vec<Change>) {
    for step in alignment(old, new) {
        match step {
            Step::Both(i, j) => compare(&old[i], &new[j], &format!("{path}[{j}]"), found),
            Step::Gone(i) => {
                let (path, from) = named(&old[i], format!("{path}[{i}]"));
                found.push(Change { path, from: Some(from), to: None });
            }
            Step::New(j) => {
                let (path, to) = named(&new[j], format!("{path}[{j}]"));
                found.push(Change { path, from: None, to: Some(to) });
            }
        }
    }
}

/// An item's path, with its kind where it is one of a union's, and its fields.
fn named(item: &Value, path: String) -> (String, String) {
    match item {
        Value::Map(entries) => match entries.as_slice() {
            [(kind, fields)] => (join(&path, kind), fields.to_string()),
            _ => (path, item.to_string()),
        },
        _ => (path, item.to_string()),
    }
}

/// What became of an item, by its place in the old list, the new one, or both.
pub(super) enum Step {
    Both(usize, usize),
    Gone(usize),
    New(usize),
}

/// One equal item counts more than any number of items that are only alike, so that the longest common subsequence is kept
/// whatever else is paired.
const EQUAL: f64 = 1e4;

/// The alignment of two lists with the greatest likeness.
pub(super) fn alignment(old: &[Value], new: &[Value]) -> Vec<Step> {
    let alike: Vec<Vec<f64>> = old.iter().map(|from| new.iter().map(|to| likeness(from, to)).collect()).collect();
    // best[i][j]: the greatest likeness of `old[i..]` and `new[j..]`.
    let mut best = vec![vec![0.0_f64; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let both = if alike[i][j] > 0.0 { alike[i][j] + best[i + 1][j + 1] } else { 0.0 };
            best[i][j] = both.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let mut steps = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let pair = i < old.len() && j < new.len() && alike[i][j] > 0.0;
        if pair && best[i][j] <= alike[i][j] + best[i + 1][j + 1] {
            steps.push(Step::Both(i, j));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || best[i + 1][j] >= best[i][j + 1]) {
            steps.push(Step::Gone(i));
            i += 1;
        } else {
            steps.push(Step::New(j));
            j += 1;
        }
    }
    steps
}

/// How alike two items are: 0 where they are of different kinds, 1 to 2 by the share of leaves that are equal, and far more
/// where they are equal altogether.
fn likeness(old: &Value, new: &Value) -> f64 {
    if old == new {
        return EQUAL;
    }
    let same_kind = match (old, new) {
        // In the canonical form a union's kind stands first; records have all their fields, so the same first one.
        (Value::Map(old), Value::Map(new)) => old.first().map(|entry| &entry.0) == new.first().map(|entry| &entry.0),
        (Value::List(_), Value::List(_)) => true,
        _ => old.number().is_some() && new.number().is_some(),
    };
    if !same_kind {
        return 0.0;
    }
    let (equal, all) = equal_leaves(old, new);
    1.0 + equal as f64 / all.max(1) as f64
}

/// How many leaves are equal, and how many there are.
fn equal_leaves(old: &Value, new: &Value) -> (usize, usize) {
    match (old, new) {
        (Value::Map(entries), Value::Map(_)) => entries
            .iter()
            .map(|(key, from)| new.get(key).map_or((0, 1), |to| equal_leaves(from, to)))
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1)),
        (Value::List(from), Value::List(to)) => from
            .iter()
            .zip(to)
            .map(|(from, to)| equal_leaves(from, to))
            .fold((0, from.len().abs_diff(to.len())), |sum, part| (sum.0 + part.0, sum.1 + part.1)),
        _ => (usize::from(old == new), 1),
    }
}
