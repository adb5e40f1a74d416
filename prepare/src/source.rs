//! Numerai's files as they lie in a folder: which eras, features and targets they hold, checked before any packing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Deserialize;

use crate::error::{Error, Result, did_you_mean};
use crate::manifest::SourceFile;
use crate::parquet::{Kind, ParquetTable};
use crate::protocol::Protocol;
use crate::storage::read_json;

/// Rows that are decoded at a time.
pub(crate) const SLICE: usize = 65_536;

/// Names of feature sets, and the columns of each.
pub(crate) type FeatureSets = Vec<(String, Vec<usize>)>;

/// The files of a folder, opened and indexed by era.
pub(crate) struct Source {
    /// One for each part, in the order of eras.
    pub(crate) parts: Vec<Part>,
    /// Packed features, in column order.
    pub(crate) features: Vec<String>,
    /// Feature sets as positions in `features`.
    pub(crate) feature_sets: FeatureSets,
}

/// One parquet file of rows and its file of benchmark predictions.
pub(crate) struct Part {
    pub(crate) rows: ParquetTable,
    pub(crate) benchmark: ParquetTable,
    /// Eras of the rows, ascending.
    pub(crate) eras: Vec<EraRun>,
    /// Where each era's benchmark predictions stand.
    pub(crate) benchmark_eras: BTreeMap<u32, Range<usize>>,
}

/// One era's rows in a file.
#[derive(Clone, Debug)]
pub(crate) struct EraRun {
    pub(crate) era: u32,
    pub(crate) rows: Range<usize>,
    /// Rows that have a scoring target.
    pub(crate) labelled: usize,
}

#[derive(Deserialize)]
struct FeatureFile {
    feature_sets: BTreeMap<String, Vec<String>>,
}

/// Sizes and times of the files that a protocol reads from a folder.
pub(crate) fn fingerprint(folder: &Path, parts: &[String]) -> Result<Vec<SourceFile>> {
    let mut files = vec![folder.join("features.json")];
    for part in parts {
        files.push(rows_file(folder, part));
        files.push(benchmark_file(folder, part));
    }
    files
        .into_iter()
        .map(|path| {
            let metadata = std::fs::metadata(&path).map_err(|source| missing(&path, source))?;
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Ok(SourceFile {
                bytes: metadata.len(),
                modified: modified.map_or(0, |time| time.as_nanos()).to_string(),
                path: path.display().to_string(),
            })
        })
        .collect()
}

impl Source {
    /// Opens the files, checks names and types, and reads the eras.
    pub(crate) fn open(
        protocol: &Protocol,
        folder: &Path,
        parts: &[String],
        rows_done: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Source> {
        let (features, feature_sets) = read_features(&folder.join("features.json"), &protocol.features.sets)?;
        let mut opened: Vec<Part> = Vec::new();
        for part in parts {
            let rows = ParquetTable::open(&rows_file(folder, part))?;
            let benchmark = ParquetTable::open(&benchmark_file(folder, part))?;
            check_columns(protocol, &features, &rows, &benchmark)?;
            let after = opened.last().and_then(|part| part.eras.last()).map(|run| run.era);
            let eras = index_eras(&rows, Some(&protocol.targets.score_on), after, rows_done)?;
            let all = rows.rows() as u64;
            let benchmark_eras = index_eras(&benchmark, None, None, &mut |_, _| rows_done(all, all))?
                .into_iter()
                .map(|run| (run.era, run.rows))
                .collect();
            opened.push(Part { rows, benchmark, eras, benchmark_eras });
        }
        Ok(Source { parts: opened, features, feature_sets })
    }

    /// All eras in order.
    pub(crate) fn eras(&self) -> impl Iterator<Item = &EraRun> {
        self.parts.iter().flat_map(|part| &part.eras)
    }

    /// Whether there is any benchmark prediction for an era.
    pub(crate) fn has_benchmark(&self, era: u32) -> bool {
        self.parts.iter().any(|part| part.benchmark_eras.contains_key(&era))
    }
}

fn rows_file(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}.parquet"))
}

fn benchmark_file(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}_benchmark_models.parquet"))
}

fn missing(path: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        return Error::damaged(
            path,
            "there is no such file",
            "download it, for example with numerapi, or correct `data.files` in the protocol",
        );
    }
    Error::io(path, "read")(source)
}

/// The union of the allowed sets, in their order, and each set's columns in it.
fn read_features(path: &Path, sets: &[String]) -> Result<(Vec<String>, FeatureSets)> {
    if !path.is_file() {
        return Err(missing(path, std::io::ErrorKind::NotFound.into()));
    }
    let file: FeatureFile = read_json(path)?;
    let mut names: Vec<String> = Vec::new();
    let mut columns: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for set in sets {
        let Some(members) = file.feature_sets.get(set) else {
            let all: Vec<&str> = file.feature_sets.keys().map(String::as_str).collect();
            return Err(Error::schema(
                path,
                format!("there is no feature set `{set}`; there are {}", all.join(", ")),
                did_you_mean(set, all),
            ));
        };
        if members.is_empty() {
            return Err(Error::schema(path, format!("the feature set `{set}` is empty"), ""));
        }
        let mut positions = Vec::with_capacity(members.len());
        for name in members {
            let position = *columns.entry(name.clone()).or_insert_with(|| {
                names.push(name.clone());
                names.len() - 1
            });
            positions.push(position);
        }
        out.push((set.clone(), positions));
    }
    Ok((names, out))
}

fn check_columns(
    protocol: &Protocol,
    features: &[String],
    rows: &ParquetTable,
    benchmark: &ParquetTable,
) -> Result<()> {
    for table in [rows, benchmark] {
        if !table.has("id") {
            return Err(Error::schema(
                table.path(),
                "there is no column `id`",
                "a file written from a pandas frame needs the index named `id`",
            ));
        }
        table.require("id", &[Kind::Text])?;
        table.require("era", &[Kind::Text, Kind::Integer])?;
    }
    for feature in features {
        rows.require(feature, &[Kind::Integer, Kind::Float])?;
    }
    for target in protocol.targets.train_on.iter().chain([&protocol.targets.score_on]) {
        rows.require(target, &[Kind::Float])?;
    }
    for column in &protocol.benchmark.columns {
        benchmark.require(column, &[Kind::Float])?;
    }
    Ok(())
}

/// Finds the rows of each era. Eras must be in one piece each and ascend, within a file and from file to file.
fn index_eras(
    table: &ParquetTable,
    label: Option<&str>,
    after: Option<u32>,
    rows_done: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Vec<EraRun>> {
    let columns: Vec<&str> = ["era"].into_iter().chain(label).collect();
    let mut runs: Vec<EraRun> = Vec::new();
    for slice in table.slices(4 * SLICE) {
        let read = table.read(&columns, slice.clone())?;
        let eras = read.eras(0).map_err(|(row, found)| {
            Error::data(
                table.path(),
                format!("column `era`, row {}", slice.start + row),
                format!("`{found}` is no era number"),
                "eras are written as 0001, 0002, …",
            )
        })?;
        let labels = label.map(|_| read.numbers(1));
        for (offset, era) in eras.into_iter().enumerate() {
            let row = slice.start + offset;
            let labelled = labels.as_ref().is_some_and(|labels| !labels[offset].is_nan());
            match runs.last_mut() {
                Some(run) if run.era == era => {
                    run.rows.end = row + 1;
                    run.labelled += usize::from(labelled);
                }
                last => {
                    let previous = last.map(|run| run.era).or(after);
                    if let Some(previous) = previous.filter(|&previous| previous >= era) {
                        return Err(Error::data(
                            table.path(),
                            format!("column `era`, row {row}"),
                            format!("era {era:04} comes after era {previous:04}"),
                            "rows must be sorted by era, each era in one piece and in one file; sort the file",
                        ));
                    }
                    runs.push(EraRun { era, rows: row..row + 1, labelled: usize::from(labelled) });
                }
            }
        }
        rows_done(slice.end as u64, table.rows() as u64)?;
    }
    Ok(runs)
}
