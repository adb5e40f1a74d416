//! The net that a spec describes, laid out: a tree of layers over numbered parameters, and what they cost. Pure.
//!
//! Training runs this layout, `check` refuses what cannot be laid out, and the cost is counted while it is laid out: one
//! description of shapes for all three.

mod blocks;
mod builder;
mod layers;
mod mixed;
mod params;
mod rules;
mod tokens;

pub use builder::{Fault, Stream};
pub use layers::{
    AttentionLayer, AutoencoderLayer, CrossLayer, DenseLayer, EmbeddingLayer, ExciteLayer, ExpertsLayer, GateLayer,
    Group, Layer, MemberScales, NormLayer, Pointwise, TabNetLayer, TabNetStep, TokenizeLayer,
};
pub use params::{ParamShape, Start};
pub(crate) use tokens::INTERVALS;

use builder::Builder;

use super::language::{Block, Init, Spec, Weighting};

/// What a net reads, as the data has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Features: the first columns of a row.
    pub features: usize,
    /// The sets that they make up: name and columns.
    pub sets: Vec<(String, Vec<usize>)>,
    /// Training targets.
    pub targets: usize,
}

/// A net, laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    /// From the inputs to the last hidden layer, then the linear output.
    pub layers: Vec<Layer>,
    /// Every parameter.
    pub params: Vec<ParamShape>,
    /// Widths of the batch norms' running statistics.
    pub running: Vec<usize>,
    /// The logits of learned target weights.
    pub target_logits: Option<usize>,
    /// Columns of a row: the features, and the benchmark's where something reads it.
    pub columns: usize,
    /// Columns that the first block gets: without the benchmark's, where only a `benchmark` block reads it.
    pub first_columns: usize,
    /// Members that train inside the net, each with outputs of its own; 1 without a batch ensemble at the end.
    pub members: usize,
    /// Whether a term is collected on the way to the output: a reconstruction, a balance, a sparsity.
    pub has_auxiliary: bool,
    /// Multiplications of matrix products for a row, forward.
    pub products: u64,
    /// Those of them whose operand is the inputs, to which no gradient goes back.
    pub first_products: u64,
    /// Numbers that are kept for a row until the backward pass, the inputs not counted.
    pub activations: u64,
    /// The most of them that one operation holds.
    pub widest: u64,
    /// Numbers of a row that element-wise operations go over, forward and backward, the inputs not counted.
    pub passed: u64,
    /// Operations of a step, forward: what a device takes time to begin, however small it is.
    pub operations: u64,
}

impl Net {
    /// Lays out the spec's net.
    ///
    /// # Errors
    /// Every block that cannot take what comes to it, with its path.
    pub fn of(spec: &Spec, inputs: &Inputs) -> Result<Self, Vec<Fault>> {
        let first_columns = inputs.features + usize::from(spec.features.benchmark);
        let mut builder = Builder::new(inputs);
        let mut stream = Stream::Features((0..first_columns).collect());
        let mut layers = Vec::new();
        for (index, block) in spec.network.iter().enumerate() {
            let path = format!("network[{index}]");
            let last = index + 1 == spec.network.len();
            builder.refuse_throwing_away(block, index > 0, &path);
            layers.push(match block {
                Block::BatchEnsemble(ensemble) if last => {
                    builder.batch_ensemble(ensemble, &format!("{path}.batch_ensemble"), &mut stream, true)
                }
                other => builder.block(other, &path, &mut stream),
            });
        }
        let outputs = inputs.targets * spec.bins().unwrap_or(1);
        let members = match stream {
            Stream::Members { count, .. } => count,
            _ => 1,
        };
        if let Stream::Tokens { .. } = stream {
            let last = spec.network.len() - 1;
            builder
                .mismatch(&format!("network[{last}]"), "the net ends in tokens; add `pool` as its last block".into());
        }
        layers.push(builder.output(&stream, outputs));
        let target_logits = matches!(spec.targets.weighting, Weighting::Learned(_))
            .then(|| builder.param(1, inputs.targets, Start::Constant(0.0)));
        let own = builder.finish()?;
        Ok(Self {
            layers,
            params: own.params,
            running: own.running,
            target_logits,
            columns: inputs.features + usize::from(spec.reads_benchmark()),
            first_columns,
            members,
            has_auxiliary: own.has_auxiliary,
            products: own.products,
            first_products: own.first_products,
            activations: own.activations,
            widest: own.widest,
            passed: own.passed,
            operations: own.operations,
        })
    }

    /// Trainable numbers of one net.
    pub fn size(&self) -> u64 {
        self.params.iter().map(|param| (param.rows * param.cols) as u64).sum()
    }

    /// The place of the output's weight; its bias follows, and then only the logits of target weights.
    pub fn output_weight(&self) -> usize {
        self.target_logits.unwrap_or(self.params.len()).saturating_sub(2)
    }

    /// Rows and columns of the weight matrices of more than one of each, the output's left out.
    pub fn hidden_matrices(&self) -> impl Iterator<Item = (usize, usize)> {
        let hidden = self.params[..self.output_weight()].iter().filter(|param| param.is_matrix());
        hidden.map(|param| (param.rows, param.cols))
    }
}

impl Spec {
    /// Whether the benchmark is a column of what the net reads, after the features.
    pub fn reads_benchmark(&self) -> bool {
        self.features.benchmark || self.network.iter().any(reads_benchmark)
    }
}

fn reads_benchmark(block: &Block) -> bool {
    match block {
        Block::Benchmark(_) => true,
        other => other.inside().iter().any(|inner| inner.iter().any(reads_benchmark)),
    }
}

/// How a matrix of the output layer starts.
const OUTPUT_INIT: Init = Init::XavierUniform;

#[cfg(test)]
mod tests;
