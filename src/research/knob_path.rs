//! Places in a spec (`network[0].dense.width`), patterns over them, and what a change puts there.
//!
//! In a pattern `[*]` stands for any index, `*` for any one name, and `**` for any run of names and indices, none
//! included: `network[*].dense.activation` is every activation at the top level, `**.activation` also those in
//! residual blocks.

use std::fmt;

use super::trial::KnobChange;

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Name(String),
    AnyName,
    Index(usize),
    AnyIndex,
    Anything,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and what a pattern looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "{what}: a path looks like `network[0].dense.width`, with `[*]` for any index, `*` for any name, `**` for any run of both"
            )
        };
        let mut parts = Vec::new();
        for token in tokens(text) {
            parts.push(match token {
                "" => return Err(wrong(if text.is_empty() { "it is empty" } else { "it has an empty part" })),
                "*" => Part::AnyName,
                "**" => Part::Anything,
                "[*]" => Part::AnyIndex,
                index if index.starts_with('[') => {
                    let digits = index.trim_start_matches('[').strip_suffix(']').unwrap_or_default();
                    Part::Index(digits.parse().map_err(|_| wrong(&format!("`{index}` is not an index")))?)
                }
                name if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') => {
                    Part::Name(name.to_owned())
                }
                name => return Err(wrong(&format!("`{name}` is not a name"))),
            });
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether a place is meant.
    pub fn matches(&self, path: &str) -> bool {
        fits(&self.parts, &tokens(path), false)
    }

    /// Whether a place, or one that holds it, is meant: `network[*].dense` covers `network[0].dense.width`.
    pub fn covers(&self, path: &str) -> bool {
        fits(&self.parts, &tokens(path), true)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The place with every index replaced by `[*]`, so that the same knob of different blocks counts as one.
pub fn wildcarded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for token in tokens(path) {
        let token = if token.starts_with('[') { "[*]" } else { token };
        if !out.is_empty() && !token.starts_with('[') {
            out.push('.');
        }
        out.push_str(token);
    }
    out
}

/// A place and the plain value there, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The place.
    pub path: String,
    /// A number, a word, a switch. Where one of several kinds stands (`optimizer`), the word of the kind (`adamw`) is a
    /// leaf of its own.
    pub value: String,
}

/// What a change takes away and what it puts there, down to plain values: whole blocks are taken apart.
pub fn leaves(change: &KnobChange) -> (Vec<Leaf>, Vec<Leaf>) {
    let side = |text: Option<&String>, other_side_is_empty: bool| {
        let mut found = Vec::new();
        if let Some(text) = text {
            // An entry that comes or goes is a kind that is switched to or away from.
            if other_side_is_empty && let Some((parent, kind)) = change.path.rsplit_once('.') {
                found.push(Leaf { path: parent.to_owned(), value: kind.to_owned() });
            }
            match serde_yaml::from_str::<serde_json::Value>(text) {
                Ok(value) => take_apart(&value, text, change.path.clone(), &mut found),
                Err(_) => found.push(Leaf { path: change.path.clone(), value: text.clone() }),
            }
        }
        found
    };
    (side(change.from.as_ref(), change.to.is_none()), side(change.to.as_ref(), change.from.is_none()))
}

fn take_apart(value: &serde_json::Value, text: &str, path: String, found: &mut Vec<Leaf>) {
    use serde_json::Value::{Array, Object, String};
    match value {
        Object(entries) => {
            for (key, inner) in entries {
                found.push(Leaf { path: path.clone(), value: key.clone() });
                take_apart(inner, "", format!("{path}.{key}"), found);
            }
        }
        Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                take_apart(inner, "", format!("{path}[{index}]"), found);
            }
        }
        String(word) => found.push(Leaf { path, value: word.clone() }),
        // A change's own text says a number as the spec does (`1.2e-4`).
        plain => {
            let value = if text.is_empty() { plain.to_string() } else { text.trim().to_owned() };
            found.push(Leaf { path, value });
        }
    }
}

/// What a change does to its place, in words that several changes can share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// A number that went up.
    Raised,
    /// A number that went down.
    Lowered,
    /// A word, a switch, or a number where none was.
    To(String),
    /// Something that was not there.
    Added,
    /// Something that is gone.
    Removed,
    /// A whole part replaced by another.
    Replaced,
}

impl Aim {
    /// The aim of one change.
    pub fn of(change: &KnobChange) -> Self {
        match (&change.from, &change.to) {
            (_, None) => Self::Removed,
            (None, Some(_)) => Self::Added,
            (Some(from), Some(to)) => match (number(from), number(to)) {
                (Some(from), Some(to)) if to > from => Self::Raised,
                (Some(from), Some(to)) if to < from => Self::Lowered,
                _ if to.starts_with(['{', '[']) || from.starts_with(['{', '[']) => Self::Replaced,
                _ => Self::To(to.clone()),
            },
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raised => formatter.write_str("raised"),
            Self::Lowered => formatter.write_str("lowered"),
            Self::To(value) => write!(formatter, "set to {value}"),
            Self::Added => formatter.write_str("added"),
            Self::Removed => formatter.write_str("removed"),
            Self::Replaced => formatter.write_str("replaced"),
        }
    }
}

/// Whether two values are the same: as numbers where both are, else as text.
pub fn same_value(a: &str, b: &str) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => a.trim() == b.trim(),
    }
}

/// The finite number that a text is.
pub fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Names and `[index]` parts, in order.
fn tokens(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in path.split('.') {
        match part.find('[') {
            Some(start) => {
                if start > 0 {
                    found.push(&part[..start]);
                }
                found.extend(part[start..].split_inclusive(']'));
            }
            None => found.push(part),
        }
    }
    found
}

fn fits(parts: &[Part], path: &[&str], prefix_is_enough: bool) -> bool {
    let Some((part, rest)) = parts.split_first() else { return prefix_is_enough || path.is_empty() };
    if *part == Part::Anything {
        return (0..=path.len()).any(|skipped| fits(rest, &path[skipped..], prefix_is_enough));
    }
    let Some((token, after)) = path.split_first() else { return false };
    let index = token.strip_prefix('[').and_then(|token| token.strip_suffix(']'));
    let here = match part {
        Part::Name(name) => name == token,
        Part::AnyName => index.is_none(),
        Part::Index(wanted) => index.and_then(|index| index.parse().ok()) == Some(*wanted),
        Part::AnyIndex => index.is_some(),
        Part::Anything => true,
    };
    here && fits(rest, after, prefix_is_enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::change;

    #[test]
    fn patterns_match_places() {
        let table = [
            ("network[*].dense.activation", "network[3].dense.activation", true, "any index"),
            ("network[*].dense.activation", "network[0].residual[1].dense.activation", false, "another nesting"),
            ("**.activation", "network[0].residual[1].dense.activation", true, "any nesting"),
            ("**.activation", "activation", true, "a run may be empty"),
            ("network[1].*.width", "network[1].dense.width", true, "any name"),
            ("network[1].*.width", "network[2].dense.width", false, "another index"),
            ("*.width", "[0].width", false, "an index is no name"),
            ("optimizer", "optimizer.adamw.lr", false, "the whole is not its part"),
            ("optimizer.adamw.lr", "optimizer", false, "nor the part the whole"),
            ("network", "networks", false, "names match whole"),
        ];
        for (pattern, path, wanted, why) in table {
            assert_eq!(Pattern::parse(pattern).expect(pattern).matches(path), wanted, "{why}: {pattern} on {path}");
        }
        let optimizer = Pattern::parse("optimizer").expect("a pattern");
        assert!(optimizer.covers("optimizer.adamw.lr") && optimizer.covers("optimizer"));
        assert!(!optimizer.covers("optimizers"));
        for broken in ["", ".", "a..b", "a[", "a[x]", "a b", "a[-1]", "ä"] {
            let error = Pattern::parse(broken).expect_err(broken);
            assert!(error.contains("network[0].dense.width"), "{error}");
        }
    }

    #[test]
    fn indices_become_wildcards() {
        assert_eq!(wildcarded("network[0].residual[12].dense.width"), "network[*].residual[*].dense.width");
        assert_eq!(wildcarded("optimizer.adamw.lr"), "optimizer.adamw.lr");
    }

    fn put(change: &KnobChange) -> Vec<(String, String)> {
        leaves(change).1.into_iter().map(|leaf| (leaf.path, leaf.value)).collect()
    }

    #[test]
    fn whole_blocks_are_taken_apart() {
        let block =
            change("network[2]", None, Some("{ residual: [{ dense: { width: 64, bias: true, activation: silu } }] }"));
        let found = put(&block);
        for wanted in [
            ("network[2].residual[0].dense.activation", "silu"),
            ("network[2].residual[0].dense.width", "64"),
            ("network[2].residual[0].dense.bias", "true"),
            ("network[2]", "residual"),
        ] {
            assert!(
                found.iter().any(|(path, value)| (path.as_str(), value.as_str()) == wanted),
                "{wanted:?} in {found:?}"
            );
        }
        assert!(leaves(&block).0.is_empty());
    }

    #[test]
    fn plain_values_stay_as_they_are_written() {
        let found = put(&change("optimizer.adamw.weight_decay", Some("1e-4"), Some("1.2e-4")));
        assert_eq!(found, [("optimizer.adamw.weight_decay".to_owned(), "1.2e-4".to_owned())]);
        let found = put(&change("training.patience", Some("5"), Some("null")));
        assert_eq!(found, [("training.patience".to_owned(), "null".to_owned())]);
        let odd = put(&change("x", None, Some("{ not: [closed")));
        assert_eq!(odd, [("x".to_owned(), "{ not: [closed".to_owned())], "text that is no value is kept whole");
    }

    #[test]
    fn a_switch_of_kinds_names_the_kind() {
        let to = put(&change("optimizer.sgd", None, Some("{ lr: 0.1, momentum: 0.9 }")));
        assert!(to.contains(&("optimizer".into(), "sgd".into())), "{to:?}");
        let (from, _) = leaves(&change("optimizer.adamw", Some("{ lr: 0.001 }"), None));
        assert!(from.contains(&Leaf { path: "optimizer".into(), value: "adamw".into() }), "{from:?}");
    }

    #[test]
    fn aims_say_what_changes_have_in_common() {
        let table = [
            (Some("64"), Some("128"), "raised"),
            (Some("1e-3"), Some("1.2e-4"), "lowered"),
            (Some("relu"), Some("gelu"), "set to gelu"),
            (Some("null"), Some("1.0"), "set to 1.0"),
            (None, Some("{ lr: 0.1 }"), "added"),
            (Some("8"), None, "removed"),
            (Some("all"), Some("[serenity]"), "replaced"),
        ];
        for (from, to, wanted) in table {
            assert_eq!(Aim::of(&change("x", from, to)).to_string(), wanted);
        }
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        assert!(same_value("1e-3", "0.001") && same_value("8192", "8192.0") && same_value(" gelu", "gelu"));
        assert!(!same_value("0.001", "0.0011") && !same_value("gelu", "relu") && !same_value("nan", "0"));
    }
}
