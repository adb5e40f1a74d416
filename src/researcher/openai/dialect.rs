//! Which parameters an endpoint takes. "OpenAI-compatible" is a family of dialects: what one server demands, another
//! refuses. What is refused is left out from then on.

use async_openai::types::chat::{ResponseFormat, ResponseFormatJsonSchema};
use serde_json::{Value, json};

use crate::researcher::categories;

/// How a reply's form is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By a JSON Schema.
    Schema,
    /// As some JSON object.
    Object,
    /// By the prompt alone.
    Prompt,
}

/// What an endpoint has been found to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// How the form of the reply is asked for.
    pub form: Form,
    /// Whether the limit of the reply is called `max_completion_tokens`; else `max_tokens`.
    pub new_limit_name: bool,
    /// Whether a temperature is taken.
    pub temperature: bool,
    swapped_limit_name: bool,
}

impl Dialect {
    /// What is tried first.
    pub fn new(is_openai: bool) -> Self {
        Self { form: Form::Schema, new_limit_name: is_openai, temperature: true, swapped_limit_name: false }
    }

    /// Learns from a refusal; whether there is anything left to change. Each change is made once, so this ends.
    pub fn learn(&mut self, status: u16, message: &str) -> bool {
        // Some servers answer a parameter that they do not know with 500 or 501.
        if !matches!(status, 400 | 415 | 422 | 500 | 501) {
            return false;
        }
        let said = message.to_ascii_lowercase();
        let speaks_of = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if self.form != Form::Prompt
            && speaks_of(&[
                "response_format",
                "json_schema",
                "json_object",
                "json mode",
                "structured output",
                "grammar",
            ])
        {
            self.form = if self.form == Form::Schema { Form::Object } else { Form::Prompt };
            return true;
        }
        if self.temperature && speaks_of(&["temperature"]) {
            self.temperature = false;
            return true;
        }
        if !self.swapped_limit_name && speaks_of(&["max_tokens", "max_completion_tokens"]) {
            self.new_limit_name = !self.new_limit_name;
            self.swapped_limit_name = true;
            return true;
        }
        false
    }

    /// The response format for so many proposals.
    pub fn response_format(self, count: usize) -> Option<ResponseFormat> {
        let several = count > 1;
        match self.form {
            Form::Schema => Some(ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    description: Some(
                        if several { "Candidates for the next trials" } else { "One proposal for the next trial" }
                            .into(),
                    ),
                    name: if several { "candidates" } else { "proposal" }.into(),
                    schema: if several { candidates() } else { proposal() },
                    strict: Some(true),
                },
            }),
            Form::Object => Some(ResponseFormat::JsonObject),
            Form::Prompt => None,
        }
    }
}

/// The schema of one proposal, in the subset of JSON Schema that strict servers take: every property is required, no
/// other is allowed, and what may be missing is null.
fn proposal() -> Value {
    let names: Vec<&str> = categories::ALL.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "hypothesis", "category", "expected_effect", "spec"],
        "properties": {
            "title": { "type": "string", "description": "What is tried, in one line" },
            "hypothesis": { "type": "string", "description": "Why it should help, and what would refute it" },
            "category": { "type": "string", "enum": names },
            "expected_effect": { "type": ["number", "null"], "description": "Expected gain in payout" },
            "spec": { "type": "string", "description": "The whole new model.yaml" },
        },
    })
}

/// The schema of several. How many is said by the prompt: not every strict server takes bounds of a list.
fn candidates() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["candidates"],
        "properties": { "candidates": { "type": "array", "items": proposal() } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_learned_from_once_each() {
        let mut dialect = Dialect::new(true);
        let refusals = [
            (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported", true),
            (400, "json_object is not supported either", true),
            (400, "response_format again", false),
            (422, "Unsupported value: 'temperature'", true),
            (400, "temperature again", false),
            (400, "Unsupported parameter: max_completion_tokens", true),
            (400, "max_tokens is not supported", false),
            (401, "temperature", false),
            (400, "something else", false),
        ];
        for (status, message, learned) in refusals {
            assert_eq!(dialect.learn(status, message), learned, "{message}");
        }
        assert_eq!(dialect.form, Form::Prompt);
        assert!(!dialect.temperature && !dialect.new_limit_name && dialect.response_format(1).is_none());
    }

    /// <https://platform.openai.com/docs/guides/structured-outputs>, "Supported schemas": keywords, types, every object
    /// closed with all of its properties required, at most 10 levels.
    fn assert_strict(schema: &Value, level: usize) {
        assert!(level <= 10, "too deep");
        let fields = schema.as_object().expect("a schema is an object");
        for keyword in fields.keys() {
            let known = ["type", "properties", "required", "additionalProperties", "items", "enum", "description"];
            assert!(known.contains(&keyword.as_str()), "`{keyword}` is not in the subset");
        }
        let types: Vec<&str> = match &fields["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            other => panic!("{other} is no type"),
        };
        for name in &types {
            assert!(["string", "number", "boolean", "integer", "object", "array", "null"].contains(name), "{name}");
        }
        if types.contains(&"object") {
            assert_eq!(fields["additionalProperties"], false);
            let properties = fields["properties"].as_object().expect("properties");
            let mut required: Vec<&str> =
                fields["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
            required.sort_unstable();
            let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(required, names, "every property is required");
            properties.values().for_each(|inner| assert_strict(inner, level + 1));
        }
        if types.contains(&"array") {
            assert_strict(&fields["items"], level + 1);
        }
    }

    #[test]
    fn the_schemas_are_in_the_strict_subset() {
        assert_strict(&proposal(), 1);
        assert_strict(&candidates(), 1);
    }

    #[test]
    fn the_form_follows_the_number_asked_for() {
        let form = |count| serde_json::to_value(Dialect::new(true).response_format(count)).expect("JSON");
        let (one, four) = (form(1), form(4));
        assert_eq!((&one["type"], &one["json_schema"]["strict"]), (&json!("json_schema"), &json!(true)));
        assert_eq!(one["json_schema"]["schema"], proposal());
        assert_eq!(four["json_schema"]["schema"]["properties"]["candidates"]["items"], proposal());
    }
}
