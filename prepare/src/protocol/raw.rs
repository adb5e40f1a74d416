//! The protocol as it is written in YAML, before any of its rules are checked. Only `check` reads it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_yaml::Spanned;

use crate::synthetic::MarketSizes;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProtocol {
    pub(super) version: Spanned<u32>,
    pub(super) data: RawData,
    pub(super) features: RawFeatures,
    pub(super) targets: RawTargets,
    pub(super) benchmark: RawBenchmark,
    #[serde(default)]
    pub(super) eras: RawEras,
    pub(super) folds: RawFolds,
    pub(super) seeds: Spanned<Vec<u64>>,
    #[serde(default)]
    pub(super) holdout: RawHoldout,
    pub(super) objective: Spanned<RawObjective>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawData {
    Synthetic(Spanned<RawSynthetic>),
    Files(RawFiles),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSynthetic {
    pub(super) preset: Option<Spanned<String>>,
    pub(super) sizes: Option<Spanned<MarketSizes>>,
    #[serde(default = "one")]
    pub(super) seed: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFiles {
    pub(super) folder: PathBuf,
    pub(super) version: Spanned<String>,
    pub(super) parts: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFeatures {
    pub(super) sets: Spanned<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTargets {
    pub(super) train_on: Spanned<Vec<Spanned<String>>>,
    pub(super) score_on: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBenchmark {
    pub(super) columns: Spanned<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEras {
    pub(super) first: Option<Spanned<u32>>,
    pub(super) last: Option<Spanned<u32>>,
    pub(super) stride: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFolds {
    pub(super) count: Option<Spanned<usize>>,
    pub(super) embargo: Spanned<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHoldout {
    pub(super) eras: Option<usize>,
    pub(super) embargo: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjective {
    pub(super) preset: Option<Spanned<String>>,
    pub(super) corr: Option<Spanned<f64>>,
    pub(super) bmc: Option<Spanned<f64>>,
}

fn one() -> u64 {
    1
}
