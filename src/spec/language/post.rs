//! What happens to predictions before they are scored.

use crate::spec::declare::{choice, record};
use crate::spec::piece::float;

record! {
    /// What happens to a cell's prediction, era by era, before it is scored. No label takes part.
    Post {
        /// Whether predictions first become normal scores, Φ⁻¹((rank - 0.5) / rows), ties sharing their average rank.
        gaussianize: bool = false, ();
        /// What they are then made less correlated with; `null`: nothing.
        neutralize: Option<Neutralize> = None, ();
    }
}

record! {
    /// p ← p - proportion·X·b, b being the least squares solution for p over the era's rows, columns of X centred. As numerai-tools' `neutralize`, but for the mean, which stays.
    Neutralize {
        /// What X holds.
        to: Neutralizer = Neutralizer::Benchmark, ();
        /// Low: little is taken away. 1: what is left is uncorrelated with every column of X.
        proportion: f64 = 0.5, float(0.01, 1.0);
    }
}

choice! {
    /// What predictions are neutralized to.
    Neutralizer {
        /// The benchmark's prediction. Rows without one keep their prediction.
        Benchmark = "benchmark",
        /// The features that the spec uses. About a second an era with 2000 of them.
        Features = "features",
    }
}
