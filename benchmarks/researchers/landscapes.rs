//! Landscapes: the true payout of any spec, made up. They are cheap, their truth is known, and none is what the belief of
//! the optimizer says that payouts look like: one contradicts all that it believes at first, one is full of interactions
//! that its additive belief cannot say, one has its gains where the optimizer seldom looks.
//!
//! Whoever includes this file has `spec` beside it: the program's own.

use super::spec::{
    Activation, Augment, Block, Curve, Dense, LossTerm, Names, Norm, Optimizer, Spec, Weighting, Within,
};

/// A landscape.
#[derive(Clone, Copy)]
pub(crate) struct Landscape {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) about: &'static str,
    /// The spec that a night begins with.
    pub(crate) baseline: &'static str,
    /// The true payout.
    pub(crate) truth: fn(&Spec) -> f64,
}

/// All of them.
pub(crate) const ALL: [Landscape; 4] = [
    Landscape {
        name: "contrary",
        about: "all that the optimizer believes at first is wrong: GELU, batch norm, dropout, decay, the usual rate lose",
        baseline: PLAIN,
        truth: contrary,
    },
    Landscape {
        name: "write-up",
        about: "effects as the 358-trial session of the write-up found them, one by one, added up; this one the belief knows",
        baseline: PLAIN,
        truth: write_up,
    },
    Landscape {
        name: "interactions",
        about: "the best rate depends on batch and norm, dropout helps wide nets only, depth residual ones only; crossings win",
        baseline: USUAL,
        truth: interactions,
    },
    Landscape {
        name: "elsewhere",
        about: "knobs of net and optimizer hardly matter: one feature set and one target hurt, mixup and eras help",
        baseline: USUAL,
        truth: elsewhere,
    },
];

const PLAIN: &str = "network:\n  - dense: { width: 32 }\n  - dense: { width: 32 }\n\
                     loss: [ mse, { pearson: { weight: 0.1 } } ]\n\
                     optimizer: { adamw: { lr: 0.0005, weight_decay: 0.0 } }\n\
                     training: { epochs: 10, batch_rows: 2048 }\n";

const USUAL: &str = "network:\n  - dense: { width: 64, norm: batch, activation: gelu, bias: false }\n\
                     \x20 - dense: { width: 32, norm: batch, activation: gelu, bias: false }\n\
                     loss: [ pearson ]\n\
                     optimizer: { adamw: { lr: 0.001, weight_decay: 1.0e-4 } }\n\
                     training: { epochs: 15, batch_rows: 1024 }\n";

/// What a net is made of, wherever it stands.
struct Net<'a> {
    dense: Vec<&'a Dense>,
    residual: bool,
    cross: bool,
    other: bool,
}

impl<'a> Net<'a> {
    fn of(spec: &'a Spec) -> Self {
        let mut net = Self { dense: Vec::new(), residual: false, cross: false, other: false };
        net.walk(&spec.network);
        net
    }

    fn walk(&mut self, blocks: &'a [Block]) {
        for block in blocks {
            match block {
                Block::Dense(dense) => self.dense.push(dense),
                Block::Cross(_) => self.cross = true,
                Block::Residual(_) => self.residual = true,
                Block::Gate(_) | Block::MixtureOfExperts(_) | Block::Tabnet(_) | Block::Attention(_) => {
                    self.other = true;
                }
                _ => {}
            }
            block.inside().into_iter().for_each(|inside| self.walk(inside));
        }
    }

    /// The mean over dense layers; of a net without any, that of one usual layer.
    fn mean(&self, of: impl Fn(&Dense) -> f64, without: f64) -> f64 {
        if self.dense.is_empty() {
            return without;
        }
        self.dense.iter().map(|dense| of(dense)).sum::<f64>() / self.dense.len() as f64
    }

    fn width(&self) -> f64 {
        self.mean(|dense| f64::from(dense.width).log2(), 5.0)
    }

    fn depth(&self) -> f64 {
        self.dense.len().max(1) as f64
    }
}

/// The rate and decay of AdamW; None for any other optimizer.
fn adamw(spec: &Spec) -> Option<(f64, f64)> {
    match &spec.optimizer.kind {
        Optimizer::Adamw(adamw) => Some((adamw.lr, adamw.weight_decay)),
        _ => None,
    }
}

fn has(spec: &Spec, term: impl Fn(&LossTerm) -> bool) -> bool {
    spec.loss.iter().any(term)
}

fn contrary(spec: &Spec) -> f64 {
    let net = Net::of(spec);
    let rate = adamw(spec)
        .map_or(-0.009, |(lr, decay)| -0.0004 * (lr / 0.016).log2().powi(2) - 0.004 * (decay / 1e-4).min(1.0));
    let activation = net.mean(
        |dense| match dense.activation {
            Activation::Tanh => 0.004,
            Activation::Gelu => -0.002,
            Activation::Relu => 0.0,
            _ => -0.001,
        },
        -0.001,
    );
    let norm = net.mean(
        |dense| match dense.norm {
            Norm::Layer => 0.002,
            Norm::Batch => -0.002,
            Norm::None => 0.0,
        },
        0.0,
    );
    let dropout = -0.02 * net.mean(|dense| dense.dropout, 0.0);
    let width = -0.0008 * (net.width() - 3.5).powi(2);
    let depth = -0.001 * (net.depth() - 3.0).powi(2);
    let squared = if has(spec, |term| matches!(term, LossTerm::Mse(_))) { 0.002 } else { 0.0 };
    let family = if net.other || net.cross { -0.002 } else { 0.0 };
    0.020 + (rate + activation + norm + dropout + width + depth + squared + family).max(-0.03)
}

fn write_up(spec: &Spec) -> f64 {
    let net = Net::of(spec);
    let near = |x: f64, centre: f64, width: f64| (-((x - centre) / width).powi(2)).exp();
    let optimizer = adamw(spec).map_or(-0.30, |(lr, decay)| {
        let decay = if decay > 0.0 { 0.42 * near((decay / 1.2e-4).ln() / 3.0_f64.ln(), 0.0, 1.5) } else { 0.0 };
        decay - 0.03 * (lr / 1e-3).log2().powi(2).min(16.0)
    });
    let activation = net.mean(
        |dense| match dense.activation {
            Activation::Gelu => 0.13,
            Activation::Silu => -0.35,
            Activation::Mish => -0.67,
            _ => 0.0,
        },
        0.0,
    );
    let norm = net.mean(|dense| if dense.norm == Norm::Batch { 0.15 } else { 0.0 }, 0.0);
    let dropout = 0.08 * net.mean(|dense| near(dense.dropout, 0.2, 0.15), 0.0);
    let error = has(spec, |term| matches!(term, LossTerm::Mse(_) | LossTerm::Mae(_)));
    let loss =
        if error { -0.40 } else { 0.0 } + if has(spec, |term| matches!(term, LossTerm::Bmc(_))) { -0.33 } else { 0.0 };
    let penalty = if has(spec, |term| matches!(term, LossTerm::OutputL2(_))) { 0.024 } else { 0.0 };
    let members = 0.12 * (1.0 - 1.0 / f64::from(spec.ensemble.members));
    let batch = 0.03 * (f64::from(spec.training.batch_rows) / 2048.0).log2().clamp(-2.0, 2.0);
    let schedule = match spec.schedule.kind {
        Curve::Constant(_) => 0.0,
        Curve::Polynomial(_) => 0.06,
        _ => 0.03,
    };
    let width = 0.04 * (net.width() - 5.0).clamp(-3.0, 3.0) - 0.02 * (net.depth() - 3.0).powi(2).min(9.0);
    let family = if net.other { -0.15 } else { 0.0 } + if net.cross { -0.05 } else { 0.0 };
    let learned = if matches!(spec.targets.weighting, Weighting::Learned(_)) { 0.03 } else { 0.0 };
    0.010
        * (1.0
            + optimizer
            + activation
            + norm
            + dropout
            + loss
            + penalty
            + members
            + batch
            + schedule
            + width
            + family
            + learned)
            .max(0.0)
}

fn interactions(spec: &Spec) -> f64 {
    let net = Net::of(spec);
    let normed = net.mean(|dense| if dense.norm == Norm::None { 0.0 } else { 1.0 }, 0.0);
    let dropout = net.mean(|dense| dense.dropout, 0.0);
    let wide = ((net.width() - 6.0) / 2.0).clamp(-1.0, 1.5);
    let batch = (f64::from(spec.training.batch_rows) / 1024.0).log2();
    // A larger batch and a norm each want a larger rate.
    let rate = adamw(spec).map_or(-0.004, |(lr, decay)| {
        let best = (5e-4_f64).log2() + 0.7 * batch + 2.0 * normed;
        -0.0005 * (lr.log2() - best).powi(2).min(25.0) + if (3e-5..1e-3).contains(&decay) { 0.001 } else { 0.0 }
    });
    // Width pays with dropout, and hurts without it.
    let fit = 0.004 * wide * (4.0 * dropout.min(0.5) - 0.6) - 0.006 * (dropout - 0.3).max(0.0);
    let deep = (net.depth() - 2.0).clamp(-1.0, 3.0) * if net.residual { 0.0012 } else { -0.0012 };
    let family = if net.cross { 0.005 } else { 0.0 } + if net.other { -0.002 } else { 0.0 };
    let members = f64::from(spec.ensemble.members);
    let shared = 0.003 * (1.0 - 1.0 / members) * if dropout > 0.3 { 0.3 } else { 1.0 };
    0.020 + (rate + fit + deep + family + shared).max(-0.03)
}

fn elsewhere(spec: &Spec) -> f64 {
    let reads = |names: &Names, name: &str| match names {
        Names::All => true,
        Names::Only(names) => names.iter().any(|known| known == name),
    };
    let features = if reads(&spec.features.sets, "gamma") { -0.004 } else { 0.0 }
        + if reads(&spec.features.sets, "alpha") { 0.0 } else { -0.008 };
    let targets = if reads(&spec.targets.train_on, "two_60") { -0.003 } else { 0.0 }
        + if reads(&spec.targets.train_on, "one_20") { 0.0 } else { -0.006 };
    let mixed =
        if spec.augment.iter().any(|one| matches!(one, Augment::Mixup(_) | Augment::Cutmix(_))) { 0.003 } else { 0.0 };
    let era = if has(spec, |term| matches!(term, LossTerm::Pearson(pearson) if pearson.within == Within::Era)) {
        0.003
    } else {
        0.0
    };
    let smooth = if spec.optimizer.beside.ema.is_some() || spec.optimizer.beside.swa.is_some() { 0.002 } else { 0.0 };
    let schedule = if matches!(spec.schedule.kind, Curve::Constant(_)) { 0.0 } else { 0.001 };
    let sane = adamw(spec).map_or(-0.004, |(lr, _)| -0.0002 * (lr / 1e-3).log2().powi(2).min(30.0));
    0.020 + (features + targets + mixed + era + smooth + schedule + sane).max(-0.03)
}
