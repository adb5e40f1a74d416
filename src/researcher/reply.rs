//! Reads a model's reply: one proposal or several, as JSON, fenced JSON, or fenced YAML, with prose or thoughts around
//! it. What cannot be read is answered with words that tell the model what to mend.

mod pieces;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use self::pieces::{Block, fenced_blocks, objects};
use super::categories;
use crate::research::foreign::visible;

/// A spec longer than this many bytes is refused; the language's largest sensible models take a tenth of it.
pub const MAX_SPEC_BYTES: usize = 64 << 10;
/// Titles stand in commit subjects.
const MAX_TITLE: usize = 100;
/// Hypotheses stand in commit bodies.
const MAX_HYPOTHESIS: usize = 2_000;
/// Of candidates, no more are looked at.
const MOST_CANDIDATES: usize = 32;

/// The parts of a proposal that a model writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// One line: what is tried.
    pub title: String,
    /// Why it should help.
    pub hypothesis: String,
    /// The kind of change.
    pub category: String,
    /// The gain in payout that is expected, if said.
    pub expected_effect: Option<f64>,
    /// The whole spec as YAML, not yet checked.
    pub spec: String,
}

/// What is wrong with one candidate, or with a whole reply, for the model to mend.
type Complaint = String;

/// Reads a reply that was asked for `count` candidates, each on its own: one that is broken does not lose the others. What
/// comes after `count` readable ones is ignored. `cut_off` says that the reply ended at its limit of tokens, so that what
/// stands open at its end is half of something.
///
/// # Errors
/// A sentence that says what is missing or wrong where there is no candidate at all.
pub fn parse_all(reply: &str, count: usize, cut_off: bool) -> Result<Vec<Result<Draft, Complaint>>, Complaint> {
    let text = without_thoughts(reply);
    let text = text.trim();
    if text.is_empty() {
        return Err("the reply is empty; answer with one JSON object as the prompt describes".into());
    }
    let blocks = fenced_blocks(text, cut_off);
    let mut complaint = None;
    let mut found = Vec::new();
    for (candidate, whole) in std::iter::once((text, true)).chain(blocks.iter().map(|block| (block.text, false))) {
        match object(candidate, cut_off && whole) {
            Ok(value) => match listed(&value) {
                Some(list) if list.is_empty() => {
                    complaint = Some("`candidates` is an empty list; it must hold what the prompt asks for".into());
                }
                Some(list) => return Ok(first(list.iter().map(draft), count)),
                None if is_proposal(&value) => found.push(value),
                None => {}
            },
            // The complaint about what looks most like the asked-for object is the most useful one.
            Err(why) if candidate.trim_start().starts_with(['{', '[']) && complaint.is_none() => complaint = Some(why),
            Err(_) => {}
        }
        if whole && !found.is_empty() {
            break;
        }
    }
    if !found.is_empty() {
        return Ok(first(found.iter().map(draft), count));
    }
    let salvaged = salvaged(text);
    if salvaged.iter().any(Result::is_ok) {
        return Ok(first(salvaged.into_iter(), count));
    }
    let specs: Vec<&Block<'_>> = blocks.iter().filter(|block| is_spec_text(block.text)).collect();
    match specs.as_slice() {
        [] if salvaged.is_empty() => Err(complaint.unwrap_or_else(|| {
            "the reply holds no proposal; answer with one JSON object with the keys title, hypothesis, category, \
             expected_effect and spec (the whole model.yaml as a string)"
                .into()
        })),
        [] => Ok(salvaged),
        [block, others @ ..] if count < 2 || others.is_empty() => {
            let prose = format!("{}\n{}", &text[..block.start], &text[block.start + block.text.len()..]);
            Ok(vec![from_prose(&prose, block.text)])
        }
        several => {
            let ends = std::iter::once(0).chain(several.iter().map(|block| block.start + block.text.len()));
            Ok(first(
                several.iter().zip(ends).map(|(block, end)| from_prose(&text[end..block.start], block.text)),
                count,
            ))
        }
    }
}

/// Up to the readable one that completes `count`.
fn first(drafts: impl Iterator<Item = Result<Draft, Complaint>>, count: usize) -> Vec<Result<Draft, Complaint>> {
    let (mut kept, mut readable) = (Vec::new(), 0);
    for draft in drafts.take(MOST_CANDIDATES) {
        if readable == count.max(1) {
            break;
        }
        readable += usize::from(draft.is_ok());
        kept.push(draft);
    }
    kept
}

/// The candidates of a list, or of an object that holds one.
fn listed(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Array(list) if list.is_empty() || list.iter().any(is_proposal) => Some(list),
        Value::Object(_) => field(value, &["candidates", "proposals"]).and_then(Value::as_array),
        _ => None,
    }
}

/// What can be read of a reply that is no JSON as a whole.
fn salvaged(text: &str) -> Vec<Result<Draft, Complaint>> {
    let read = |piece: &str| match object(piece, false) {
        Ok(value) => is_proposal(&value).then(|| draft(&value)),
        // Only what was meant to be a proposal is worth a complaint.
        Err(why) => (piece.contains("\"spec\"") || piece.contains("\"title\"")).then_some(Err(why)),
    };
    objects(text).into_iter().filter_map(read).collect()
}

/// The whole text of learnings.md from a reply: a fence around it is taken off.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn document(reply: &str) -> Result<String, String> {
    let text = without_thoughts(reply);
    let text = text.trim();
    let inner = match fenced_blocks(text, false).as_slice() {
        [only] if text.starts_with("```") && text.ends_with("```") => only.text,
        _ => text,
    };
    if inner.trim().is_empty() {
        return Err("the reply is empty; answer with the whole new text of learnings.md".into());
    }
    if inner.len() > MAX_SPEC_BYTES {
        return Err(format!("the document has {} bytes; the limit is {MAX_SPEC_BYTES}: synthesize more", inner.len()));
    }
    let clean: String =
        inner.chars().filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control()).collect();
    Ok(format!("{}\n", clean.trim_end()))
}

fn without_thoughts(reply: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(reply);
    for (open, close) in [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")] {
        if !text.contains(close) {
            continue;
        }
        // What stands before a closing tag is kept up to its opening one. Some servers swallow that: all is thought then.
        let mut kept = String::with_capacity(text.len());
        let mut rest = text.as_ref();
        while let Some(end) = rest.find(close) {
            match rest[..end].find(open) {
                Some(start) => kept.push_str(&rest[..start]),
                None => kept.clear(),
            }
            rest = &rest[end + close.len()..];
        }
        kept.push_str(rest);
        text = Cow::Owned(kept);
    }
    text
}

/// JSON, or else YAML. Of YAML that was cut off nobody could tell.
fn object(text: &str, cut_off: bool) -> Result<Value, Complaint> {
    let text = text.trim();
    let json = serde_json::from_str::<Value>(text);
    if let Ok(value) = json {
        return Ok(value);
    }
    if !cut_off
        && !text.starts_with('{')
        && let Ok(value) = serde_yaml::from_str::<Value>(text)
    {
        return Ok(value);
    }
    Err(json.err().map_or_else(String::new, |error| {
        format!(
            "the JSON object of the reply is broken: {error}; escape line breaks in strings as \\n, and quotes as \\\""
        )
    }))
}

fn field<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| value.get(name)).filter(|found| !found.is_null())
}

const SPEC_NAMES: &[&str] = &["spec", "model.yaml", "model_yaml", "model"];

fn is_proposal(value: &Value) -> bool {
    value.is_object() && (field(value, SPEC_NAMES).is_some() || field(value, &["title", "hypothesis"]).is_some())
}

fn draft(value: &Value) -> Result<Draft, Complaint> {
    let spec = match field(value, SPEC_NAMES) {
        Some(Value::String(text)) => unfenced(text).to_owned(),
        Some(object @ Value::Object(_)) => {
            serde_yaml::to_string(object).map_err(|error| format!("`spec` cannot be written as YAML: {error}"))?
        }
        Some(_) => return Err("`spec` must be the whole model.yaml, as a string of YAML or as an object".into()),
        None => return Err("the key `spec` is missing; it must hold the whole model.yaml, not only the change".into()),
    };
    let text = |names: &[&str]| field(value, names).and_then(Value::as_str).unwrap_or_default().to_owned();
    finish(
        &text(&["title", "name"]),
        &text(&["hypothesis", "rationale", "reasoning", "why"]),
        &text(&["category"]),
        field(value, &["expected_effect", "expected_gain"]).and_then(number),
        &spec,
    )
}

/// A proposal whose spec stands in a fence of its own, with `Title: …` and the like in the prose around it.
fn from_prose(prose: &str, spec: &str) -> Result<Draft, Complaint> {
    let plain = |line: &str| {
        let line = line.trim().trim_start_matches(['#', '*', '-', '>', '_', ' ']);
        line.replace("**", "").replace("__", "").trim().to_owned()
    };
    let said = |name: &str| {
        prose.lines().map(plain).find_map(|line| {
            let (key, rest) = line.split_once(':')?;
            (key.trim().eq_ignore_ascii_case(name) && !rest.trim().is_empty()).then(|| rest.trim().to_owned())
        })
    };
    let first =
        || prose.lines().map(plain).find(|line| !line.is_empty() && !line.starts_with("```")).unwrap_or_default();
    finish(
        &said("title").unwrap_or_else(first),
        &said("hypothesis").unwrap_or_default(),
        &said("category").unwrap_or_default(),
        said("expected effect").or_else(|| said("expected_effect")).and_then(|text| number(&Value::String(text))),
        spec,
    )
}

fn finish(title: &str, hypothesis: &str, category: &str, effect: Option<f64>, spec: &str) -> Result<Draft, Complaint> {
    let title = capped(&on_one_line(title), MAX_TITLE);
    if title.is_empty() {
        return Err("the key `title` is missing or empty; it must say in one line what is tried".into());
    }
    let spec = visible(spec);
    if spec.trim().is_empty() {
        return Err("`spec` is empty; it must hold the whole model.yaml".into());
    }
    if spec.len() > MAX_SPEC_BYTES {
        return Err(format!("`spec` has {} bytes; the limit is {MAX_SPEC_BYTES}", spec.len()));
    }
    Ok(Draft {
        title,
        hypothesis: capped(&on_one_line(hypothesis), MAX_HYPOTHESIS),
        category: categories::normalize(category),
        expected_effect: effect,
        spec: format!("{}\n", spec.trim_end()),
    })
}

/// `0.001`, `"+0.001"`, `"about 0.001 payout"`.
fn number(value: &Value) -> Option<f64> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text
            .split(|letter: char| letter.is_whitespace() || letter == '~' || letter == ',')
            .find_map(|word| word.trim_start_matches('+').parse::<f64>().ok()),
        _ => None,
    };
    found.filter(|number| number.is_finite())
}

fn is_spec_text(text: &str) -> bool {
    ["network:", "version:"].iter().any(|key| text.lines().any(|line| line.starts_with(key)))
}

fn unfenced(text: &str) -> &str {
    if !text.trim_start().starts_with("```") {
        return text;
    }
    fenced_blocks(text, false).first().map_or(text, |block| block.text)
}

fn on_one_line(text: &str) -> String {
    let clean: String = visible(text).chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capped(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}
