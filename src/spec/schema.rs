//! The language as a JSON Schema (draft 2020-12), for editors and for LLMs with structured output.

use serde_json::{Map, Value as Json, json};

use super::language::Spec;
use super::piece::Piece;
use super::shape::{Field, Shape};
use super::value::Value;

/// The schema of model.yaml.
pub fn json() -> Json {
    let mut definitions = Map::new();
    let root = Spec::shape(&());
    let mut schema = shape_schema(&root, &mut definitions);
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
        Shape::Float { min, max, .. } => {
            json!({ "type": "number", "minimum": min, "maximum": max })
        }
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Choice(words) => {
            let options: Vec<Json> =
                words.iter().map(|(word, doc)| json!({ "const": word, "description": doc.trim() })).collect();
            json!({ "oneOf": options })
        }
        Shape::Names { what } => json!({ "oneOf": [
            { "const": "all" },
            { "type": "array", "items": { "type": "string", "description": format!("name of a {what}") }, "minItems": 1, "uniqueItems": true },
        ] }),
        Shape::Weights { .. } => {
            json!({ "type": "object", "additionalProperties": { "type": "number", "minimum": 0 }, "minProperties": 1 })
        }
        Shape::Optional(inner) => {
            json!({ "oneOf": [shape_schema(inner, definitions), { "type": "null" }] })
        }
        Shape::List { item, min, max } => {
            json!({ "type": "array", "items": shape_schema(item, definitions), "minItems": min, "maxItems": max })
        }
        Shape::Record { doc, fields, .. } => record_schema(doc, &fields(), definitions),
        Shape::Union { doc, kinds, beside, .. } => union_schema(doc, kinds, beside, definitions),
        Shape::Lazy { name, of } => {
            if !definitions.contains_key(*name) {
                // Entered before it is filled, so that a shape that contains itself ends here.
                definitions.insert((*name).into(), Json::Null);
                let inner = shape_schema(&of(), definitions);
                definitions.insert((*name).into(), inner);
            }
            json!({ "$ref": format!("#/$defs/{name}") })
        }
    }
}

fn properties(fields: &[Field], definitions: &mut Map<String, Json>) -> (Map<String, Json>, Vec<Json>) {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = shape_schema(&field.shape, definitions);
        if let Json::Object(object) = &mut schema {
            object.insert("description".into(), json!(field.doc.trim()));
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
    json!({ "type": "object", "description": doc.trim(), "properties": properties, "required": required, "additionalProperties": false })
}

fn union_schema(doc: &str, kinds: &[Field], beside: &[Field], definitions: &mut Map<String, Json>) -> Json {
    let mut options = Vec::new();
    for kind in kinds {
        if kind.shape.can_be_empty() {
            options.push(json!({ "const": kind.name, "description": kind.doc.trim() }));
        }
        let (mut properties, _) = properties(beside, definitions);
        properties.insert(kind.name.into(), shape_schema(&kind.shape, definitions));
        options.push(json!({
            "type": "object", "description": kind.doc.trim(), "properties": properties,
            "required": [kind.name], "additionalProperties": false,
        }));
    }
    json!({ "description": doc.trim(), "oneOf": options })
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
