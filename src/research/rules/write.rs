//! A rule as the `[[rule]]` block that is appended to do_not_retry.toml.

use super::{By, Rule, Status};
use crate::research::foreign::one_line;

/// The block, ending in a newline; [`super::Rules::parse`] reads it back as an equal rule.
pub fn render(rule: &Rule) -> String {
    let status = match rule.status {
        Status::Exhausted => "exhausted",
        Status::ConfidentlyBad => "confidently-bad",
        Status::Ambiguous => "ambiguous",
    };
    let by = match rule.by {
        By::Human => "human",
        By::Loop => "loop",
    };
    let mut lines = vec![
        "[[rule]]".to_owned(),
        format!("name = {}", quoted(&rule.name)),
        format!("status = \"{status}\""),
        format!("by = \"{by}\""),
        format!("reason = {}", quoted(&rule.reason)),
    ];
    if !rule.paths.is_empty() {
        lines.push(format!("paths = [{}]", joined(&rule.paths, |path| quoted(&path.to_string()))));
    }
    if !rule.values.is_empty() {
        lines.push(format!("values = [{}]", joined(&rule.values, |value| value_text(value))));
    }
    if let Some(range) = rule.range {
        let ends = [("min", range.min), ("max", range.max)];
        let ends: Vec<String> =
            ends.iter().filter_map(|(name, end)| end.map(|end| format!("{name} = {}", number_text(end)))).collect();
        lines.push(format!("range = {{ {} }}", ends.join(", ")));
    }
    if let Some(category) = &rule.category {
        lines.push(format!("category = {}", quoted(category)));
    }
    if !rule.evidence.is_empty() {
        lines.push(format!("evidence = [{}]", joined(&rule.evidence, ToString::to_string)));
    }
    if let Some(revisit) = &rule.revisit {
        lines.push(format!("revisit = {}", quoted(revisit)));
    }
    if let Some(trials) = rule.revisit_after {
        lines.push(format!("revisit_after = {trials}"));
    }
    if !rule.blocks.is_empty() {
        lines.push(format!("blocks = [{}]", joined(&rule.blocks, |example| quoted(&example.to_string()))));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A finite number as TOML reads it back to the same number.
pub(super) fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { format!("{number:?}") }
}

/// A number or switch bare where that reads back as the same text, else a quoted text.
fn value_text(value: &str) -> String {
    let bare = matches!(value, "true" | "false")
        || value.parse::<f64>().is_ok_and(|number| number.is_finite() && number_text(number) == value);
    if bare { value.to_owned() } else { quoted(value) }
}

/// A TOML basic string on one line.
fn quoted(text: &str) -> String {
    toml::Value::String(one_line(text, 2_000)).to_string()
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}
