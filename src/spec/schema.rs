//! The language as a JSON Schema (draft 2020-12), for editors and for LLMs with structured output. Every record, union and
//! choice is a definition of its own, so that the schema grows with the language and not with its nesting.

use serde_json::{Map, Value as Json, json};

use super::examples;
use super::facts::DataFacts;
use super::language::{Activation, Norm, Spec};
use super::names::{MAX_NAMES, MAX_WEIGHT};
use super::node::Node;
use super::piece::Piece;
use super::shape::{Field, Shape};
use super::value::Value;

/// The schema of model.yaml. With facts, names of feature sets and targets are those that the data has.
///
/// It says what may stand where. What it cannot say are most rules between fields: what fits together in a net, what only does
/// nothing beside something else, what the budget allows; `check` knows these.
pub fn json(facts: Option<&DataFacts>) -> Json {
    let mut schema = schema_of(&Spec::shape(&()));
    if let Some(facts) = facts {
        let sets = facts.feature_sets.iter().map(|(name, _)| name.clone()).collect();
        fill_in(&mut schema, &[("feature set", sets), ("target", facts.targets.clone())]);
    }
    schema
}

/// Puts the data's names where a name may stand, as they are described.
fn fill_in(schema: &mut Json, names: &[(&str, Vec<String>)]) {
    match schema {
        Json::Object(object) => {
            let described = |of: Option<&Json>, as_what: &str| {
                let said = of.and_then(|schema| schema.get("description")).and_then(Json::as_str);
                names.iter().find(|(what, _)| said == Some(format!("{as_what} of a {what}").as_str()))
            };
            let insert = [
                ("items", described(object.get("items"), "name")),
                ("propertyNames", described(object.get("additionalProperties"), "weight")),
            ];
            for (keyword, found) in insert {
                if let Some((_, names)) = found {
                    object.insert(keyword.into(), json!({ "enum": names }));
                }
            }
            object.values_mut().for_each(|value| fill_in(value, names));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| fill_in(item, names)),
        _ => {}
    }
}

/// The schema of a record that does not contain itself.
pub(super) fn schema_of(shape: &Shape) -> Json {
    let mut definitions = Map::new();
    let root = shape_schema(shape, &mut definitions);
    let mut schema = match shape {
        Shape::Record { name, .. } => definitions.remove(*name).unwrap_or(root),
        _ => root,
    };
    if let Json::Object(object) = &mut schema {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("autoresearch model spec"));
        object.insert("$defs".into(), Json::Object(definitions));
    }
    schema
}

fn shape_schema(shape: &Shape, definitions: &mut Map<String, Json>) -> Json {
    match shape {
        Shape::Int { min, max, .. } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Float { min, max, .. } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Choice { name, doc, words } => define(name, definitions, |_| {
            let options: Vec<Json> =
                words.iter().map(|(word, doc)| json!({ "const": word, "description": plain(doc) })).collect();
            json!({ "description": plain(doc), "oneOf": options })
        }),
        Shape::Names { what } => json!({ "oneOf": [
            { "const": "all" },
            {
                "type": "array", "minItems": 1, "maxItems": MAX_NAMES, "uniqueItems": true,
                "items": { "type": "string", "description": format!("name of a {what}") },
            },
        ] }),
        Shape::Weights { what } => json!({
            "type": "object", "minProperties": 1, "maxProperties": MAX_NAMES,
            "additionalProperties": {
                "type": "number", "minimum": 0, "maximum": MAX_WEIGHT, "description": format!("weight of a {what}"),
            },
            // One of them is above 0.
            "not": { "additionalProperties": { "maximum": 0 } },
        }),
        Shape::Optional(inner) => json!({ "oneOf": [shape_schema(inner, definitions), { "type": "null" }] }),
        Shape::List { item, min, max } => {
            json!({ "type": "array", "items": shape_schema(item, definitions), "minItems": min, "maxItems": max })
        }
        Shape::Record { name, doc, fields } => {
            define(name, definitions, |definitions| record_schema(doc, &fields(), definitions))
        }
        Shape::Union { name, doc, kinds, beside } => {
            // The same union may stand with other fields beside it elsewhere.
            let with = match beside.as_deref() {
                Some(Shape::Record { name, .. }) => format!("With{name}"),
                _ => String::new(),
            };
            define(&format!("{name}{with}"), definitions, |definitions| {
                union_schema(name, doc, &kinds(), &shape.beside(), definitions)
            })
        }
    }
}

/// A reference to a definition, which is made if it is not there yet.
fn define(
    name: &str,
    definitions: &mut Map<String, Json>,
    schema: impl FnOnce(&mut Map<String, Json>) -> Json,
) -> Json {
    if !definitions.contains_key(name) {
        // Entered before it is filled, so that a shape that contains itself ends here.
        definitions.insert(name.into(), Json::Null);
        let filled = schema(definitions);
        definitions.insert(name.into(), filled);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn properties(fields: &[Field], definitions: &mut Map<String, Json>) -> (Map<String, Json>, Vec<Json>) {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = shape_schema(&field.shape, definitions);
        if let Json::Object(object) = &mut schema {
            object.insert("description".into(), json!(plain(field.doc)));
            match &field.default {
                Some(default) => {
                    object.insert("default".into(), to_json(default));
                }
                None => required.push(json!(field.name)),
            }
        }
        properties.insert(field.name.into(), schema);
    }
    (properties, required)
}

fn record_schema(doc: &str, fields: &[Field], definitions: &mut Map<String, Json>) -> Json {
    let (properties, required) = properties(fields, definitions);
    json!({ "type": "object", "description": plain(doc), "properties": properties, "required": required, "additionalProperties": false })
}

fn union_schema(name: &str, doc: &str, kinds: &[Field], beside: &[Field], definitions: &mut Map<String, Json>) -> Json {
    let mut options = Vec::new();
    for kind in kinds {
        if kind.shape.can_be_empty() {
            options.push(json!({ "const": kind.name, "description": plain(kind.doc) }));
        }
        let (mut properties, beside) = properties(beside, definitions);
        let required = [vec![json!(kind.name)], beside].concat();
        let mut payload = shape_schema(&kind.shape, definitions);
        if let (Json::Object(payload), Some(word)) = (&mut payload, does_nothing(name, kind.name)) {
            payload.insert("not".into(), json!({ "const": word }));
        }
        properties.insert(kind.name.into(), payload);
        let apart = properties.contains_key("ema") && properties.contains_key("swa");
        let mut option = json!({
            "type": "object", "description": plain(kind.doc), "properties": properties,
            "required": required, "additionalProperties": false,
        });
        if let (Json::Object(option), Some(example)) = (&mut option, example(name, kind.name)) {
            option.insert("examples".into(), json!([example]));
        }
        if let (Json::Object(option), true) = (&mut option, apart) {
            // Only one average can predict.
            let both = json!({ "ema": { "not": { "type": "null" } }, "swa": { "not": { "type": "null" } } });
            option.insert("not".into(), json!({ "required": ["ema", "swa"], "properties": both }));
        }
        options.push(option);
    }
    json!({ "description": plain(doc), "oneOf": options })
}

/// The word of a choice that means nothing as a block of its own.
fn does_nothing(union: &str, kind: &str) -> Option<&'static str> {
    match (union, kind) {
        ("Block", "norm") => Some(Norm::None.word()),
        ("Block", "activation") => Some(Activation::Identity.word()),
        _ => None,
    }
}

/// A kind's example, where it is of the kind alone.
fn example(union: &str, word: &str) -> Option<Json> {
    let node = Node::parse(examples::of(union, word)?, "examples").ok()?;
    let value = node.to_value();
    value.get(word).is_some().then(|| to_json(&value))
}

/// Documentation as one line.
pub(super) fn plain(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A spec value as JSON.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(whole) => json!(whole),
        Value::Float(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => Json::Object(entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect()),
    }
}
