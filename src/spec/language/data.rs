//! What a model reads and what it learns from.

use crate::spec::declare::{choice, record, union};
use crate::spec::names::{Names, Weights};
use crate::spec::piece::float;

record! {
    /// What the net reads.
    Features {
        /// The feature sets of the protocol that are used: `all`, or a list of names.
        sets: Names = Names::All, "feature set";
        /// Standard deviation of the noise added to every feature in training, drawn anew for each row and step: a sum of eight uniform numbers, which is near to normal (its kurtosis is 2.85, and it ends at 4.9 standard deviations). A feature is -1, -0.5, 0, 0.5 or 1.
        noise: f64 = 0.0, float(0.0, 1.0);
        /// Feature dropout: the share of each row's features that are set to 0, the middle, in training, drawn anew for each row and step; nothing is rescaled.
        mask: f64 = 0.0, float(0.0, 0.9);
        /// Whether the benchmark's prediction is one more input, after the features: its rank within the era from -1 to 1, 0 where a row has none. Noise and mask leave it alone.
        benchmark: bool = false, ();
    }
}

record! {
    /// What the net learns from.
    Targets {
        /// The training targets: `all` that the protocol allows, or a list of names. Each gets an output of its own.
        train_on: Names = Names::All, "target";
        /// What each target counts in the loss and in the prediction, which is the weighted mean of the outputs.
        weighting: Weighting = Weighting::Uniform(Uniform {}), ();
        /// What becomes of the labels before anything is learned, era by era. Early stopping watches the transformed labels too (see `training.patience`); a trial's scores are taken of the untouched target.
        transform: Transform = Transform::None, ();
        /// How much of what the benchmark explains is taken out of the labels, after the transform: within each era
        /// y ← y - residual · m (m·y) / (m·m), m being the gaussianized ranks of the benchmark, centred over the rows that
        /// have it and the label. 0: nothing; 1: all. Rows without a benchmark keep their label.
        residual: f64 = 0.0, float(0.0, 1.0);
    }
}

choice! {
    /// A transform of each target's labels within each era, over the rows that have the label; equal labels share their
    /// average rank. u = (rank - 1/2) / n.
    Transform {
        /// The labels as they are, from 0 to 1.
        None = "none",
        /// u, which is uniform from 0 to 1.
        Rank = "rank",
        /// 0.5 + Φ⁻¹(u) / 4: normal around 0.5 with standard deviation 1/4 (the data's own labels have about 0.22).
        /// Numerai's contribution multiplies labels by the same 4.
        Gaussian = "gaussian",
    }
}

union! {
    /// What each training target counts.
    Weighting {
        /// Every target counts the same.
        Uniform(Uniform) = "uniform", ();
        /// The weights are learned with the net: a softmax over one logit a target.
        Learned(Learned) = "learned", ();
        /// Weights by hand, for all the targets trained on; they are divided by their sum.
        Fixed(Weights) = "fixed", "target";
    }
}

record! {
    /// Equal weights.
    Uniform {}
}

record! {
    /// Learned weights: w = softmax(logits / temperature), logits start at 0.
    Learned {
        /// High: close to uniform. Low: few targets decide.
        temperature: f64 = 2.0, float(0.1, 100.0).log();
    }
}
