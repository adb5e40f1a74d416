//! What may stand at a place of the configuration, in words. Nothing of it is listed here: the configuration's own types
//! and ranges are asked, by putting values there in a configuration that is otherwise the embedded one.

use serde_json::{Map, Value, json};

use super::Config;
use super::check::first_mistake;

/// What may stand at `path` (`gate.alpha`, `phases[2].trials`), as `a number above 0 and at most 0.5`; None where that
/// cannot be found out.
pub(super) fn allowed(path: &str) -> Option<String> {
    let takes = |value: Value| put(path, value).ok().is_some_and(|tree| read(tree).is_ok());
    // A word that is none of any setting's: a choice then says which there are, and who is particular says what must be.
    let word = read(put(path, json!("?")).ok()?).err().map(|error| error.to_string()).unwrap_or_default();
    let null = if takes(Value::Null) { ", or null" } else { "" };
    if let Some((_, must)) = word.split_once("found `?`; must be ") {
        return Some(must.to_owned());
    }
    if let Some((_, choices)) = word.split_once("unknown variant `?`, expected ") {
        return Some(format!("{choices}{null}"));
    }
    let number = || range(path).map_or_else(String::new, |range| format!(", {range}"));
    let kind = if takes(json!(true)) {
        "true or false".to_owned()
    } else if takes(json!(0.5)) {
        format!("a number{}", number())
    } else if takes(json!(1)) {
        format!("a whole number{}", number())
    } else if takes(json!({})) || takes(json!({ "name": "a", "brief": "a", "breadth": "wide" })) {
        "settings, each as `name: value`".to_owned()
    } else if takes(json!([])) {
        "a list".to_owned()
    } else if takes(json!("?")) {
        "a text".to_owned()
    } else {
        return None;
    };
    Some(format!("{kind}{null}"))
}

/// The range of the number at `path`, in the words of the check that keeps it.
fn range(path: &str) -> Option<String> {
    [json!(-1e300), json!(0), json!(u32::MAX), json!(u64::MAX)].into_iter().find_map(|value| {
        let mistake = first_mistake(&read(put(path, value).ok()?).ok()?)?;
        let words = mistake.message.split_once("; must be ").map(|(_, words)| words.to_owned());
        words.filter(|_| mistake.path == path)
    })
}

fn read(tree: Value) -> Result<Config, serde_json::Error> {
    serde_json::from_value(tree)
}

/// The embedded configuration with `value` at `path`; what is null on the way there becomes a mapping.
fn put(path: &str, value: Value) -> Result<Value, serde_json::Error> {
    let mut tree = serde_json::to_value(Config::default())?;
    let mut slot = &mut tree;
    for key in path.split(['.', '[']).filter(|key| !key.is_empty()) {
        slot = match key.strip_suffix(']') {
            // One phase has what another may have.
            Some(_) => slot.get_mut(0).ok_or_else(|| serde::de::Error::custom("no list"))?,
            None => {
                if slot.is_null() {
                    *slot = Value::Object(Map::new());
                }
                let settings = slot.as_object_mut().ok_or_else(|| serde::de::Error::custom("no mapping"))?;
                settings.entry(key).or_insert(Value::Null)
            }
        };
    }
    *slot = value;
    Ok(tree)
}
