//! Everything that can go wrong in the harness, as errors that say what, where, and what to do about it.

use std::path::{Path, PathBuf};

/// Result of the harness's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the harness. Each message says what happened and where; most carry a hint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The protocol file is wrong.
    #[error("{}{}: {message}{}", .path.display(), at_line(*.line), with_hint(.hint))]
    Protocol {
        /// The protocol file.
        path: PathBuf,
        /// Line of the file, counted from 1, where it is known.
        line: Option<u64>,
        /// What was found and what is allowed.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The folds that the protocol asks for cannot be cut from the eras at hand.
    #[error("{message}{}", with_hint(.hint))]
    Plan {
        /// What cannot be done.
        message: String,
        /// What to change in the protocol.
        hint: String,
    },
    /// The lock does not agree with the protocol, the data or this program.
    #[error("{}: {message}{}", .path.display(), with_hint(.hint))]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What differs.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Nothing has been prepared for this protocol yet.
    #[error("{}: {message}; run `autoresearch prepare`", .path.display())]
    NotPrepared {
        /// The folder of packed data.
        path: PathBuf,
        /// What is missing or stale.
        message: String,
    },
    /// A file does not have the columns, types or names that it should have.
    #[error("{}: {message}{}", .path.display(), with_hint(.hint))]
    Schema {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// A file holds values that it must not hold.
    #[error("{}, {place}: {message}{}", .path.display(), with_hint(.hint))]
    Data {
        /// The file.
        path: PathBuf,
        /// Column, row (counted from 0) or era.
        place: String,
        /// What was found and what is allowed.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb: "read", "write", …
        action: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file of the data is missing or empty, or could not be decoded or encoded.
    #[error("{}: {message}{}", .path.display(), with_hint(.hint))]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// Predictions that cannot be scored.
    #[error("cannot score {what}: {message}")]
    Score {
        /// Which predictions: fold, seed and era, or a file.
        what: String,
        /// Why.
        message: String,
    },
    /// Whoever asked for the build wants it no longer.
    #[error("stopped; nothing was changed")]
    Stopped,
}

impl Error {
    /// True for mistakes of configuration (protocol, lock, folds), false for those of data.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Error::Protocol { .. } | Error::Plan { .. } | Error::Lock { .. })
    }

    /// True when the only thing wrong is that `prepare` has not run.
    pub fn is_not_prepared(&self) -> bool {
        matches!(self, Error::NotPrepared { .. })
    }

    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { path, action, source }
    }

    pub(crate) fn schema(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Schema { path: path.to_owned(), message: message.into(), hint: hint.into() }
    }

    pub(crate) fn data(
        path: &Path,
        place: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Error {
        Error::Data { path: path.to_owned(), place: place.into(), message: message.into(), hint: hint.into() }
    }

    pub(crate) fn damaged(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Parquet { path: path.to_owned(), message: message.into(), hint: hint.into() }
    }

    /// The same error, of a file that this program makes itself: what to do about it is not to obtain it again.
    pub(crate) fn of_made_market(self, folder: &Path) -> Error {
        match self {
            Error::Parquet { path, message, hint } if !hint.is_empty() => {
                let hint =
                    format!("this program makes the file itself: remove {}, and it is made anew", folder.display());
                Error::Parquet { path, message, hint }
            }
            other => other,
        }
    }

    pub(crate) fn score(what: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Score { what: what.into(), message: message.into() }
    }
}

/// The candidate closest to `name`, when one is close enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or nothing when no candidate is close.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |found| format!("did you mean `{found}`?"))
}

fn at_line(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

fn with_hint(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}
