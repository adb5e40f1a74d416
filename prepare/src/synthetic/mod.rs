//! A made-up market that one can learn about, written as parquet in Numerai's exact schema.
//!
//! `market` simulates it, `write` puts it into files. What is in it, and why, stands in `market`.

mod laws;
mod market;
mod random;
mod write;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::protocol::SyntheticPreset;

pub use market::{MarketEra, simulate};
pub use write::write_market;
pub(crate) use write::{SYNTHETIC_FILE, SyntheticRecord, current, write_unless};

/// Numerai's names of targets.
const TARGET_NAMES: [&str; 20] = [
    "agnes", "alpha", "bravo", "caroline", "charlie", "claudia", "cyrusd", "delta", "echo", "ender", "jasper",
    "jeremy", "ralph", "rowan", "sam", "teager2b", "tyler", "victor", "waldo", "xerxes",
];

/// Sizes and strengths of a made-up market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSizes {
    /// Eras that are written: numbers 1, 1 + stride, 1 + 2·stride, …
    pub eras: usize,
    /// Distance of written eras in era numbers. Returns are simulated for every era in between too.
    #[serde(default = "default_stride")]
    pub stride: u32,
    /// Stocks, each a row of every era.
    pub rows: usize,
    /// Feature sets: names and sizes.
    pub sets: Vec<FeatureSetSize>,
    /// Targets, named `target_NAME_20` or `target_NAME_60`.
    pub targets: Vec<String>,
    /// Benchmark columns.
    pub benchmark: Vec<String>,
    /// Hidden factors behind each feature set.
    #[serde(default = "default_factors")]
    pub factors: usize,
    /// Correlation with a 20-day return of the linear part of the signal, which the benchmark holds.
    #[serde(default = "default_linear")]
    pub linear: f64,
    /// Correlation with a 20-day return of the interactions, which the benchmark misses.
    #[serde(default = "default_interaction")]
    pub interaction: f64,
    /// Correlation of a stock's factors from one era to the next.
    #[serde(default = "default_persistence")]
    pub persistence: f64,
}

/// One feature set of a made-up market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSetSize {
    /// Name of the set.
    pub name: String,
    /// Number of its features.
    pub features: usize,
}

impl SyntheticPreset {
    /// The sizes that the preset stands for.
    pub fn sizes(&self) -> MarketSizes {
        match self {
            SyntheticPreset::Demo => demo(),
            SyntheticPreset::Bench => bench(),
            SyntheticPreset::Custom(sizes) => sizes.clone(),
        }
    }
}

impl MarketSizes {
    /// Era numbers that are written, ascending.
    pub fn era_numbers(&self) -> Vec<u32> {
        (0..self.eras as u32).map(|index| 1 + index * self.stride).collect()
    }

    /// Names of all features, set by set.
    pub fn feature_names(&self) -> Vec<String> {
        self.sets
            .iter()
            .flat_map(|set| (0..set.features).map(move |index| format!("feature_{}_{index:03}", set.name)))
            .collect()
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// Says which field holds what, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let range = |field: &str, found: usize, least: usize, most: usize| {
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err(format!("`{field}` is {found}; allowed: {least} to {most}"))
            }
        };
        range("eras", self.eras, 1, 5_000)?;
        range("stride", self.stride as usize, 1, 64)?;
        range("rows", self.rows, 20, 100_000)?;
        range("sets", self.sets.len(), 1, 32)?;
        range("targets", self.targets.len(), 1, 100)?;
        range("benchmark", self.benchmark.len(), 1, 64)?;
        range("factors", self.factors, 2, 32)?;
        let mut names = BTreeSet::new();
        for set in &self.sets {
            range(&format!("sets.{}.features", set.name), set.features, 1, 10_000)?;
            let plain = set.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if set.name.is_empty() || !plain || !names.insert(&set.name) {
                return Err(format!(
                    "`sets` has the name `{}`; names must be different, of letters, digits and underscores",
                    set.name
                ));
            }
        }
        for target in &self.targets {
            if laws::parse_target(target).is_none() {
                return Err(format!("`targets` has `{target}`; allowed: target_NAME_20 and target_NAME_60"));
            }
        }
        if self.targets.iter().chain(&self.benchmark).collect::<BTreeSet<_>>().len()
            != self.targets.len() + self.benchmark.len()
        {
            return Err("`targets` or `benchmark` names a column twice".into());
        }
        for (field, found, most) in [
            ("linear", self.linear, 0.5),
            ("interaction", self.interaction, 0.5),
            ("persistence", self.persistence, 0.9999),
        ] {
            if !(0.0..=most).contains(&found) {
                return Err(format!("`{field}` is {found}; allowed: 0 to {most}"));
            }
        }
        Ok(())
    }
}

fn demo() -> MarketSizes {
    MarketSizes {
        eras: 120,
        stride: default_stride(),
        rows: 300,
        sets: sets(&[("serenity", 20), ("wisdom", 20), ("sunshine", 20)]),
        targets: strings(&["target_cyrusd_20", "target_cyrusd_60", "target_ender_20", "target_ender_60"]),
        benchmark: strings(&["v52_lgbm_ender20", "v52_lgbm_ender60"]),
        factors: default_factors(),
        linear: default_linear(),
        interaction: default_interaction(),
        persistence: default_persistence(),
    }
}

fn bench() -> MarketSizes {
    let columns = ["cyrusd", "teager2b", "ender", "jasper"];
    MarketSizes {
        eras: 143,
        stride: default_stride(),
        rows: 4_800,
        sets: sets(&[("serenity", 95), ("wisdom", 140)]),
        targets: TARGET_NAMES.iter().map(|name| format!("target_{name}_60")).collect(),
        benchmark: columns
            .iter()
            .flat_map(|name| [format!("v52_lgbm_{name}20"), format!("v52_lgbm_{name}60")])
            .collect(),
        factors: 5,
        linear: 0.02,
        interaction: 0.03,
        persistence: default_persistence(),
    }
}

fn sets(sizes: &[(&str, usize)]) -> Vec<FeatureSetSize> {
    sizes.iter().map(|&(name, features)| FeatureSetSize { name: name.into(), features }).collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn default_stride() -> u32 {
    4
}

fn default_factors() -> usize {
    2
}

fn default_linear() -> f64 {
    0.045
}

fn default_interaction() -> f64 {
    0.065
}

fn default_persistence() -> f64 {
    0.99
}
