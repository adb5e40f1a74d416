//! Keeps a prompt within its limit: sections are cut in a stated order, the least important first.

use std::collections::BTreeMap;

use minijinja::Value;

use super::fence::cut;
use super::templates::Templates;
use crate::researcher::error::ErrorKind;

/// Characters a token, on the cautious side for English, YAML and tables.
pub const CHARACTERS_PER_TOKEN: usize = 4;

/// A section that may be shortened.
pub struct Section {
    /// Its name in the template.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// In a first pass it is cut down to this many characters only; in a second it may go altogether.
    pub floor: usize,
}

/// The tokens of a text, estimated.
pub fn tokens(text: &str) -> u32 {
    u32::try_from(text.chars().count().div_ceil(CHARACTERS_PER_TOKEN)).unwrap_or(u32::MAX)
}

/// Renders a template within `limit` tokens. `fixed` is never cut; `sections` are, in their order.
///
/// # Errors
/// [`ErrorKind::PromptTooLong`] when it is too long with every section gone; [`ErrorKind::Template`].
pub fn fitted(
    templates: &Templates,
    name: &str,
    fixed: &BTreeMap<&'static str, String>,
    sections: &[Section],
    limit: u32,
) -> Result<String, ErrorKind> {
    let mut lengths: Vec<usize> = sections.iter().map(|section| section.text.chars().count()).collect();
    let render = |lengths: &[usize]| -> Result<(String, usize), ErrorKind> {
        let cut =
            sections.iter().zip(lengths).map(|(section, length)| (section.name, shortened(&section.text, *length)));
        let context: BTreeMap<&str, String> =
            fixed.iter().map(|(name, text)| (*name, text.clone())).chain(cut).collect();
        let text = templates.render(name, Value::from(context))?;
        let length = text.chars().count();
        Ok((text, length))
    };
    let room = limit as usize * CHARACTERS_PER_TOKEN;
    let (mut text, mut length) = render(&lengths)?;
    for pass in 0..2 {
        for index in 0..sections.len() {
            if length <= room {
                return Ok(text);
            }
            let least = if pass == 0 { sections[index].floor.min(lengths[index]) } else { 0 };
            // The note that says how much is left out takes room as well.
            let wanted = lengths[index].saturating_sub(length - room + 60);
            let shorter = if wanted < 80 { least } else { wanted.max(least) };
            if shorter == lengths[index] {
                continue;
            }
            lengths[index] = shorter;
            (text, length) = render(&lengths)?;
        }
    }
    if length <= room {
        return Ok(text);
    }
    Err(ErrorKind::PromptTooLong { setting: "max_prompt_tokens", needed: tokens(&text), limit })
}

/// A section's text cut to a length, a fence around it closed again.
fn shortened(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    if length == 0 {
        return String::new();
    }
    let kept = cut(text, length);
    let fence: String = text.chars().take_while(|letter| *letter == '`').collect();
    if fence.len() >= 3 && !kept.trim_end().ends_with(&fence) && !kept.is_empty() {
        return format!("{kept}\n{fence}");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates() -> Templates {
        let text = "{{ head }}{% if one %}\nONE\n{{ one }}{% endif %}{% if two %}\nTWO\n{{ two }}{% endif %}\n";
        Templates::with_overrides(&[(super::super::templates::PROPOSE.into(), text.into())]).expect("a template")
    }

    fn section(name: &'static str, lines: usize, floor: usize) -> Section {
        Section { name, text: (0..lines).map(|line| format!("{name} line {line}\n")).collect(), floor }
    }

    fn fit(limit: u32) -> Result<String, ErrorKind> {
        let fixed = BTreeMap::from([("head", "the head stays".to_owned())]);
        let sections = [section("one", 200, 400), section("two", 200, 0)];
        fitted(&templates(), super::super::templates::PROPOSE, &fixed, &sections, limit)
    }

    #[test]
    fn what_fits_is_left_alone() {
        let whole = fit(10_000).expect("it fits");
        assert!(whole.contains("one line 199") && whole.contains("two line 199") && !whole.contains("left out"));
    }

    #[test]
    fn the_first_sections_are_cut_first_and_the_limit_holds() {
        let some = fit(1_000).expect("it fits");
        assert!(some.contains("two line 199"), "the second is whole as long as the first has something to give");
        assert!(some.contains("one line 3\n") && !some.contains("one line 199") && some.contains("left out"), "{some}");
        for limit in [30, 60, 120, 240, 480, 960, 1920] {
            let text = fit(limit).expect("the head alone is short");
            assert!(tokens(&text) <= limit, "{limit}: {}", tokens(&text));
            assert!(text.contains("the head stays"));
        }
    }

    #[test]
    fn what_cannot_be_cut_is_an_error_that_says_how_much_is_needed() {
        assert_eq!(fit(2), Err(ErrorKind::PromptTooLong { setting: "max_prompt_tokens", needed: 4, limit: 2 }));
    }

    #[test]
    fn a_cut_block_is_closed_again() {
        let block = super::super::fence::fenced(&"a line\n".repeat(100), "text", 10_000);
        let short = shortened(&block, 200);
        assert!(short.starts_with("```text\n") && short.ends_with("\n```"), "{short}");
    }
}
