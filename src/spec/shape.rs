//! What may stand where in a spec, as data: the JSON Schema, the reference and the knob view are walks over it.

use super::value::Value;

/// What may stand at one place.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A whole number.
    Int { min: i64, max: i64, log: bool },
    /// A number.
    Float { min: f64, max: f64, log: bool },
    /// `true` or `false`.
    Bool,
    /// One of several words, each with its meaning.
    Choice { name: &'static str, doc: &'static str, words: &'static [(&'static str, &'static str)] },
    /// `all`, or a list of names from the data.
    Names { what: &'static str },
    /// Weights by name.
    Weights { what: &'static str },
    /// It, or `null`.
    Optional(Box<Shape>),
    /// Items of one shape.
    List { item: Box<Shape>, min: usize, max: usize },
    /// Named fields. They are asked for when they are needed, because a record may contain itself; so may a union.
    Record { name: &'static str, doc: &'static str, fields: fn() -> Vec<Field> },
    /// One of several kinds, perhaps with the fields of a record beside it.
    Union { name: &'static str, doc: &'static str, kinds: fn() -> Vec<Field>, beside: Option<Box<Shape>> },
}

/// A named part.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name in a spec.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
    /// What may stand there.
    pub(crate) shape: Shape,
    /// What stands there if nothing is written; None where it must be written.
    pub(crate) default: Option<Value>,
}

impl Shape {
    /// A record's fields; none for anything else.
    pub(crate) fn fields(&self) -> Vec<Field> {
        match self {
            Self::Record { fields, .. } => fields(),
            _ => Vec::new(),
        }
    }

    /// Whether an empty map is a valid value: every field has a default.
    pub(crate) fn can_be_empty(&self) -> bool {
        match self {
            Self::Record { fields, .. } => fields().iter().all(|field| field.default.is_some()),
            _ => false,
        }
    }

    /// The fields that may stand beside a union's kind; none for anything else.
    pub(crate) fn beside(&self) -> Vec<Field> {
        match self {
            Self::Union { beside: Some(record), .. } => record.fields(),
            _ => Vec::new(),
        }
    }

    /// What may stand there, in a few words for messages.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Int { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::Float { min, max, .. } => format!("a number from {min} to {max}"),
            Self::Bool => "true or false".into(),
            Self::Choice { words, .. } => {
                format!("one of {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "))
            }
            Self::Names { what } => format!("`all` or a list of {what} names"),
            Self::Weights { what } => format!("a map from {what} to weight"),
            Self::Optional(inner) => format!("{} or null", inner.words()),
            Self::List { min, max, .. } => format!("a list of {min} to {max}"),
            Self::Record { fields, .. } => {
                format!("a map with {}", fields().iter().map(|field| field.name).collect::<Vec<_>>().join(", "))
            }
            Self::Union { kinds, .. } => {
                format!("one of {}", kinds().iter().map(|kind| kind.name).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Which kind of a union a value is, and that kind's payload.
pub(crate) fn chosen(value: &Value, kinds: &[Field]) -> Option<(String, Value)> {
    match value {
        Value::Text(word) => Some((word.clone(), Value::Map(Vec::new()))),
        Value::Map(entries) => entries.iter().find(|(key, _)| kinds.iter().any(|kind| kind.name == key)).cloned(),
        _ => None,
    }
}
