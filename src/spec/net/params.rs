//! The parameters of a net: shapes and how they start.

use crate::spec::language::Init;

/// One parameter of one net: a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamShape {
    /// Rows: inputs of a weight matrix, 1 for a vector.
    pub rows: usize,
    /// Columns: units.
    pub cols: usize,
    /// How it starts.
    pub start: Start,
    /// Whether it is a layer's weight matrix, which weight penalties look at.
    pub is_weight: bool,
}

impl ParamShape {
    /// Whether it is a weight matrix that is no vector.
    pub fn is_matrix(&self) -> bool {
        self.is_weight && self.rows > 1 && self.cols > 1
    }
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// All the same.
    Constant(f32),
    /// Uniform in ±bound.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// The same without what lies beyond three of them.
    Truncated(f64),
    /// -1 or 1, evenly.
    Signs,
}

impl Start {
    /// As `init` says, for a matrix of `inputs` rows and `outputs` columns.
    pub(super) fn of(init: Init, inputs: usize, outputs: usize) -> Self {
        let (fan_in, fan_out) = (inputs as f64, outputs as f64);
        match init {
            Init::HeUniform => Self::Uniform((6.0 / fan_in).sqrt()),
            Init::HeNormal => Self::Normal((2.0 / fan_in).sqrt()),
            Init::XavierUniform => Self::Uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Init::XavierNormal => Self::Normal((2.0 / (fan_in + fan_out)).sqrt()),
            Init::LecunNormal => Self::Normal((1.0 / fan_in).sqrt()),
        }
    }
}
