//! The knob view: every number, choice and switch of a spec, with its path, its range and its scale.
//!
//! A walk of the canonical form beside the language's shapes, so that a new block brings its knobs with it.

pub mod scale;
mod slots;

#[cfg(test)]
pub(super) use slots::slots_of;
pub use slots::{ItemKind, Items, Slot, insert, remove, slots};

use super::error::{SpecError, SpecErrors};
use super::language::Spec;
use super::piece::{Piece, join};
use super::shape::{Field, Shape, chosen};
use super::value::Value;

/// What a knob can be turned to.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// A whole number.
    Int {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// Steps are ratios.
        log: bool,
    },
    /// A number.
    Float {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
        /// Steps are ratios.
        log: bool,
    },
    /// On or off. For a part that can be left out it is whether it is there; switched on, it takes its defaults.
    Bool,
    /// One of several words. For a union (optimizer, schedule, …) it is the kind, whose fields then take their defaults.
    Choice(Vec<String>),
}

/// One thing that can be turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Knob {
    /// Where: `network[0].dense.width`.
    pub path: String,
    /// What it can be turned to.
    pub domain: Domain,
    /// Whether `null` (off) is allowed too.
    pub optional: bool,
    /// What it is now; for a union the word of its kind.
    pub value: Value,
}

/// Every knob of a spec, in the order of the language.
pub fn knobs(spec: &Spec) -> Vec<Knob> {
    knobs_of(&spec.canonical(), &Spec::shape(&()))
}

/// Every knob of a canonical value of a shape.
pub(super) fn knobs_of(value: &Value, shape: &Shape) -> Vec<Knob> {
    let mut found = Vec::new();
    walk(value, shape, "", false, &mut found);
    found
}

fn walk(value: &Value, shape: &Shape, path: &str, optional: bool, found: &mut Vec<Knob>) {
    let mut knob = |domain: Domain, value: Value| found.push(Knob { path: path.to_owned(), domain, optional, value });
    match shape {
        // A range of one value is no knob.
        Shape::Int { min, max, log } if min < max => {
            knob(Domain::Int { min: *min, max: *max, log: *log }, value.clone());
        }
        Shape::Float { min, max, log } if min < max => {
            knob(Domain::Float { min: *min, max: *max, log: *log }, value.clone());
        }
        Shape::Bool => knob(Domain::Bool, value.clone()),
        Shape::Choice { words, .. } => {
            knob(Domain::Choice(words.iter().map(|(word, _)| (*word).to_owned()).collect()), value.clone());
        }
        // A part that can be left out whole: a switch, and its own knobs while it is there.
        Shape::Optional(inner) if inner.can_be_empty() => {
            knob(Domain::Bool, Value::Bool(*value != Value::Null));
            walk(value, inner, path, false, found);
        }
        Shape::Optional(inner) => walk(value, inner, path, true, found),
        Shape::List { item, .. } => {
            if let Value::List(items) = value {
                for (index, entry) in items.iter().enumerate() {
                    walk(entry, item, &format!("{path}[{index}]"), false, found);
                }
            }
        }
        Shape::Record { fields, .. } => walk_fields(value, &fields(), path, found),
        Shape::Union { kinds, .. } => {
            let kinds = kinds();
            let free = || -> Vec<String> {
                kinds.iter().filter(|kind| kind.shape.can_be_empty()).map(|kind| kind.name.to_owned()).collect()
            };
            let Some((word, fields)) = chosen(value, &kinds) else {
                if optional && !free().is_empty() {
                    knob(Domain::Choice(free()), Value::Null);
                }
                return;
            };
            // A kind that must be filled in by hand cannot be switched to by turning a knob.
            let free = free();
            if free.len() + usize::from(optional) > 1 && free.contains(&word) {
                knob(Domain::Choice(free), Value::Text(word.clone()));
            }
            if let Some(kind) = kinds.iter().find(|kind| kind.name == word) {
                walk(&fields, &kind.shape, &join(path, &word), false, found);
            }
            walk_fields(value, &shape.beside(), path, found);
        }
        Shape::Int { .. } | Shape::Float { .. } | Shape::Names { .. } | Shape::Weights { .. } => {}
    }
}

fn walk_fields(value: &Value, fields: &[Field], path: &str, found: &mut Vec<Knob>) {
    for field in fields {
        if let Some(inner) = value.get(field.name) {
            walk(inner, &field.shape, &join(path, field.name), false, found);
        }
    }
}

/// A copy of the spec with one knob turned. Turning a union's knob fills the new kind with its defaults.
///
/// # Errors
/// A path that is not a knob of this spec, or a value outside its domain.
pub fn with(spec: &Spec, path: &str, value: Value) -> Result<Spec, SpecErrors> {
    let mut tree = spec.canonical();
    let refuse = |message: String| SpecErrors {
        origin: "spec".into(),
        errors: vec![SpecError { line: 0, column: 0, path: path.to_owned(), message }],
    };
    let knob = knobs(spec)
        .into_iter()
        .find(|knob| knob.path == path)
        .ok_or_else(|| refuse("this spec has no such knob".into()))?;
    let place = descend(&mut tree, path).ok_or_else(|| refuse("this spec has no such place".into()))?;
    match (&mut *place, &value) {
        // A union's kind: the old kind's entry goes, what stands beside it stays.
        (Value::Map(entries), Value::Text(word)) => {
            let Value::Text(old) = &knob.value else {
                return Err(refuse("it is a map, not a knob".into()));
            };
            if let Some(entry) = entries.iter_mut().find(|(key, _)| key == old)
                && old != word
            {
                *entry = (word.clone(), Value::Map(Vec::new()));
            }
        }
        (Value::Map(_), Value::Bool(true)) => {}
        (Value::Null, Value::Bool(true)) if !knob.optional => *place = Value::Map(Vec::new()),
        (Value::Map(_), Value::Bool(false)) => *place = Value::Null,
        (Value::Null, Value::Bool(false)) if !knob.optional => {}
        _ => *place = value,
    }
    Spec::from_value(&tree)
}

/// The place of a path in a tree.
pub(super) fn descend<'a>(tree: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut here = tree;
    for part in path.split('.') {
        let mut pieces = part.split('[');
        here = here.get_mut(pieces.next()?)?;
        for index in pieces {
            let index: usize = index.trim_end_matches(']').parse().ok()?;
            here = match here {
                Value::List(items) => items.get_mut(index)?,
                _ => return None,
            };
        }
    }
    Some(here)
}

/// The canonical form without the fields that hold their defaults: what people write and read.
pub(super) fn without_defaults(canonical: &Value) -> Value {
    let mut slim = strip(canonical, &Spec::shape(&()));
    // The version stays in the file, so that a later program knows what it reads.
    if let (Value::Map(entries), Some(version)) = (&mut slim, canonical.get("version")) {
        entries.retain(|(key, _)| key != "version");
        entries.insert(0, ("version".into(), version.clone()));
    }
    slim
}

/// A value without the fields that hold their defaults.
pub(super) fn strip(value: &Value, shape: &Shape) -> Value {
    match (shape, value) {
        (_, Value::Null) => Value::Null,
        (Shape::Optional(inner), _) => strip(value, inner),
        (Shape::Record { fields, .. }, Value::Map(_)) => Value::Map(strip_fields(value, &fields())),
        (Shape::List { item, .. }, Value::List(items)) => {
            Value::List(items.iter().map(|entry| strip(entry, item)).collect())
        }
        (Shape::Union { kinds, .. }, Value::Map(_)) => {
            let kinds = kinds();
            let Some((word, fields)) = chosen(value, &kinds) else {
                return value.clone();
            };
            let inner =
                kinds.iter().find(|kind| kind.name == word).map_or(fields.clone(), |kind| strip(&fields, &kind.shape));
            let extras = strip_fields(value, &shape.beside());
            if extras.is_empty() && matches!(&inner, Value::Map(entries) if entries.is_empty()) {
                return Value::Text(word);
            }
            let mut entries = vec![(word, inner)];
            entries.extend(extras);
            Value::Map(entries)
        }
        _ => value.clone(),
    }
}

fn strip_fields(value: &Value, fields: &[Field]) -> Vec<(String, Value)> {
    let mut kept = Vec::new();
    for field in fields {
        if let Some(inner) = value.get(field.name)
            && field.default.as_ref() != Some(inner)
        {
            kept.push((field.name.to_owned(), strip(inner, &field.shape)));
        }
    }
    kept
}
