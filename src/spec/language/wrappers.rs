//! What may stand beside an optimizer: wrappers, averages of weights, noise, rates of groups.

use crate::spec::declare::record;
use crate::spec::piece::{float, int};

record! {
    /// What may stand beside any optimizer. A wrapper is on where it is written, if only as `{}`.
    OptimizerExtras {
        /// Slow weights that follow the optimizer's fast ones; `null`: off.
        lookahead: Option<Lookahead> = None, ();
        /// Gradients are taken where the loss is worst nearby; `null`: off.
        sam: Option<Sam> = None, ();
        /// An exponential moving average of the weights predicts; `null`: off.
        ema: Option<Ema> = None, ();
        /// The mean of the weights of the last epochs predicts; `null`: off. Not together with `ema`.
        swa: Option<Swa> = None, ();
        /// Noise on the gradients; `null`: off.
        gradient_noise: Option<GradientNoise> = None, ();
        /// Learning rates and weight decay that differ between parts of the net; `null`: one of each for all.
        rates: Option<Rates> = None, ();
    }
}

record! {
    /// Every `k` steps, and at the end of each epoch, slow ← slow + alpha·(fast - slow) and fast ← slow (Zhang 2019; the epoch's end as in timm). The slow weights start as the net does. The optimizer's own state stays as it is.
    Lookahead {
        /// Steps between two updates of the slow weights.
        k: u32 = 5, int(2, 50).log();
        /// How far the slow weights go towards the fast ones.
        alpha: f64 = 0.5, float(0.05, 0.95);
    }
}

record! {
    /// Sharpness-aware minimization (Foret 2021): a step takes the gradient g at w, then the optimizer's gradient at w + rho·g / ‖g‖, with the same batch and the same dropout; each costs a pass, so that training takes twice as long. The norm is over all parameters of a net. Batch norm's running statistics follow the first pass.
    Sam {
        /// How far away the gradient is taken.
        rho: f64 = 0.05, float(1e-6, 10.0).log();
        /// ASAM (Kwon 2021): the gradient is taken at w + rho·w²·g / ‖w·g‖, which does not depend on the scale of weights; rho is then usually ten times larger.
        adaptive: bool = false, ();
    }
}

record! {
    /// average ← decay·average + (1 - decay)·w after every step, beginning with the weights after the first step, as in PyTorch's `swa_utils`. Batch norm's running statistics are averaged the same way. The average is what early stopping watches and what predicts; training goes on from the weights themselves.
    Ema {
        /// Decay of the average: it remembers about 1 / (1 - decay) steps.
        decay: f64 = 0.999, float(0.5, 0.99999);
    }
}

record! {
    /// Stochastic weight averaging (Izmailov 2018): the equal mean of the weights at the end of each epoch after ⌊from·epochs⌋. Batch norm's running statistics are averaged the same way, not measured anew. The mean is what early stopping watches and what predicts; early stopping begins with it, so that no net stops before. Training goes on from the weights themselves.
    Swa {
        /// The share of all epochs after which averaging begins; at least two epochs are left.
        from: f64 = 0.75, float(0.0, 0.95);
    }
}

impl Swa {
    /// Epochs before the first that is averaged.
    pub fn behind(&self, epochs: u32) -> u32 {
        (self.from * f64::from(epochs)).floor() as u32
    }

    /// How many of so many epochs are averaged, where none is stopped early.
    pub(crate) fn averaged(&self, epochs: u32) -> u32 {
        epochs.saturating_sub(self.behind(epochs))
    }
}

record! {
    /// g ← g + N(0, eta / (1 + t)^gamma) at step t = 0, 1, …, after clipping (Neelakantan 2015).
    GradientNoise {
        /// The variance at the first step.
        eta: f64 = 1e-4, float(1e-12, 1.0).log();
        /// How fast the variance falls.
        gamma: f64 = 0.55, float(0.0, 2.0);
    }
}

record! {
    /// Factors of the optimizer's learning rate, not rates themselves: 1 is the same rate. A parameter belongs to one of `first`, `body`, `output` and `target_weights`, and takes its factor; a vector takes that of `vectors` too.
    Rates {
        /// The first weight matrix, and what stands before the second: its bias, its norm.
        first: f64 = 1.0, float(0.01, 100.0).log();
        /// Everything between.
        body: f64 = 1.0, float(0.01, 100.0).log();
        /// The linear layer at the end.
        output: f64 = 1.0, float(0.01, 100.0).log();
        /// The logits of learned target weights; for `targets.weighting: learned`.
        target_weights: f64 = 1.0, float(0.01, 100.0).log();
        /// Biases, scales and shifts of norms: every parameter of one row, but the target weights.
        vectors: f64 = 1.0, float(0.01, 100.0).log();
        /// Whether weight decay also pulls at vectors. It does where `rates` is not written; usually it should not.
        decay_vectors: bool = false, ();
    }
}
