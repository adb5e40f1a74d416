//! Two edits of one spec put together: a three-way merge in the language's own terms, knobs and blocks, not lines.
//!
//! What an edit changed against the base is applied to another edit of the same base; where both changed the same place
//! to different values they are in conflict, and nobody guesses. It serves a proposal that was made against an incumbent
//! which has been replaced since, and the crossover of two good trials.

use super::Spec;
use super::diff::{Step, alignment};
use super::piece::join;
use super::value::Value;

/// Why two edits cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Both changed it, each to something else.
    #[error("both change {path}")]
    Both {
        /// Where.
        path: String,
    },
    /// Together they are no valid spec.
    #[error("together they are no valid spec: {why}")]
    Invalid {
        /// What is wrong with it.
        why: String,
    },
}

/// `ours` with what `theirs` changed against `base`. An edit that changed nothing leaves `ours` as it is.
///
/// # Errors
/// [`Conflict`].
pub fn merged(base: &Spec, theirs: &Spec, ours: &Spec) -> Result<Spec, Conflict> {
    let value = merge(&base.canonical(), &theirs.canonical(), &ours.canonical(), "")?;
    Spec::from_value(&value).map_err(|errors| Conflict::Invalid { why: errors.to_string() })
}

fn both<T>(path: &str) -> Result<T, Conflict> {
    Err(Conflict::Both { path: path.to_owned() })
}

fn merge(base: &Value, theirs: &Value, ours: &Value, path: &str) -> Result<Value, Conflict> {
    match (base, theirs, ours) {
        _ if theirs == base || theirs == ours => Ok(ours.clone()),
        _ if ours == base => Ok(theirs.clone()),
        (Value::Map(_), Value::Map(_), Value::Map(_)) => merge_maps(base, theirs, ours, path),
        (Value::List(old), Value::List(new), Value::List(other)) => merge_lists(old, new, other, path),
        _ => both(path),
    }
}

fn merge_maps(base: &Value, theirs: &Value, ours: &Value, path: &str) -> Result<Value, Conflict> {
    let (Value::Map(own), Value::Map(new)) = (ours, theirs) else { return both(path) };
    let mut entries = Vec::new();
    let keys = own.iter().chain(new.iter().filter(|(key, _)| ours.get(key).is_none())).map(|(key, _)| key);
    for key in keys {
        let place = join(path, key);
        match (base.get(key), theirs.get(key), ours.get(key)) {
            (Some(base), Some(theirs), Some(ours)) => entries.push((key.clone(), merge(base, theirs, ours, &place)?)),
            (base, Some(one), None) | (base, None, Some(one)) => match base {
                // Gone on the other side, and left alone on this one: gone.
                Some(base) if base == one => {}
                Some(_) => return both(&place),
                None => entries.push((key.clone(), one.clone())),
            },
            (None, Some(theirs), Some(ours)) if theirs == ours => entries.push((key.clone(), ours.clone())),
            (None, Some(_), Some(_)) => return both(&place),
            (_, None, None) => {}
        }
    }
    Ok(Value::Map(entries))
}

/// One of the two may have added and removed items; the other has then the base's items, each perhaps changed.
fn merge_lists(base: &[Value], theirs: &[Value], ours: &[Value], path: &str) -> Result<Value, Conflict> {
    let keeps_items = |other: &[Value]| {
        alignment(base, other).iter().all(|step| matches!(step, Step::Both(..))) && base.len() == other.len()
    };
    if keeps_items(ours) {
        follow(base, theirs, ours, path)
    } else if keeps_items(theirs) {
        follow(base, ours, theirs, path)
    } else {
        both(path)
    }
}

/// The list of the one that may have moved items, with what the other changed in each of them.
fn follow(base: &[Value], moved: &[Value], other: &[Value], path: &str) -> Result<Value, Conflict> {
    let mut items = Vec::new();
    for step in alignment(base, moved) {
        match step {
            Step::Both(i, j) => items.push(merge(&base[i], &moved[j], &other[i], &format!("{path}[{j}]"))?),
            Step::New(j) => items.push(moved[j].clone()),
            Step::Gone(i) if other[i] == base[i] => {}
            Step::Gone(i) => return both(&format!("{path}[{i}]")),
        }
    }
    Ok(Value::List(items))
}
