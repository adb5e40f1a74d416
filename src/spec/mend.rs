//! Specs that might have been meant by one that cannot be read in places, so that the rest of it can be checked at once.
//!
//! What is wrong with the readable parts must not depend on how the others are mended. So there are several ways of mending,
//! the first of which takes defaults, and only an error that all of them show is an error of what was written.

use std::collections::BTreeSet;

use super::error::SpecError;
use super::node::{Kind, Node};
use super::piece::join;
use super::shape::{Field, Shape};
use super::value::Value;

/// How many ways are tried: each kind of the largest union once.
pub(super) const WAYS: usize = 26;

/// How deep a stand-in nests before it takes what is simplest.
const DEEP: usize = 2;

/// One way of mending.
pub(super) struct Mender<'a> {
    /// The paths at which reading failed.
    broken: BTreeSet<&'a str>,
    way: usize,
}

impl<'a> Mender<'a> {
    /// The way of this number, for a tree that was read with these errors.
    pub(super) fn new(errors: &'a [SpecError], way: usize) -> Self {
        Self { broken: errors.iter().map(|error| error.path.as_str()).collect(), way }
    }

    /// The tree with something readable wherever it could not be read.
    pub(super) fn mend(&self, node: &Node, shape: &Shape, default: Option<&Value>, path: &str) -> Node {
        let stand_in = || self.stand_in(node, shape, default, path);
        let broken = self.broken.contains(path);
        match (shape, &node.kind) {
            (Shape::Optional(_), Kind::Scalar(Value::Null)) if !broken => node.clone(),
            (Shape::Optional(inner), _) if !broken => self.mend(node, inner, default, path),
            (Shape::List { item, .. }, Kind::List(items)) if !broken => {
                let mended = |(index, one)| self.mend(one, item, None, &format!("{path}[{index}]"));
                node.with(Kind::List(items.iter().enumerate().map(mended).collect()))
            }
            (Shape::Record { fields, .. }, Kind::Map(entries)) if !broken => {
                node.with(Kind::Map(self.fields(node, entries, &fields(), path)))
            }
            (Shape::Union { .. }, Kind::Scalar(Value::Text(_)) | Kind::Map(_)) => {
                self.union(node, shape, path).unwrap_or_else(stand_in)
            }
            (Shape::Names { .. }, Kind::List(items)) => {
                let mut names: Vec<Node> = Vec::new();
                for item in items {
                    if item.text().is_some() && names.iter().all(|name| name.text() != item.text()) {
                        names.push(item.clone());
                    }
                }
                if names.is_empty() { stand_in() } else { node.with(Kind::List(names)) }
            }
            _ if broken => stand_in(),
            _ => node.clone(),
        }
    }

    /// The known fields of a record. Where a name is unknown, any field that is not there may be what it meant.
    fn fields(&self, node: &Node, entries: &[(Node, Node)], fields: &[Field], path: &str) -> Vec<(Node, Node)> {
        let known = |key: &Node| fields.iter().any(|field| key.text() == Some(field.name));
        let misspelt = self.way > 0 && entries.iter().any(|(key, _)| !known(key));
        let mut mended = Vec::new();
        for field in fields {
            let here = join(path, field.name);
            let default = field.default.as_ref();
            let value = match entries.iter().find(|(key, _)| key.text() == Some(field.name)) {
                Some((_, value)) => self.mend(value, &field.shape, default, &here),
                None if misspelt || default.is_none() => self.stand_in(node, &field.shape, default, &here),
                None => continue,
            };
            mended.push((node.with(Kind::Scalar(Value::Text(field.name.into()))), value));
        }
        mended
    }

    /// A union with a kind that can be read; None where none was chosen.
    fn union(&self, node: &Node, shape: &Shape, path: &str) -> Option<Node> {
        let Shape::Union { kinds, .. } = shape else { return None };
        let (kinds, beside) = (kinds(), shape.beside());
        let kind_of = |word: Option<&str>| kinds.iter().find(|kind| Some(kind.name) == word);
        let empty = node.empty_map();
        let (kind, payload, entries) = match &node.kind {
            Kind::Map(entries) => {
                let chosen: Vec<_> =
                    entries.iter().filter_map(|(key, value)| Some((kind_of(key.text())?, value))).collect();
                let (kind, value) = *chosen.get(self.way % chosen.len().max(1))?;
                (kind, value, entries.as_slice())
            }
            _ => (kind_of(node.text())?, &empty, [].as_slice()),
        };
        let here = join(path, kind.name);
        let below = format!("{here}.");
        // Weights are by names that only the data knows, so there is no mending some of them.
        if matches!(kind.shape, Shape::Weights { .. })
            && self.broken.iter().any(|broken| *broken == here || broken.starts_with(&below))
        {
            return None;
        }
        let payload = if matches!(payload.kind, Kind::Scalar(Value::Null)) { &empty } else { payload };
        let mut all = vec![(
            node.with(Kind::Scalar(Value::Text(kind.name.into()))),
            self.mend(payload, &kind.shape, None, &here),
        )];
        let others: Vec<(Node, Node)> =
            entries.iter().filter(|(key, _)| kind_of(key.text()).is_none()).cloned().collect();
        all.extend(self.fields(node, &others, &beside, path));
        Some(node.with(Kind::Map(all)))
    }

    /// What stands in for what cannot be read: its default, or something else in each way.
    fn stand_in(&self, node: &Node, shape: &Shape, default: Option<&Value>, path: &str) -> Node {
        let value = match default {
            Some(default) if self.way == 0 => default.clone(),
            // Places that are broken in the same spec must not all change in step.
            _ => some(shape, self.way + path.bytes().map(usize::from).sum::<usize>() * usize::from(self.way > 0), 0),
        };
        node.with(Node::from_value(&value).kind)
    }
}

/// Something that may stand there, another for each number.
fn some(shape: &Shape, number: usize, deep: usize) -> Value {
    match shape {
        Shape::Int { min, max, .. } => {
            let middle = |value: i64| value.clamp(*min, *max);
            Value::Int([*min, *max, middle(8), middle(64), middle(3)][number % 5])
        }
        Shape::Float { min, max, .. } => {
            let middle = |value: f64| value.clamp(*min, *max);
            Value::Float([*min, *max, middle(1.0), middle(0.1), (min + max) / 2.0][number % 5])
        }
        Shape::Bool => Value::Bool(number.is_multiple_of(2)),
        Shape::Choice { words, .. } => Value::Text(words[number % words.len()].0.into()),
        Shape::Names { .. } => Value::Text("all".into()),
        Shape::Weights { .. } => Value::Map(vec![("?".into(), Value::Float(1.0))]),
        Shape::Optional(_) if number.is_multiple_of(2) => Value::Null,
        Shape::Optional(inner) => some(inner, number / 2, deep),
        Shape::List { item, min, .. } => {
            let items = if deep < DEEP && number % 2 == 1 { (*min).max(1) } else { *min };
            Value::List((0..items).map(|index| some(item, number + index, deep + 1)).collect())
        }
        Shape::Record { fields, .. } => Value::Map(some_fields(&fields(), number, deep)),
        Shape::Union { kinds, .. } => {
            let kinds = kinds();
            let kind = if deep < DEEP { number % kinds.len() } else { 0 };
            let mut all = vec![(kinds[kind].name.to_owned(), some(&kinds[kind].shape, number / kinds.len(), deep + 1))];
            all.extend(some_fields(&shape.beside(), number, deep));
            Value::Map(all)
        }
    }
}

/// What must be written, and every other time the rest.
fn some_fields(fields: &[Field], number: usize, deep: usize) -> Vec<(String, Value)> {
    let written = fields.iter().filter(|field| field.default.is_none() || (number % 2 == 1 && deep < DEEP));
    written.map(|field| (field.name.to_owned(), some(&field.shape, number, deep + 1))).collect()
}
