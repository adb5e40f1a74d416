//! What is minimized.

use crate::spec::declare::{choice, record, union};
use crate::spec::piece::float;

union! {
    /// A term of the loss. The loss is the weighted sum of its terms.
    LossTerm {
        /// 1 - the Pearson correlation of output and target, averaged over targets by their weights.
        Pearson(Pearson) = "pearson", ();
        /// The mean squared error of output against (target - 0.5).
        Mse(Weighted) = "mse", ();
        /// The mean absolute error of output against (target - 0.5).
        Mae(Weighted) = "mae", ();
        /// The mean square of the outputs.
        OutputL2(Penalty) = "output_l2", ();
        /// The sum of squares of the dense layers' weights.
        WeightL2(Penalty) = "weight_l2", ();
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
    /// A penalty.
    Penalty {
        /// Weight in the loss.
        weight: f64 = 2.5e-5, float(1e-9, 10.0).log();
    }
}
