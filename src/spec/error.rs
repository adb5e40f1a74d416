//! What can be wrong with a spec, and where: every error at once, each with line, column and path.

use std::fmt;

use super::node::Node;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// 1-based line in the text; 0 where the spec did not come from text.
    pub line: usize,
    /// 1-based column.
    pub column: usize,
    /// Where in the spec: `network[0].dense.width`; empty for the whole.
    pub path: String,
    /// What was found, what is allowed, the nearest valid name.
    pub message: String,
}

/// All mistakes of one spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecErrors {
    /// The file, or who wrote it.
    pub origin: String,
    /// At least one.
    pub errors: Vec<SpecError>,
}

impl SpecErrors {
    /// The same with places in the text that the spec was read from: what is found out later, about the data or the cost,
    /// is known by its path only. `origin` is the file, or who wrote it.
    #[must_use]
    pub fn located(mut self, text: &str, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        if let Ok(node) = Node::parse(text, origin) {
            for error in self.errors.iter_mut().filter(|error| error.line == 0) {
                (error.line, error.column) = node.place(&error.path);
            }
        }
        self
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            formatter.write_str(&self.origin)?;
            if error.line > 0 {
                write!(formatter, ":{}:{}", error.line, error.column)?;
            }
            if !error.path.is_empty() {
                write!(formatter, ": {}", error.path)?;
            }
            write!(formatter, ": {}", error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

/// ` Did you mean "x"?`, if one of the allowed names is near enough to be meant.
pub(crate) fn nearest(found: &str, allowed: &[&str]) -> String {
    allowed
        .iter()
        .map(|name| (strsim::jaro_winkler(found, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!(" Did you mean `{name}`?"))
}
