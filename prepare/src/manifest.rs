//! The manifest of packed data: what is in it, and the hashes that say it has not changed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evaluate::EraScore;
use crate::protocol::Objective;
use crate::storage::{read_json, write_json};

/// Name of the manifest in the folder of packed data.
const FILE: &str = "manifest.json";
/// Version of the packed format that this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// Describes packed data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the packed format.
    pub version: u32,
    /// Hash of the parts of the protocol that decided what was packed.
    pub data_key: String,
    /// Hash over the contents of all packed files, 16 hex digits.
    pub data_hash: String,
    /// The files it was packed from.
    pub sources: Vec<SourceFile>,
    /// Names of the packed features, in column order.
    pub features: Vec<String>,
    /// Feature sets: name, and columns of the packed matrix.
    pub feature_sets: Vec<(String, Vec<usize>)>,
    /// Names of the training targets, in column order.
    pub targets: Vec<String>,
    /// Name of the scoring target.
    pub score_on: String,
    /// Columns whose mean is the benchmark.
    pub benchmark: Vec<String>,
    /// The part that cross-validation uses.
    pub open: PackedPart,
    /// The holdout.
    pub holdout: PackedPart,
    /// Retained eras that are too close to the holdout to be used, and were not packed.
    pub holdout_embargoed: Vec<u32>,
    /// Eras that would have been retained, but have no scoring target yet.
    pub unlabelled_eras: Vec<u32>,
    /// What was missing.
    pub missing: MissingCounts,
    /// Best achievable scores of a made-up market, for all its eras; empty for real data.
    #[serde(default)]
    pub best: Vec<EraScore>,
}

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path, as it was opened.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970, as text (JSON numbers lose digits).
    pub modified: String,
}

/// Rows of one era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraRows {
    /// Era number.
    pub era: u32,
    /// How many rows.
    pub rows: usize,
}

/// One set of packed files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackedPart {
    /// Rows in all.
    pub rows: usize,
    /// Eras, ascending, in the order of rows.
    pub eras: Vec<EraRows>,
    /// The files and their hashes.
    pub files: Vec<FileHash>,
}

/// Size and hash of a packed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Name in its folder.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// Hash of its content, 64 hex digits.
    pub blake3: String,
}

/// What was missing in the packed rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingCounts {
    /// Feature cells that were null or NaN and became 2.
    pub feature_cells: u64,
    /// Cells of training targets that are NaN.
    pub target_cells: u64,
    /// Rows without a scoring target.
    pub score_rows: u64,
    /// Rows without a benchmark prediction.
    pub benchmark_rows: u64,
}

/// What the best achievable prediction scores on the cross-validated eras of a made-up market.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AchievableScore {
    /// Mean CORR.
    pub corr: f64,
    /// Mean contribution beyond the benchmark.
    pub bmc: f64,
    /// Payout under the protocol's objective.
    pub payout: f64,
}

impl Manifest {
    /// Reads the manifest of a folder of packed data.
    ///
    /// # Errors
    /// [`Error::NotPrepared`] when there is none, or when it is of another version or unreadable.
    pub fn read(packed: &Path) -> Result<Manifest> {
        let path = packed.join(FILE);
        if !path.is_file() {
            return Err(Error::NotPrepared { path, message: "no packed data".into() });
        }
        let manifest: Manifest = read_json(&path).map_err(|error| Error::NotPrepared {
            path: path.clone(),
            message: format!("unreadable manifest: {error}"),
        })?;
        if manifest.version != VERSION {
            return Err(Error::NotPrepared {
                path,
                message: format!("packed in format {}, and this program reads {VERSION}", manifest.version),
            });
        }
        Ok(manifest)
    }

    pub(crate) fn write(&self, packed: &Path) -> Result<()> {
        write_json(&packed.join(FILE), self)
    }

    /// Retained eras: cross-validated, embargoed before the holdout, holdout. Ascending.
    pub fn retained_eras(&self) -> Vec<u32> {
        let mut eras: Vec<u32> = [&self.open, &self.holdout]
            .iter()
            .flat_map(|part| part.eras.iter().map(|era| era.era))
            .chain(self.holdout_embargoed.iter().copied())
            .collect();
        eras.sort_unstable();
        eras
    }

    /// Rows in all, holdout included.
    pub fn rows(&self) -> usize {
        self.open.rows + self.holdout.rows
    }

    /// What the best achievable prediction scores on the cross-validated eras; None for real data.
    pub fn achievable(&self, objective: &Objective) -> Option<AchievableScore> {
        let open: std::collections::BTreeSet<u32> = self.open.eras.iter().map(|era| era.era).collect();
        let best: Vec<&EraScore> = self.best.iter().filter(|score| open.contains(&score.era)).collect();
        if best.is_empty() {
            return None;
        }
        let count = best.len() as f64;
        let corr = best.iter().map(|score| score.corr).sum::<f64>() / count;
        let bmc = best.iter().map(|score| score.bmc).sum::<f64>() / count;
        Some(AchievableScore { corr, bmc, payout: objective.payout(corr, bmc) })
    }

    /// Hash over everything that decides what a trainer and a score see.
    pub(crate) fn content_hash(&self) -> String {
        let content = (
            (&self.features, &self.feature_sets, &self.targets, &self.score_on, &self.benchmark),
            (&self.open, &self.holdout, &self.holdout_embargoed),
        );
        let text = serde_json::to_vec(&content).expect("plain structs of numbers and strings always serialize");
        blake3::hash(&text).to_hex()[..16].to_owned()
    }
}
