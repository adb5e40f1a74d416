//! Epochs, batches, early stopping.

use super::Uniform;
use crate::spec::declare::{record, union};
use crate::spec::piece::{float, int};

record! {
    /// Epochs, batches, early stopping.
    Training {
        /// The most passes over the training rows.
        epochs: u32 = 20, int(1, 1000).log();
        /// Rows a batch; where a batch is made of runs of rows of one era each, whole runs up to about this many rows.
        batch_rows: u32 = 2048, int(32, 65536).log();
        /// Which rows stand in a batch together.
        batches: Batches = Batches::Rows(RowBatches {}), ();
        /// How often each era's rows are drawn.
        era_weighting: EraWeighting = EraWeighting::Uniform(Uniform {}), ();
        /// Training stops after this many epochs without a better score on an inner, purged part of the training eras, and the best epoch's weights are used. The score is the mean over those eras of the Pearson correlation of output and label in each, averaged over targets by their weights; the labels are those that are learned from, after `targets.transform` and `targets.residual`. `null`: all epochs are trained on all training eras, and the last weights are used.
        patience: Option<u32> = Some(5), int(1, 1000).log();
    }
}

union! {
    /// Which rows stand in a batch together. Each epoch draws the rows anew.
    Batches {
        /// Rows of all eras, mixed. With a loss within eras: runs of up to 1024 rows of one era each.
        Rows(RowBatches) = "rows", ();
        /// Rows of one era: up to `batch_rows` of them, drawn at random; an era with twice as many rows gives two batches.
        Era(EraBatches) = "era", ();
        /// Rows of several eras in equal parts.
        Eras(ErasBatches) = "eras", ();
    }
}

record! {
    /// Mixed rows.
    RowBatches {}
}

record! {
    /// One era a batch.
    EraBatches {}
}

record! {
    /// Several eras a batch.
    ErasBatches {
        /// How many; all, where a fold learns from fewer.
        count: u32 = 4, int(2, 64).log();
    }
}

union! {
    /// How often each era's rows are drawn. An epoch has the same number of rows whatever the weights: a row is drawn with probability in proportion to its era's weight, by systematic resampling, so that an era's count is its expectation rounded up or down.
    EraWeighting {
        /// Every row once an epoch.
        Uniform(Uniform) = "uniform", ();
        /// Recent eras more often.
        Recency(Recency) = "recency", ();
        /// Calm eras more often.
        Volatility(Volatility) = "volatility", ();
    }
}

record! {
    /// w = 0.5^(age / half_life), age being the last learned era's number minus the era's.
    Recency {
        /// Era numbers (weeks) over which the weight halves.
        half_life: f64 = 100.0, float(1.0, 2000.0).log();
    }
}

record! {
    /// w = v^-power. v, an era's volatility, is the root mean square over the used features that vary in the era of the correlation of feature and first training target within it: how much features moved stocks. It is computed once for each fold, of the eras that it learns from alone, and taken as at least a tenth of its mean; an era in which it cannot be computed counts as the mean.
    Volatility {
        /// Low: little difference between eras.
        power: f64 = 1.0, float(0.1, 4.0);
    }
}
