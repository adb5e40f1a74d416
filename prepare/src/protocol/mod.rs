//! The locked protocol: which data, which folds, which seeds, which objective. Only valid values exist.
//!
//! It is written in YAML (see `presets/`). A mistake names the file, the line, the field, what was found, what is
//! allowed and, for names, the nearest valid one.

mod check;
mod raw;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result, did_you_mean};
use crate::synthetic::MarketSizes;

/// The checked protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// Version of the format.
    pub version: u32,
    /// Where the data comes from.
    pub data: DataSource,
    /// Features that a spec may use.
    pub features: FeatureRules,
    /// Targets to train on and to be scored on.
    pub targets: TargetRules,
    /// Columns whose mean is the benchmark.
    pub benchmark: BenchmarkRules,
    /// Eras that are kept.
    pub eras: EraRules,
    /// Cross-validation.
    pub folds: FoldRules,
    /// Seeds that every trial which is to be kept must have run; at least three, all different.
    pub seeds: Vec<u64>,
    /// Eras kept away from all research.
    pub holdout: HoldoutRules,
    /// Weights of the scores.
    pub objective: Objective,
}

/// Where the parquet files come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// A made-up market, written as parquet in Numerai's schema.
    Synthetic {
        /// Its sizes.
        preset: SyntheticPreset,
        /// Seed of everything random in it.
        seed: u64,
    },
    /// Numerai's files, already downloaded.
    Files {
        /// Folder that holds the version folders; relative to the lab.
        folder: PathBuf,
        /// Folder of one dataset version, for example `v5.2`.
        version: String,
        /// Files to read, in order of eras: `train`, `validation`.
        parts: Vec<String>,
    },
}

/// Sizes of the made-up market.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyntheticPreset {
    /// Small and strong: an evening's demonstration on two cores.
    Demo,
    /// The sizes of a scouting run on Numerai's data: for measuring speed.
    Bench,
    /// Sizes of one's own.
    Custom(MarketSizes),
}

/// Features that a spec may use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureRules {
    /// Names of feature sets in `features.json`. A feature in several of them counts once.
    pub sets: Vec<String>,
}

/// Targets by their full names; the alias `target` is refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetRules {
    /// Targets that a spec may train on.
    pub train_on: Vec<String>,
    /// The target that predictions are scored on.
    pub score_on: String,
}

/// The benchmark that a contribution is measured against.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchmarkRules {
    /// Columns of the benchmark files; the benchmark is their mean.
    pub columns: Vec<String>,
}

/// Eras that are kept: `first`, `first + stride`, … up to `last`, counted in era numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EraRules {
    /// First era number; the data's first when absent.
    pub first: Option<u32>,
    /// Last era number; the data's last when absent.
    pub last: Option<u32>,
    /// Every how many era numbers one era is kept; at least 1.
    pub stride: u32,
}

/// Blocked cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FoldRules {
    /// Number of folds, at least 2.
    pub count: usize,
    /// Era numbers between a train era and a test era that must be left out: a train era is at least
    /// `embargo + 1` away.
    pub embargo: u32,
}

/// Eras kept away from all research.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HoldoutRules {
    /// How many of the last retained eras.
    pub eras: usize,
    /// Era numbers before the holdout that are left out.
    pub embargo: u32,
}

/// Weights of the two scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// Name of the preset, or `custom`.
    pub name: String,
    /// Weight of CORR.
    pub corr: f64,
    /// Weight of the contribution beyond the benchmark.
    pub bmc: f64,
}

/// Protocols that come with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The demo market.
    Demo,
    /// The market of benchmark size.
    Bench,
    /// Numerai's own files.
    Numerai,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 3] = [Preset::Demo, Preset::Bench, Preset::Numerai];

    /// The preset's commented YAML.
    pub fn yaml(self) -> &'static str {
        match self {
            Preset::Demo => include_str!("../../presets/demo.yaml"),
            Preset::Bench => include_str!("../../presets/bench.yaml"),
            Preset::Numerai => include_str!("../../presets/numerai.yaml"),
        }
    }

    /// The preset's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Demo => "demo",
            Preset::Bench => "bench",
            Preset::Numerai => "numerai",
        }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| {
            let names = Preset::ALL.map(Preset::name);
            format!("no preset `{name}`; there are {}; {}", names.join(", "), did_you_mean(name, names))
        })
    }
}

impl Objective {
    /// Presets, newest last, with their weights of CORR and contribution. Numerai moves them: a preset never changes,
    /// a new rule gets a new name.
    pub const PRESETS: [(&'static str, f64, f64); 2] = [("numerai-2026-01", 0.75, 2.25), ("numerai-1343", 3.0, 15.0)];

    /// A preset by its name.
    pub fn preset(name: &str) -> Option<Objective> {
        Self::PRESETS.into_iter().find(|(preset, ..)| *preset == name).map(|(name, corr, bmc)| Objective {
            name: name.to_owned(),
            corr,
            bmc,
        })
    }
}

impl Protocol {
    /// Reads and checks a protocol file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Protocol`] when it is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a protocol; `origin` is the file that errors name.
    ///
    /// # Errors
    /// [`Error::Protocol`], with file, line, field, what was found and what is allowed.
    pub fn parse(text: &str, origin: &Path) -> Result<Self> {
        check::parse(text, origin)
    }

    /// Hash of the checked form: 16 hex digits. Comments, order and defaults spelled out do not change it.
    pub fn hash(&self) -> String {
        short_hash(self)
    }

    /// Hash of the parts that decide what is packed: 16 hex digits. Seeds and objective do not change it.
    pub fn data_key(&self) -> String {
        short_hash(&(&self.data, &self.features, &self.targets, &self.benchmark, &self.eras, &self.holdout))
    }

    /// Era numbers that the longest target in use looks ahead, by Numerai's purging rule.
    pub fn horizon_eras(&self) -> u32 {
        self.targets
            .train_on
            .iter()
            .chain([&self.targets.score_on])
            .filter_map(|name| target_horizon_eras(name))
            .max()
            .unwrap_or(0)
    }
}

/// Eras that must be purged around a target, read from the end of its name: 8 for `_20`, 16 for `_60` (business
/// days), as Numerai's own walk-forward does. None for a name without a horizon, such as the alias `target`.
pub fn target_horizon_eras(name: &str) -> Option<u32> {
    match name.rsplit_once('_')? {
        (_, "20") => Some(8),
        (_, "60") => Some(16),
        _ => None,
    }
}

/// First 16 hex digits of the blake3 of a value's JSON.
fn short_hash<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_vec(value).expect("plain structs of numbers and strings always serialize");
    blake3::hash(&text).to_hex()[..16].to_owned()
}
