//! What is minimized.
//!
//! Notation: p are a target's outputs over a run of n rows (the batch, or one era's rows in it), y its labels minus 0.5;
//! rows whose label is missing are left out of every mean. w are the targets' weights, which sum to 1.

use super::Spec;
use crate::spec::declare::{choice, record, union};
use crate::spec::piece::{float, int};

union! {
    /// A term of the loss. The loss is the weighted sum of its terms.
    LossTerm {
        /// 1 - the Pearson correlation of output and target, averaged over targets by their weights.
        Pearson(Pearson) = "pearson", ();
        /// 1 - a differentiable rank correlation (after Qin, Liu and Li 2010), averaged over targets by their weights: the
        /// Pearson correlation of r and R. z are the outputs, standardized over the run; r_i = the mean over anchors j of
        /// sigmoid((z_i - z_j) / temperature); R_i = the share of the anchors whose label is below y_i, equal ones
        /// counting half. With as many anchors as rows it is Spearman's correlation as the temperature goes to 0.
        Rank(Rank) = "rank", ();
        /// The mean squared error of output against (target - 0.5).
        Mse(Weighted) = "mse", ();
        /// The mean absolute error of output against (target - 0.5).
        Mae(Weighted) = "mae", ();
        /// Huber's (1964) mean error of output against (target - 0.5): e² / 2 up to |e| = delta, delta · (|e| - delta / 2)
        /// beyond.
        Huber(Huber) = "huber", ();
        /// 1 - the correlation with the target of what the benchmark leaves of the output, averaged over targets by their
        /// weights: z = the outputs, standardized over the run; m = the benchmark, gaussianized by rank within its era;
        /// z' = z - m (z·m) / (m·m); cov(z', y) / std(y). It is Numerai's contribution over 4 std(y), of standardized
        /// outputs in place of gaussianized ranks, which have no gradient. Rows without a benchmark are left out.
        Bmc(Bmc) = "bmc", ();
        /// Cross-entropy on bins: the net gives `bins` logits a target, and the label is spread linearly over the two
        /// nearest of as many equally spaced values from 0 to 1 (two-hot; Farebrother and others 2024). Every other term,
        /// and the prediction, then takes the expected bin value minus 0.5 as the output.
        CrossEntropy(CrossEntropy) = "cross_entropy", ();
        /// Feature exposure: the mean over the features that the net reads, and over targets, of the squared Pearson
        /// correlation of output and feature over the batch.
        Exposure(Weighted) = "exposure", ();
        /// The mean square of the outputs.
        OutputL2(Penalty) = "output_l2", ();
        /// The sum of absolute values of the weight matrices.
        WeightL1(Penalty) = "weight_l1", ();
        /// The sum of squares of the weight matrices.
        WeightL2(Penalty) = "weight_l2", ();
        /// Negative correlation learning (Liu and Yao 1999) between the k members of a net: the mean over members of
        /// (z_i - z) Σ_{j ≠ i} (z_j - z) = -(z_i - z)², z_i being member i's outputs, standardized over the batch, and z
        /// the members' mean. That is (k - 1) / k · (ρ - 1), ρ being the mean correlation between two members.
        /// (Standardized, because a correlation loss would let the plain penalty fall without end.)
        NegativeCorrelation(NegativeCorrelation) = "negative_correlation", ();
    }
}

record! {
    /// A correlation loss.
    Pearson {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
        /// Over which rows a correlation is taken.
        within: Within = Within::Batch, ();
    }
}

record! {
    /// A rank correlation loss.
    Rank {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
        /// Over which rows a correlation is taken.
        within: Within = Within::Batch, ();
        /// In standard deviations of the outputs. Low: close to ranks, whose gradient only neighbours feel. High: close to
        /// `pearson`.
        temperature: f64 = 0.1, float(1e-3, 10.0).log();
        /// How many rows each row is compared with: the first ones of the run, which is shuffled. Time and memory grow with
        /// rows · anchors.
        anchors: u32 = 128, int(2, 4096).log();
    }
}

record! {
    /// A correlation loss beyond the benchmark.
    Bmc {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
        /// Over which rows a correlation is taken.
        within: Within = Within::Batch, ();
    }
}

choice! {
    /// Over which rows a correlation is taken.
    Within {
        /// All rows of the batch together.
        Batch = "batch",
        /// The rows of each era on their own, then the mean over eras. Batches are then whole eras.
        Era = "era",
    }
}

record! {
    /// A term with a weight.
    Weighted {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
    }
}

record! {
    /// Huber's error.
    Huber {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
        /// Where the square ends; labels minus 0.5 are from -0.5 to 0.5.
        delta: f64 = 0.25, float(1e-3, 10.0).log();
    }
}

record! {
    /// A classification of the target.
    CrossEntropy {
        /// Weight in the loss.
        weight: f64 = 1.0, float(1e-6, 100.0).log();
        /// Logits a target. Numerai's targets have 5 values, some 7.
        bins: u32 = 5, int(2, 51);
    }
}

record! {
    /// A penalty.
    Penalty {
        /// Weight in the loss.
        weight: f64 = 2.5e-5, float(1e-9, 10.0).log();
    }
}

record! {
    /// A penalty on members that agree.
    NegativeCorrelation {
        /// Weight in the loss.
        weight: f64 = 0.1, float(1e-6, 1.0).log();
    }
}

impl LossTerm {
    /// Over which rows it takes a correlation, if it takes one.
    pub(crate) fn within(&self) -> Option<Within> {
        match self {
            Self::Pearson(Pearson { within, .. }) | Self::Rank(Rank { within, .. }) | Self::Bmc(Bmc { within, .. }) => {
                Some(*within)
            }
            _ => None,
        }
    }

    /// Whether it looks at a target.
    pub(crate) fn learns(&self) -> bool {
        match self {
            Self::Pearson(_)
            | Self::Rank(_)
            | Self::Mse(_)
            | Self::Mae(_)
            | Self::Huber(_)
            | Self::Bmc(_)
            | Self::CrossEntropy(_) => true,
            Self::Exposure(_)
            | Self::OutputL2(_)
            | Self::WeightL1(_)
            | Self::WeightL2(_)
            | Self::NegativeCorrelation(_) => false,
        }
    }
}

impl Spec {
    /// Bins of a target, where the loss has a cross-entropy: the net then gives as many logits a target.
    pub(crate) fn bins(&self) -> Option<usize> {
        self.loss.iter().find_map(|term| match term {
            LossTerm::CrossEntropy(term) => Some(term.bins as usize),
            _ => None,
        })
    }
}
