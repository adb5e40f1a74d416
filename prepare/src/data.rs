//! Packed data, served to a trainer and a scorer: features of all rows, labels of train eras only.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::evaluate::{CellScore, EraScore};
use crate::features::Features;
use crate::folds::{FoldPlan, plan};
use crate::manifest::Manifest;
use crate::metrics::era_metrics;
use crate::pack::{BENCHMARK, FEATURES, SCORE, TARGETS};
use crate::protocol::Protocol;
use crate::storage::MappedFile;

/// Rows of one era in the packed data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraSpan {
    /// Era number.
    pub era: u32,
    /// Its rows.
    pub rows: Range<usize>,
}

/// The packed data of cross-validation with its folds. Opening it opens none of the holdout's files; [`crate::Holdout`] does.
pub struct Harness {
    protocol: Protocol,
    manifest: Manifest,
    pub(crate) plan: FoldPlan,
    pub(crate) packed: PathBuf,
    pub(crate) eras: Vec<EraSpan>,
    features: MappedFile,
    targets: MappedFile,
    pub(crate) score: Column,
    pub(crate) benchmark: Column,
    /// Features of the holdout's rows, which follow the others, where it was opened.
    pub(crate) held: Option<MappedFile>,
}

/// One number for each row.
pub(crate) enum Column {
    /// As it was packed.
    Mapped(MappedFile),
    /// With the holdout's rows behind those of cross-validation.
    Joined(Vec<f32>),
}

impl Column {
    pub(crate) fn floats(&self) -> &[f32] {
        match self {
            Column::Mapped(file) => file.floats(),
            Column::Joined(values) => values,
        }
    }
}

/// What a fold may be trained on.
pub struct TrainingSet<'a> {
    eras: Vec<EraSpan>,
    targets: &'a [f32],
    count: usize,
}

impl Harness {
    /// Opens packed data: checks that it belongs to the protocol and is complete in size, and maps it.
    ///
    /// # Errors
    /// [`Error::NotPrepared`] when there is none, or when it belongs to another protocol.
    pub fn open(protocol: &Protocol, packed: &Path) -> Result<Harness> {
        let manifest = Manifest::read(packed)?;
        if manifest.data_key != protocol.data_key() {
            return Err(Error::NotPrepared {
                path: packed.to_owned(),
                message: "the packed data belongs to another protocol".into(),
            });
        }
        let plan = plan(&manifest.retained_eras(), &protocol.folds, &protocol.holdout)?;
        let mut start = 0;
        let eras: Vec<EraSpan> = manifest
            .open
            .eras
            .iter()
            .map(|era| {
                let rows = start..start + era.rows;
                start = rows.end;
                EraSpan { era: era.era, rows }
            })
            .collect();
        let map = |name: &str, bytes: usize| -> Result<MappedFile> {
            let found = manifest.open.files.iter().find(|file| file.name == name && file.bytes == bytes as u64);
            let file = found.ok_or_else(|| Error::NotPrepared {
                path: packed.join(name),
                message: format!("the manifest has no such file of {bytes} bytes"),
            })?;
            MappedFile::open(packed, file)
        };
        let tested = plan.cross_validated();
        if start != manifest.open.rows || !tested.iter().eq(eras.iter().map(|span| &span.era)) {
            return Err(Error::NotPrepared {
                path: packed.to_owned(),
                message: "the manifest contradicts itself".into(),
            });
        }
        Ok(Harness {
            features: map(FEATURES, start * manifest.features.len())?,
            targets: map(TARGETS, start * manifest.targets.len() * 4)?,
            score: Column::Mapped(map(SCORE, start * 4)?),
            benchmark: Column::Mapped(map(BENCHMARK, start * 4)?),
            held: None,
            protocol: protocol.clone(),
            packed: packed.to_owned(),
            manifest,
            plan,
            eras,
        })
    }

    /// Hashes every file anew and compares with the manifest.
    ///
    /// # Errors
    /// [`Error::NotPrepared`], which names the file that has changed.
    pub fn verify(&self) -> Result<()> {
        if self.manifest.content_hash() != self.manifest.data_hash {
            return Err(Error::NotPrepared {
                path: self.packed.clone(),
                message: "the manifest's hashes do not make up its data hash".into(),
            });
        }
        for file in &self.manifest.open.files {
            MappedFile::open(&self.packed, file)?.verify(file)?;
        }
        Ok(())
    }

    /// Hash over all packed contents, 16 hex digits.
    pub fn data_hash(&self) -> &str {
        &self.manifest.data_hash
    }

    /// The manifest of the packed data.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The protocol.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The folds.
    pub fn plan(&self) -> &FoldPlan {
        &self.plan
    }

    /// Rows outside the holdout.
    pub fn rows(&self) -> usize {
        self.eras.last().map_or(0, |span| span.rows.end)
    }

    /// Columns of the feature matrix: the union of the allowed sets, in the order of the sets.
    pub fn feature_count(&self) -> usize {
        self.manifest.features.len()
    }

    /// Names of the features, in column order.
    pub fn feature_names(&self) -> &[String] {
        &self.manifest.features
    }

    /// Columns of a feature set in the packed matrix; None for a set that the protocol does not allow.
    pub fn feature_set(&self, name: &str) -> Option<&[usize]> {
        self.manifest.feature_sets.iter().find(|(set, _)| set == name).map(|(_, columns)| columns.as_slice())
    }

    /// Names of the training targets, in column order.
    pub fn target_names(&self) -> &[String] {
        &self.manifest.targets
    }

    /// The features of all rows, [`Harness::feature_count`] a row.
    pub fn features(&self) -> Features<'_> {
        let held = self.held.as_ref().map_or(&[] as &[u8], MappedFile::bytes);
        Features::new(self.feature_count(), self.features.bytes(), held)
    }

    /// Eras and their rows, ascending: exactly the eras that are tested in some fold.
    pub fn eras(&self) -> &[EraSpan] {
        &self.eras
    }

    /// Labels of the fold's train eras.
    ///
    /// # Panics
    /// When there is no such fold.
    pub fn training(&self, fold: usize) -> TrainingSet<'_> {
        TrainingSet {
            eras: self.spans(&self.plan.folds[fold].train).cloned().collect(),
            targets: self.targets.floats(),
            count: self.manifest.targets.len(),
        }
    }

    /// Mean of the benchmark columns for each row, NaN where there is none.
    pub fn benchmark(&self) -> &[f32] {
        self.benchmark.floats()
    }

    /// Rows of the fold's test eras, ascending, one range for each era.
    ///
    /// # Panics
    /// When there is no such fold.
    pub fn test_rows(&self, fold: usize) -> Vec<Range<usize>> {
        self.spans(&self.plan.folds[fold].test).map(|span| span.rows.clone()).collect()
    }

    /// Scores the predictions for a fold's test rows, one for each row in the order of [`Harness::test_rows`].
    /// Only scores come back; labels of test eras never leave the harness.
    ///
    /// # Errors
    /// [`Error::Score`] when the count is wrong or a prediction is not finite. Constant predictions give NaN.
    pub fn score_cell(&self, fold: usize, seed: u64, predictions: &[f32]) -> Result<CellScore> {
        let what = format!("fold {fold}, seed {seed}");
        let scores: Vec<(EraScore, f64)> = self
            .tested(&what, fold, predictions)?
            .into_par_iter()
            .map(|(span, predictions)| {
                self.score_era(span, predictions)
                    .map_err(|message| Error::Score { what: format!("{what}, era {:04}", span.era), message })
            })
            .collect::<Result<_>>()?;
        let (eras, corr_with_benchmark) = scores.into_iter().unzip();
        Ok(CellScore { fold, seed, eras, corr_with_benchmark })
    }

    /// A fold's test eras, each with its part of the predictions, which are one for each test row.
    pub(crate) fn tested<'a>(
        &'a self,
        what: &str,
        fold: usize,
        predictions: &'a [f32],
    ) -> Result<Vec<(&'a EraSpan, &'a [f32])>> {
        let Some(eras) = self.plan.folds.get(fold).map(|fold| &fold.test) else {
            return Err(Error::score(what, format!("there are {} folds", self.plan.folds.len())));
        };
        let spans: Vec<&EraSpan> = self.spans(eras).collect();
        let rows: usize = spans.iter().map(|span| span.rows.len()).sum();
        if rows != predictions.len() {
            return Err(Error::score(what, format!("{} predictions for {rows} test rows", predictions.len())));
        }
        let mut rest = predictions;
        let parts = spans.into_iter().map(|span| {
            let (part, after) = rest.split_at(span.rows.len());
            rest = after;
            (span, part)
        });
        Ok(parts.collect())
    }

    fn score_era(&self, span: &EraSpan, predictions: &[f32]) -> Result<(EraScore, f64), String> {
        if let Some(row) = predictions.iter().position(|value| !value.is_finite()) {
            return Err(format!("prediction {row} is {}", predictions[row]));
        }
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let predictions = wide(predictions);
        let target = wide(&self.score.floats()[span.rows.clone()]);
        let benchmark = wide(&self.benchmark()[span.rows.clone()]);
        let found = era_metrics(&predictions, &benchmark, &target).map_err(|error| error.to_string())?;
        let (corr, bmc) = (found.corr, found.contribution);
        let payout = self.protocol.objective.payout(corr, bmc);
        Ok((EraScore { era: span.era, corr, bmc, payout }, found.corr_with_meta))
    }

    /// Spans of some eras, which ascend.
    pub(crate) fn spans<'a>(&'a self, eras: &'a [u32]) -> impl Iterator<Item = &'a EraSpan> {
        self.eras.iter().filter(|span| eras.binary_search(&span.era).is_ok())
    }
}

impl<'a> TrainingSet<'a> {
    /// The train eras and their rows in the packed data, ascending.
    pub fn eras(&self) -> &[EraSpan] {
        &self.eras
    }

    /// Labels of a train era, by its position in [`TrainingSet::eras`]: `[rows of the era, targets]` row-major,
    /// values in [0, 1], NaN where missing.
    ///
    /// # Panics
    /// When there is no such era.
    pub fn targets(&self, era_index: usize) -> &'a [f32] {
        let rows = &self.eras[era_index].rows;
        &self.targets[rows.start * self.count..rows.end * self.count]
    }

    /// Number of targets in a row.
    pub fn target_count(&self) -> usize {
        self.count
    }
}
