//! Every kind of the language has an example, and every example is a whole spec that can be trained.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::facts::{long_folds, side_by_side};
use crate::spec::node::Node;
use crate::spec::piece::Piece;
use crate::spec::shape::{Field, Shape, chosen};
use crate::spec::{DataFacts, Spec, Value, examples as table, reference, value};

/// An example of the reference as a whole spec.
pub(crate) struct Example {
    /// What it is an example of: `Block.dense`.
    pub(crate) what: String,
    /// The spec.
    pub(crate) yaml: String,
}

/// The data that examples speak of: the `demo` protocol's.
pub(crate) fn facts() -> DataFacts {
    let names = ["target_ender_20", "target_ender_60", "target_cyrusd_20", "target_cyrusd_60"];
    DataFacts {
        feature_sets: side_by_side([("serenity", 7), ("wisdom", 5), ("sunshine", 4)]),
        features: 16,
        targets: names.map(str::to_owned).into(),
        rows: 4_000,
        eras: 80,
        folds: long_folds(4),
        seeds: 3,
    }
}

/// Every example of the language.
pub(crate) fn examples() -> Vec<Example> {
    let places = places();
    let whole = |(owner, word, text): &(&str, &str, &str)| {
        let fragment = Node::parse(text, text).unwrap_or_else(|error| panic!("{owner}.{word}: {error}")).to_value();
        let yaml = value::to_yaml(&placed(fragment, word, places.get(owner)));
        Example { what: format!("{owner}.{word}"), yaml }
    };
    table::all().iter().map(whole).collect()
}

/// A fragment in a small spec.
fn placed(fragment: Value, word: &str, place: Option<&Place>) -> Value {
    let dense = Value::Map(vec![("dense".into(), Value::Map(vec![("width".into(), Value::Int(8))]))]);
    let mut spec = vec![("network".to_owned(), Value::List(vec![dense]))];
    let is_kind = fragment.get(word).is_some() || fragment == Value::Text(word.into());
    let fields = match (fragment, place) {
        (list @ Value::List(_), Some(place)) => place.holding(list),
        (kind, Some(place)) if is_kind && place.in_list => place.holding(Value::List(vec![kind])),
        (kind, Some(place)) if is_kind => place.holding(kind),
        (fields, _) => fields,
    };
    let Value::Map(fields) = fields else { panic!("the example of {word} is neither a kind nor fields of a spec") };
    for (name, value) in fields {
        spec.retain(|(known, _)| *known != name);
        spec.push((name, value));
    }
    Value::Map(spec)
}

/// Where a union stands in a spec.
struct Place {
    path: Vec<&'static str>,
    in_list: bool,
}

impl Place {
    /// Fields of a spec with a value at this place.
    fn holding(&self, value: Value) -> Value {
        self.path.iter().rev().fold(value, |inner, name| Value::Map(vec![((*name).to_owned(), inner)]))
    }
}

/// The nearest place of every union that stands in fields of fields of a spec, in a list or not.
fn places() -> BTreeMap<&'static str, Place> {
    let mut found = BTreeMap::new();
    let mut pending = vec![(Vec::new(), Spec::shape(&()), false)];
    while !pending.is_empty() {
        let mut next = Vec::new();
        for (path, shape, in_list) in pending {
            match shape {
                Shape::Optional(inner) => next.push((path, *inner, in_list)),
                Shape::List { item, .. } if !in_list => next.push((path, *item, true)),
                Shape::Record { fields, .. } if !in_list => {
                    for field in fields() {
                        next.push(([path.clone(), vec![field.name]].concat(), field.shape, false));
                    }
                }
                Shape::Union { name, .. } => {
                    found.entry(name).or_insert(Place { path, in_list });
                }
                _ => {}
            }
        }
        pending = next;
    }
    found
}

/// Visits every named type that a shape is made of, once.
pub(crate) fn each_type(shape: &Shape, seen: &mut BTreeSet<&'static str>, visit: &mut dyn FnMut(&Shape)) {
    let fields: Vec<Field> = match shape {
        Shape::Optional(inner) => return each_type(inner, seen, visit),
        Shape::List { item, .. } => return each_type(item, seen, visit),
        Shape::Record { name, fields, .. } if seen.insert(name) => fields(),
        Shape::Union { name, kinds, .. } if seen.insert(name) => kinds(),
        Shape::Choice { name, .. } if seen.insert(name) => Vec::new(),
        _ => return,
    };
    visit(shape);
    for field in fields {
        each_type(&field.shape, seen, visit);
    }
    if let Shape::Union { beside: Some(record), .. } = shape {
        each_type(record, seen, visit);
    }
}

/// (owner, word) of all that needs an example: every kind of a union, and every part of the spec that is a record of its
/// own or can be switched on.
fn wanted() -> BTreeSet<(&'static str, &'static str)> {
    let mut wanted = BTreeSet::new();
    each_type(&Spec::shape(&()), &mut BTreeSet::new(), &mut |shape| match shape {
        Shape::Union { name, kinds, .. } => wanted.extend(kinds().iter().map(|kind| (*name, kind.name))),
        Shape::Record { name, fields, .. } => {
            for field in fields() {
                let part = match &field.shape {
                    Shape::Record { .. } => *name == "Spec",
                    Shape::Optional(inner) => matches!(**inner, Shape::Record { .. }),
                    _ => false,
                };
                if part {
                    wanted.insert((*name, field.name));
                }
            }
        }
        _ => {}
    });
    wanted
}

#[test]
fn everything_has_one_example_in_the_table_and_nothing_else_does() {
    let had: Vec<(&str, &str)> = table::all().iter().map(|(owner, word, _)| (*owner, *word)).collect();
    let distinct: BTreeSet<_> = had.iter().copied().collect();
    assert_eq!(distinct.len(), had.len(), "an example stands twice");
    let missing: Vec<_> = wanted().difference(&distinct).copied().collect();
    assert!(missing.is_empty(), "add an example to src/spec/examples.rs for each of {missing:?}");
    let idle: Vec<_> = distinct.difference(&wanted()).copied().collect();
    assert!(idle.is_empty(), "the language has no such thing (any more): {idle:?}");
}

#[test]
fn every_example_is_a_spec_that_holds_what_it_is_an_example_of() {
    for example in examples() {
        let spec =
            Spec::parse(&example.yaml, &example.what).unwrap_or_else(|errors| panic!("{errors}\n{}", example.yaml));
        spec.check_data(&facts()).unwrap_or_else(|errors| panic!("{}: {errors}\n{}", example.what, example.yaml));
        let (owner, word) = example.what.split_once('.').expect("as made above");
        let mut held = BTreeSet::new();
        words(&spec.canonical(), &Spec::shape(&()), &mut held);
        assert!(
            owner == "Spec" || held.contains(&(owner.to_owned(), word.to_owned())),
            "{} is not in\n{}",
            example.what,
            example.yaml
        );
    }
}

/// Every kind of a union, word of a choice, and part that is switched on, that a value holds: (type, word).
pub(crate) fn words(value: &Value, shape: &Shape, found: &mut BTreeSet<(String, String)>) {
    let fields = |fields: &[Field], owner: &str, found: &mut BTreeSet<(String, String)>| {
        for field in fields {
            if let Some(inner) = value.get(field.name) {
                if matches!(field.shape, Shape::Optional(_)) && *inner != Value::Null {
                    found.insert((owner.to_owned(), field.name.to_owned()));
                }
                words(inner, &field.shape, found);
            }
        }
    };
    match (shape, value) {
        (Shape::Optional(inner), value) if *value != Value::Null => words(value, inner, found),
        (Shape::List { item, .. }, Value::List(items)) => items.iter().for_each(|entry| words(entry, item, found)),
        (Shape::Choice { name, .. }, Value::Text(word)) => {
            found.insert(((*name).to_owned(), word.clone()));
        }
        (Shape::Record { name, fields: all, .. }, _) => fields(&all(), name, found),
        (Shape::Union { name, kinds, beside, .. }, _) => {
            let kinds = kinds();
            if let Some((word, payload)) = chosen(value, &kinds) {
                found.insert(((*name).to_owned(), word.clone()));
                if let Some(kind) = kinds.iter().find(|kind| kind.name == word) {
                    words(&payload, &kind.shape, found);
                }
            }
            if let Some(Shape::Record { name, fields: all, .. }) = beside.as_deref() {
                fields(&all(), name, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_reference_in_the_repository_is_the_one_that_the_types_give() {
    let written = include_str!("../../../docs/spec.md");
    assert!(
        written == reference::markdown(),
        "docs/spec.md is not what the types say; make it anew:\n    cargo run -- schema --reference > docs/spec.md"
    );
}
