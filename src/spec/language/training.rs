//! Epochs, batches and ensembles.

use crate::spec::declare::{choice, record};
use crate::spec::piece::int;

record! {
    /// Epochs, batches, early stopping.
    Training {
        /// The most passes over the training rows.
        epochs: u32 = 20, int(1, 1000).log();
        /// Rows a batch; with a loss per era, whole eras up to about this many rows.
        batch_rows: u32 = 2048, int(32, 65536).log();
        /// Training stops after this many epochs without a better score on an inner, purged part of the training eras, and the best epoch's weights are used. `null`: all epochs are trained on all training eras, and the last weights are used.
        patience: Option<u32> = Some(5), int(1, 1000).log();
    }
}

record! {
    /// Several nets that differ in their seed.
    Ensemble {
        /// How many.
        members: u32 = 1, int(1, 16).log();
        /// How their predictions become one.
        aggregate: Aggregate = Aggregate::Mean, ();
    }
}

choice! {
    /// How members' predictions become one.
    Aggregate {
        /// The mean of the predictions, each standardized within its era.
        Mean = "mean",
        /// The mean of the predictions' ranks within each era.
        RankMean = "rank_mean",
    }
}
