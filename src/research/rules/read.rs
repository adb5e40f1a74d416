//! do_not_retry.toml read field by field, so that each mistake is named with its line and with what is allowed.

use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{By, Example, Pattern, Range, Rule, Status, category_key};
use crate::research::foreign::one_line;

const FIELDS: [&str; 12] = [
    "name",
    "status",
    "by",
    "reason",
    "paths",
    "values",
    "range",
    "category",
    "evidence",
    "revisit",
    "revisit_after",
    "blocks",
];

/// The most trials that `revisit_after` may be.
const MOST_TRIALS: u32 = 100_000;

/// A mistake in do_not_retry.toml.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}:{column}: {message}")]
pub struct RulesError {
    /// The file.
    pub origin: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// What was found, what is allowed, the nearest valid name.
    pub message: String,
}

/// A mistake before its place is turned into line and column: byte offset and message.
struct Mistake {
    at: usize,
    message: String,
}

type Found<T> = Result<T, Mistake>;

pub(super) fn rules(text: &str, origin: &str) -> Result<Vec<Rule>, RulesError> {
    read_file(text).map_err(|mistake| {
        let at = (0..=mistake.at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        RulesError {
            origin: origin.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: mistake.message,
        }
    })
}

/// Patterns, or examples, as their texts.
pub(super) fn as_text<T: std::fmt::Display, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().serialize(serializer)
}

fn read_file(text: &str) -> Found<Vec<Rule>> {
    let document = DeTable::parse(text).map_err(|error| Mistake {
        at: error.span().map_or(0, |span| span.start),
        message: format!("this is not TOML: {}", one_line(error.message(), 300)),
    })?;
    let mut rules: Vec<(usize, Rule)> = Vec::new();
    for (key, value) in document.get_ref() {
        match key.get_ref().as_ref() {
            "version" => version(value)?,
            "rule" => {
                let DeValue::Array(items) = value.get_ref() else {
                    return refuse(key, "rules are written `[[rule]]`, with two brackets".into());
                };
                for item in items.iter() {
                    rules.push((item.span().start, rule(item)?));
                }
            }
            other => {
                return refuse(
                    key,
                    format!(
                        "unknown key `{}`; allowed: `[[rule]]`, `version`.{}",
                        one_line(other, 60),
                        nearest(other, &["rule", "version"])
                    ),
                );
            }
        }
    }
    rules.sort_by_key(|(at, _)| *at);
    for (index, (at, rule)) in rules.iter().enumerate() {
        if rules[..index].iter().any(|(_, earlier)| earlier.name == rule.name) {
            return Err(Mistake {
                at: *at,
                message: format!(
                    "a second rule with the name {:?}: names are how verdicts refer to rules, so give each its own",
                    rule.name
                ),
            });
        }
    }
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn version(value: &Spanned<DeValue<'_>>) -> Found<()> {
    match value.get_ref() {
        DeValue::Integer(number) if number.as_str() == "1" => Ok(()),
        _ => refuse(value, format!("found {}, and this program reads version 1", describe(value.get_ref()))),
    }
}

fn rule(item: &Spanned<DeValue<'_>>) -> Found<Rule> {
    let DeValue::Table(table) = item.get_ref() else {
        return refuse(item, "rules are written `[[rule]]`, each a table".into());
    };
    for key in table.keys() {
        let found = key.get_ref().as_ref();
        if !FIELDS.contains(&found) {
            return refuse(
                key,
                format!(
                    "unknown field `{}` of a rule; allowed: {}.{}",
                    one_line(found, 60),
                    FIELDS.join(", "),
                    nearest(found, &FIELDS)
                ),
            );
        }
    }
    let required = |name: &'static str| match table.get(name) {
        Some(value) => text(value, name),
        None => refuse(item, format!("this rule has no `{name}`, which every rule needs")),
    };
    let by = match table.get("by") {
        Some(value) => word(value, "by", &[("human", By::Human), ("loop", By::Loop)])?,
        None => By::Human,
    };
    let rule = Rule {
        name: required("name")?,
        status: match table.get("status") {
            Some(value) => word(
                value,
                "status",
                &[
                    ("exhausted", Status::Exhausted),
                    ("confidently-bad", Status::ConfidentlyBad),
                    ("ambiguous", Status::Ambiguous),
                ],
            )?,
            None => return refuse(item, "this rule has no `status`: exhausted, confidently-bad or ambiguous".into()),
        },
        by,
        reason: required("reason")?,
        paths: list(table, "paths", |value| {
            let path = text(value, "paths")?;
            Pattern::parse(&path).or_else(|why| refuse(value, format!("`{}` is no path: {why}", one_line(&path, 80))))
        })?,
        values: list(table, "values", plain)?,
        range: table.get("range").map(range).transpose()?,
        category: table
            .get("category")
            .map(|value| text(value, "category"))
            .transpose()?
            .map(|text| category_key(&text)),
        evidence: list(table, "evidence", |value| match whole(value.get_ref()) {
            Some(trial) => Ok(trial),
            None => {
                refuse(value, format!("found {}; `evidence` lists the numbers of trials", describe(value.get_ref())))
            }
        })?,
        revisit: table.get("revisit").map(|value| text(value, "revisit")).transpose()?,
        revisit_after: table.get("revisit_after").map(revisit_after).transpose()?,
        blocks: Vec::new(),
    };
    if let (Some(value), true) = (table.get("revisit_after"), rule.evidence.is_empty()) {
        let message = "`revisit_after` counts from the newest trial in `evidence`, and this rule has none";
        return refuse(value, message.into());
    }
    if rule.paths.is_empty() && rule.category.is_none() {
        return refuse(item, "this rule has neither `paths` nor `category`, so it would be about everything".into());
    }
    if rule.paths.is_empty() && (!rule.values.is_empty() || rule.range.is_some()) {
        return refuse(item, "this rule has values or a range and no `paths` that they are values of".into());
    }
    if !rule.values.is_empty() && rule.range.is_some() {
        return refuse(item, "this rule has both `values` and `range`: make it two rules".into());
    }
    let blocks = list(table, "blocks", |value| example(value, &rule))?;
    Ok(Rule { blocks, ..rule })
}

/// An example, which the rule has to speak of: an example that is not blocked is a rule that does not say what is meant.
fn example(value: &Spanned<DeValue<'_>>, rule: &Rule) -> Found<Example> {
    let written = text(value, "blocks")?;
    let shown = one_line(&written, 120);
    match Example::parse(&written) {
        Err(why) => refuse(value, format!("`{shown}` is no example: {why}")),
        Ok(example) if rule.speaks_of(example.changes()) => Ok(example),
        Ok(_) => refuse(
            value,
            format!("this rule does not block its example `{shown}`: look at its paths, and its values or range"),
        ),
    }
}

fn revisit_after(value: &Spanned<DeValue<'_>>) -> Found<u32> {
    match whole(value.get_ref()) {
        Some(trials) if (1..=MOST_TRIALS).contains(&trials) => Ok(trials),
        _ => refuse(
            value,
            format!("found {}; `revisit_after` is a number of trials, 1 to {MOST_TRIALS}", describe(value.get_ref())),
        ),
    }
}

fn whole(value: &DeValue<'_>) -> Option<u32> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        _ => None,
    }
}

fn list<T>(table: &DeTable<'_>, name: &str, each: impl Fn(&Spanned<DeValue<'_>>) -> Found<T>) -> Found<Vec<T>> {
    let Some(value) = table.get(name) else { return Ok(Vec::new()) };
    match value.get_ref() {
        DeValue::Array(items) if items.is_empty() => {
            refuse(value, format!("`{name}` is empty: leave it out, or say what is meant"))
        }
        DeValue::Array(items) => items.iter().map(each).collect(),
        other => refuse(value, format!("found {}; `{name}` is a list: {name} = [ … ]", describe(other))),
    }
}

fn range(value: &Spanned<DeValue<'_>>) -> Found<Range> {
    let DeValue::Table(table) = value.get_ref() else {
        return refuse(
            value,
            format!("found {}; a range is written {{ min = 0.1, max = 0.5 }}", describe(value.get_ref())),
        );
    };
    for key in table.keys() {
        let found = key.get_ref().as_ref();
        if !["min", "max"].contains(&found) {
            return refuse(key, format!("unknown field `{}` of a range; allowed: min, max", one_line(found, 60)));
        }
    }
    let end = |name: &str| match table.get(name) {
        None => Ok(None),
        Some(value) => match finite(value.get_ref()) {
            Some(number) => Ok(Some(number)),
            None => refuse(value, format!("found {}; `{name}` is a number", describe(value.get_ref()))),
        },
    };
    let range = Range { min: end("min")?, max: end("max")? };
    match (range.min, range.max) {
        (None, None) => refuse(value, "this range has neither `min` nor `max`".into()),
        (Some(min), Some(max)) if min > max => {
            refuse(value, format!("this range is empty: min {min} is above max {max}"))
        }
        _ => Ok(range),
    }
}

/// A word, a number or a switch, as its text.
fn plain(value: &Spanned<DeValue<'_>>) -> Found<String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.trim().to_owned()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        number => match finite(number) {
            Some(number) => Ok(super::write::number_text(number)),
            None => refuse(value, format!("found {}; a value is a word, a number, or true or false", describe(number))),
        },
    }
}

fn finite(value: &DeValue<'_>) -> Option<f64> {
    let number: f64 = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok()?,
        DeValue::Float(number) => number.as_str().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn text(value: &Spanned<DeValue<'_>>, name: &str) -> Found<String> {
    match value.get_ref() {
        DeValue::String(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        DeValue::String(_) => refuse(value, format!("`{name}` is empty")),
        other => refuse(value, format!("found {}; `{name}` is a text in quotes", describe(other))),
    }
}

fn word<T: Copy>(value: &Spanned<DeValue<'_>>, name: &str, allowed: &[(&str, T)]) -> Found<T> {
    let found = text(value, name)?;
    match allowed.iter().find(|(word, _)| *word == found) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let words: Vec<&str> = allowed.iter().map(|(word, _)| *word).collect();
            refuse(
                value,
                format!(
                    "`{name}` is {:?}; allowed: {}.{}",
                    one_line(&found, 60),
                    words.join(", "),
                    nearest(&found, &words)
                ),
            )
        }
    }
}

fn refuse<T, V>(at: &Spanned<V>, message: String) -> Found<T> {
    Err(Mistake { at: at.span().start, message })
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {:?}", one_line(text, 40)),
        DeValue::Integer(number) => format!("the number {}", one_line(number.as_str(), 40)),
        DeValue::Float(number) => format!("the number {}", one_line(number.as_str(), 40)),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// ` Did you mean …?`, if one of the allowed words is near enough to be meant.
fn nearest(found: &str, allowed: &[&str]) -> String {
    allowed
        .iter()
        .map(|word| (strsim::jaro_winkler(&found.to_lowercase(), word), word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, word)| format!(" Did you mean `{word}`?"))
}
