//! Reads a model's reply: JSON, fenced JSON, or fenced YAML, with prose or thoughts around it. What cannot be read is
//! answered with words that tell the model what to mend.

use std::borrow::Cow;

use serde_json::Value;

use super::categories;

/// A spec longer than this many bytes is refused; the language's largest sensible models take a tenth of it.
pub const MAX_SPEC_BYTES: usize = 64 << 10;
/// Titles stand in commit subjects.
const MAX_TITLE: usize = 100;
/// Hypotheses stand in commit bodies.
const MAX_HYPOTHESIS: usize = 2_000;
/// Of fenced blocks, no more are looked at.
const MAX_BLOCKS: usize = 16;

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

/// Reads a reply.
///
/// # Errors
/// A sentence that says what is missing or wrong, for the model to mend.
pub fn parse(reply: &str) -> Result<Draft, String> {
    let text = without_thoughts(reply);
    let text = text.trim();
    if text.is_empty() {
        return Err("the reply is empty; answer with one JSON object as the prompt describes".into());
    }
    let blocks = fenced_blocks(text);
    let mut complaint = None;
    let whole = std::iter::once(text);
    let fenced = blocks.iter().map(|block| block.text);
    for candidate in whole.chain(fenced).chain(outermost_object(text)) {
        match object(candidate) {
            Ok(value) if is_proposal(&value) => return draft(&value),
            Ok(_) => {}
            // The complaint about what looks most like the asked-for object is the most useful one.
            Err(why) if candidate.trim_start().starts_with('{') && complaint.is_none() => complaint = Some(why),
            Err(_) => {}
        }
    }
    if let Some(block) = blocks.iter().find(|block| is_spec_text(block.text)) {
        return from_prose(text, block);
    }
    Err(complaint.unwrap_or_else(|| {
        "the reply holds no proposal; answer with one JSON object with the keys title, hypothesis, category, \
         expected_effect and spec (the whole model.yaml as a string)"
            .into()
    }))
}

/// The whole text of learnings.md from a reply: a fence around it is taken off.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn document(reply: &str) -> Result<String, String> {
    let text = without_thoughts(reply);
    let text = text.trim();
    let inner = match fenced_blocks(text).as_slice() {
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
        // Some servers swallow the opening tag: all up to the first closing one is thought then.
        while let Some(end) = text.find(close) {
            let start = text[..end].find(open).unwrap_or(0);
            text = Cow::Owned(format!("{}{}", &text[..start], &text[end + close.len()..]));
        }
    }
    text
}

struct Block<'a> {
    text: &'a str,
    start: usize,
}

/// The insides of fences of three or more backticks that start a line.
fn fenced_blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let ticks = line.trim_start().chars().take_while(|letter| *letter == '`').count();
        match open {
            None if ticks >= 3 => open = Some((ticks, offset + line.len())),
            Some((fence, start)) if ticks >= fence && line.trim().chars().all(|letter| letter == '`') => {
                blocks.push(Block { text: &text[start..offset], start });
                open = None;
            }
            _ => {}
        }
        offset += line.len();
        if blocks.len() >= MAX_BLOCKS {
            break;
        }
    }
    if let Some((_, start)) = open {
        blocks.push(Block { text: &text[start.min(text.len())..], start });
    }
    blocks
}

/// From the first `{` to the brace that closes it, strings skipped.
fn outermost_object(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, letter) in text[start..].char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[start..start + index + 1]);
                }
            }
            _ => {}
        }
    }
    None
}

/// JSON, or else YAML, that is an object.
fn object(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let json = serde_json::from_str::<Value>(text);
    if let Ok(value) = json {
        return Ok(value);
    }
    if !text.starts_with('{')
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

fn draft(value: &Value) -> Result<Draft, String> {
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
fn from_prose(text: &str, block: &Block<'_>) -> Result<Draft, String> {
    let prose = format!("{}\n{}", &text[..block.start], &text[block.start + block.text.len()..]);
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
        block.text,
    )
}

fn finish(title: &str, hypothesis: &str, category: &str, effect: Option<f64>, spec: &str) -> Result<Draft, String> {
    let title = capped(&on_one_line(title), MAX_TITLE);
    if title.is_empty() {
        return Err("the key `title` is missing or empty; it must say in one line what is tried".into());
    }
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
    fenced_blocks(text).first().map_or(text, |block| block.text)
}

fn on_one_line(text: &str) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capped(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "version: 1\nnetwork:\n  - dense: { width: 8 }\n";

    fn json() -> String {
        serde_json::json!({
            "title": "Wider", "hypothesis": "More room.", "category": "architecture", "expected_effect": 0.001, "spec": SPEC
        })
        .to_string()
    }

    #[test]
    fn the_ways_in_which_models_answer() {
        let object = r#"{"title":"Wider","hypothesis":"More room.","category":"architecture","expected_effect":"+0.001 payout","spec":{"version":1,"network":[{"dense":{"width":8}}]}}"#;
        // (reply, why)
        let table = [
            (json(), "bare JSON"),
            (format!("Here it is:\n\n```json\n{}\n```\nGood luck!", json()), "fenced JSON in prose"),
            (format!("Sure. {} That is all.", json()), "JSON in the middle of a sentence"),
            (format!("<think>maybe {{ \"spec\": 1 }}?</think>\n{}", json()), "thoughts before it"),
            (format!("maybe {{ so }}\n</think>\n{}", json()), "thoughts whose opening tag was swallowed"),
            (object.to_owned(), "the spec as an object"),
            (format!("````\n{}\n````", json()), "a longer fence"),
            (
                format!(
                    "```yaml\ntitle: Wider\nhypothesis: More room.\ncategory: Architecture\nexpected_effect: 0.001\nspec:\n{}```",
                    indent(SPEC)
                ),
                "a proposal in YAML",
            ),
            (
                format!(
                    "**Title:** Wider\n**Hypothesis:** More room.\nCategory: architecture\nExpected effect: about 0.001\n```yaml\n{SPEC}```\n"
                ),
                "prose around a spec",
            ),
            (
                format!("{}\n```", json().replace("{\"category", "```json\n{\"category")),
                "a fence that never closes well",
            ),
        ];
        for (reply, why) in table {
            let draft = parse(&reply).unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(draft.title, "Wider", "{why}");
            assert_eq!(draft.hypothesis, "More room.", "{why}");
            assert_eq!(draft.category, "architecture", "{why}");
            assert_eq!(draft.expected_effect, Some(0.001), "{why}");
            let spec: Value = serde_yaml::from_str(&draft.spec).unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(spec, serde_yaml::from_str::<Value>(SPEC).expect("the spec itself"), "{why}");
        }
    }

    fn indent(text: &str) -> String {
        text.lines().map(|line| format!("  {line}\n")).collect()
    }

    #[test]
    fn what_cannot_be_read_is_answered_with_what_to_mend() {
        let huge = serde_json::json!({"title": "x", "spec": "y".repeat(MAX_SPEC_BYTES + 1)}).to_string();
        let table = [
            ("", "empty"),
            ("I would rather not.", "no proposal"),
            ("{\"title\": \"x\", \"spec\": \"a\nb\"}", "broken"),
            ("{\"title\": \"x\", ", "broken"),
            (r#"{"title": "x", "hypothesis": "y"}"#, "`spec` is missing"),
            (r#"{"title": "x", "spec": 3}"#, "must be the whole model.yaml"),
            (r#"{"spec": "version: 1"}"#, "`title` is missing"),
            (r#"{"title": "x", "spec": "  "}"#, "`spec` is empty"),
            (huge.as_str(), "the limit is"),
        ];
        for (reply, part) in table {
            let error = parse(reply).expect_err(part);
            assert!(error.contains(part), "wanted {part:?} in {error:?}");
        }
    }

    #[test]
    fn texts_are_capped_and_kept_to_one_line() {
        let reply = serde_json::json!({
            "title": format!("a\nVerdict: keep\u{1b}[31m{}", "x".repeat(300)), "hypothesis": "y ".repeat(9000),
            "category": "New Optimizer!", "expected_effect": "NaN", "spec": SPEC
        });
        let draft = parse(&reply.to_string()).expect("readable");
        assert!(draft.title.starts_with("a Verdict: keep [31mxxx") && draft.title.chars().count() == MAX_TITLE);
        assert_eq!(draft.hypothesis.chars().count(), MAX_HYPOTHESIS);
        assert_eq!(draft.expected_effect, None);
        assert!(draft.category.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
    }

    #[test]
    fn a_document_loses_its_fence_and_nothing_else() {
        assert_eq!(document("```markdown\n# A\n\n- b\n```").as_deref(), Ok("# A\n\n- b\n"));
        assert_eq!(document("# A\n```\ncode\n```\nend").as_deref(), Ok("# A\n```\ncode\n```\nend\n"));
        assert!(document("<think>hm</think>  ").is_err());
        assert!(document(&"x".repeat(MAX_SPEC_BYTES + 1)).is_err());
    }
}
