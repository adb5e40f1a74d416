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

/// The fields of every dense block, nested ones included, from the input to the output.
pub(super) fn dense_blocks(tree: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    if let Some(Value::List(blocks)) = tree.get_mut("network") {
        collect(blocks, &mut found);
    }
    found
}

fn collect<'a>(blocks: &'a mut [Value], found: &mut Vec<&'a mut Value>) {
    for block in blocks {
        let Value::Map(entries) = block else { continue };
        for (word, inner) in entries {
            match (word.as_str(), inner) {
                ("residual", Value::List(nested)) => collect(nested, found),
                ("dense", fields) => found.push(fields),
                _ => {}
            }
        }
    }
}

/// How blocks nest, without what is in them: knobs of two nets have the same paths where this is equal.
pub(super) fn skeleton(tree: &Value) -> String {
    fn walk(blocks: &Value, out: &mut String) {
        let Value::List(blocks) = blocks else { return };
        for block in blocks {
            let Value::Map(entries) = block else { continue };
            for (word, inner) in entries {
                out.push_str(word);
                out.push('[');
                walk(inner, out);
                out.push(']');
            }
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

/// Two edits of one tree put together: what `ours` changed, and else what `theirs` has. Where both changed the same
/// place, `ours` stands.
pub(super) fn merged(base: &Value, ours: &Value, theirs: &Value) -> Value {
    if ours == base {
        return theirs.clone();
    }
    if theirs == base || ours == theirs {
        return ours.clone();
    }
    match (base, ours, theirs) {
        (Value::Map(_), Value::Map(own), Value::Map(_)) => Value::Map(
            own.iter()
                .map(|(key, value)| match (base.get(key), theirs.get(key)) {
                    (Some(old), Some(other)) => (key.clone(), merged(old, value, other)),
                    _ => (key.clone(), value.clone()),
                })
                .collect(),
        ),
        (Value::List(old), Value::List(own), Value::List(other))
            if old.len() == own.len() && old.len() == other.len() =>
        {
            Value::List(old.iter().zip(own).zip(other).map(|((old, own), other)| merged(old, own, other)).collect())
        }
        _ => ours.clone(),
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

    #[test]
    fn two_edits_merge() {
        let base = tree(BASE);
        let ours = tree(&BASE.replace("64", "128"));
        let theirs = tree(&format!("{BASE}training: {{ epochs: 7 }}\n"));
        let both = tree(&format!("{}training: {{ epochs: 7 }}\n", BASE.replace("64", "128")));
        assert_eq!(merged(&base, &ours, &theirs), both);
        let theirs = tree(&BASE.replace("64", "256").replace("32", "16"));
        assert_eq!(merged(&base, &ours, &theirs), tree(&BASE.replace("64", "128").replace("32", "16")), "ours stands");
    }
}
