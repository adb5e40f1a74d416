//! Edits of a spec's canonical tree: places, blocks, terms of the loss. An edit may give a tree that is no valid spec;
//! that is found out when it is checked.

use crate::spec::Value;

/// A map with one entry.
pub(super) fn tagged(word: &str, fields: Vec<(&str, Value)>) -> Value {
    Value::Map(vec![(word.to_owned(), map(fields))])
}

/// A map.
pub(super) fn map(fields: Vec<(&str, Value)>) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The value at a path such as `network[0].dense.width`.
pub(super) fn at<'a>(tree: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut here = tree;
    for part in path.split('.') {
        let mut pieces = part.split('[');
        here = here.get_mut(pieces.next()?)?;
        for index in pieces {
            let index: usize = index.trim_end_matches(']').parse().ok()?;
            let Value::List(items) = here else { return None };
            here = items.get_mut(index)?;
        }
    }
    Some(here)
}

/// The same, to look at.
pub(super) fn peek<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = tree;
    for part in path.split('.') {
        let mut pieces = part.split('[');
        here = here.get(pieces.next()?)?;
        for index in pieces {
            let index: usize = index.trim_end_matches(']').parse().ok()?;
            let Value::List(items) = here else { return None };
            here = items.get(index)?;
        }
    }
    Some(here)
}

/// Turns a knob. For a union, `from` is the word of its present kind; the new kind takes its defaults, as does a part
/// that is switched on.
pub(super) fn turn(tree: &mut Value, path: &str, from: &Value, to: Value) -> Option<()> {
    let place = at(tree, path)?;
    match (&mut *place, from, &to) {
        (Value::Map(entries), Value::Text(old), Value::Text(new)) => {
            let entry = entries.iter_mut().find(|(key, _)| key == old)?;
            *entry = (new.clone(), Value::Map(Vec::new()));
        }
        (Value::Map(_) | Value::Null, Value::Bool(_), Value::Bool(on)) => {
            *place = if *on { Value::Map(Vec::new()) } else { Value::Null };
        }
        _ => *place = to,
    }
    Some(())
}

/// The fields of every dense block, however deep it stands, from the input to the output.
pub(super) fn dense_blocks(tree: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    if let Some(network) = tree.get_mut("network") {
        collect(network, &mut found);
    }
    found
}

fn collect<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::List(items) => items.iter_mut().for_each(|item| collect(item, found)),
        Value::Map(entries) => {
            for (word, inner) in entries {
                match (word.as_str(), inner) {
                    ("dense", fields) => found.push(fields),
                    (_, inner) => collect(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// How blocks nest, without what is in them: knobs of two nets have the same paths where this is equal.
pub(super) fn skeleton(tree: &Value) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::List(items) => {
                out.push('[');
                items.iter().for_each(|item| walk(item, out));
                out.push(']');
            }
            Value::Map(entries) => {
                for (word, inner) in entries.iter().filter(|(_, inner)| matches!(inner, Value::List(_) | Value::Map(_)))
                {
                    out.push_str(word);
                    out.push('(');
                    walk(inner, out);
                    out.push(')');
                }
            }
            _ => {}
        }
    }
    let mut out = String::new();
    if let Some(blocks) = tree.get("network") {
        walk(blocks, &mut out);
    }
    out
}

/// Sets a field in every dense block; whether anything changed.
pub(super) fn set_in_blocks(tree: &mut Value, field: &str, value: &Value) -> bool {
    let mut changed = false;
    for block in dense_blocks(tree) {
        if let Some(place) = block.get_mut(field)
            && place != value
        {
            *place = value.clone();
            changed = true;
        }
    }
    changed
}

/// Sets the value at a path; whether it exists and was another one.
pub(super) fn set(tree: &mut Value, path: &str, value: Value) -> bool {
    match at(tree, path) {
        Some(place) if *place != value => {
            *place = value;
            true
        }
        _ => false,
    }
}

/// The outermost blocks.
pub(super) fn blocks(tree: &mut Value) -> Option<&mut Vec<Value>> {
    match tree.get_mut("network") {
        Some(Value::List(blocks)) => Some(blocks),
        _ => None,
    }
}

/// The terms of the loss.
pub(super) fn loss_terms(tree: &mut Value) -> Option<&mut Vec<Value>> {
    match tree.get_mut("loss") {
        Some(Value::List(terms)) => Some(terms),
        _ => None,
    }
}

/// The word of a tagged value.
pub(super) fn word(value: &Value) -> &str {
    match value {
        Value::Map(entries) => entries.first().map_or("", |(word, _)| word),
        Value::Text(word) => word,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    fn tree(text: &str) -> Value {
        Spec::parse(text, "test").expect("a valid spec").canonical()
    }

    const BASE: &str = "network: [ { dense: { width: 64 } }, { residual: [ { dense: { width: 32 } } ] } ]\n";

    #[test]
    fn places_and_kinds() {
        let mut tree = tree(BASE);
        assert_eq!(at(&mut tree, "network[1].residual[0].dense.width"), Some(&mut Value::Int(32)));
        assert_eq!(at(&mut tree, "network[7].dense.width"), None);
        let (adam, sgd) = (Value::Text("adamw".into()), Value::Text("sgd".into()));
        turn(&mut tree, "optimizer", &adam, sgd).expect("a union");
        turn(&mut tree, "schedule", &Value::Text("constant".into()), Value::Text("cosine".into()))
            .expect("with fields beside");
        turn(&mut tree, "optimizer.lookahead", &Value::Bool(false), Value::Bool(true)).expect("a part switched on");
        let spec = Spec::from_value(&tree).expect("still a spec");
        assert!(spec.optimizer.beside.lookahead.is_some());
        assert!(spec.to_yaml().contains("sgd") && spec.to_yaml().contains("cosine"), "{}", spec.to_yaml());
        assert!(set_in_blocks(&mut tree, "activation", &Value::Text("gelu".into())));
        assert_eq!(dense_blocks(&mut tree).len(), 2);
        assert!(!set_in_blocks(&mut tree, "activation", &Value::Text("gelu".into())), "nothing left to change");
    }
}
