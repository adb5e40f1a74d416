//! YAML text as a tree that remembers lines and columns. What a stranger wrote is bounded here in size and depth.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::error::{SpecError, SpecErrors};
use super::piece::{join, refuse};
use super::value::Value;
use super::yaml::{refusal, strict};

/// The largest spec that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// The deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 32;

/// A value with its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// 1-based; 0 where there is no text.
    pub(crate) line: usize,
    /// 1-based.
    pub(crate) column: usize,
    /// What stands there.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A scalar: null, bool, number or text.
    Scalar(Value),
    /// Items.
    List(Vec<Node>),
    /// Entries, in the order of the text.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Reads YAML text.
    ///
    /// # Errors
    /// Text that is no YAML, or too large.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self, SpecErrors> {
        let fail = |line: usize, column: usize, message: String| SpecErrors {
            origin: origin.to_owned(),
            errors: vec![SpecError { line, column, path: String::new(), message }],
        };
        if text.len() > MAX_BYTES {
            return Err(fail(0, 0, format!("{} bytes; a spec has at most {MAX_BYTES}", text.len())));
        }
        if text.trim().is_empty() {
            return Err(fail(1, 1, "empty; a spec has at least `version: 1` and `network: […]`".into()));
        }
        let tree: Spanned<Raw> = serde_yaml::from_str_with_options(text, strict()).map_err(|error| {
            let (line, column, message) = refusal(&error);
            fail(line, column, message)
        })?;
        Ok(convert(tree))
    }

    /// Adds that it is nested too deep. Specs that code built are held to it too, for they are written and read again.
    pub(crate) fn too_deep(&self, errors: &mut Vec<SpecError>) {
        if self.depth() > MAX_DEPTH {
            refuse(errors, self, "", format!("nested more than {MAX_DEPTH} deep"));
        }
    }

    /// Adds every key that a map has twice.
    pub(crate) fn keys_twice(&self, path: &str, errors: &mut Vec<SpecError>) {
        match &self.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.keys_twice(&format!("{path}[{index}]"), errors);
                }
            }
            Kind::Map(entries) => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    let here = join(path, key.text().unwrap_or_default());
                    match entries[..index].iter().find(|(before, _)| before.text() == key.text()) {
                        Some((before, _)) => {
                            let message = format!("it stands in line {} already; say it once", before.line);
                            refuse(errors, key, &here, message);
                        }
                        None => value.keys_twice(&here, errors),
                    }
                }
            }
        }
    }

    /// A tree without places, for specs that were built by code.
    pub(crate) fn from_value(value: &Value) -> Self {
        let kind = match value {
            Value::List(items) => Kind::List(items.iter().map(Self::from_value).collect()),
            Value::Map(entries) => Kind::Map(
                entries
                    .iter()
                    .map(|(key, value)| (Self::from_value(&Value::Text(key.clone())), Self::from_value(value)))
                    .collect(),
            ),
            scalar => Kind::Scalar(scalar.clone()),
        };
        Self { line: 0, column: 0, kind }
    }

    /// The tree without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Kind::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.text().unwrap_or_default().to_owned(), value.to_value()))
                    .collect(),
            ),
        }
    }

    /// An empty map at this node's place.
    pub(crate) fn empty_map(&self) -> Self {
        self.with(Kind::Map(Vec::new()))
    }

    /// Something else at this node's place.
    pub(crate) fn with(&self, kind: Kind) -> Self {
        Self { line: self.line, column: self.column, kind }
    }

    /// What it is, for error messages.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(value) => value.describe(),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Map(_) => "a map".into(),
        }
    }

    /// The text in it, if it is a word.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Line and column of a path such as `network[0].dense.width`, or of the nearest part of it that was written.
    pub(crate) fn place(&self, path: &str) -> (usize, usize) {
        let mut at = (self.line, self.column);
        let mut here = self;
        for part in path.split('.').flat_map(|part| part.split('[')) {
            let next = match &here.kind {
                Kind::Map(entries) => entries
                    .iter()
                    .find(|(key, _)| key.text() == Some(part))
                    .map(|(key, value)| ((key.line, key.column), value)),
                Kind::List(items) => part
                    .trim_end_matches(']')
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| ((item.line, item.column), item)),
                Kind::Scalar(_) => None,
            };
            let Some((place, value)) = next else { break };
            at = place;
            here = value;
        }
        at
    }

    fn depth(&self) -> usize {
        match &self.kind {
            Kind::Scalar(_) => 1,
            Kind::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
        }
    }
}

fn convert(spanned: Spanned<Raw>) -> Node {
    let (line, column) = (spanned.referenced.line() as usize, spanned.referenced.column() as usize);
    let kind = match spanned.value {
        Raw::Scalar(value) => Kind::Scalar(value),
        Raw::List(items) => Kind::List(items.into_iter().map(convert).collect()),
        Raw::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let place = (key.referenced.line() as usize, key.referenced.column() as usize);
                    (
                        Node { line: place.0, column: place.1, kind: Kind::Scalar(Value::Text(key.value)) },
                        convert(value),
                    )
                })
                .collect(),
        ),
    };
    Node { line, column, kind }
}

/// The tree as serde hands it over.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(flag)))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Int(whole)))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(i64::try_from(whole).map_or(Value::Float(whole as f64), Value::Int)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
