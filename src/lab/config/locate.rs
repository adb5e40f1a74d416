//! Where things stand in YAML text: line and column of every key's value, so that a value that parses but is out of
//! range can still be pointed at; and serde's errors in our words.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::NonFiniteFloatPolicy;

use super::allowed::allowed;

/// The places of all values of a text, by path (`gate.alpha`, `phases[2].name`).
#[derive(Default)]
pub(super) struct Places(Vec<Place>);

/// A value of a text.
struct Place {
    path: String,
    line: usize,
    column: usize,
    /// What it is, in words: `five`, a list.
    found: String,
}

impl Places {
    /// Reads the places; a text that is no YAML has none.
    pub(super) fn of(text: &str) -> Self {
        let mut places = Self::default();
        // What is not a number is found out of its range later, and then wants a place like any other value.
        let options = serde_yaml::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough };
        if let Ok(tree) = serde_yaml::from_str_with_options::<Spanned<Tree>>(text, options) {
            places.collect("", tree);
        }
        places
    }

    /// Line and column of the value at `path`, or of the nearest thing around it; (0, 0) if there is none.
    pub(super) fn find(&self, path: &str) -> (usize, usize) {
        let mut wanted = path;
        loop {
            if let Some(place) = self.0.iter().find(|place| place.path == wanted) {
                return (place.line, place.column);
            }
            match wanted.rfind(['.', '[']) {
                Some(end) => wanted = &wanted[..end],
                None => return (0, 0),
            }
        }
    }

    /// The innermost value that begins at or before the place, on the same line.
    fn at(&self, line: usize, column: usize) -> Option<&Place> {
        let here = |place: &&Place| place.line == line && place.column <= column && !place.path.is_empty();
        self.0.iter().filter(here).max_by_key(|place| place.column)
    }

    fn collect(&mut self, path: &str, node: Spanned<Tree>) {
        let (line, column) = (whole(node.referenced.line()), whole(node.referenced.column()));
        let found = match &node.value {
            Tree::Scalar(words) => words.clone(),
            Tree::List(_) => "a list".into(),
            Tree::Map(_) => "a mapping".into(),
        };
        self.0.push(Place { path: path.to_owned(), line, column, found });
        match node.value {
            Tree::Scalar(_) => {}
            Tree::List(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.collect(&format!("{path}[{index}]"), item);
                }
            }
            Tree::Map(entries) => {
                for (key, value) in entries {
                    let below = if path.is_empty() { key } else { format!("{path}.{key}") };
                    self.collect(&below, value);
                }
            }
        }
    }
}

/// Line, column and message of an error that serde or the YAML reader found.
pub(super) fn explain(error: &serde_yaml::Error, places: &Places) -> (usize, usize, String) {
    let (line, column) = error.location().map_or((0, 0), |place| (whole(place.line()), whole(place.column())));
    let plain = error.without_snippet();
    let message = match plain {
        serde_yaml::Error::SerdeUnknownField { field, expected, .. } => {
            format!("there is no setting `{field}` here.{} Allowed: {}", nearest(field, expected), expected.join(", "))
        }
        serde_yaml::Error::SerdeUnknownVariant { variant, expected, .. } => {
            let words = format!("`{variant}` is not one of {}.{}", expected.join(", "), nearest(variant, expected));
            match places.at(line, column) {
                Some(place) => format!("{}: {words}", place.path),
                None => words,
            }
        }
        serde_yaml::Error::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        other => {
            let text = other.to_string();
            let words = text.lines().next().unwrap_or_default();
            // The place stands in front already.
            let words = words.split(" at line ").next().unwrap_or_default();
            match places.at(line, column) {
                Some(place) if WRONG_TYPE.iter().any(|kind| words.starts_with(kind)) => {
                    format!("{}: {}", place.path, wrong_type(place).unwrap_or_else(|| words.to_owned()))
                }
                Some(place) => format!("{}: {words}", place.path),
                None => words.to_owned(),
            }
        }
    };
    (line, column, message)
}

/// How the reader begins to say that a value is of the wrong type.
const WRONG_TYPE: [&str; 3] = ["invalid ", "expected ", "externally tagged"];

/// What was found and what is allowed.
fn wrong_type(place: &Place) -> Option<String> {
    // What stands there by mistake may be a key, so it is not repeated.
    let found = if place.path.starts_with("researcher.openai") { "another value" } else { &place.found };
    let allowed = allowed(&place.path)?;
    // A mapping in the place of a mapping: it is something inside that is wrong.
    let same = place.found == "a mapping" && allowed.starts_with("settings");
    (!same).then(|| format!("found {found}; must be {allowed}"))
}

/// A value's own words, of one line and not too long.
fn quoted(text: &str) -> String {
    format!("`{}`", super::check::shown(text))
}

fn nearest(found: &str, allowed: &[&str]) -> String {
    allowed
        .iter()
        .map(|name| (strsim::jaro_winkler(found, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!(" Did you mean `{name}`?"))
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// The shape of a YAML document; its scalars are words for people.
enum Tree {
    Scalar(String),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(String, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar("nothing".into()))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar("nothing".into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(quoted(&value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(quoted(&value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(quoted(&value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(quoted(&value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(quoted(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}
