//! Packs parquet files into what training reads: features as bytes by row, targets and benchmark as f32.
//!
//! Rows stream through in slices of at most 65,536. What grows with the files is the set of ids seen so far, eight
//! bytes and a little for each packed row, which is how a doubled id is found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::folds::FoldPlan;
use crate::manifest::{EraRows, MissingCounts, PackedPart};
use crate::parquet::Columns;
use crate::protocol::Protocol;
use crate::source::{Part, SLICE, Source};
use crate::storage::HashedFile;

/// What a missing feature becomes: the middle bin, as Numerai writes it.
const MISSING: u8 = 2;
/// Marks a missing cell until it has been counted.
const NULL: u8 = u8::MAX;
/// Feature columns that are decoded at a time: between them one may stop.
const COLUMNS: usize = 256;
/// Least share of an era's rows that must have a benchmark prediction, as the score demands.
const LEAST_BENCHMARK: f64 = 0.8;

/// Names of the packed files, in the order of their hashes in the manifest.
pub(crate) const FEATURES: &str = "features.u8";
pub(crate) const TARGETS: &str = "targets.f32";
pub(crate) const SCORE: &str = "score.f32";
pub(crate) const BENCHMARK: &str = "benchmark.f32";
pub(crate) const IDS: &str = "ids.txt";
/// Folder of the holdout's files in the folder of packed data.
pub(crate) const HOLDOUT: &str = "holdout";

/// What was packed.
pub(crate) struct Packed {
    pub(crate) open: PackedPart,
    pub(crate) holdout: PackedPart,
    pub(crate) missing: MissingCounts,
}

/// Mean of the benchmark columns that have a prediction for a row; NaN where none has.
pub(crate) fn benchmark_mean(columns: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut count) = (0.0, 0.0);
    for value in columns.filter(|value| !value.is_nan()) {
        total += value;
        count += 1.0;
    }
    total / count
}

/// Packs the eras of a fold plan into an existing, empty folder. Calls `rows_done`, whose error ends it, several times
/// for each slice of rows.
pub(crate) fn pack(
    protocol: &Protocol,
    source: &Source,
    plan: &FoldPlan,
    folder: &Path,
    rows_done: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Packed> {
    let holdout = folder.join(HOLDOUT);
    std::fs::create_dir(&holdout).map_err(Error::io(&holdout, "create"))?;
    let mut packer = Packer {
        protocol,
        features: &source.features,
        open_eras: plan.cross_validated().into_iter().collect(),
        holdout_eras: plan.holdout.iter().copied().collect(),
        open: Writers::create(folder)?,
        holdout: Writers::create(&holdout)?,
        missing: MissingCounts::default(),
        seen: HashSet::new(),
        joined: BTreeMap::new(),
    };
    let total: usize = source.parts.iter().map(|part| part.rows.rows()).sum();
    let mut done = 0;
    for part in &source.parts {
        for slice in part.rows.slices(SLICE) {
            packer.slice(part, &slice, &mut || rows_done(done as u64, total as u64))?;
            done += slice.len();
            rows_done(done as u64, total as u64)?;
        }
        packer.check_joined(part)?;
    }
    Ok(Packed { open: packer.open.finish()?, holdout: packer.holdout.finish()?, missing: packer.missing })
}

struct Packer<'a> {
    protocol: &'a Protocol,
    features: &'a [String],
    open_eras: BTreeSet<u32>,
    holdout_eras: BTreeSet<u32>,
    open: Writers,
    holdout: Writers,
    missing: MissingCounts,
    seen: HashSet<u64>,
    /// For each era, rows and those of them with a benchmark prediction.
    joined: BTreeMap<u32, (usize, usize)>,
}

impl Packer<'_> {
    /// Packs the retained eras' rows of a slice of a file.
    fn slice(&mut self, part: &Part, slice: &Range<usize>, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let runs: Vec<(u32, Range<usize>)> = part
            .eras
            .iter()
            .filter(|run| self.open_eras.contains(&run.era) || self.holdout_eras.contains(&run.era))
            .map(|run| (run.era, run.rows.start.max(slice.start)..run.rows.end.min(slice.end)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect();
        if runs.is_empty() {
            return Ok(());
        }
        let targets = &self.protocol.targets;
        let mut names: Vec<&str> = vec!["id", &targets.score_on];
        names.extend(targets.train_on.iter().map(String::as_str));
        let columns = part.rows.read(&names, slice.clone())?;
        go_on()?;
        let benchmark = self.benchmark(part, &runs, go_on)?;
        let ids = columns.texts(0);
        let score = self.target(part, slice, &columns, 1, &targets.score_on)?;
        let labels: Vec<Vec<f32>> = targets
            .train_on
            .iter()
            .enumerate()
            .map(|(index, name)| self.target(part, slice, &columns, 2 + index, name))
            .collect::<Result<_>>()?;
        let bins = self.bins(part, slice, go_on)?;
        for (era, rows) in runs {
            let rows = rows.start - slice.start..rows.end - slice.start;
            let counts = self.joined.entry(era).or_insert((0, 0));
            let mut means = Vec::with_capacity(rows.len());
            for row in rows.clone() {
                let id = ids[row];
                let place = || format!("column `id`, row {}, era {era:04}", slice.start + row);
                if id.is_empty() || id.contains(['\n', '\r']) {
                    return Err(Error::data(part.rows.path(), place(), "no usable id", "every row needs an id"));
                }
                if !self.seen.insert(short_id(id)) {
                    let message = format!("the id {id} comes twice");
                    return Err(Error::data(part.rows.path(), place(), message, "every row needs an id of its own"));
                }
                let mean = benchmark.get(id).copied().unwrap_or(f32::NAN);
                counts.0 += 1;
                counts.1 += usize::from(!mean.is_nan());
                means.push(mean);
            }
            self.missing.benchmark_rows += means.iter().filter(|mean| mean.is_nan()).count() as u64;
            self.missing.score_rows += score[rows.clone()].iter().filter(|value| value.is_nan()).count() as u64;
            let matrix = transpose(&bins, rows.clone());
            self.missing.feature_cells += matrix.iter().filter(|&&cell| cell == NULL).count() as u64;
            let matrix: Vec<u8> = matrix.into_iter().map(|cell| if cell == NULL { MISSING } else { cell }).collect();
            let labels: Vec<f32> = rows.clone().flat_map(|row| labels.iter().map(move |column| column[row])).collect();
            self.missing.target_cells += labels.iter().filter(|value| value.is_nan()).count() as u64;
            let writers = if self.holdout_eras.contains(&era) { &mut self.holdout } else { &mut self.open };
            writers.write(era, &ids[rows.clone()], &matrix, &labels, &score[rows], &means)?;
            go_on()?;
        }
        Ok(())
    }

    /// Benchmark means by id, for the eras of some runs.
    fn benchmark(
        &self,
        part: &Part,
        runs: &[(u32, Range<usize>)],
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<HashMap<String, f32>> {
        let names: Vec<&str> =
            ["id"].into_iter().chain(self.protocol.benchmark.columns.iter().map(String::as_str)).collect();
        let wanted: Vec<&Range<usize>> = runs.iter().filter_map(|(era, _)| part.benchmark_eras.get(era)).collect();
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
            return Ok(HashMap::new());
        };
        let mut means = HashMap::new();
        // Eras ascend in both files, so the wanted ones lie within one range of rows.
        for start in (first.start..last.end).step_by(SLICE) {
            let slice = start..last.end.min(start + SLICE);
            go_on()?;
            let columns = part.benchmark.read(&names, slice.clone())?;
            let ids = columns.texts(0);
            let values: Vec<Vec<f64>> = (1..names.len()).map(|index| columns.numbers(index)).collect();
            for run in &wanted {
                for row in run.start.max(slice.start)..run.end.min(slice.end) {
                    let row_in_slice = row - slice.start;
                    let mean = benchmark_mean(values.iter().map(|column| column[row_in_slice]));
                    if means.insert(ids[row_in_slice].to_owned(), mean as f32).is_some() {
                        return Err(Error::data(
                            part.benchmark.path(),
                            format!("column `id`, row {row}"),
                            format!("the id {} comes twice", ids[row_in_slice]),
                            "every row needs an id of its own",
                        ));
                    }
                }
            }
        }
        Ok(means)
    }

    fn target(
        &self,
        part: &Part,
        slice: &Range<usize>,
        columns: &Columns,
        index: usize,
        name: &str,
    ) -> Result<Vec<f32>> {
        let values = columns.numbers(index);
        if let Some(row) = values.iter().position(|value| !(value.is_nan() || (0.0..=1.0).contains(value))) {
            return Err(Error::data(
                part.rows.path(),
                format!("column `{name}`, row {}", slice.start + row),
                format!("found {}; targets lie in [0, 1]", values[row]),
                "",
            ));
        }
        Ok(values.into_iter().map(|value| value as f32).collect())
    }

    /// Feature bins by column; missing cells are marked.
    fn bins(&self, part: &Part, slice: &Range<usize>, go_on: &mut dyn FnMut() -> Result<()>) -> Result<Vec<Vec<u8>>> {
        let mut bins = Vec::with_capacity(self.features.len());
        for features in self.features.chunks(COLUMNS) {
            go_on()?;
            let names: Vec<&str> = features.iter().map(String::as_str).collect();
            let columns = part.rows.read(&names, slice.clone())?;
            let read: Vec<Vec<u8>> = names
                .par_iter()
                .enumerate()
                .map(|(index, name)| {
                    columns.bins(index, NULL).map_err(|(row, found)| {
                        Error::data(
                            part.rows.path(),
                            format!("column `{name}`, row {}", slice.start + row),
                            format!("found {found}; features are the integers 0 to 4, or missing"),
                            "",
                        )
                    })
                })
                .collect::<Result<_>>()?;
            bins.extend(read);
        }
        go_on()?;
        Ok(bins)
    }

    /// Every packed era must have enough benchmark predictions to be scored.
    fn check_joined(&self, part: &Part) -> Result<()> {
        for (era, (rows, joined)) in &self.joined {
            if (*joined as f64) < LEAST_BENCHMARK * *rows as f64 {
                return Err(Error::data(
                    part.benchmark.path(),
                    format!("era {era:04}"),
                    format!(
                        "{joined} of {rows} rows have a benchmark prediction; at least 80 % must, or the era cannot be scored"
                    ),
                    "the ids of both files must be those of the same dataset version",
                ));
            }
        }
        Ok(())
    }
}

/// The files of one part of packed data.
struct Writers {
    features: HashedFile,
    targets: HashedFile,
    score: HashedFile,
    benchmark: HashedFile,
    ids: HashedFile,
    eras: Vec<EraRows>,
}

impl Writers {
    fn create(folder: &Path) -> Result<Writers> {
        Ok(Writers {
            features: HashedFile::create(folder, FEATURES)?,
            targets: HashedFile::create(folder, TARGETS)?,
            score: HashedFile::create(folder, SCORE)?,
            benchmark: HashedFile::create(folder, BENCHMARK)?,
            ids: HashedFile::create(folder, IDS)?,
            eras: Vec::new(),
        })
    }

    fn write(
        &mut self,
        era: u32,
        ids: &[&str],
        features: &[u8],
        targets: &[f32],
        score: &[f32],
        benchmark: &[f32],
    ) -> Result<()> {
        match self.eras.last_mut() {
            Some(last) if last.era == era => last.rows += ids.len(),
            _ => self.eras.push(EraRows { era, rows: ids.len() }),
        }
        self.features.write(features)?;
        self.targets.write(bytemuck::cast_slice(targets))?;
        self.score.write(bytemuck::cast_slice(score))?;
        self.benchmark.write(bytemuck::cast_slice(benchmark))?;
        let mut text = ids.join("\n");
        text.push('\n');
        self.ids.write(text.as_bytes())
    }

    fn finish(self) -> Result<PackedPart> {
        Ok(PackedPart {
            rows: self.eras.iter().map(|era| era.rows).sum(),
            eras: self.eras,
            files: vec![
                self.features.finish()?,
                self.targets.finish()?,
                self.score.finish()?,
                self.benchmark.finish()?,
                self.ids.finish()?,
            ],
        })
    }
}

/// Columns to rows, `[feature][row]` to `[row][feature]`, in tiles that fit the cache.
fn transpose(columns: &[Vec<u8>], rows: Range<usize>) -> Vec<u8> {
    const TILE: usize = 256;
    let width = columns.len();
    let mut out = vec![0; rows.len() * width];
    out.par_chunks_mut(TILE * width).enumerate().for_each(|(tile, out)| {
        let first = rows.start + tile * TILE;
        for (feature, column) in columns.iter().enumerate() {
            for (row, cell) in column[first..first + out.len() / width].iter().enumerate() {
                out[row * width + feature] = *cell;
            }
        }
    });
    out
}

/// 64 bits of an id: exactly its digits for Numerai's ids (`n` and up to 16 hex digits), a hash for others.
fn short_id(id: &str) -> u64 {
    let digits = id.strip_prefix('n').filter(|digits| digits.len() == 16);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(|| {
        let hash = blake3::hash(id.as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
    })
}
