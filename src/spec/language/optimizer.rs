//! How weights follow gradients.

use super::OptimizerExtras;
use crate::spec::declare::{choice, record, union};
use crate::spec::piece::{Beside, float, int, standard};

/// An optimizer, perhaps with wrappers around it.
pub type Optimization = Beside<Optimizer, OptimizerExtras>;

union! {
    /// How weights follow gradients g at step t = 1, 2, …; lr is the learning rate times what the schedule says. Where gradients are clipped both ways, it is by value first. A net is clipped by its own norm. Where a loss or a prediction stops being a number, as at a rate too high, the trial ends with an error that names fold, seed, member and epoch.
    Optimizer {
        /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
        Adamw(AdamW) = "adamw", ();
        /// Adam (Kingma & Ba 2015), its weight decay added to the gradient.
        Adam(Adam) = "adam", ();
        /// Stochastic gradient descent with momentum.
        Sgd(Sgd) = "sgd", ();
        /// Gradients divided by their root mean square (Tieleman & Hinton 2012).
        Rmsprop(RmsProp) = "rmsprop", ();
        /// The sign of an interpolated momentum (Chen 2023); its rate is usually a third to a tenth of AdamW's.
        Lion(Lion) = "lion", ();
        /// Momentum made orthogonal, for weight matrices (Jordan 2024); AdamW for everything else.
        Muon(Muon) = "muon", ();
        /// Adam with Nesterov momentum, estimated from the gradients' change (Xie 2022).
        Adan(Adan) = "adan", ();
        /// AdamW with every parameter's step scaled to its own norm, made for large batches (You 2020).
        Lamb(Lamb) = "lamb", ();
    }
}

record! {
    /// m ← β₁·m + (1 - β₁)·g, v ← β₂·v + (1 - β₂)·g², w ← w - lr·(m̂ / (√v̂ + ε) + weight_decay·w), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).
    AdamW {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-4, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-8, float(1e-12, 0.1).log();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// As AdamW, but with g ← g + weight_decay·w first and no decay in the step.
    Adam {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, added to the gradient.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-8, float(1e-12, 0.1).log();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// g ← g + weight_decay·w; v ← momentum·v + g; w ← w - lr·v, or with `nesterov` w ← w - lr·(g + momentum·v).
    Sgd {
        /// Learning rate.
        lr: f64 = 1e-2, float(1e-7, 10.0).log();
        /// Momentum.
        momentum: f64 = 0.9, float(0.0, 0.999);
        /// Weight decay, added to the gradient.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// Whether momentum, which must be above 0, looks ahead (Nesterov 1983, as in PyTorch).
        nesterov: bool = false, ();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// g ← g + weight_decay·w; s ← β₂·s + (1 - β₂)·g²; v ← momentum·v + g / (√s + ε); w ← w - lr·v. Nothing is corrected for the start at 0, as in PyTorch.
    RmsProp {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Decay of the mean squared gradient; PyTorch's alpha.
        beta2: f64 = 0.99, float(0.5, 0.99999);
        /// Momentum.
        momentum: f64 = 0.0, float(0.0, 0.999);
        /// Whether the squared mean gradient is taken from s, which makes it a variance.
        centered: bool = false, ();
        /// Weight decay, added to the gradient.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-8, float(1e-12, 0.1).log();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// w ← w - lr·(sign(β₁·m + (1 - β₁)·g) + weight_decay·w); then m ← β₂·m + (1 - β₂)·g.
    Lion {
        /// Learning rate: the size of every step.
        lr: f64 = 1e-4, float(1e-8, 0.1).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-3, float(0.0, 10.0);
        /// The momentum's share in a step.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the momentum.
        beta2: f64 = 0.99, float(0.5, 0.99999);
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// m ← momentum·m + (1 - momentum)·g; u = m, or with `nesterov` momentum·m + (1 - momentum)·g; w ← w - lr·(c·O(u) + weight_decay·w). O(u) is u with its singular values brought near 1 by the quintic Newton–Schulz iteration, in single precision. That is for weight matrices with more than one row and column; the output layer's, and all vectors, follow `adamw`, as Jordan advises.
    Muon {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-2, float(0.0, 1.0);
        /// Decay of the mean gradient.
        momentum: f64 = 0.95, float(0.0, 0.999);
        /// Whether momentum, which must then be above 0, looks ahead.
        nesterov: bool = true, ();
        /// Newton–Schulz iterations.
        iterations: u32 = 5, int(1, 12);
        /// What c is.
        scale: MuonScale = MuonScale::MatchRmsAdamw, ();
        /// What everything but those matrices follows.
        adamw: MuonAdamW = standard(), ();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

choice! {
    /// How an orthogonal step is scaled, by the matrix's shape.
    MuonScale {
        /// √max(1, out / in) (Jordan 2024)
        Original = "original",
        /// 0.2·√max(in, out): as large as AdamW's steps, so that its rates carry over (Liu 2025)
        MatchRmsAdamw = "match_rms_adamw",
    }
}

record! {
    /// AdamW for what Muon leaves out.
    MuonAdamW {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-4, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-8, float(1e-12, 0.1).log();
    }
}

record! {
    /// d = g - last g (0 at first); m ← β₁·m + (1 - β₁)·g, u ← β₂·u + (1 - β₂)·d, n ← β₃·n + (1 - β₃)·(g + β₂·d)²; w ← (w - lr·(m̂ + β₂·û) / (√n̂ + ε)) / (1 + lr·weight_decay). Hats divide by 1 - βᵗ. As in timm; the paper's betas are 1 minus these.
    Adan {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.98, float(0.0, 0.999);
        /// Decay of the mean change of the gradient.
        beta2: f64 = 0.92, float(0.0, 0.999);
        /// Decay of the mean square.
        beta3: f64 = 0.99, float(0.5, 0.99999);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-8, float(1e-12, 0.1).log();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

record! {
    /// m and v as in AdamW; u = m̂ / (√v̂ + ε) + weight_decay·w; w ← w - lr·(‖w‖ / ‖u‖)·u, the norms of each parameter of each net by itself; their ratio is 1 where one of them is 0. As in timm with `always_adapt`; clip by `clip_norm`, which timm sets to 1.
    Lamb {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, part of the step that is scaled.
        weight_decay: f64 = 1e-2, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// ε: keeps the denominator from 0.
        epsilon: f64 = 1e-6, float(1e-12, 0.1).log();
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
        /// Each gradient is cut to within ± this; `null`: never.
        clip_value: Option<f64> = None, float(1e-6, 1000.0).log();
    }
}

impl Optimizer {
    /// Whether it has a weight decay.
    pub(crate) fn decays(&self) -> bool {
        let decay = match self {
            Self::Adamw(fields) => fields.weight_decay,
            Self::Adam(fields) => fields.weight_decay,
            Self::Sgd(fields) => fields.weight_decay,
            Self::Rmsprop(fields) => fields.weight_decay,
            Self::Lion(fields) => fields.weight_decay,
            Self::Muon(fields) => fields.weight_decay.max(fields.adamw.weight_decay),
            Self::Adan(fields) => fields.weight_decay,
            Self::Lamb(fields) => fields.weight_decay,
        };
        decay > 0.0
    }

    /// The norm and the value that gradients are clipped to.
    pub fn clips(&self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Adamw(fields) => (fields.clip_norm, fields.clip_value),
            Self::Adam(fields) => (fields.clip_norm, fields.clip_value),
            Self::Sgd(fields) => (fields.clip_norm, fields.clip_value),
            Self::Rmsprop(fields) => (fields.clip_norm, fields.clip_value),
            Self::Lion(fields) => (fields.clip_norm, fields.clip_value),
            Self::Muon(fields) => (fields.clip_norm, fields.clip_value),
            Self::Adan(fields) => (fields.clip_norm, fields.clip_value),
            Self::Lamb(fields) => (fields.clip_norm, fields.clip_value),
        }
    }
}
