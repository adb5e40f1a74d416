//! What a laid-out net consists of. Numbers of parameters are places in [`super::Net::params`].

use super::Stream;
use crate::spec::language::{Activation, CodeOutput, Combine, GateKind, Pool};

/// A step of the forward pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Matrix product, norm, nonlinearity, dropout; on tokens, of each of them.
    Dense(DenseLayer),
    /// x + f(x), x through a projection where the width changes.
    Residual {
        /// f.
        inner: Vec<Layer>,
        /// The projection's weight.
        projection: Option<usize>,
        /// What comes in.
        stream: Stream,
    },
    /// Branches that read the same.
    Parallel {
        /// The branches.
        branches: Vec<Vec<Layer>>,
        /// How their outputs become one.
        combine: Combine,
        /// What each gives.
        streams: Vec<Stream>,
    },
    /// Layers one after another.
    Sequence(Vec<Layer>),
    /// A gated linear unit.
    Gate(GateLayer),
    /// Squeeze and excitation.
    Excite(ExciteLayer),
    /// Crossing layers.
    Cross(Vec<CrossLayer>),
    /// A mixture of experts.
    Experts(ExpertsLayer),
    /// Features to tokens.
    Tokenize(TokenizeLayer),
    /// Self-attention.
    Attention(AttentionLayer),
    /// Tokens to units.
    Pool {
        /// How.
        kind: Pool,
        /// Tokens that come in.
        count: usize,
        /// Their width.
        width: usize,
    },
    /// TabNet's encoder.
    TabNet(TabNetLayer),
    /// Members that share weights: x is repeated for each of `members`, and goes through the layers.
    Members {
        /// How many.
        members: usize,
        /// What each goes through.
        inner: Vec<Layer>,
        /// Whether the members' mean is what goes on; else all of them go on.
        mean: Option<usize>,
    },
    /// The output layer of members: a linear layer for each.
    MemberOutput {
        /// `[members · in, out]`
        weight: usize,
        /// `[members, out]`
        bias: usize,
        /// How many.
        members: usize,
    },
    /// An autoencoder.
    Autoencoder(AutoencoderLayer),
    /// Columns of the net's inputs in place of x; None where they are all of the features, in order.
    Inputs {
        /// The columns.
        columns: Option<Vec<usize>>,
        /// All features.
        features: usize,
    },
    /// The benchmark in place of x.
    Benchmark,
    /// No gradient goes back.
    StopGradient,
    /// A norm.
    Norm {
        /// Its parameters.
        norm: NormLayer,
        /// Units that are normalized together; all members' for batch norm, where each unit of each is by itself.
        width: usize,
    },
    /// A nonlinearity.
    Activation(Pointwise),
    /// max(x, 0) + slope · min(x, 0).
    Prelu {
        /// `[1, width]`
        slope: usize,
        /// Units.
        width: usize,
    },
    /// Dropout of this share.
    Dropout(f64),
    /// Noise of this standard deviation.
    Noise(f64),
}

/// A dense layer.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    /// `[in, out]`
    pub weight: usize,
    /// `[1, out]`
    pub bias: Option<usize>,
    /// What normalizes.
    pub norm: Option<NormLayer>,
    /// The nonlinearity.
    pub activation: Pointwise,
    /// The share that is dropped.
    pub dropout: f64,
    /// Units that come in, for each token.
    pub inputs: usize,
    /// Units that go out, for each token.
    pub width: usize,
    /// Scales of members' inputs and outputs.
    pub members: Option<MemberScales>,
}

/// What members of a batch ensemble have of their own in a dense layer: y = ((x ⊙ input)·W) ⊙ output + bias. Of each, one
/// member's numbers after another's.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberScales {
    /// How many.
    pub members: usize,
    /// `[1, members · in]`
    pub input: usize,
    /// `[1, members · out]`
    pub output: usize,
    /// `[1, members · out]`
    pub bias: Option<usize>,
}

/// The parameters of a norm; of members, one member's after another's.
#[derive(Clone, Debug, PartialEq)]
pub struct NormLayer {
    /// `[1, width]`, or `[1, members · width]`
    pub scale: usize,
    /// The same shape.
    pub shift: usize,
    /// Batch norm's running statistics, by number; None for layer norm.
    pub running: Option<usize>,
}

/// A gated linear unit.
#[derive(Clone, Debug, PartialEq)]
pub struct GateLayer {
    /// `[in, 2 · width]`: W, then V.
    pub weight: usize,
    /// `[1, 2 · width]`
    pub bias: Option<usize>,
    /// σ.
    pub kind: GateKind,
    /// The share that is dropped.
    pub dropout: f64,
    /// Units that come in.
    pub inputs: usize,
    /// Units that go out.
    pub width: usize,
}

/// Squeeze and excitation.
#[derive(Clone, Debug, PartialEq)]
pub struct ExciteLayer {
    /// `[s, hidden]`, s being units, or tokens.
    pub squeeze: usize,
    /// `[1, hidden]`
    pub squeeze_bias: usize,
    /// `[hidden, s]`
    pub excite: usize,
    /// `[1, s]`
    pub excite_bias: usize,
    /// Tokens and their width, where x is tokens.
    pub tokens: Option<(usize, usize)>,
}

/// One crossing: x ← x₀ ⊙ (x·W + b) + x.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossLayer {
    /// W, or U and V.
    pub weights: Vec<usize>,
    /// `[1, width]`
    pub bias: usize,
}

/// A mixture of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertsLayer {
    /// `[in, experts]`
    pub gate: usize,
    /// `[1, experts]`
    pub gate_bias: usize,
    /// Each expert's layers.
    pub experts: Vec<Vec<Layer>>,
    /// How many count for a row.
    pub top_k: Option<usize>,
    /// Weight of the balancing loss.
    pub balance: f64,
}

/// Features to tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizeLayer {
    /// Which columns make a token, token by token.
    pub groups: Vec<Group>,
    /// Whether the tokens are the columns, one by one, in order.
    pub plain: bool,
    /// How a number becomes a vector.
    pub embedding: EmbeddingLayer,
    /// `[1, tokens · width]`
    pub bias: usize,
    /// `[1, width]`
    pub class_token: Option<usize>,
    /// Numbers in a token.
    pub width: usize,
    /// Features that come in.
    pub features: usize,
}

/// Some columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their numbers, ascending.
    pub columns: Vec<usize>,
}

/// An embedding's parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingLayer {
    /// x·w
    Linear {
        /// `[features of the groups, one after another, width]`
        weight: usize,
    },
    /// e·W
    PiecewiseLinear {
        /// `[features of the groups · 4, width]`
        weight: usize,
    },
    /// relu(e·W)
    Periodic {
        /// `[features of the groups, frequencies]`
        frequencies: usize,
        /// `[features of the groups · 2 · frequencies, width]`, of a feature first the cosines'.
        weight: usize,
        /// How many a feature.
        count: usize,
    },
}

/// Self-attention.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionLayer {
    /// `[width, 3 · width]`: queries, keys, values.
    pub project: usize,
    /// `[1, 3 · width]`
    pub project_bias: usize,
    /// `[width, width]`
    pub output: usize,
    /// `[1, width]`
    pub output_bias: usize,
    /// Heads.
    pub heads: usize,
    /// The share of attention that is dropped.
    pub dropout: f64,
    /// Tokens.
    pub count: usize,
    /// Their width.
    pub width: usize,
}

/// TabNet.
#[derive(Clone, Debug, PartialEq)]
pub struct TabNetLayer {
    /// Norm of the inputs.
    pub norm: NormLayer,
    /// Weights of the shared layers, `[in, 2 · units]`.
    pub shared: Vec<usize>,
    /// The transformer before the first step, then each step's.
    pub steps: Vec<TabNetStep>,
    /// Units that come in.
    pub inputs: usize,
    /// Units of the output.
    pub width: usize,
    /// Units for the choice of features.
    pub attention: usize,
    /// γ.
    pub relaxation: f64,
    /// Weight of the masks' entropy.
    pub sparsity: f64,
}

/// One of TabNet's feature transformers, and the mask before it.
#[derive(Clone, Debug, PartialEq)]
pub struct TabNetStep {
    /// The mask's weight `[attention, in]` and norm; None before the first step.
    pub mask: Option<(usize, NormLayer)>,
    /// Norms of the shared layers.
    pub shared_norms: Vec<NormLayer>,
    /// Weights and norms of its own layers.
    pub own: Vec<(usize, NormLayer)>,
}

/// An autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoencoderLayer {
    /// To the code.
    pub encoder: Vec<Layer>,
    /// Back, the linear layer to x's width included.
    pub decoder: Vec<Layer>,
    /// Weight of the reconstruction.
    pub weight: f64,
    /// What goes on.
    pub output: CodeOutput,
}

/// A nonlinearity without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointwise {
    /// max(x, 0)
    Relu,
    /// x·Φ(x)
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// x·tanh(ln(1 + eˣ))
    Mish,
    /// λ·(max(x, 0) + min(α·(eˣ - 1), 0))
    Selu,
    /// x where positive, else eˣ - 1
    Elu,
    /// x where positive, else 0.01·x
    LeakyRelu,
    /// tanh(x)
    Tanh,
    /// ln(1 + eˣ)
    Softplus,
    /// x·min(max(x + 3, 0), 6) / 6
    Hardswish,
    /// x
    Identity,
}

impl Pointwise {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::Relu,
        Self::Gelu,
        Self::Silu,
        Self::Mish,
        Self::Selu,
        Self::Elu,
        Self::LeakyRelu,
        Self::Tanh,
        Self::Softplus,
        Self::Hardswish,
        Self::Identity,
    ];

    /// The same without parameters; None for one that learns.
    pub(super) fn of(activation: Activation) -> Option<Self> {
        Some(match activation {
            Activation::Relu => Self::Relu,
            Activation::Gelu => Self::Gelu,
            Activation::Silu => Self::Silu,
            Activation::Mish => Self::Mish,
            Activation::Selu => Self::Selu,
            Activation::Elu => Self::Elu,
            Activation::LeakyRelu => Self::LeakyRelu,
            Activation::Tanh => Self::Tanh,
            Activation::Softplus => Self::Softplus,
            Activation::Hardswish => Self::Hardswish,
            Activation::Identity => Self::Identity,
            Activation::Prelu => return None,
        })
    }
}
