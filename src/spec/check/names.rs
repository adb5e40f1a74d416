//! Names in a spec that must be names of the data: feature sets and targets, wherever the language has them.

use super::{DataFacts, Refuse};
use crate::spec::error::nearest;
use crate::spec::language::Spec;
use crate::spec::piece::{Piece, join};
use crate::spec::shape::{Field, Shape, chosen};
use crate::spec::value::Value;

/// Every name that the data does not have, at its own place in the list.
pub(super) fn rules(spec: &Spec, facts: &DataFacts, refuse: &mut Refuse<'_>) {
    let sets: Vec<&str> = facts.feature_sets.iter().map(|(name, _)| name.as_str()).collect();
    let targets: Vec<&str> = facts.targets.iter().map(String::as_str).collect();
    let mut check = |what: &str, path: &str, name: &str| {
        let (allowed, what) = match what {
            "feature set" => (&sets, "feature set"),
            "target" => (&targets, "training target"),
            _ => return,
        };
        if !allowed.contains(&name) {
            let near = nearest(name, allowed);
            refuse(path, format!("the protocol has no {what} `{name}`; it has {}.{near}", allowed.join(", ")));
        }
    };
    walk(&spec.canonical(), &Spec::shape(&()), "", &mut check);
}

/// Visits every name of every list of names: what it is a name of, its path, and the name. Weights by name are left out;
/// they go by the names that are trained on (`targets.rs`).
fn walk(value: &Value, shape: &Shape, path: &str, visit: &mut dyn FnMut(&str, &str, &str)) {
    match (shape, value) {
        (Shape::Names { what }, Value::List(names)) => {
            for (index, name) in names.iter().enumerate() {
                if let Value::Text(name) = name {
                    visit(what, &format!("{path}[{index}]"), name);
                }
            }
        }
        (Shape::Optional(inner), _) => walk(value, inner, path, visit),
        (Shape::List { item, .. }, Value::List(items)) => {
            for (index, entry) in items.iter().enumerate() {
                walk(entry, item, &format!("{path}[{index}]"), visit);
            }
        }
        (Shape::Record { fields, .. }, _) => walk_fields(value, &fields(), path, visit),
        (Shape::Union { kinds, .. }, _) => {
            let kinds = kinds();
            if let Some((word, payload)) = chosen(value, &kinds)
                && let Some(kind) = kinds.iter().find(|kind| kind.name == word)
            {
                walk(&payload, &kind.shape, &join(path, &word), visit);
            }
            walk_fields(value, &shape.beside(), path, visit);
        }
        _ => {}
    }
}

fn walk_fields(value: &Value, fields: &[Field], path: &str, visit: &mut dyn FnMut(&str, &str, &str)) {
    for field in fields {
        if let Some(inner) = value.get(field.name) {
            walk(inner, &field.shape, &join(path, field.name), visit);
        }
    }
}
