//! The blocks that a net is built of.

use crate::spec::declare::{choice, record, union};
use crate::spec::piece::{float, int, list};

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
