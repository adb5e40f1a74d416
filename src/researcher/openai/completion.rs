//! A chat completion, read tolerantly: compatible servers leave out fields, add some, and send text in parts.

use serde_json::Value;

use crate::research::trial::Usage;

/// What a completion says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The text; empty where there is none.
    pub text: String,
    /// The model's refusal, or that of a filter before it.
    pub refusal: Option<String>,
    /// Whether the text ends at the token limit.
    pub truncated: bool,
    /// Tokens as the server counts them; None where it does not.
    pub tokens: Option<(u64, u64)>,
}

impl Completion {
    /// Reads a reply.
    ///
    /// # Errors
    /// A sentence where it is no chat completion; servers that send errors with status 200 are quoted.
    pub fn read(reply: &Value) -> Result<Self, String> {
        let Some(choice) = reply.get("choices").and_then(|choices| choices.get(0)) else {
            let said = super::said::Said::read(&reply.to_string()).message;
            return Err(format!("it is no chat completion: {said}"));
        };
        let message = choice.get("message").unwrap_or(&Value::Null);
        let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
        let refusal = message.get("refusal").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let filtered = (reason == "content_filter").then(|| "a content filter stopped the reply".to_owned());
        let count = |names: [&str; 2]| {
            let usage = reply.get("usage")?;
            names.iter().find_map(|name| usage.get(name)).and_then(Value::as_u64)
        };
        let tokens = count(["prompt_tokens", "input_tokens"]).zip(count(["completion_tokens", "output_tokens"]));
        Ok(Self {
            text: text(message.get("content").or_else(|| choice.get("text"))),
            refusal: refusal.or(filtered),
            truncated: reason == "length",
            tokens,
        })
    }
}

/// A string, or the text parts of a list.
fn text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("")
        }
        _ => String::new(),
    }
}

/// What a call cost.
pub fn usage((input, output): (u64, u64), prices: (f64, f64), seconds: f64) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        cost_usd: (input as f64 * prices.0 + output as f64 * prices.1) / 1e6,
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shapes_of_a_completion() {
        let table = [
            (
                json!({"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}),
                "a",
                false,
                Some((3, 1)),
            ),
            (
                json!({"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}),
                "ab",
                false,
                None,
            ),
            (json!({"choices":[{"message":{"content":null},"finish_reason":"length"}]}), "", true, None),
            (json!({"choices":[{"text":"old style"}],"usage":{"prompt_tokens":3}}), "old style", false, None),
        ];
        for (reply, text, truncated, tokens) in table {
            let found = Completion::read(&reply).expect("a completion");
            assert_eq!((found.text.as_str(), found.truncated, found.tokens), (text, truncated, tokens), "{reply}");
        }
        let refused = json!({"choices":[{"message":{"content":"","refusal":"I cannot."}}]});
        assert_eq!(Completion::read(&refused).expect("a completion").refusal.as_deref(), Some("I cannot."));
        let filtered = json!({"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]});
        assert!(Completion::read(&filtered).expect("a completion").refusal.is_some());
        for none in [json!({"choices":[]}), json!({"error":{"message":"overloaded"}}), json!([])] {
            assert!(Completion::read(&none).is_err(), "{none}");
        }
    }

    #[test]
    fn cost_follows_the_price_table() {
        let cost = usage((2_000_000, 500_000), (0.25, 2.0), 1.0);
        assert!((cost.cost_usd - 1.5).abs() < 1e-12, "two millions at 0.25 and half a million at 2");
    }
}
