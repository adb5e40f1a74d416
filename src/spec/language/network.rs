//! The blocks that a net is built of.

use crate::spec::declare::{choice, record, union};
use crate::spec::names::Names;
use crate::spec::piece::{ListRule, float, int, list};

union! {
    /// A part of the net. It takes what the block before it gives: units, one number each, or tokens, vectors of one width.
    /// On tokens a block that is made for units acts on each token with the same weights.
    Block {
        /// A fully connected layer, then norm, activation and dropout.
        Dense(Dense) = "dense", ();
        /// y = x + f(x), f being the blocks inside. Where f changes the width, y = x·P + f(x), P of shape [in, out] (He 2016).
        Residual(Vec<Block>) = "residual", list(1, 8);
        /// Branches side by side that all read the same x, and then become one.
        Parallel(Parallel) = "parallel", ();
        /// The blocks inside, several times over, each time with weights of their own.
        Repeat(Repeat) = "repeat", ();
        /// A gated linear unit: y = dropout((x·W + b) ⊙ σ(x·V + c)), W and V of shape [in, width] (Dauphin 2017, Shazeer 2020).
        /// b and c start at 0. The power to which gates (but `glu`) and crossings raise x without a norm between them is at most
        /// 64: a gate doubles it, n crossing layers multiply it by n + 1.
        Gate(Gate) = "gate", ();
        /// y = x ⊙ sigmoid(relu(s·W₁ + b₁)·W₂ + b₂), s being x; or, where x is tokens, each token's mean, and then each token is
        /// scaled as a whole (Hu 2018).
        SqueezeExcitation(SqueezeExcitation) = "squeeze_excitation", ();
        /// DCN-v2's crossing: xₗ₊₁ = x₀ ⊙ (xₗ·Wₗ + bₗ) + xₗ, x₀ being what comes in, W of shape [in, in]; the width stays (Wang
        /// 2021).
        Cross(Cross) = "cross", ();
        /// y = Σ gₑ·expertₑ(x), g = softmax(x·W + b), over all experts or the best few of each row (Shazeer 2017, without noise).
        MixtureOfExperts(MixtureOfExperts) = "mixture_of_experts", ();
        /// Turns the features that the net reads into tokens of one width. It must see the features as they come in.
        Tokenize(Tokenize) = "tokenize", ();
        /// Multi-head self-attention over tokens: softmax(Q·Kᵀ/√d)·V for each head, d being width / heads, and a linear layer of
        /// all heads' results, one after another; Q, K and V are linear layers of the tokens (Vaswani 2017). For a pre-norm
        /// layer write `residual: [{ norm: layer }, attention]`; FT-Transformer leaves its very first norm out.
        Attention(Attention) = "attention", ();
        /// Ends tokens: units again.
        Pool(Pool) = "pool", ();
        /// TabNet's encoder: steps that each choose features by a sparse mask and add to the output (Arık & Pfister 2021). With
        /// x₀ = batch norm of x, p₁ = 1 and [d₀, a₀] = f₀(x₀): mᵢ = sparsemax(pᵢ ⊙ batch norm(aᵢ₋₁·Wᵢ)), pᵢ₊₁ = pᵢ ⊙ (γ - mᵢ),
        /// [dᵢ, aᵢ] = fᵢ(mᵢ ⊙ x₀), y = Σ relu(dᵢ) over the steps from 1.
        Tabnet(TabNet) = "tabnet", ();
        /// Several nets in one, that share weight matrices and differ in scales of their inputs and outputs (Wen 2020; TabM,
        /// Gorishniy 2025). As the last block of the net each member has an output and a loss of its own, and the prediction is
        /// the members' mean; elsewhere its output is the members' mean.
        BatchEnsemble(BatchEnsemble) = "batch_ensemble", ();
        /// An encoder to a code that also learns to give x back: adds weight · mean((decoder(code) - x)²) over rows and units to
        /// the loss; x is a constant there, so what comes before does not learn to be easily told.
        Autoencoder(Autoencoder) = "autoencoder", ();
        /// In place of x: the features of some sets, as they came in. For a branch that reads its own sets.
        Inputs(Inputs) = "inputs", ();
        /// In place of x: the benchmark's prediction, as rank within its era from -1 to 1, 0 where there is none; one unit.
        Benchmark(Benchmark) = "benchmark", ();
        /// y = x, but no gradient goes back through it.
        StopGradient(StopGradient) = "stop_gradient", ();
        /// A norm by itself, of units, or of the numbers of each token, with learned scale and shift.
        Norm(Norm) = "norm", ();
        /// A nonlinearity by itself.
        Activation(Activation) = "activation", ();
        /// Dropout by itself: this share of units is set to 0 in training; the others are scaled by 1 / (1 - share).
        Dropout(f64) = "dropout", float(0.01, 0.9);
        /// In training, noise of this standard deviation is added to each unit: near to normal, as `features.noise`.
        Noise(f64) = "noise", float(1e-3, 2.0).log();
    }
}

record! {
    /// Branches side by side.
    Parallel {
        /// How their outputs become one.
        combine: Combine = Combine::Concat, ();
        /// The branches, each a list of blocks. An empty one passes x on.
        branches: Vec<Vec<Block>>, BRANCHES;
    }
}

/// 2 to 8 branches of up to 8 blocks.
const BRANCHES: ListRule<ListRule<()>> = ListRule { min: 2, max: 8, item: list(0, 8) };

choice! {
    /// How the outputs of branches become one.
    Combine {
        /// One after another.
        Concat = "concat",
        /// Their sum; widths must be equal.
        Sum = "sum",
        /// Their mean; widths must be equal.
        Mean = "mean",
    }
}

record! {
    /// Blocks several times over.
    Repeat {
        /// How often.
        times: u32 = 2, int(2, 16);
        /// The blocks.
        blocks: Vec<Block>, list(1, 8);
    }
}

record! {
    /// A gated linear unit.
    Gate {
        /// Outputs.
        width: u32, int(1, 4096).log();
        /// σ.
        kind: GateKind = GateKind::Swiglu, ();
        /// The share of outputs that is set to 0 in training; the others are scaled by 1 / (1 - dropout).
        dropout: f64 = 0.0, float(0.0, 0.9);
        /// How W and V start.
        init: Init = Init::XavierUniform, ();
        /// Whether b and c exist.
        bias: bool = true, ();
    }
}

choice! {
    /// What gates.
    GateKind {
        /// sigmoid
        Glu = "glu",
        /// relu
        Reglu = "reglu",
        /// gelu
        Geglu = "geglu",
        /// silu
        Swiglu = "swiglu",
    }
}

record! {
    /// Scales units by what a small net says of all of them.
    SqueezeExcitation {
        /// The small net's hidden width is this share of its inputs, rounded, at least 1.
        ratio: f64 = 0.25, float(0.01, 1.0).log();
    }
}

record! {
    /// Crossing layers.
    Cross {
        /// How many.
        layers: u32 = 2, int(1, 8);
        /// W = U·V, U of shape [in, rank] and V of [rank, in]; `null`: W is whole.
        rank: Option<u32> = None, int(1, 512).log();
    }
}

record! {
    /// Experts and their gate.
    MixtureOfExperts {
        /// How many experts.
        experts: u32 = 4, int(2, 32).log();
        /// For each row only so many experts count, those with the largest gates, which then sum to 1; `null`: all do.
        top_k: Option<u32> = None, int(1, 31);
        /// Weight of the balancing loss experts · Σ (share of rows whose largest gate is e's) · (mean gate of e), the gates being
        /// those over all experts; it is 1 where experts are used alike (Fedus 2022).
        balance: f64 = 0.01, float(0.0, 1.0);
        /// The blocks of one expert; each expert has weights of its own.
        expert: Vec<Block>, list(1, 8);
    }
}

record! {
    /// Features to tokens.
    Tokenize {
        /// What becomes a token.
        per: TokenPer = TokenPer::Feature, ();
        /// Numbers in a token.
        width: u32 = 16, int(1, 512).log();
        /// How a feature's number becomes a vector.
        embedding: Embedding = Embedding::Linear(Linear {}), ();
        /// Whether a learned token stands in front, for `pool: first`.
        class_token: bool = false, ();
    }
}

choice! {
    /// What becomes a token.
    TokenPer {
        /// Each feature.
        Feature = "feature",
        /// Each feature set that the net reads: the sum of its features' vectors.
        Group = "group",
    }
}

union! {
    /// How a feature's number x becomes a vector; every feature has weights of its own, and each token a bias b. Starts are those
    /// of `rtdl_num_embeddings`.
    Embedding {
        /// x·w + b (FT-Transformer, Gorishniy 2021).
        Linear(Linear) = "linear", ();
        /// e·W + b, e being how much of each of the four intervals between the five values of a feature lies below x: 0, a part
        /// or 1; x beyond the values (which noise may bring) goes on in the first and the last (Gorishniy 2022).
        PiecewiseLinear(PiecewiseLinear) = "piecewise_linear", ();
        /// relu(e·W + b), e = [cos 2πcx, sin 2πcx], with learned frequencies c (Gorishniy 2022).
        Periodic(Periodic) = "periodic", ();
    }
}

record! {
    /// No choices.
    Linear {}
}

record! {
    /// No choices.
    PiecewiseLinear {}
}

record! {
    /// Frequencies.
    Periodic {
        /// How many a feature.
        frequencies: u32 = 8, int(1, 128).log();
        /// The standard deviation that they start with; numbers beyond three of them are drawn again.
        scale: f64 = 0.3, float(0.001, 10.0).log();
    }
}

record! {
    /// Self-attention.
    Attention {
        /// Heads; they divide the tokens' width.
        heads: u32 = 4, int(1, 64).log();
        /// The share of attention that is dropped in training.
        dropout: f64 = 0.0, float(0.0, 0.9);
    }
}

choice! {
    /// How tokens become units.
    Pool {
        /// Their mean, number by number.
        Mean = "mean",
        /// The first one, which is the class token where there is one.
        First = "first",
        /// One after another.
        Flatten = "flatten",
    }
}

record! {
    /// TabNet's sizes. Its feature transformers f are layers gₗ(x) = u ⊙ sigmoid(v), [u, v] = batch norm(x·Wₗ), the shared ones
    /// first: h₁ = g₁(x), hₗ₊₁ = √½·(hₗ + gₗ₊₁(hₗ)). Steps share matrices, never norms.
    TabNet {
        /// Decision steps.
        steps: u32 = 3, int(1, 10);
        /// Units of the output.
        width: u32 = 16, int(1, 512).log();
        /// Units that choose the next step's features.
        attention_width: u32 = 16, int(1, 512).log();
        /// γ: 1 lets a feature be used in one step only, more allows more.
        relaxation: f64 = 1.3, float(1.0, 3.0);
        /// Weight in the loss of the masks' entropy -Σ m·ln m, its mean over rows and steps.
        sparsity: f64 = 1e-3, float(0.0, 1.0);
        /// Layers of the feature transformer that all steps share.
        shared: u32 = 2, int(0, 4);
        /// Layers of the feature transformer of each step's own.
        independent: u32 = 2, int(0, 4);
    }
}

record! {
    /// Members in one net.
    BatchEnsemble {
        /// How many.
        members: u32 = 16, int(2, 64).log();
        /// The blocks. A `dense` layer is y = ((x ⊙ r)·W) ⊙ s + b with r, s and b of each member's own; r of the first starts as
        /// random signs, all others and s as 1. Norms and slopes of `prelu` are each member's own, too; the rest is shared.
        blocks: Vec<Block>, list(1, 8);
    }
}

record! {
    /// A code and the way back.
    Autoencoder {
        /// From x to the code.
        encoder: Vec<Block>, list(1, 8);
        /// From the code towards x; a linear layer to x's width follows.
        decoder: Vec<Block> = Vec::new(), list(0, 8);
        /// Weight of the reconstruction in the loss.
        weight: f64 = 0.1, float(1e-6, 100.0).log();
        /// What goes on.
        output: CodeOutput = CodeOutput::Code, ();
    }
}

choice! {
    /// What goes on behind an autoencoder.
    CodeOutput {
        /// The code.
        Code = "code",
        /// x and the code, one after another.
        Both = "both",
    }
}

record! {
    /// Features as they come in.
    Inputs {
        /// The feature sets, among those that the spec reads: `all`, or a list of names.
        sets: Names = Names::All, "feature set";
    }
}

record! {
    /// No choices.
    Benchmark {}
}

record! {
    /// No choices.
    StopGradient {}
}

record! {
    /// y = dropout(activation(norm(x·W + b))), W of shape [in, width]; b starts at 0.
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
        /// Per unit over the rows of the batch, and over tokens (running averages when predicting), with learned scale and shift.
        Batch = "batch",
        /// Per row, or token, over the units, with learned scale and shift.
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
        /// x where positive, else a·x, a learned for each unit from 0.25 on (He 2015)
        Prelu = "prelu",
        /// tanh(x)
        Tanh = "tanh",
        /// ln(1 + eˣ)
        Softplus = "softplus",
        /// x·min(max(x + 3, 0), 6) / 6
        Hardswish = "hardswish",
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
