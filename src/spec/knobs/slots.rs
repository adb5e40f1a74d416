//! The structural slots of a spec: its lists (blocks, the blocks inside a block, terms of the loss, names of feature
//! sets, …), what may stand in each, and how an item is put in and taken out. What can be switched on and off whole is a
//! knob.

use super::descend;
use crate::spec::error::{SpecError, SpecErrors};
use crate::spec::language::Spec;
use crate::spec::names::MAX_NAMES;
use crate::spec::piece::{Piece, join};
use crate::spec::shape::{Field, Shape, chosen};
use crate::spec::value::Value;

/// A list of a spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Where: `network`, `network[1].residual`.
    pub path: String,
    /// What may stand in it.
    pub items: Items,
    /// The fewest items.
    pub min: usize,
    /// The most.
    pub max: usize,
    /// How many there are now. A list that is not there (`null`) has none.
    pub len: usize,
    /// Whether it may be left out altogether (`null`).
    pub optional: bool,
}

/// What may stand in a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Items {
    /// One of several kinds.
    Kinds(Vec<ItemKind>),
    /// Names from the data: of a `feature set`, of a `target`. A slot only where names are listed, not where it says `all`.
    Names(&'static str),
    /// Anything else, in words: lists of blocks, numbers.
    Other(String),
}

/// A kind of item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKind {
    /// Its word.
    pub word: String,
    /// Whether the bare word is a valid item: every field has a default.
    pub bare: bool,
}

/// Every list of a spec, in the order of the language.
pub fn slots(spec: &Spec) -> Vec<Slot> {
    slots_of(&spec.canonical(), &Spec::shape(&()))
}

/// Every list of a canonical value of a shape.
pub(in crate::spec) fn slots_of(value: &Value, shape: &Shape) -> Vec<Slot> {
    let mut found = Vec::new();
    walk(value, shape, "", &mut found);
    found
}

fn walk(value: &Value, shape: &Shape, path: &str, found: &mut Vec<Slot>) {
    match (shape, value) {
        (Shape::Optional(inner), _) => {
            let before = found.len();
            match (inner.as_ref(), value) {
                (Shape::List { .. }, Value::Null) => walk(&Value::List(Vec::new()), inner, path, found),
                _ => walk(value, inner, path, found),
            }
            if let (Shape::List { .. }, Some(slot)) = (inner.as_ref(), found.get_mut(before)) {
                slot.optional = true;
            }
        }
        (Shape::List { item, min, max }, Value::List(entries)) => {
            found.push(Slot {
                path: path.to_owned(),
                items: items(item),
                min: *min,
                max: *max,
                len: entries.len(),
                optional: false,
            });
            for (index, entry) in entries.iter().enumerate() {
                walk(entry, item, &format!("{path}[{index}]"), found);
            }
        }
        (Shape::Names { what }, Value::List(names)) => {
            found.push(Slot {
                path: path.to_owned(),
                items: Items::Names(what),
                min: 1,
                max: MAX_NAMES,
                len: names.len(),
                optional: false,
            });
        }
        (Shape::Record { fields, .. }, _) => walk_fields(value, &fields(), path, found),
        (Shape::Union { kinds, .. }, _) => {
            let kinds = kinds();
            if let Some((word, payload)) = chosen(value, &kinds)
                && let Some(kind) = kinds.iter().find(|kind| kind.name == word)
            {
                walk(&payload, &kind.shape, &join(path, &word), found);
            }
            walk_fields(value, &shape.beside(), path, found);
        }
        _ => {}
    }
}

fn walk_fields(value: &Value, fields: &[Field], path: &str, found: &mut Vec<Slot>) {
    for field in fields {
        if let Some(inner) = value.get(field.name) {
            walk(inner, &field.shape, &join(path, field.name), found);
        }
    }
}

fn items(item: &Shape) -> Items {
    match item {
        Shape::Union { kinds, .. } => Items::Kinds(
            kinds()
                .iter()
                .map(|kind| ItemKind { word: kind.name.to_owned(), bare: kind.shape.can_be_empty() })
                .collect(),
        ),
        other => Items::Other(other.words()),
    }
}

/// A copy of the spec with an item put in, so that it stands at `index`.
///
/// # Errors
/// A slot that this spec does not have, a place beyond the end, and what is wrong with the spec that comes of it.
pub fn insert(spec: &Spec, slot: &str, index: usize, item: Value) -> Result<Spec, SpecErrors> {
    edit(spec, slot, |list| {
        if matches!(list, Value::Null) {
            *list = Value::List(Vec::new());
        }
        match list {
            Value::List(items) if index <= items.len() => {
                items.insert(index, item);
                Ok(())
            }
            Value::List(items) => Err(format!("place {index} is beyond the end: it has {} items", items.len())),
            _ => Err("it is not a list".into()),
        }
    })
}

/// A copy of the spec without one item of a list. A list that may be left out altogether is left out rather than empty.
///
/// # Errors
/// A slot or an item that this spec does not have, and what is wrong with the spec that comes of it.
pub fn remove(spec: &Spec, slot: &str, index: usize) -> Result<Spec, SpecErrors> {
    let may_be_absent = slots(spec).iter().any(|other| other.path == slot && other.optional);
    edit(spec, slot, |list| {
        let Value::List(items) = list else { return Err("it is not a list".into()) };
        if index >= items.len() {
            return Err(format!("it has no item {index}, only {}", items.len()));
        }
        items.remove(index);
        if items.is_empty() && may_be_absent {
            *list = Value::Null;
        }
        Ok(())
    })
}

fn edit(spec: &Spec, slot: &str, change: impl FnOnce(&mut Value) -> Result<(), String>) -> Result<Spec, SpecErrors> {
    let refuse = |message: String| SpecErrors {
        origin: "spec".into(),
        errors: vec![SpecError { line: 0, column: 0, path: slot.to_owned(), message }],
    };
    let mut tree = spec.canonical();
    if !slots(spec).iter().any(|other| other.path == slot) {
        return Err(refuse("this spec has no such list".into()));
    }
    let list = descend(&mut tree, slot).ok_or_else(|| refuse("this spec has no such place".into()))?;
    change(list).map_err(refuse)?;
    Spec::from_value(&tree)
}
