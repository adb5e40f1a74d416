//! Names that come from the data, as a spec may use them: `all` or a list, and weights by name.

use super::error::SpecError;
use super::node::{Kind, Node};
use super::piece::{Piece, join, refuse};
use super::shape::Shape;
use super::value::Value;

/// All that the protocol allows, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All.
    All,
    /// These, in this order.
    Only(Vec<String>),
}

/// The most names in one list.
pub(super) const MAX_NAMES: usize = 256;
/// The most that a name weighs.
pub(super) const MAX_WEIGHT: f64 = 1e6;

impl Piece for Names {
    type Rule = &'static str;

    fn read(node: &Node, what: &&'static str, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        if node.text() == Some("all") {
            return Some(Self::All);
        }
        let Kind::List(items) = &node.kind else {
            refuse(errors, node, path, format!("found {}, wanted `all` or a list of {what} names", node.describe()));
            return None;
        };
        if items.is_empty() || items.len() > MAX_NAMES {
            refuse(errors, node, path, format!("{} names, wanted 1 to {MAX_NAMES}", items.len()));
            return None;
        }
        let mut names: Vec<String> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.text() {
                Some(name) if names.iter().any(|known| known == name) => {
                    refuse(errors, item, &format!("{path}[{index}]"), format!("`{name}` stands twice"));
                }
                Some(name) => names.push(name.to_owned()),
                None => refuse(
                    errors,
                    item,
                    &format!("{path}[{index}]"),
                    format!("found {}, wanted the name of a {what}", item.describe()),
                ),
            }
        }
        Some(Self::Only(names))
    }

    fn write(&self) -> Value {
        match self {
            Self::All => Value::Text("all".into()),
            Self::Only(names) => Value::List(names.iter().cloned().map(Value::Text).collect()),
        }
    }

    fn shape(what: &&'static str) -> Shape {
        Shape::Names { what }
    }
}

/// Weights by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights(pub Vec<(String, f64)>);

impl Piece for Weights {
    type Rule = &'static str;

    fn read(node: &Node, what: &&'static str, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            refuse(errors, node, path, format!("found {}, wanted a map from {what} to weight", node.describe()));
            return None;
        };
        if entries.len() > MAX_NAMES {
            refuse(errors, node, path, format!("{} weights, at most {MAX_NAMES}", entries.len()));
            return None;
        }
        let read: Vec<Option<(String, f64)>> = entries
            .iter()
            .map(|(key, value)| {
                let name = key.text().unwrap_or_default().to_owned();
                let weight = f64::read(value, &super::piece::float(0.0, MAX_WEIGHT), &join(path, &name), errors)?;
                Some((name, weight))
            })
            .collect();
        let mut weights = read.into_iter().collect::<Option<Vec<_>>>()?;
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            refuse(errors, node, path, "at least one weight must be above 0".into());
            return None;
        }
        weights.sort_by(|a, b| a.0.cmp(&b.0));
        Some(Self(weights))
    }

    fn write(&self) -> Value {
        Value::Map(self.0.iter().map(|(name, weight)| (name.clone(), Value::Float(*weight))).collect())
    }

    fn shape(what: &&'static str) -> Shape {
        Shape::Weights { what }
    }
}
