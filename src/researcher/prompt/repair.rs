//! The answer to proposals that could not be used: what is wrong with each, and what is asked for instead.

use minijinja::context;

use super::fence::{fenced, inline};
use super::templates::{REPAIR, Templates};
use crate::researcher::error::ErrorKind;

/// No error is shown longer than this, in characters.
const LONGEST: usize = 4_000;

/// What is wrong with a proposal, or with a whole reply.
#[derive(Clone, Copy, Debug)]
pub struct Mistake<'a> {
    /// What would have been tried; None for a reply in which nothing could be read.
    pub title: Option<&'a str>,
    /// What is wrong.
    pub error: &'a str,
}

/// An answer to proposals that could not be used, which asks for `count` in their place. The errors together take about
/// `limit` characters.
///
/// # Errors
/// [`ErrorKind::Template`].
pub fn repair(
    templates: &Templates,
    mistakes: &[Mistake<'_>],
    count: usize,
    limit: usize,
) -> Result<String, ErrorKind> {
    let each = (limit / mistakes.len().max(1)).clamp(200, LONGEST);
    let blocks: Vec<String> = mistakes
        .iter()
        .map(|mistake| match mistake.title {
            // A single one needs no name: it has just been said.
            Some(title) if mistakes.len() > 1 => {
                fenced(&format!("{}\n\n{}", inline(title, 100), mistake.error), "text", each)
            }
            _ => fenced(mistake.error, "text", each),
        })
        .collect();
    let nothing_was_read = mistakes.iter().all(|mistake| mistake.title.is_none());
    let request = match count {
        0 | 1 if mistakes.len() < 2 => {
            "Mend it, or propose something else, and reply again with the whole JSON object.".to_owned()
        }
        0 | 1 => {
            "Mend one of them, or propose something else: one candidate is wanted now, as one JSON object. What else \
                  you had proposed is taken; do not repeat it."
                .to_owned()
        }
        count if nothing_was_read => {
            format!("Reply again with the whole JSON object: {count} candidates under the key `candidates`.")
        }
        count => format!(
            "Mend what can be mended, or propose something else in its place: {count} candidates are wanted now, as one \
             JSON object with the key `candidates`. What else you had proposed is taken; do not repeat it."
        ),
    };
    templates.render(REPAIR, context! { error => blocks.join("\n\n"), request })
}
