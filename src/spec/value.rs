//! The canonical form of a spec: a plain tree of values, every default filled, in the language's own order.
//!
//! The hash, the diff and the knob view are taken from this tree, so that two ways of writing the same model are one.

use std::fmt;

/// A value of the spec language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A word.
    Text(String),
    /// Items in order.
    List(Vec<Value>),
    /// Entries in the language's own order; keys are distinct.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The entry under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match self {
            Self::Map(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The number in it, whole or not.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(whole) => Some(*whole as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// What it is, for error messages: `a map`, `the number 3`, `the word "relu"`.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(flag) => format!("{flag}"),
            Self::Int(_) | Self::Float(_) => format!("the number {self}"),
            Self::Text(text) => format!("the text {:?}", cap(text)),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Map(_) => "a map".into(),
        }
    }

    /// JSON with keys in alphabetical order: the text that the spec hash is taken of.
    pub(crate) fn hash_text(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(whole) => whole.to_string(),
            // Adding zero folds -0 into 0; the shortest form that reads back is the same for equal numbers.
            Self::Float(number) => format!("{:?}", number + 0.0),
            Self::Text(text) => format!("{text:?}"),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::hash_text).collect::<Vec<_>>().join(","))
            }
            Self::Map(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                let parts: Vec<_> =
                    sorted.iter().map(|(key, value)| format!("{key:?}:{}", value.hash_text())).collect();
                format!("{{{}}}", parts.join(","))
            }
        }
    }
}

fn cap(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(60).collect::<String>())
    }
}

/// The value on one line, as YAML's flow form.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(flag) => write!(formatter, "{flag}"),
            Self::Int(whole) => write!(formatter, "{whole}"),
            Self::Float(number) => formatter.write_str(&number_text(*number)),
            Self::Text(text) => formatter.write_str(&word_text(text)),
            Self::List(items) if items.is_empty() => formatter.write_str("[]"),
            Self::List(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                formatter.write_str("]")
            }
            Self::Map(entries) if entries.is_empty() => formatter.write_str("{}"),
            Self::Map(entries) => {
                formatter.write_str("{ ")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(formatter, "{}{}: {value}", if index == 0 { "" } else { ", " }, word_text(key))?;
                }
                formatter.write_str(" }")
            }
        }
    }
}

/// A number for messages: as many digits as it takes, and never hundreds of them.
pub(crate) fn short_number(number: f64) -> String {
    let size = number.abs();
    if number.is_finite() && size != 0.0 && !(1e-7..1e15).contains(&size) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// A number as people write it: `0.001`, `1.2e-4`, `8192.0`.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e9).contains(&size) { format!("{number:?}") } else { format!("{number:e}") }
}

/// A plain scalar where YAML would read it back as the same text, else a quoted one.
fn word_text(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf"
        );
    if plain { text.to_owned() } else { quoted(text) }
}

/// A double-quoted scalar, everything but printable ASCII written as YAML's escapes.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        c if u32::from(c) <= 0xFFFF => format!("\\u{:04X}", u32::from(c)),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Lines longer than this are broken into block form.
const LINE: usize = 110;

/// YAML that a person likes to read in a diff: what fits on a line stays on a line, one list item a line.
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    if let Value::Map(entries) = value {
        for (key, value) in entries {
            emit_entry(&mut out, key, value, 0);
        }
    }
    out
}

fn emit_entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    let key = word_text(key);
    let flow = value.to_string();
    let fits = indent + key.len() + 2 + flow.len() <= LINE;
    match value {
        Value::List(items) if items.len() > 1 || !fits => {
            let scalars = items.iter().all(|item| !matches!(item, Value::List(_) | Value::Map(_)));
            if scalars && fits {
                out.push_str(&format!("{pad}{key}: {flow}\n"));
            } else {
                out.push_str(&format!("{pad}{key}:\n"));
                for item in items {
                    emit_item(out, item, indent + 2);
                }
            }
        }
        Value::Map(entries) if !fits => {
            out.push_str(&format!("{pad}{key}:\n"));
            for (key, value) in entries {
                emit_entry(out, key, value, indent + 2);
            }
        }
        _ => out.push_str(&format!("{pad}{key}: {flow}\n")),
    }
}

fn emit_item(out: &mut String, item: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    // A block such as `dense: { … }` reads best without braces of its own.
    if let Value::Map(entries) = item
        && let [(key, value)] = entries.as_slice()
    {
        let mut inner = String::new();
        emit_entry(&mut inner, key, value, indent + 2);
        out.push_str(&format!("{pad}- {}", &inner[indent + 2..]));
        return;
    }
    out.push_str(&format!("{pad}- {item}\n"));
}
