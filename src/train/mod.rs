//! Training: a checked spec in, predictions for the test eras out. The only code that knows Burn.
//!
//! Replicas are a tensor dimension: parameters are `[replica, in, out]`, activations `[replica, row, unit]`. A replica is
//! one net: (fold, seed, member). What a replica learns depends on nothing but its own seed and data, so on the CPU the
//! numbers are the same however replicas are grouped.
//!
//! Left out on purpose: scores (the harness in `prepare` owns them) and any label of a test era (the harness never gives
//! one out).

mod aggregate;
mod augment;
pub mod backend;
mod batches;
mod blocks;
mod cells;
mod era_weights;
mod facts;
mod feed;
mod forward;
mod group;
mod kernels;
mod labels;
mod loss;
mod noise;
mod optimizer;
mod post;
mod rates;
mod schedule;
mod split;
mod start;
mod streams;
mod together;
mod trial;

pub(crate) use backend::device_words;
pub use backend::{Choice, DeviceError, DeviceSettings, Precision};
pub use facts::facts;
pub use trial::{CellResult, Failed, Job, Progress, Trainer};

/// Why a training ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss or the predictions stopped being numbers.
    #[error(
        "fold {fold}, seed {seed}, member {member}: {what} in epoch {epoch}; a lower learning rate, clip_norm or a norm may help"
    )]
    Diverged {
        /// The fold.
        fold: usize,
        /// The seed.
        seed: u64,
        /// The member of the ensemble.
        member: u32,
        /// The epoch, from 1.
        epoch: u32,
        /// What was seen.
        what: String,
    },
    /// Predictions that say nothing, which no score can be made of.
    #[error(
        "fold {fold}, seed {seed}, era {era:04}: {what}; a norm, fewer layers, a lower learning rate or weaker penalties may help"
    )]
    Constant {
        /// The fold.
        fold: usize,
        /// The seed.
        seed: u64,
        /// The test era.
        era: u32,
        /// Who predicts them.
        what: &'static str,
    },
    /// The data cannot be trained on as the spec asks.
    #[error("{0}")]
    Data(String),
    /// The cells that were asked for.
    #[error("{0}")]
    Cells(String),
    /// Someone asked it to stop.
    #[error("stopped")]
    Stopped,
    /// The harness refused the predictions.
    #[error("scoring failed: {0}")]
    Score(#[from] prepare::Error),
}

#[cfg(test)]
mod tests;
