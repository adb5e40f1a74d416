//! What a server says in an error page, whatever shape it says it in.

use serde_json::Value;

/// Error messages are shown and logged: no longer than this.
const MAX_MESSAGE: usize = 400;

/// A server's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For people, on one line.
    pub message: String,
    /// Its code and type, for decisions.
    pub code: String,
}

impl Said {
    /// Reads `{"error": {"message", "code", "type"}}`, `{"error": "…"}`, `{"message"}`, `{"detail"}` or plain text.
    pub fn read(body: &str) -> Self {
        let parsed: Option<Value> = serde_json::from_str(body).ok();
        let Some(value) = parsed else {
            let message = if body.trim().is_empty() { "(no message)".to_owned() } else { one_line(body) };
            return Self { message, code: String::new() };
        };
        // Some servers wrap the object into a list of one.
        let value = value.get(0).unwrap_or(&value);
        let error = value.get("error").unwrap_or(value);
        let text = |name: &str| error.get(name).or_else(|| value.get(name)).map(plain);
        let message = error.as_str().map(str::to_owned).or_else(|| text("message")).or_else(|| text("detail"));
        let code = [text("code"), text("type")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Self { message: one_line(&message.unwrap_or_else(|| value.to_string())), code }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A foreign text on one line, without control characters, capped.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= MAX_MESSAGE {
        return words;
    }
    words.chars().take(MAX_MESSAGE).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_error_page() {
        // (body, message, code)
        let table = [
            (
                r#"{"error":{"message":"No such model","type":"invalid_request_error","code":"model_not_found"}}"#,
                "No such model",
                "model_not_found invalid_request_error",
            ),
            (r#"{"error":{"message":"slow down","code":429}}"#, "slow down", "429"),
            (r#"{"error":"model 'x' not found"}"#, "model 'x' not found", ""),
            (r#"{"detail":"Not Found"}"#, "Not Found", ""),
            (r#"[{"error":{"message":"in a list"}}]"#, "in a list", ""),
            ("<html>\n<b>502</b>\u{7}</html>", "<html> <b>502</b> </html>", ""),
            ("", "(no message)", ""),
        ];
        for (body, message, code) in table {
            assert_eq!(Said::read(body), Said { message: message.into(), code: code.into() }, "{body}");
        }
        assert_eq!(Said::read(&"x".repeat(5000)).message.chars().count(), MAX_MESSAGE + 1);
    }
}
