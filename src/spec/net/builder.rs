//! What lays a net out block by block: numbers parameters, follows the shape of what flows, counts the cost, collects faults.

use super::layers::{Layer, NormLayer};
use super::params::{ParamShape, Start};
use super::rules::Growth;
use super::{Inputs, OUTPUT_INIT};
use crate::spec::language::{Init, Norm};

/// What flows between blocks, for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Columns of the net's inputs, as they came in.
    Features(Vec<usize>),
    /// Units, so many.
    Units(usize),
    /// Tokens, one after another.
    Tokens {
        /// How many.
        count: usize,
        /// Numbers in each.
        width: usize,
    },
    /// What each member of a batch ensemble has, one after another.
    Members {
        /// How many.
        count: usize,
        /// Units of each.
        width: usize,
    },
}

impl Stream {
    /// Numbers of a row, of each token or member.
    pub fn width(&self) -> usize {
        match self {
            Self::Features(columns) => columns.len(),
            Self::Units(width) | Self::Tokens { width, .. } | Self::Members { width, .. } => *width,
        }
    }

    /// Tokens or members of a row; 1 for units.
    pub fn count(&self) -> usize {
        match self {
            Self::Features(_) | Self::Units(_) => 1,
            Self::Tokens { count, .. } | Self::Members { count, .. } => *count,
        }
    }

    /// Members of a row, each of which has norms, biases and slopes of its own; 1 for what is no member.
    pub(super) fn members(&self) -> usize {
        match self {
            Self::Members { count, .. } => *count,
            Self::Features(_) | Self::Units(_) | Self::Tokens { .. } => 1,
        }
    }

    /// The same with another width.
    pub(super) fn with_width(&self, width: usize) -> Self {
        match self {
            Self::Features(_) | Self::Units(_) => Self::Units(width),
            Self::Tokens { count, .. } => Self::Tokens { count: *count, width },
            Self::Members { count, .. } => Self::Members { count: *count, width },
        }
    }

    /// In words, for faults.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Features(_) | Self::Units(_) => format!("{} units", self.width()),
            Self::Tokens { count, width } => format!("{count} tokens of width {width}"),
            Self::Members { count, width } => format!("{count} members of {width} units"),
        }
    }
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The block's path in the spec.
    pub path: String,
    /// What, and what would do.
    pub message: String,
}

/// Lays out.
pub(super) struct Builder<'i> {
    pub(super) inputs: &'i Inputs,
    pub(super) params: Vec<ParamShape>,
    pub(super) running: Vec<usize>,
    pub(super) has_auxiliary: bool,
    pub(super) products: u64,
    pub(super) first_products: u64,
    pub(super) activations: u64,
    /// What the blocks so far have made of the numbers.
    pub(super) growth: Growth,
    pub(super) widest: u64,
    pub(super) passed: u64,
    pub(super) operations: u64,
    /// Members inside of which blocks are laid out; None outside, and whether a dense layer has been scaled yet.
    pub(super) members: Option<MembersSoFar>,
    /// Whether a block did not suit what came in, so that nobody knows what goes on from there.
    pub(super) lost: bool,
    pub(super) faults: Vec<Fault>,
}

/// The members of a batch ensemble whose blocks are laid out.
#[derive(Clone, Copy)]
pub(super) struct MembersSoFar {
    pub(super) count: usize,
    pub(super) scaled: bool,
}

impl<'i> Builder<'i> {
    pub(super) fn new(inputs: &'i Inputs) -> Self {
        Self {
            inputs,
            params: Vec::new(),
            running: Vec::new(),
            has_auxiliary: false,
            products: 0,
            first_products: 0,
            activations: 0,
            growth: Growth::NONE,
            widest: 0,
            passed: 0,
            operations: 0,
            members: None,
            lost: false,
            faults: Vec::new(),
        }
    }

    /// The layout, unless something was wrong.
    pub(super) fn finish(self) -> Result<Self, Vec<Fault>> {
        if self.faults.is_empty() {
            return Ok(self);
        }
        // Blocks that are laid out several times are at fault each time.
        let mut faults: Vec<Fault> = Vec::new();
        for fault in self.faults {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        Err(faults)
    }

    /// A block cannot be laid out.
    pub(super) fn refuse(&mut self, path: &str, message: String) {
        self.faults.push(Fault { path: path.to_owned(), message });
    }

    /// A block does not suit what comes in. What comes in after another such block is unknown, and suits.
    pub(super) fn mismatch(&mut self, path: &str, message: String) {
        if !std::mem::replace(&mut self.lost, true) {
            self.refuse(path, message);
        }
    }

    /// A parameter.
    pub(super) fn param(&mut self, rows: usize, cols: usize, start: Start) -> usize {
        self.params.push(ParamShape { rows, cols, start, is_weight: false });
        self.params.len() - 1
    }

    /// Zeros, one a unit.
    pub(super) fn bias(&mut self, units: usize) -> usize {
        self.param(1, units, Start::Constant(0.0))
    }

    /// A weight matrix by which every row is multiplied `times` over.
    pub(super) fn weight(&mut self, inputs: usize, outputs: usize, init: Init, times: usize) -> usize {
        self.products += (inputs * outputs * times) as u64;
        self.operations += 1;
        let number = self.param(inputs, outputs, Start::of(init, inputs, outputs));
        self.params[number].is_weight = true;
        number
    }

    /// A product of so many multiplications a row reads the inputs, where no gradient goes.
    pub(super) fn reads(&mut self, stream: &Stream, multiplications: usize) {
        if matches!(stream, Stream::Features(_)) {
            self.first_products += multiplications as u64;
        }
    }

    /// So many numbers of a row are kept until the backward pass.
    pub(super) fn keep(&mut self, numbers: usize) {
        self.hold(numbers);
        self.pass(numbers);
    }

    /// So many numbers of a row take room, copies among them.
    pub(super) fn hold(&mut self, numbers: usize) {
        self.activations += numbers as u64;
        self.widest = self.widest.max(numbers as u64);
    }

    /// An operation reads and writes about so many numbers of a row on its way there and back.
    pub(super) fn pass(&mut self, numbers: usize) {
        self.passed += numbers as u64;
        self.operations += 1;
    }

    /// A norm's parameters; None for no norm.
    pub(super) fn norm(&mut self, kind: Norm, units: usize) -> Option<NormLayer> {
        if kind != Norm::None {
            self.growth.power = 1;
        }
        (kind != Norm::None).then(|| NormLayer {
            scale: self.param(1, units, Start::Constant(1.0)),
            shift: self.param(1, units, Start::Constant(0.0)),
            running: (kind == Norm::Batch).then(|| {
                self.running.push(units);
                self.running.len() - 1
            }),
        })
    }

    /// The linear layer at the end.
    pub(super) fn output(&mut self, stream: &Stream, outputs: usize) -> Layer {
        let width = stream.width();
        self.keep(2 * outputs * stream.count());
        if let Stream::Members { count, .. } = stream {
            let members = *count;
            self.products += (members * width * outputs) as u64;
            let weight = self.param(members * width, outputs, Start::of(OUTPUT_INIT, width, outputs));
            self.params[weight].is_weight = true;
            let bias = self.param(members, outputs, Start::Constant(0.0));
            return Layer::MemberOutput { weight, bias, members };
        }
        self.linear(width, outputs, OUTPUT_INIT, 1)
    }
}
