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
    Choice(&'static [(&'static str, &'static str)]),
    /// `all`, or a list of names from the data.
    Names { what: &'static str },
    /// Weights by name.
    Weights { what: &'static str },
    /// It, or `null`.
    Optional(Box<Shape>),
    /// Items of one shape.
    List { item: Box<Shape>, min: usize, max: usize },
    /// Named fields.
    Record { name: &'static str, doc: &'static str, fields: fn() -> Vec<Field> },
    /// One of several kinds, perhaps with fields beside it.
    Union { name: &'static str, doc: &'static str, kinds: Vec<Field>, beside: Vec<Field> },
    /// A shape that may contain itself.
    Lazy { name: &'static str, of: fn() -> Shape },
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

    /// The shape itself where it was given lazily.
    pub(crate) fn resolved(&self) -> Shape {
        match self {
            Self::Lazy { of, .. } => of(),
            other => other.clone(),
        }
    }

    /// Whether an empty map is a valid value: every field has a default.
    pub(crate) fn can_be_empty(&self) -> bool {
        match self {
            Self::Record { fields, .. } => fields().iter().all(|field| field.default.is_some()),
            _ => false,
        }
    }
}
