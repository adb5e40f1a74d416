//! What is done to a batch before it is learned from.

use crate::spec::declare::{record, union};
use crate::spec::piece::float;

union! {
    /// What is done to a batch in training, in the order of the list. At most one kind mixes rows; a row's partner is the row at the mirrored place of the batch, or of the era's run of rows where a batch has them, which is a random one because rows are drawn anew each epoch. λ ~ Beta(alpha, alpha) is drawn for each batch and net. The label of a mix is λ·y + (1 - λ)·y' and exists where both labels do.
    Augment {
        /// x ← λ·x + (1 - λ)·x' (Zhang et al. 2018).
        Mixup(Mixup) = "mixup", ();
        /// The same after a block of the network that is drawn at each step, 0 (the inputs) to the last (Verma et al. 2019). Behind a later block than the inputs, what `inputs` and `benchmark` blocks read there is not mixed.
        ManifoldMixup(ManifoldMixup) = "manifold_mixup", ();
        /// Each feature of each row is the partner's with probability 1 - λ (Yun et al. 2019, for tables).
        Cutmix(Cutmix) = "cutmix", ();
        /// y ← (1 - amount)·y around the targets' middle (Szegedy et al. 2016). A loss that is a correlation would not notice it.
        LabelSmoothing(LabelSmoothing) = "label_smoothing", ();
    }
}

record! {
    /// Mixed inputs.
    Mixup {
        /// Low: mostly one of the two rows. 1: any mix as likely. High: mostly halves.
        alpha: f64 = 0.4, float(0.01, 10.0).log();
    }
}

record! {
    /// Mixed activations.
    ManifoldMixup {
        /// Low: mostly one of the two rows. 1: any mix as likely. High: mostly halves.
        alpha: f64 = 0.4, float(0.01, 10.0).log();
    }
}

record! {
    /// Exchanged features.
    Cutmix {
        /// Low: mostly one of the two rows. 1: any mix as likely. High: mostly halves.
        alpha: f64 = 0.4, float(0.01, 10.0).log();
    }
}

record! {
    /// Smaller labels.
    LabelSmoothing {
        /// How far each label moves to the middle.
        amount: f64 = 0.1, float(0.01, 0.9);
    }
}
