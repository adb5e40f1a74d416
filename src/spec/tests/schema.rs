//! The JSON Schema against the reader: what one accepts the other does.

use std::collections::BTreeSet;

use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use serde_json::{Value as Json, json};

use super::random;
use crate::spec::knobs::{Domain, knobs};
use crate::spec::{Spec, reference, schema};

/// Whether a document follows a schema, by the rules of draft 2020-12 for the keywords that our schema uses. A keyword
/// that is not known here fails, so that this checker cannot fall behind.
fn follows(document: &Json, schema: &Json, root: &Json) -> bool {
    let Json::Object(rules) = schema else { panic!("{schema} is no schema") };
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "$ref" => {
            let path = rule.as_str().and_then(|path| path.strip_prefix('#')).expect("a local reference");
            follows(document, root.pointer(path).expect("it exists"), root)
        }
        "const" => document == rule,
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
        let root = schema::json();
        let long = schema::to_json(&spec.canonical());
        prop_assert!(follows(&long, &root, &root), "{long}");
        let short: Json = serde_yaml::from_str(&spec.to_yaml()).expect("YAML");
        prop_assert!(follows(&short, &root, &root), "{short}");
    }
}

#[test]
fn the_shipped_model_follows_the_schema_and_mistakes_do_not() {
    let root = schema::json();
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
    ];
    for text in mistakes {
        assert!(!follows(&read(text), &root, &root), "{text}");
        assert!(Spec::parse(text, "test").is_err(), "the schema refuses it, the reader does not: {text}");
    }
}

/// Every word that a spec can hold: names of fields, of kinds, of choices.
fn words() -> BTreeSet<String> {
    let kinds = [
        "network: [{ dense: { width: 8 } }, { residual: [{ dense: { width: 8 } }] }]\n\
         loss: [pearson, rank, mse, mae, huber, bmc, cross_entropy, exposure, output_l2, weight_l1, weight_l2]\noptimizer: adamw\nschedule: polynomial\n\
         targets: { weighting: learned }\n",
        "network: [{ dense: { width: 8 } }]\noptimizer: sgd\nschedule: one_cycle\ntargets: { weighting: { fixed: { a: 1 } } }\n",
        "network: [{ dense: { width: 8 } }]\nloss: [mse]\naugment: [mixup, label_smoothing]\n\
         training: { batches: { eras: {} }, era_weighting: recency }\npost: { neutralize: {} }\n\
         ensemble: { members: 2, aggregate: trimmed, diversity: { rate: 2, schedules: [cosine] } }\n",
        "network: [{ dense: { width: 8 } }]\naugment: [cutmix]\ntraining: { batches: era, era_weighting: volatility }\n",
        "network: [{ dense: { width: 8 } }]\naugment: [manifold_mixup]\n",
        "network: [{ dense: { width: 8 } }]\nschedule: cosine\noptimizer: { muon: {}, lookahead: {}, sam: {}, ema: {}, gradient_noise: {}, rates: {} }\n",
        "network: [{ dense: { width: 8 } }]\nschedule: step\noptimizer: { adan: {}, swa: {} }\n",
        "network: [{ dense: { width: 8 } }]\nschedule: exponential\noptimizer: rmsprop\n",
    ];
    let mut words = BTreeSet::new();
    for text in kinds {
        let spec = Spec::parse(text, "test").expect("valid");
        let mut pending = vec![schema::to_json(&spec.canonical())];
        while let Some(json) = pending.pop() {
            match json {
                Json::Object(fields) => {
                    words.extend(fields.keys().filter(|name| *name != "a").cloned());
                    pending.extend(fields.into_iter().map(|(_, value)| value));
                }
                Json::Array(items) => pending.extend(items),
                _ => {}
            }
        }
        for knob in knobs(&spec) {
            if let Domain::Choice(choices) = knob.domain {
                words.extend(choices);
            }
        }
    }
    words
}

#[test]
fn every_word_of_the_language_is_in_the_schema_and_in_the_reference() {
    let (schema, reference) = (schema::json().to_string(), reference::markdown());
    let words = words();
    assert!(words.len() > 60, "{} words", words.len());
    for word in words {
        assert!(schema.contains(&format!("\"{word}\"")), "`{word}` is not in the schema");
        assert!(reference.contains(&format!("`{word}`")), "`{word}` is not in the reference");
    }
}
