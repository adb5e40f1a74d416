//! What a model reads and what it learns from.

use crate::spec::declare::{record, union};
use crate::spec::names::{Names, Weights};
use crate::spec::piece::float;

record! {
    /// What the net reads.
    Features {
        /// The feature sets of the protocol that are used: `all`, or a list of names.
        sets: Names = Names::All, "feature set";
        /// Standard deviation of the noise added to every feature in training, drawn anew for each row and step. A feature is -1, -0.5, 0, 0.5 or 1.
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
