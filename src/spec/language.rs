//! The spec language: what a researcher can say about a model. Data only; nothing here can name a file or run code.

use super::declare::{choice, record, union};
use super::error::SpecError;
use super::names::{Names, Weights};
use super::node::Node;
use super::piece::{Beside, float, int, list};

record! {
    /// A model, whole: what it reads, what it learns from, the net, and how the net is trained.
    Spec {
        /// Version of the language.
        version: u32 = 1, int(1, 1);
        /// What the net reads.
        features: Features = Features { sets: Names::All }, ();
        /// What the net learns from.
        targets: Targets = Targets { train_on: Names::All, weighting: Weighting::Uniform(Uniform {}) }, ();
        /// The blocks, from the features to the last hidden layer. A linear layer with one output a training target follows.
        network: Vec<Block>, list(1, 32);
        /// The weighted terms that are minimized together.
        loss: Vec<LossTerm> = vec![LossTerm::Pearson(Pearson { weight: 1.0, within: Within::Batch })], list(1, 8);
        /// How weights follow gradients.
        optimizer: Optimizer = Optimizer::Adamw(AdamW { lr: 1e-3, weight_decay: 1e-4, beta1: 0.9, beta2: 0.999, clip_norm: None }), ();
        /// How the learning rate moves over the epochs.
        schedule: Schedule = Beside { kind: Curve::Constant(Constant {}), beside: ScheduleExtras { warmup_epochs: 0.0 } }, ();
        /// Epochs, batches, early stopping.
        training: Training = Training { epochs: 20, batch_rows: 2048, patience: Some(5) }, ();
        /// How many nets, and how their predictions become one.
        ensemble: Ensemble = Ensemble { members: 1, aggregate: Aggregate::Mean }, ();
    }
}

record! {
    /// What the net reads.
    Features {
        /// The feature sets of the protocol that are used: `all`, or a list of names.
        sets: Names = Names::All, "feature set";
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

union! {
    /// A part of the net.
    Block {
        /// A fully connected layer, then norm, activation and dropout.
        Dense(Dense) = "dense", ();
        /// y = x + f(x), f being the blocks inside. Where f changes the width, x goes through a linear projection.
        Residual(Vec<Block>) = "residual", list(1, 8);
    }
}

record! {
    /// y = dropout(activation(norm(x·W + b))), W of shape [in, width].
    Dense {
        /// Outputs.
        width: u32, int(1, 4096).log();
        /// What normalizes x·W + b.
        norm: Norm = Norm::None, ();
        /// The nonlinearity.
        activation: Activation = Activation::Relu, ();
        /// The share of outputs that is set to 0 in training; the others are scaled by 1 / (1 - dropout).
        dropout: f64 = 0.0, float(0.0, 0.9);
        /// How W starts.
        init: Init = Init::HeUniform, ();
        /// Whether b exists. A norm has a shift of its own, so leave it out there.
        bias: bool = true, ();
    }
}

choice! {
    /// What normalizes a layer's output.
    Norm {
        /// Nothing.
        None = "none",
        /// Per unit over the rows of the batch (running averages when predicting), with learned scale and shift.
        Batch = "batch",
        /// Per row over the units, with learned scale and shift.
        Layer = "layer",
    }
}

choice! {
    /// The nonlinearity.
    Activation {
        /// max(x, 0)
        Relu = "relu",
        /// x·Φ(x), Φ being the normal distribution function
        Gelu = "gelu",
        /// x·sigmoid(x), also called Swish
        Silu = "silu",
        /// x·tanh(ln(1 + eˣ))
        Mish = "mish",
        /// λ·(max(x, 0) + min(α·(eˣ - 1), 0)), self-normalizing
        Selu = "selu",
        /// x where positive, else eˣ - 1
        Elu = "elu",
        /// x where positive, else 0.01·x
        LeakyRelu = "leaky_relu",
        /// tanh(x)
        Tanh = "tanh",
        /// ln(1 + eˣ)
        Softplus = "softplus",
        /// x
        Identity = "identity",
    }
}

choice! {
    /// How a weight matrix starts.
    Init {
        /// Uniform in ±√(6 / in)
        HeUniform = "he_uniform",
        /// Normal with variance 2 / in
        HeNormal = "he_normal",
        /// Uniform in ±√(6 / (in + out))
        XavierUniform = "xavier_uniform",
        /// Normal with variance 2 / (in + out)
        XavierNormal = "xavier_normal",
        /// Normal with variance 1 / in
        LecunNormal = "lecun_normal",
    }
}

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

union! {
    /// How weights follow gradients.
    Optimizer {
        /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
        Adamw(AdamW) = "adamw", ();
        /// Stochastic gradient descent with momentum.
        Sgd(Sgd) = "sgd", ();
    }
}

record! {
    /// Adam with decoupled weight decay; ε = 1e-8.
    AdamW {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-4, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
    }
}

record! {
    /// v ← momentum·v + g + weight_decay·w; w ← w - lr·v.
    Sgd {
        /// Learning rate.
        lr: f64 = 1e-2, float(1e-7, 10.0).log();
        /// Momentum.
        momentum: f64 = 0.9, float(0.0, 0.999);
        /// Weight decay, added to the gradient.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
    }
}

/// A curve of the learning rate, perhaps with a warm-up before it.
pub type Schedule = Beside<Curve, ScheduleExtras>;

record! {
    /// What may stand beside any schedule.
    ScheduleExtras {
        /// Epochs over which the learning rate first rises from 0 to what the schedule says.
        warmup_epochs: f64 = 0.0, float(0.0, 50.0);
    }
}

union! {
    /// How the learning rate moves over the epochs.
    Curve {
        /// It does not.
        Constant(Constant) = "constant", ();
        /// From 1× to `end_factor`× over `epochs`, as (1 - t)^power; constant from then on.
        Polynomial(Polynomial) = "polynomial", ();
        /// From 1× to `end_factor`× along half a cosine over all epochs.
        Cosine(Cosine) = "cosine", ();
        /// Up from `start_factor`× to 1× and down to 0, both along cosines (Smith 2018).
        OneCycle(OneCycle) = "one_cycle", ();
    }
}

record! {
    /// No change.
    Constant {}
}

record! {
    /// Polynomial decay.
    Polynomial {
        /// Epochs until the end is reached.
        epochs: u32 = 30, int(1, 1000).log();
        /// The factor at the end.
        end_factor: f64 = 0.1, float(0.0, 1.0);
        /// 1 is a straight line.
        power: f64 = 1.0, float(0.1, 10.0).log();
    }
}

record! {
    /// Cosine decay.
    Cosine {
        /// The factor at the end.
        end_factor: f64 = 0.0, float(0.0, 1.0);
    }
}

record! {
    /// One cycle.
    OneCycle {
        /// The share of all steps after which the peak is reached.
        peak_at: f64 = 0.3, float(0.05, 0.95);
        /// The factor at the start.
        start_factor: f64 = 0.04, float(0.0, 1.0);
    }
}

record! {
    /// Epochs, batches, early stopping.
    Training {
        /// The most passes over the training rows.
        epochs: u32 = 20, int(1, 1000).log();
        /// Rows a batch; with a loss per era, whole eras up to about this many rows.
        batch_rows: u32 = 2048, int(32, 65536).log();
        /// Training stops after this many epochs without a better score on an inner, purged part of the training eras, and the best epoch's weights are used. `null`: all epochs are trained on all training eras, and the last weights are used.
        patience: Option<u32> = Some(5), int(1, 1000).log();
    }
}

record! {
    /// Several nets that differ in their seed.
    Ensemble {
        /// How many.
        members: u32 = 1, int(1, 16).log();
        /// How their predictions become one.
        aggregate: Aggregate = Aggregate::Mean, ();
    }
}

choice! {
    /// How members' predictions become one.
    Aggregate {
        /// The mean of the predictions, each standardized within its era.
        Mean = "mean",
        /// The mean of the predictions' ranks within each era.
        RankMean = "rank_mean",
    }
}

impl Spec {
    /// What no single field can say: the rules between fields.
    pub(super) fn check_whole(&self, node: &Node, errors: &mut Vec<SpecError>) {
        super::check::whole(self, node, errors);
    }
}
