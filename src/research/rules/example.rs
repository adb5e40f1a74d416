//! An example of what a rule blocks, as it stands in do_not_retry.toml: a test of the rule that is made whenever the file is
//! read.

use std::fmt;

use crate::research::trial::KnobChange;

/// What one proposal changes: `network[0].dense.activation: relu -> silu`. Nothing on a side is a place that was not there, or
/// is gone; several changes stand apart by `;`: `optimizer.adamw: {} -> ; optimizer.sgd: -> {}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example(Vec<KnobChange>);

/// The longest value that an example is made of; a longer one is no example of anything.
const LONGEST: usize = 80;

impl Example {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and what one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            Err(format!(
                "{what}: an example looks like `network[0].dense.activation: relu -> silu`, with nothing on a side for what was not there or is gone"
            ))
        };
        let mut changes = Vec::new();
        for part in text.split(';') {
            let Some((path, sides)) = part.split_once(':') else {
                return wrong("it names no place before a colon");
            };
            let Some((from, to)) = sides.split_once("->") else { return wrong("it has no `->`") };
            let (path, from, to) = (path.trim(), from.trim(), to.trim());
            if path.is_empty() || path.contains(char::is_whitespace) {
                return wrong("it names no place before a colon");
            }
            if to.contains("->") {
                return wrong("it has two `->`");
            }
            let side = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            if from == to {
                return wrong("both sides are the same");
            }
            changes.push(KnobChange { path: path.to_owned(), from: side(from), to: side(to) });
        }
        Ok(Self(changes))
    }

    /// The example that a trial's changes make; None where they cannot be written as one.
    pub fn of(changes: &[KnobChange]) -> Option<Self> {
        let short = |value: &Option<String>| value.as_ref().is_none_or(|text| text.chars().count() <= LONGEST);
        let example = Self(changes.to_vec());
        let fits = !changes.is_empty() && changes.iter().all(|change| short(&change.from) && short(&change.to));
        // Whatever stands in the values: what reads back the same says what happened.
        (fits && Self::parse(&example.to_string()).as_ref() == Ok(&example)).then_some(example)
    }

    /// The changes.
    pub fn changes(&self) -> &[KnobChange] {
        &self.0
    }
}

impl fmt::Display for Example {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, KnobChange { path, from, to }) in self.0.iter().enumerate() {
            let gap = if index > 0 { "; " } else { "" };
            write!(formatter, "{gap}{path}:")?;
            for (lead, side) in [(" ", from), (" -> ", to)] {
                // A side that is nothing leaves no blank behind.
                let text = side.as_deref().unwrap_or_default();
                let lead = if text.is_empty() { lead.trim_end() } else { lead };
                write!(formatter, "{lead}{text}")?;
            }
        }
        Ok(())
    }
}
