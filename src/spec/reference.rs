//! The language as a reference for people and prompts, generated from the types so that it cannot drift. docs/spec.md is
//! its copy in the repository.
//!
//! It is shown whole in prompts, so it is compact: one line a field, and what has been said is not said again.

use std::collections::{BTreeMap, BTreeSet};

use super::examples;
use super::knobs::strip;
use super::language::Spec;
use super::piece::Piece;
use super::schema::plain;
use super::shape::{Field, Shape};
use super::value::Value;

/// How to read what follows.
const NOTATION: &str = "\
A line `name` range = `default`: meaning. A name without a default must be written. `a..b` is a number, `int a..b` a whole
one, `{…}` fields that all have defaults. One of several kinds is written `kind: { fields }`, or as the bare word where
the defaults will do. A type in capitals is spelled out where it first stands. Everything after e.g. is valid: a kind
alone stands where its kinds are listed, `[…]` is the whole list there, `{…}` are fields of the spec.";

/// Markdown: every field with its range, default and meaning; every kind of block, loss, optimizer, schedule and the rest,
/// each with an example.
pub fn markdown() -> String {
    reference_of(&Spec::shape(&()))
}

/// The reference of a record: a section for each field that is more than a number.
pub(super) fn reference_of(shape: &Shape) -> String {
    let Shape::Record { name, doc, fields } = shape else { return String::new() };
    let mut writer = Writer { out: format!("# model.yaml\n\n{}\n\n{NOTATION}\n\n", plain(doc)), said: BTreeSet::new() };
    let fields = fields();
    let (plain_fields, sections): (Vec<&Field>, Vec<&Field>) =
        fields.iter().partition(|field| named(&field.shape).is_none());
    for field in plain_fields {
        writer.field(name, field, 0);
    }
    for field in sections {
        let default = field
            .default
            .as_ref()
            .map_or_else(|| " Required.".into(), |value| format!(" Default `{}`.", strip(value, &field.shape)));
        let label = match &field.shape {
            Shape::List { min, max, .. } => format!(" A list of {min}..{max}."),
            _ => String::new(),
        };
        writer.out.push_str(&format!("\n## {}\n{}{label}{default}\n", field.name, plain(field.doc)));
        writer.example(name, field.name, 0);
        writer.body(&field.shape, 0);
    }
    writer.out
}

struct Writer {
    out: String,
    /// Types that are spelled out already.
    said: BTreeSet<&'static str>,
}

impl Writer {
    fn line(&mut self, depth: usize, text: &str) {
        self.out.push_str(&format!("{}- {text}\n", "  ".repeat(depth)));
    }

    fn example(&mut self, owner: &str, word: &str, depth: usize) {
        if let Some(example) = examples::of(owner, word) {
            self.out.push_str(&format!("{}e.g. `{example}`\n", "  ".repeat(depth)));
        }
    }

    /// A field on a line of its own, and below it what it is made of.
    fn field(&mut self, owner: &str, field: &Field, depth: usize) {
        let new = self.is_new(&field.shape);
        let words = if new { spelled_out(&field.shape, field.doc) } else { String::new() };
        let (label, default) = (label(&field.shape), default(field));
        self.line(depth, &format!("`{}` {label}{default}: {}{words}", field.name, plain(field.doc)));
        self.example(owner, field.name, depth + 1);
        if new {
            self.body(&field.shape, depth + 1);
        }
    }

    /// What a type is made of, where that is not said yet.
    fn body(&mut self, shape: &Shape, depth: usize) {
        match shape {
            Shape::Optional(inner) => self.body(inner, depth),
            Shape::List { item, .. } => self.body(item, depth),
            Shape::Record { name, doc, fields } if self.said.insert(name) => {
                self.explain(doc, depth);
                for field in fields() {
                    self.field(name, &field, depth);
                }
            }
            Shape::Union { name, doc, kinds, beside } => {
                if self.said.insert(name) {
                    self.explain(doc, depth);
                    if depth == 0 {
                        self.out.push_str("One of:\n");
                    }
                    let mut known = BTreeMap::new();
                    for kind in kinds() {
                        self.kind(name, &kind, depth, &mut known);
                    }
                }
                if let Some(record) = beside.as_deref().filter(|record| self.is_new(record)) {
                    self.line(depth, "beside any of them:");
                    self.body(record, depth + 1);
                }
            }
            Shape::Choice { name, .. } => {
                self.said.insert(name);
            }
            _ => {}
        }
    }

    /// What a type says about itself, unless its field has said it in the same words.
    fn explain(&mut self, doc: &str, depth: usize) {
        let doc = plain(doc);
        if !self.out.contains(&doc) {
            self.out.push_str(&format!("{}{doc}\n", "  ".repeat(depth)));
        }
    }

    /// A kind of a union. Fields that an earlier kind explained in the same words are only named.
    fn kind(
        &mut self,
        union: &str,
        kind: &Field,
        depth: usize,
        known: &mut BTreeMap<(&'static str, String), &'static str>,
    ) {
        let payload = match &kind.shape {
            Shape::Record { .. } => String::new(),
            other => format!(" {}", label(other)),
        };
        let doc = match &kind.shape {
            // What an empty record is called says nothing that its kind does not.
            Shape::Record { doc, fields, .. } if !fields().is_empty() => format!("{} {}", plain(kind.doc), plain(doc)),
            _ => plain(kind.doc),
        };
        let words = if self.is_new(&kind.shape) { spelled_out(&kind.shape, kind.doc) } else { String::new() };
        self.line(depth, &format!("**`{}`**{payload}: {doc}{words}", kind.name));
        self.example(union, kind.name, depth + 1);
        let Shape::Record { fields, .. } = &kind.shape else {
            self.body(&kind.shape, depth + 1);
            return;
        };
        let mut as_before: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for field in fields() {
            let words = (field.name, format!("{} {}", label(&field.shape), plain(field.doc)));
            match known.get(&words) {
                Some(earlier) => {
                    let named = format!("`{}`{}", field.name, default(&field));
                    as_before.entry(earlier).or_default().push(named);
                }
                None => {
                    known.insert(words, kind.name);
                    self.field(kind.name, &field, depth + 1);
                }
            }
        }
        for (earlier, fields) in as_before {
            self.line(depth + 1, &format!("as in `{earlier}`: {}", fields.join(", ")));
        }
    }

    /// Whether a type has yet to be spelled out.
    fn is_new(&self, shape: &Shape) -> bool {
        match named(shape) {
            Some(name) => !self.said.contains(name),
            None => false,
        }
    }
}

/// The name of what a shape is or holds, if it has one.
fn named(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Optional(inner) => named(inner),
        Shape::List { item, .. } => named(item),
        Shape::Choice { name, .. } | Shape::Record { name, .. } | Shape::Union { name, .. } => Some(name),
        _ => None,
    }
}

/// The words of a choice with their meanings, after what the choice says beyond `said`; nothing for other shapes.
fn spelled_out(shape: &Shape, said: &str) -> String {
    match shape {
        Shape::Optional(inner) => spelled_out(inner, said),
        Shape::List { item, .. } => spelled_out(item, said),
        Shape::Choice { doc, words, .. } => {
            let words: Vec<String> = words.iter().map(|(word, doc)| format!("`{word}` {}", plain(doc))).collect();
            let about = if plain(said).contains(&plain(doc)) { String::new() } else { format!(" {}", plain(doc)) };
            format!("{about} {}", words.join(" | "))
        }
        _ => String::new(),
    }
}

fn default(field: &Field) -> String {
    field.default.as_ref().map_or_else(String::new, |value| format!(" = `{}`", strip(value, &field.shape)))
}

/// A shape in a few words.
fn label(shape: &Shape) -> String {
    match shape {
        Shape::Int { min, max, .. } => format!("int {min}..{max}"),
        Shape::Float { min, max, .. } => format!("{}..{}", short(*min), short(*max)),
        Shape::Bool => "true or false".into(),
        Shape::Names { what } => format!("`all` or [{what}, …]"),
        Shape::Weights { what } => format!("{{ {what}: weight, … }}"),
        Shape::Optional(inner) => format!("{} or null", label(inner)),
        Shape::List { item, min, max } => format!("[{min}..{max} × {}]", label(item)),
        Shape::Choice { name, .. } | Shape::Record { name, .. } | Shape::Union { name, .. } => (*name).to_owned(),
    }
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e6 { format!("{number}") } else { Value::Float(number).to_string() }
}
