//! The edge to the YAML library: what it may accept, and its refusals in our words. And bytes that are no text at all.

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{DuplicateKeyPolicy, Error, NonFiniteFloatPolicy, Options};

use super::error::{SpecError, SpecErrors};
use super::node::MAX_DEPTH;

/// How YAML is read. Keys that stand twice and numbers that are none pass, for they are refused with their path; a tag says
/// what nothing here listens to.
pub(super) fn strict() -> Options {
    serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Line, column and words of a refusal.
pub(super) fn refusal(error: &Error) -> (usize, usize, String) {
    let error = error.without_snippet();
    let place = error.location();
    let line = place.as_ref().map_or(0, |at| at.line() as usize);
    let column = place.as_ref().map_or(0, |at| at.column() as usize);
    (line, column, words(error))
}

fn words(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => words(error),
        Error::MultipleDocuments { .. } => "a second YAML document begins here; a spec is one document".into(),
        Error::UnsupportedTag { tag, .. } => {
            format!(
                "the tag `{}`: a spec has none; leave it out, and a block's word is a key: `dense: {{ … }}`",
                short(tag)
            )
        }
        Error::NullIntoString { .. } => "a key is missing before the `:`".into(),
        Error::Unexpected { .. } => "this cannot be a key; a key is a word".into(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias inside of what it stands for".into(),
        Error::UnknownAnchor { .. } => "an alias of nothing: no anchor `&` of this name stands before it".into(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "what `<<` merges must be a map, or a list of maps".into(),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => "aliases that grow beyond bounds; write it out".into(),
        Error::Budget { breach, .. } => breached(breach),
        Error::Eof { .. } => "it ends too early; something is not closed".into(),
        Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::InvalidScalar { .. } => "what stands here is not what its tag says; leave the tag out".into(),
        // The parser's own words; they name no library.
        Error::ExternalMessage { msg, .. } => format!("no YAML: {}", short(msg)),
        _ => "no YAML that can be read".into(),
    }
}

fn breached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!("nested more than {MAX_DEPTH} deep"),
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } | BudgetBreach::AliasAnchorRatio { .. } => {
            "too many aliases; write it out".into()
        }
        BudgetBreach::Documents { .. } => "many YAML documents; a spec is one document".into(),
        _ => "larger than any spec once its aliases are written out".into(),
    }
}

/// The first line of what a stranger may have written, bounded.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The text in a spec's file.
///
/// # Errors
/// Bytes that are no UTF-8, and where.
pub fn text_of(bytes: Vec<u8>, origin: &str) -> Result<String, SpecErrors> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let (bytes, offset) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let good = &bytes[..offset];
    let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
    let in_line = good.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = 1 + String::from_utf8_lossy(in_line).chars().count();
    let found = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "the file is UTF-16; save it as UTF-8".to_owned(),
        _ => format!("byte {offset} (0x{:02X}) is no UTF-8; save the file as UTF-8", bytes[offset]),
    };
    let error = SpecError { line, column, path: String::new(), message: found };
    Err(SpecErrors { origin: origin.to_owned(), errors: vec![error] })
}
