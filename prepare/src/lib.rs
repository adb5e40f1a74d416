//! The locked evaluation harness: what is measured, on which data, and how.
//!
//! [`Protocol`] describes the data, the folds, the seeds, the holdout and the objective; [`build`] turns it into
//! packed data; [`Harness`] serves that data to a trainer and scores what comes back. This crate knows no net, no
//! language model and no git, and depends on nothing else of the project, so that nothing that is editable during
//! research can reach the measure it is judged by.

pub mod build;
pub mod data;
mod error;
pub mod evaluate;
pub mod exposure;
pub mod features;
pub mod folds;
pub mod holdout;
pub mod lock;
pub mod manifest;
pub mod metrics;
mod nullable;
mod pack;
mod parquet;
mod predictions;
pub mod protocol;
pub mod score;
mod source;
mod storage;
pub mod summary;
mod synthetic;

pub use build::{DataPaths, Progress, build};
pub use data::{EraSpan, Harness, TrainingSet};
pub use error::{Error, Result};
pub use evaluate::{CellId, CellScore, EraScore, Evaluation, FoldScore, SeedScore, all_cells};
pub use exposure::Exposure;
pub use features::Features;
pub use folds::{Fold, FoldPlan, plan, purge};
pub use holdout::Holdout;
pub use lock::{Lock, harness_hash};
pub use manifest::{AchievableScore, EraRows, FileHash, Manifest, MissingCounts, PackedPart};
pub use metrics::{
    EraMetrics, MetricError, correlation_contribution, correlation_of_ranks, era_metrics, numerai_corr,
    rank_gaussianize,
};
pub use protocol::{
    BenchmarkRules, DataSource, EraRules, FeatureRules, FoldRules, HoldoutRules, Objective, Preset, Protocol,
    SyntheticPreset, TargetRules, target_horizon_eras,
};
pub use score::{FileEraScore, FileScore, score_files};
pub use summary::Summary;
pub use synthetic::{MarketEra, MarketSizes, simulate as simulate_market, write_market as write_synthetic_market};
