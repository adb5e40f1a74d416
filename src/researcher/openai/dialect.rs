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

    /// The response format for a proposal.
    pub fn response_format(self) -> Option<ResponseFormat> {
        match self.form {
            Form::Schema => Some(ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    description: Some("One proposal for the next trial".into()),
                    name: "proposal".into(),
                    schema: schema(),
                    strict: Some(true),
                },
            }),
            Form::Object => Some(ResponseFormat::JsonObject),
            Form::Prompt => None,
        }
    }
}

/// The schema of a reply, in the subset of JSON Schema that strict servers take.
fn schema() -> Value {
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
        assert!(!dialect.temperature && !dialect.new_limit_name && dialect.response_format().is_none());
    }
}
