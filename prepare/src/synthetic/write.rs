//! Puts a made-up market into parquet files, named and typed as Numerai's, and records its best achievable score.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::prelude::{
    BatchedWriter, Column, DataFrame, DataType, Field, NamedFrom, ParquetCompression, ParquetWriter, Schema, Series,
    StatisticsOptions,
};
use serde::{Deserialize, Serialize};

use super::market::{NULL, simulate_weeks};
use super::{MarketEra, MarketSizes};
use crate::error::{Error, Result};
use crate::evaluate::EraScore;
use crate::manifest::FileHash;
use crate::metrics::{correlation_contribution, numerai_corr};
use crate::parquet::parquet_error;
use crate::storage::{hash_file, read_json, write_json};

/// Name of the record beside the parquet files.
pub(crate) const SYNTHETIC_FILE: &str = "synthetic.json";
/// Changes whenever the same sizes and seed would give another market.
const GENERATOR: u32 = 1;
/// Rows that are collected before a row group is written.
const ROW_GROUP: usize = 32_768;
const TRAIN: &str = "train.parquet";
const BENCHMARK: &str = "train_benchmark_models.parquet";
const FEATURES: &str = "features.json";

/// What the market is, and what the best achievable prediction scores in each era (payout is left at 0: the record
/// knows no objective).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SyntheticRecord {
    generator: u32,
    seed: u64,
    score_on: String,
    sizes: MarketSizes,
    /// The files beside the record, as they were written.
    files: Vec<FileHash>,
    /// Scores of the true signal.
    pub(crate) best: Vec<EraScore>,
}

impl SyntheticRecord {
    /// Whether the files are still what was written. Calls `progress` with (bytes read, bytes in all).
    ///
    /// # Errors
    /// Those of `progress`.
    pub(crate) fn is_intact(&self, folder: &Path, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<bool> {
        let total = self.files.iter().map(|file| file.bytes).sum();
        let mut done = 0;
        for file in &self.files {
            let found = hash_file(folder, &file.name, &mut |bytes| {
                done += bytes;
                progress(done, total)
            });
            match found {
                Ok(found) if found == *file => {}
                // What cannot be read is as good as damaged.
                Ok(_) | Err(Error::Io { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The record of a folder that holds the market of these sizes, seed and scoring target, with all files in their sizes.
pub(crate) fn current(folder: &Path, sizes: &MarketSizes, seed: u64, score_on: &str) -> Option<SyntheticRecord> {
    // The record is written last, and the folder appears under its name only when it is complete.
    let record = read_json::<SyntheticRecord>(&folder.join(SYNTHETIC_FILE)).ok()?;
    let asked = record.generator == GENERATOR
        && record.seed == seed
        && record.score_on == score_on
        && record.sizes == *sizes
        && record.files.iter().map(|file| file.name.as_str()).eq([TRAIN, BENCHMARK, FEATURES]);
    let whole = |file: &FileHash| {
        let metadata = File::open(folder.join(&file.name)).and_then(|file| file.metadata());
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.bytes)
    };
    (asked && record.files.iter().all(whole)).then_some(record)
}

/// Writes `train.parquet`, `train_benchmark_models.parquet`, `features.json` and `synthetic.json` into an existing
/// folder. Calls `progress` with (eras written, eras in all). Memory stays that of a few eras.
///
/// # Errors
/// When a file cannot be written.
pub fn write_market(
    sizes: &MarketSizes,
    seed: u64,
    score_on: &str,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    write_unless(sizes, seed, score_on, folder, &mut |done, total| {
        progress(done, total);
        Ok(())
    })
}

/// As [`write_market`], unless `progress`, which is called for every week of the market, returns an error.
pub(crate) fn write_unless(
    sizes: &MarketSizes,
    seed: u64,
    score_on: &str,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let features = sizes.feature_names();
    write_json(&folder.join(FEATURES), &describe(sizes, &features))?;
    let mut train = Table::create(&folder.join(TRAIN), &train_columns(sizes, &features))?;
    let mut benchmark = Table::create(&folder.join(BENCHMARK), &benchmark_columns(sizes))?;
    let scored = sizes.targets.iter().position(|target| target == score_on);
    let mut best = Vec::new();
    let mut waiting: Vec<MarketEra> = Vec::new();
    let total = sizes.eras as u64;
    let mut done = 0;
    simulate_weeks(sizes, seed, score_on, &mut |era| {
        let Some(era) = era else {
            return progress(done, total);
        };
        if let Some(scored) = scored {
            best.push(score_signal(&era, scored)?);
        }
        waiting.push(era);
        done += 1;
        if waiting.len() * sizes.rows >= ROW_GROUP {
            flush(&mut waiting, &features, sizes, scored, &mut train, &mut benchmark)?;
        }
        progress(done, total)
    })?;
    flush(&mut waiting, &features, sizes, scored, &mut train, &mut benchmark)?;
    train.finish()?;
    benchmark.finish()?;
    let mut files = Vec::new();
    for name in [TRAIN, BENCHMARK, FEATURES] {
        files.push(hash_file(folder, name, &mut |_| progress(done, total))?);
    }
    let record = SyntheticRecord {
        generator: GENERATOR,
        seed,
        score_on: score_on.to_owned(),
        sizes: sizes.clone(),
        files,
        best,
    };
    write_json(&folder.join(SYNTHETIC_FILE), &record)
}

/// Scores the true signal in one era, against the mean of the benchmark columns, as any prediction is scored.
fn score_signal(era: &MarketEra, scored: usize) -> Result<EraScore> {
    let target: Vec<f64> = era.targets[scored].iter().map(|&value| f64::from(value)).collect();
    let benchmark: Vec<f64> = (0..era.ids.len())
        .map(|row| crate::pack::benchmark_mean(era.benchmark.iter().map(|column| f64::from(column[row]))))
        .map(|mean| f64::from(mean as f32))
        .collect();
    let failed = |error| Error::score(format!("the true signal in era {:04}", era.era), format!("{error}"));
    Ok(EraScore {
        era: era.era,
        corr: numerai_corr(&era.signal, &target).map_err(failed)?,
        bmc: correlation_contribution(&era.signal, &benchmark, &target).map_err(failed)?,
        payout: 0.0,
    })
}

fn describe(sizes: &MarketSizes, features: &[String]) -> serde_json::Value {
    let mut sets = serde_json::Map::new();
    let mut start = 0;
    for set in &sizes.sets {
        sets.insert(set.name.clone(), features[start..start + set.features].into());
        start += set.features;
    }
    sets.insert("all".into(), features.into());
    serde_json::json!({ "feature_sets": sets, "targets": sizes.targets })
}

fn train_columns(sizes: &MarketSizes, features: &[String]) -> Schema {
    let text = ["id", "era", "data_type"].map(|name| Field::new(name.into(), DataType::String));
    let features = features.iter().map(|name| Field::new(name.as_str().into(), DataType::Int8));
    let targets = ["target"]
        .into_iter()
        .chain(sizes.targets.iter().map(String::as_str))
        .map(|name| Field::new(name.into(), DataType::Float32));
    text.into_iter().chain(features).chain(targets).collect()
}

fn benchmark_columns(sizes: &MarketSizes) -> Schema {
    let text = ["id", "era"].map(|name| Field::new(name.into(), DataType::String));
    let columns = sizes.benchmark.iter().map(|name| Field::new(name.as_str().into(), DataType::Float32));
    text.into_iter().chain(columns).collect()
}

/// Writes the waiting eras as one row group of each file.
fn flush(
    waiting: &mut Vec<MarketEra>,
    features: &[String],
    sizes: &MarketSizes,
    scored: Option<usize>,
    train: &mut Table,
    benchmark: &mut Table,
) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let rows: usize = waiting.iter().map(|era| era.ids.len()).sum();
    let ids: Vec<&str> = waiting.iter().flat_map(|era| era.ids.iter().map(String::as_str)).collect();
    let eras: Vec<String> =
        waiting.iter().flat_map(|era| std::iter::repeat_n(format!("{:04}", era.era), era.ids.len())).collect();
    let ids = Column::from(Series::new("id".into(), ids));
    let eras = Column::from(Series::new("era".into(), eras));
    let mut columns =
        vec![ids.clone(), eras.clone(), Column::from(Series::new("data_type".into(), vec!["train"; rows]))];
    for (index, name) in features.iter().enumerate() {
        let cells: Vec<Option<i8>> = waiting
            .iter()
            .flat_map(|era| era.features[index].iter().map(|&bin| (bin != NULL).then_some(bin as i8)))
            .collect();
        columns.push(Column::from(Series::new(name.as_str().into(), cells)));
    }
    // The alias comes first, as in Numerai's files; it repeats the scoring target.
    let aliased = ("target", scored.unwrap_or(0));
    let targets = sizes.targets.iter().enumerate().map(|(index, name)| (name.as_str(), index));
    for (name, index) in [aliased].into_iter().chain(targets) {
        let cells: Vec<Option<f32>> = waiting
            .iter()
            .flat_map(|era| era.targets[index].iter().map(|value| (!value.is_nan()).then_some(*value)))
            .collect();
        columns.push(Column::from(Series::new(name.into(), cells)));
    }
    train.write(rows, columns)?;
    let mut columns = vec![ids, eras];
    for (index, name) in sizes.benchmark.iter().enumerate() {
        let cells: Vec<f32> = waiting.iter().flat_map(|era| era.benchmark[index].iter().copied()).collect();
        columns.push(Column::from(Series::new(name.as_str().into(), cells)));
    }
    benchmark.write(rows, columns)?;
    waiting.clear();
    Ok(())
}

/// A parquet file that grows row group by row group.
struct Table {
    path: PathBuf,
    writer: BatchedWriter<BufWriter<File>>,
}

impl Table {
    fn create(path: &Path, schema: &Schema) -> Result<Table> {
        let file = File::create(path).map_err(Error::io(path, "create"))?;
        let writer = ParquetWriter::new(BufWriter::new(file))
            .with_compression(ParquetCompression::Snappy)
            .with_statistics(StatisticsOptions::empty())
            .batched(schema)
            .map_err(parquet_error(path, "write"))?;
        Ok(Table { path: path.to_owned(), writer })
    }

    fn write(&mut self, rows: usize, columns: Vec<Column>) -> Result<()> {
        let frame = DataFrame::new(rows, columns).map_err(parquet_error(&self.path, "write"))?;
        self.writer.write_batch(&frame).map_err(parquet_error(&self.path, "write"))
    }

    fn finish(self) -> Result<()> {
        self.writer.finish().map_err(parquet_error(&self.path, "write"))?;
        drop(self.writer);
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(Error::io(&self.path, "sync"))
    }
}
