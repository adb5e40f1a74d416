//! The language as a reference for people and prompts, generated from the types so that it cannot drift.

use std::collections::BTreeSet;

use super::language::Spec;
use super::piece::Piece;
use super::shape::{Field, Shape};

/// Markdown: every field with its range, default and meaning; every kind of block, loss, optimizer and schedule.
pub fn markdown() -> String {
    let mut out = String::from("# model.yaml\n\n");
    let mut pending = vec![Spec::shape(&())];
    let mut seen = BTreeSet::new();
    while let Some(shape) = pending.pop() {
        section(&shape, &mut out, &mut pending, &mut seen);
    }
    out
}

fn section(shape: &Shape, out: &mut String, pending: &mut Vec<Shape>, seen: &mut BTreeSet<&'static str>) {
    let mut later = Vec::new();
    match shape.resolved() {
        Shape::Record { name, doc, fields } => {
            let fields = fields();
            if fields.is_empty() || !seen.insert(name) {
                return;
            }
            out.push_str(&format!("## {name}\n{}\n", doc.trim()));
            field_lines(&fields, out, &mut later);
            out.push('\n');
        }
        Shape::Union { name, doc, kinds, beside } => {
            if !seen.insert(name) {
                return;
            }
            out.push_str(&format!("## {name}\n{} One of:\n", doc.trim()));
            for kind in &kinds {
                let named = label(&kind.shape, &mut later);
                let fields = if named.is_empty() { String::new() } else { format!(" ({named})") };
                out.push_str(&format!("- `{}`{fields}: {}\n", kind.name, kind.doc.trim()));
            }
            if !beside.is_empty() {
                out.push_str("\nBeside it:\n");
                field_lines(&beside, out, &mut later);
            }
            out.push('\n');
        }
        _ => {}
    }
    pending.extend(later.into_iter().rev());
}

fn field_lines(fields: &[Field], out: &mut String, later: &mut Vec<Shape>) {
    for field in fields {
        let default =
            field.default.as_ref().map_or_else(|| "required".to_owned(), |value| format!("default `{value}`"));
        out.push_str(&format!(
            "- `{}` ({}; {default}): {}\n",
            field.name,
            label(&field.shape, later),
            field.doc.trim()
        ));
        if let Shape::Choice(words) = &field.shape {
            for (word, doc) in *words {
                out.push_str(&format!("  - `{word}`: {}\n", doc.trim()));
            }
        }
    }
}

/// A shape in a few words; shapes with a section of their own are queued for it.
fn label(shape: &Shape, later: &mut Vec<Shape>) -> String {
    match shape {
        Shape::Int { min, max, .. } => format!("whole number {min} to {max}"),
        Shape::Float { min, max, .. } => format!("number {min} to {max}"),
        Shape::Bool => "true or false".into(),
        Shape::Choice(words) => words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "),
        Shape::Names { what } => format!("`all` or a list of {what} names"),
        Shape::Weights { what } => format!("a map from {what} to weight"),
        Shape::Optional(inner) => format!("{} or null", label(inner, later)),
        Shape::List { item, min, max } => format!("list of {min} to {max}: {}", label(item, later)),
        Shape::Record { name, fields, .. } => {
            if fields().is_empty() {
                return String::new();
            }
            later.push(shape.clone());
            format!("see {name}")
        }
        Shape::Union { name, .. } | Shape::Lazy { name, .. } => {
            later.push(shape.clone());
            format!("see {name}")
        }
    }
}
