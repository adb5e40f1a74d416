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

/// What differs, in the language's order. Lists are aligned by their longest common subsequence, so that a block put in
/// front is one addition and not a change of every block behind it.
pub fn changes(from: &Spec, to: &Spec) -> Vec<Change> {
    let mut found = Vec::new();
    compare(&from.canonical(), &to.canonical(), "", &mut found);
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
    if old.len() == new.len() {
        for (index, (from, to)) in old.iter().zip(new).enumerate() {
            compare(from, to, &format!("{path}[{index}]"), found);
        }
        return;
    }
    let (mut i, mut j) = (0, 0);
    let common = common_lengths(old, new);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            i += 1;
            j += 1;
        } else if j < new.len() && (i == old.len() || common[i][j + 1] >= common[i + 1][j]) {
            found.push(Change { path: format!("{path}[{j}]"), from: None, to: Some(new[j].to_string()) });
            j += 1;
        } else {
            found.push(Change { path: format!("{path}[{i}]"), from: Some(old[i].to_string()), to: None });
            i += 1;
        }
    }
}

/// `table[i][j]`: length of the longest common subsequence of `old[i..]` and `new[j..]`.
fn common_lengths(old: &[Value], new: &[Value]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i][j] = if old[i] == new[j] { table[i + 1][j + 1] + 1 } else { table[i + 1][j].max(table[i][j + 1]) };
        }
    }
    table
}
