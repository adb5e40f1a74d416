//! The lock pins what a session's numbers rest on: the protocol, the data, and this harness.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::protocol::Protocol;
use crate::storage::replace_file;

/// Where the lock stands in a lab.
const IN_LAB: &str = "prepare/protocol.lock";

/// Hashes that belong together. Numbers measured under different locks must not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Hash of the protocol.
    pub protocol_hash: String,
    /// Hash of the packed data.
    pub data_hash: String,
    /// Hash of the harness's source.
    pub harness_hash: String,
}

impl Lock {
    /// The lock of a protocol, its data, and this program.
    pub fn new(protocol: &Protocol, manifest: &Manifest) -> Lock {
        Lock { protocol_hash: protocol.hash(), data_hash: manifest.data_hash.clone(), harness_hash: harness_hash() }
    }

    /// Reads a lock file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Lock`] when it is no lock.
    pub fn read(path: &Path) -> Result<Lock> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        serde_yaml::from_str(&text).map_err(|error| {
            let line = error.location().map_or_else(String::new, |at| format!("line {}: ", at.line()));
            let full = error.without_snippet().to_string();
            Error::Lock {
                path: path.to_owned(),
                message: format!("{line}{}", full.lines().next().unwrap_or_default()),
                hint: "`autoresearch prepare` writes it anew".into(),
            }
        })
    }

    /// Replaces the lock file whole.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = format!(
            "# Written by `autoresearch prepare`. Scores measured under different locks cannot be compared.\n\
             protocol_hash: \"{}\"\ndata_hash: \"{}\"\nharness_hash: \"{}\"\n",
            self.protocol_hash, self.data_hash, self.harness_hash
        );
        replace_file(path, text.as_bytes())
    }

    /// Checks that the lock is the one of this protocol, this data and this program.
    ///
    /// # Errors
    /// [`Error::Lock`], which says what differs.
    pub fn check(&self, protocol: &Protocol, manifest: &Manifest) -> Result<()> {
        let now = Lock::new(protocol, manifest);
        agree(&[
            ("the protocol", &self.protocol_hash, &now.protocol_hash),
            ("the data", &self.data_hash, &now.data_hash),
            ("the harness", &self.harness_hash, &now.harness_hash),
        ])
    }

    /// Checks the protocol alone, before any data is touched.
    ///
    /// # Errors
    /// [`Error::Lock`], if it is another one.
    pub fn check_protocol(&self, protocol: &Protocol) -> Result<()> {
        agree(&[("the protocol", &self.protocol_hash, &protocol.hash())])
    }
}

/// Refuses pairs (what, locked, now) that differ.
fn agree(pairs: &[(&str, &String, &String)]) -> Result<()> {
    let differences: Vec<String> = pairs
        .iter()
        .filter(|(_, locked, now)| locked != now)
        .map(|(what, locked, now)| format!("{what} has changed (locked {locked}, now {now})"))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Lock {
        path: PathBuf::from(IN_LAB),
        message: differences.join("; "),
        hint: "restore what was locked; or run `autoresearch prepare` and measure the baseline anew, because \
                   earlier scores can no longer be compared"
            .into(),
    })
}

/// Hash of this crate's own source, taken when it was compiled: 16 hex digits.
pub fn harness_hash() -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, text) in SOURCES {
        hasher.update(name.as_bytes()).update(&[0]).update(text.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!($name))),*] };
}

const SOURCES: [(&str, &str); 28] = sources![
    "build.rs",
    "data.rs",
    "error.rs",
    "evaluate.rs",
    "exposure.rs",
    "features.rs",
    "folds.rs",
    "holdout.rs",
    "lib.rs",
    "lock.rs",
    "manifest.rs",
    "metrics.rs",
    "nullable.rs",
    "pack.rs",
    "parquet.rs",
    "predictions.rs",
    "protocol/check.rs",
    "protocol/mod.rs",
    "protocol/raw.rs",
    "score.rs",
    "source.rs",
    "storage.rs",
    "summary.rs",
    "synthetic/laws.rs",
    "synthetic/market.rs",
    "synthetic/mod.rs",
    "synthetic/random.rs",
    "synthetic/write.rs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_file_is_hashed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a source folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("below the root");
                    found.push(name.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, SOURCES.map(|(name, _)| name.to_owned()));
    }
}
