//! Scores any file of predictions against any file of truth, as Numerai does.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::{correlation_contribution, correlation_of_ranks, numerai_corr};
use crate::nullable;
use crate::parquet::{Kind, ParquetTable};
use crate::protocol::Objective;
use crate::summary::Summary;

/// Rows that are decoded at a time.
const SLICE: usize = 262_144;
/// Eras of the "recent" mean that Numerai users look at.
const RECENT: usize = 200;

/// Scores of one era of a file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEraScore {
    /// Era number.
    pub era: u32,
    /// CORR; NaN (null) when predictions or target are constant.
    #[serde(with = "nullable")]
    pub corr: f64,
    /// Contribution beyond the benchmark; NaN (null) when the benchmark is constant or absent.
    #[serde(with = "nullable")]
    pub bmc: f64,
}

/// Scores of a file of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileScore {
    /// Payout over the eras that have scores; null when none has.
    #[serde(with = "nullable")]
    pub payout: f64,
    /// CORR over the eras that have one.
    pub corr: Summary,
    /// Contribution over the eras that have one.
    pub bmc: Summary,
    /// Mean rank correlation with the benchmark.
    #[serde(with = "nullable")]
    pub corr_with_benchmark: f64,
    /// Mean contribution over the last 200 eras that have one.
    #[serde(with = "nullable")]
    pub bmc_last_200: f64,
    /// Eras whose CORR is NaN, and whose contribution is NaN. They are in `eras` as null, and in no mean.
    pub nan_eras: NanEras,
    /// All eras of the truth, ascending.
    pub eras: Vec<FileEraScore>,
}

/// Numbers of eras without a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NanEras {
    /// Eras without CORR.
    pub corr: usize,
    /// Eras without a contribution.
    pub bmc: usize,
}

/// One era's rows, aligned with the truth's; NaN where the predictions lack one.
#[derive(Default)]
struct EraRows {
    prediction: Vec<f64>,
    target: Vec<f64>,
    benchmark: Vec<f64>,
    /// Rows of the predictions, those that the truth does not know included.
    predicted: usize,
}

/// Scores `predictions` (`id`, `era`, `prediction`) against `truth` (`id`, `era`, `target`, `benchmark`).
///
/// Rows are joined by id. As at Numerai, an era must keep 80 % of its rows on either side after rows with a missing
/// prediction, target or benchmark are dropped. Eras of the truth that the predictions do not cover at all are an
/// error; so are predicted eras that the truth does not know.
///
/// # Errors
/// Wrong columns or types, doubled ids, eras that do not match, too many missing rows: each names file and era.
pub fn score_files(predictions: &Path, truth: &Path, objective: &Objective) -> Result<FileScore> {
    let predicted = read_predictions(predictions)?;
    let eras = join(predictions, predicted, truth)?;
    let scores: Vec<(FileEraScore, f64)> =
        eras.into_par_iter().map(|(era, rows)| score_era(predictions, era, &rows)).collect::<Result<_>>()?;
    let known = |values: Vec<f64>| -> Vec<f64> { values.into_iter().filter(|value| !value.is_nan()).collect() };
    let corr = known(scores.iter().map(|(score, _)| score.corr).collect());
    let bmc = known(scores.iter().map(|(score, _)| score.bmc).collect());
    let against = known(scores.iter().map(|(_, against)| *against).collect());
    let recent = &bmc[bmc.len().saturating_sub(RECENT)..];
    let nan_eras = NanEras { corr: scores.len() - corr.len(), bmc: scores.len() - bmc.len() };
    let (corr, bmc_summary) = (Summary::of(&corr), Summary::of(&bmc));
    Ok(FileScore {
        payout: objective.payout(corr.mean, bmc_summary.mean),
        corr,
        bmc: bmc_summary,
        corr_with_benchmark: Summary::of(&against).mean,
        bmc_last_200: Summary::of(recent).mean,
        nan_eras,
        eras: scores.into_iter().map(|(score, _)| score).collect(),
    })
}

fn score_era(path: &Path, era: u32, rows: &EraRows) -> Result<(FileEraScore, f64)> {
    let failed = |error| Error::score(format!("{}, era {era:04}", path.display()), format!("{error}"));
    let corr = numerai_corr(&rows.prediction, &rows.target).map_err(failed)?;
    // The scores above and below ask for 80 % of the truth's rows; this asks for 80 % of the predictions'.
    let joined = rows.prediction.iter().zip(&rows.target).filter(|(p, t)| !p.is_nan() && !t.is_nan()).count();
    if (joined as f64) < 0.8 * rows.predicted as f64 {
        return Err(Error::score(
            format!("{}, era {era:04}", path.display()),
            format!(
                "only {joined} of {} predictions are of rows that have a target; at least 80 % must",
                rows.predicted
            ),
        ));
    }
    // Numerai has no benchmark for early eras: no contribution there, rather than an error.
    let absent = rows.benchmark.iter().all(|value| value.is_nan());
    let (bmc, against) = if absent {
        (f64::NAN, f64::NAN)
    } else {
        (
            correlation_contribution(&rows.prediction, &rows.benchmark, &rows.target).map_err(failed)?,
            correlation_of_ranks(&rows.prediction, &rows.benchmark).map_err(failed)?,
        )
    };
    Ok((FileEraScore { era, corr, bmc }, against))
}

fn read_predictions(path: &Path) -> Result<HashMap<String, (u32, f64)>> {
    let mut predicted = HashMap::new();
    each_row(path, &["prediction"], &mut |row, id, era, values| {
        if values[0].is_infinite() {
            let place = format!("column `prediction`, row {row}");
            return Err(Error::data(path, place, "the prediction is infinite", ""));
        }
        if predicted.insert(id.to_owned(), (era, values[0])).is_some() {
            let hint = "a file of several folds or seeds must be averaged or split first";
            return Err(Error::data(path, format!("column `id`, row {row}"), format!("the id {id} comes twice"), hint));
        }
        Ok(())
    })?;
    Ok(predicted)
}

/// Aligns both files era by era; a row that one side lacks is NaN there.
fn join(path: &Path, mut predicted: HashMap<String, (u32, f64)>, truth: &Path) -> Result<BTreeMap<u32, EraRows>> {
    let mut eras: BTreeMap<u32, EraRows> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    each_row(truth, &["target", "benchmark"], &mut |row, id, era, values| {
        let place = || format!("column `id`, row {row}");
        if !seen.insert(id.to_owned()) {
            return Err(Error::data(truth, place(), format!("the id {id} comes twice"), ""));
        }
        let prediction = match predicted.remove(id) {
            Some((other, _)) if other != era => {
                let message = format!("{id} belongs to era {era:04}, and {} says {other:04}", path.display());
                return Err(Error::data(truth, place(), message, ""));
            }
            Some((_, prediction)) => Some(prediction),
            None => None,
        };
        let rows = eras.entry(era).or_default();
        rows.predicted += usize::from(prediction.is_some());
        rows.prediction.push(prediction.unwrap_or(f64::NAN));
        rows.target.push(values[0]);
        rows.benchmark.push(values[1]);
        Ok(())
    })?;
    // What is left was predicted, and the truth does not know it.
    for (id, (era, _)) in predicted {
        let Some(rows) = eras.get_mut(&era) else {
            let message = format!("{id} is of an era that {} does not have", truth.display());
            return Err(Error::data(path, format!("era {era:04}"), message, ""));
        };
        rows.predicted += 1;
    }
    for (era, rows) in &eras {
        if rows.prediction.iter().all(|value| value.is_nan()) {
            let hint = format!("{} has {} rows of it; ids must match", truth.display(), rows.target.len());
            return Err(Error::data(path, format!("era {era:04}"), "there is no prediction", hint));
        }
    }
    Ok(eras)
}

/// Takes (row, id, era, values).
type TakeRow<'a> = dyn FnMut(usize, &str, u32, &[f64]) -> Result<()> + 'a;

/// Calls `take` for every row of a file.
fn each_row(path: &Path, columns: &[&str], take: &mut TakeRow<'_>) -> Result<()> {
    let table = ParquetTable::open(path)?;
    table.require("id", &[Kind::Text])?;
    table.require("era", &[Kind::Text, Kind::Integer])?;
    for column in columns {
        table.require(column, &[Kind::Float, Kind::Integer])?;
    }
    let names: Vec<&str> = ["id", "era"].into_iter().chain(columns.iter().copied()).collect();
    for slice in table.slices(SLICE) {
        let read = table.read(&names, slice.clone())?;
        let ids = read.texts(0);
        let eras = read.eras(1).map_err(|(row, found)| {
            let place = format!("column `era`, row {}", slice.start + row);
            Error::data(path, place, format!("`{found}` is no era number"), "eras are written as 0001 or 1")
        })?;
        let values: Vec<Vec<f64>> = (2..names.len()).map(|index| read.numbers(index)).collect();
        let mut row_values = vec![0.0; values.len()];
        for (row, (id, era)) in ids.iter().zip(eras).enumerate() {
            for (value, column) in row_values.iter_mut().zip(&values) {
                *value = column[row];
            }
            take(slice.start + row, id, era, &row_values)?;
        }
    }
    Ok(())
}
