//! The JSON Schema against the reader: what one accepts the other does.

use std::collections::BTreeSet;

use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use serde_json::{Value as Json, json};

use super::examples::{each_type, examples};
use super::random;
use crate::spec::facts::{long_folds, side_by_side};
use crate::spec::piece::Piece;
use crate::spec::shape::Shape;
use crate::spec::{DataFacts, Spec, reference, schema};

/// Whether a document follows a schema, by the rules of draft 2020-12 for the keywords that our schema uses. A keyword
/// that is not known here fails, so that this checker cannot fall behind.
pub(super) fn follows(document: &Json, schema: &Json, root: &Json) -> bool {
    let Json::Object(rules) = schema else { panic!("{schema} is no schema") };
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" | "examples" => true,
        "$ref" => {
            let path = rule.as_str().and_then(|path| path.strip_prefix('#')).expect("a local reference");
            follows(document, root.pointer(path).expect("it exists"), root)
        }
        "const" => document == rule,
        "enum" => rule.as_array().expect("a list").contains(document),
        "not" => !follows(document, rule, root),
        "propertyNames" => {
            document.as_object().is_none_or(|fields| fields.keys().all(|name| follows(&json!(name), rule, root)))
        }
        "oneOf" => {
            let options = rule.as_array().expect("a list");
            options.iter().filter(|option| follows(document, option, root)).count() == 1
        }
        "type" => match rule.as_str().expect("a word") {
            "object" => document.is_object(),
            "array" => document.is_array(),
            "string" => document.is_string(),
            "boolean" => document.is_boolean(),
            "null" => document.is_null(),
            "number" => document.is_number(),
            "integer" => document.as_f64().is_some_and(|number| number.fract() == 0.0),
            other => panic!("the type {other} is not known here"),
        },
        "minimum" => document.as_f64().is_none_or(|number| Some(number) >= rule.as_f64()),
        "maximum" => document.as_f64().is_none_or(|number| Some(number) <= rule.as_f64()),
        "items" => document.as_array().is_none_or(|items| items.iter().all(|item| follows(item, rule, root))),
        "minItems" => document.as_array().is_none_or(|items| Some(items.len() as u64) >= rule.as_u64()),
        "maxItems" => document.as_array().is_none_or(|items| Some(items.len() as u64) <= rule.as_u64()),
        "uniqueItems" => document
            .as_array()
            .is_none_or(|items| items.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len() == items.len()),
        "maxProperties" => document.as_object().is_none_or(|fields| Some(fields.len() as u64) <= rule.as_u64()),
        "minProperties" => document.as_object().is_none_or(|fields| Some(fields.len() as u64) >= rule.as_u64()),
        "required" => document.as_object().is_none_or(|fields| {
            rule.as_array().expect("a list").iter().all(|name| fields.contains_key(name.as_str().expect("a name")))
        }),
        "properties" => document.as_object().is_none_or(|fields| {
            fields.iter().all(|(name, value)| rule.get(name).is_none_or(|schema| follows(value, schema, root)))
        }),
        "additionalProperties" => document.as_object().is_none_or(|fields| {
            let known = rules.get("properties").and_then(Json::as_object);
            let mut others = fields.iter().filter(|(name, _)| !known.is_some_and(|known| known.contains_key(*name)));
            others.all(|(_, value)| *rule != json!(false) && follows(value, rule, root))
        }),
        other => panic!("the keyword {other} is not known here"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_spec_follows_the_schema_long_and_short(spec in random::spec()) {
        let root = schema::json(None);
        let long = schema::to_json(&spec.canonical());
        prop_assert!(follows(&long, &root, &root), "{long}");
        let short: Json = serde_yaml::from_str(&spec.to_yaml()).expect("YAML");
        prop_assert!(follows(&short, &root, &root), "{short}");
    }
}

/// Every part of a document changed so that the language cannot have meant it: names misspelled, numbers beyond all
/// ranges, words of no meaning.
fn spoilt(document: &Json) -> Vec<Json> {
    let mut all = Vec::new();
    match document {
        Json::Object(fields) => {
            let rebuilt = |at: usize, name: &str, value: Json| {
                let changed = |(index, (old, kept)): (usize, (&String, &Json))| {
                    if index == at { (name.to_owned(), value.clone()) } else { (old.clone(), kept.clone()) }
                };
                Json::Object(fields.iter().enumerate().map(changed).collect())
            };
            for (at, (name, value)) in fields.iter().enumerate() {
                all.push(rebuilt(at, &format!("{name}_"), value.clone()));
                // Names and weights are whatever the data calls them.
                if !["sets", "train_on", "fixed"].contains(&name.as_str()) {
                    all.extend(spoilt(value).into_iter().map(|value| rebuilt(at, name, value)));
                }
            }
            let mut more = fields.clone();
            more.insert("no_such_field".into(), json!(1));
            all.push(Json::Object(more));
        }
        Json::Array(items) => {
            all.push(json!(7));
            all.push(Json::Array(std::iter::repeat_n(items.clone(), 600).flatten().collect()));
            for (at, item) in items.iter().enumerate() {
                for value in spoilt(item) {
                    let mut changed = items.clone();
                    changed[at] = value;
                    all.push(Json::Array(changed));
                }
            }
        }
        Json::Number(_) => all.extend([json!(1e12), json!(-1e12), json!("many"), json!([1])]),
        Json::String(_) => all.extend([json!("no_such_word"), json!(0.123), json!({ "no_such_word": {} })]),
        Json::Bool(_) => all.extend([json!("yes"), json!(1)]),
        Json::Null => all.extend([json!("none"), json!({ "no_such_field": 1 })]),
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_the_schema_allows_the_reader_reads(spec in random::spec(), at in proptest::collection::vec(proptest::prelude::any::<proptest::sample::Index>(), 40)) {
        let root = schema::json(None);
        let mutants = spoilt(&schema::to_json(&spec.canonical()));
        for at in at {
            let mutant = at.get(&mutants);
            let (allowed, text) = (follows(mutant, &root, &root), mutant.to_string());
            let read = Spec::parse(&text, "mutant");
            // Only rules between fields refuse what the schema allows.
            if let Err(errors) = &read {
                let shape = |message: &str| ["found ", "unknown", "missing", "is not known", "out of range", "items, wanted"].iter().any(|word| message.contains(word));
                prop_assert!(!allowed || !errors.errors.iter().any(|error| shape(&error.message)), "{errors}\n{text}");
            } else {
                prop_assert!(allowed, "the reader takes what the schema refuses: {text}");
            }
        }
    }
}

#[test]
fn every_example_follows_the_schema() {
    let root = schema::json(None);
    for example in examples() {
        let document: Json = serde_yaml::from_str(&example.yaml).expect("YAML");
        assert!(follows(&document, &root, &root), "{}\n{document}", example.what);
    }
}

#[test]
fn the_shipped_model_follows_the_schema_and_mistakes_do_not() {
    let root = schema::json(None);
    let read = |text: &str| -> Json { serde_yaml::from_str(text).expect("YAML") };
    assert!(follows(&read(include_str!("../../../model.yaml")), &root, &root));
    let mistakes = [
        "version: 1",
        "network: []",
        "network: [{ dense: {} }]",
        "network: [{ dense: { width: 0 } }]",
        "network: [{ dense: { width: 1.5 } }]",
        "network: [{ dense: { width: 8, colour: red } }]",
        "network: [{ dense: { width: 8 }, residual: [{ dense: { width: 8 } }] }]",
        "network: [{ residual: [] }]",
        "network: [{ dense: { width: 8 } }]\noptimizer: adamx",
        "network: [{ dense: { width: 8 } }]\noptimizer: { adamw: {}, sgd: {} }",
        "network: [{ dense: { width: 8 } }]\nfeatures: { sets: none }",
        "network: [{ dense: { width: 8 } }]\nfeatures: { sets: [a, a] }",
        "network: [{ dense: { width: 8 } }]\ntraining: { patience: never }",
        "network: [{ dense: { width: 8 } }, { norm: none }]",
        "network: [{ dense: { width: 8 } }, { activation: identity }]",
        "network: [{ dense: { width: 8 } }]\noptimizer: { adamw: {}, ema: {}, swa: {} }",
        "network: [{ dense: { width: 8 } }]\ntargets: { weighting: { fixed: { a: 0, b: 0 } } }",
    ];
    for text in mistakes {
        assert!(!follows(&read(text), &root, &root), "{text}");
        assert!(Spec::parse(text, "test").is_err(), "the schema refuses it, the reader does not: {text}");
    }
}

#[test]
fn on_data_the_schema_has_its_names() {
    let facts = DataFacts {
        feature_sets: side_by_side([("serenity", 3)]),
        features: 3,
        targets: vec!["ender".into(), "cyrus".into()],
        rows: 1000,
        eras: 60,
        folds: long_folds(4),
        seeds: 3,
    };
    let (root, anywhere) = (schema::json(Some(&facts)), schema::json(None));
    let parts = [
        ("features: { sets: [serenity] }", true),
        ("features: { sets: [serenty] }", false),
        ("targets: { train_on: [cyrus, ender] }", true),
        ("targets: { train_on: [cyrus, endr] }", false),
        ("targets: { weighting: { fixed: { cyrus: 1, ender: 2 } } }", true),
        ("targets: { weighting: { fixed: { cyrus: 1, endr: 2 } } }", false),
    ];
    for (part, known) in parts {
        let text = format!("network: [{{ dense: {{ width: 8 }} }}]\n{part}\n");
        let document: Json = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!(follows(&document, &root, &root), known, "{part}");
        assert!(follows(&document, &anywhere, &anywhere), "{part}");
    }
}

#[test]
fn every_word_of_the_language_is_in_the_schema_and_in_the_reference() {
    let (schema, reference) = (schema::json(None).to_string(), reference::markdown());
    let mut words = BTreeSet::new();
    each_type(&Spec::shape(&()), &mut BTreeSet::new(), &mut |shape| match shape {
        Shape::Choice { words: own, .. } => words.extend(own.iter().map(|(word, _)| *word)),
        Shape::Union { kinds, .. } => words.extend(kinds().iter().map(|kind| kind.name)),
        Shape::Record { fields, .. } => words.extend(fields().iter().map(|field| field.name)),
        _ => {}
    });
    assert!(words.len() > 60, "{} words", words.len());
    for word in words {
        assert!(schema.contains(&format!("\"{word}\"")), "`{word}` is not in the schema");
        let is_heading = reference.contains(&format!("\n## {word}\n"));
        assert!(is_heading || reference.contains(&format!("`{word}`")), "`{word}` is not in the reference");
    }
}
