//! Blocks that hold others, dense layers, and the single parts: norms, nonlinearities, dropout, noise, inputs.

use super::builder::{Builder, Stream};
use super::layers::{DenseLayer, Layer, MemberScales, Pointwise};
use super::params::Start;
use super::rules::Growth;
use crate::spec::language::{Activation, Block, Combine, Dense, Init, Inputs, Norm, Parallel};
use crate::spec::names::Names;

/// The most numbers that flow from a block to the next, for each row.
const MOST_NUMBERS: usize = 1 << 18;

impl Builder<'_> {
    /// Blocks one after another.
    pub(super) fn blocks(&mut self, blocks: &[Block], path: &str, stream: &mut Stream) -> Vec<Layer> {
        let each = blocks.iter().enumerate();
        let laid_out = each.map(|(index, block)| {
            let path = format!("{path}[{index}]");
            self.refuse_throwing_away(block, index > 0, &path);
            self.block(block, &path, stream)
        });
        laid_out.collect()
    }

    /// One block. `stream` is what comes in, and then what goes out.
    pub(super) fn block(&mut self, block: &Block, path: &str, stream: &mut Stream) -> Layer {
        let layer = self.any_block(block, path, stream);
        let numbers = stream.count().saturating_mul(stream.width());
        if numbers > MOST_NUMBERS {
            self.mismatch(path, format!("{numbers} numbers a row; at most {MOST_NUMBERS}"));
            // What follows is looked at as if it were narrow, so that nothing grows beyond bounds.
            *stream = Stream::Units(1);
        }
        layer
    }

    fn any_block(&mut self, block: &Block, path: &str, stream: &mut Stream) -> Layer {
        let here = format!("{path}.{}", block.word());
        if self.members.is_some() && !block.suits_members() {
            self.refuse(&here, "it cannot stand inside batch_ensemble".into());
            self.lost = true;
            return Layer::Sequence(Vec::new());
        }
        match block {
            Block::Dense(dense) => self.dense(dense, &here, stream),
            Block::Residual(inner) => self.residual(inner, &here, stream),
            Block::Parallel(parallel) => self.parallel(parallel, &here, stream),
            Block::Repeat(repeat) => {
                // From the second time on its first block has something before it.
                self.refuse_throwing_away(&repeat.blocks[0], true, &format!("{here}.blocks[0]"));
                let path = format!("{here}.blocks");
                let times = (0..repeat.times).flat_map(|_| self.blocks(&repeat.blocks, &path, stream));
                Layer::Sequence(times.collect())
            }
            Block::Gate(gate) => self.gate(gate, &here, stream),
            Block::SqueezeExcitation(excitation) => self.excite(excitation, &here, stream),
            Block::Cross(cross) => self.cross(cross, &here, stream),
            Block::MixtureOfExperts(mixture) => self.experts(mixture, &here, stream),
            Block::Tokenize(tokenize) => self.tokenize(tokenize, &here, stream),
            Block::Attention(attention) => self.attention(attention, &here, stream),
            Block::Pool(pool) => self.pool(*pool, &here, stream),
            Block::Tabnet(tabnet) => self.tabnet(tabnet, &here, stream),
            Block::BatchEnsemble(ensemble) => self.batch_ensemble(ensemble, &here, stream, false),
            Block::Autoencoder(autoencoder) => self.autoencoder(autoencoder, &here, stream),
            Block::Inputs(inputs) => self.inputs(inputs, &here, stream),
            Block::Benchmark(_) => {
                (self.growth, self.lost) = (Growth::NONE, false);
                *stream = Stream::Units(1);
                Layer::Benchmark
            }
            Block::StopGradient(_) => {
                if matches!(stream, Stream::Features(_)) && !self.lost {
                    self.refuse(&here, "no gradient goes back to the features; put it behind what learns".into());
                }
                self.pass(10 * stream.count() * stream.width());
                Layer::StopGradient
            }
            Block::Norm(Norm::None) => {
                self.refuse(&here, "`none` does nothing; leave the block out, or take batch or layer".into());
                Layer::Sequence(Vec::new())
            }
            Block::Norm(kind) => self.norm_block(*kind, &here, stream),
            Block::Activation(Activation::Identity) => {
                self.refuse(&here, "`identity` does nothing; leave the block out, or take another".into());
                Layer::Sequence(Vec::new())
            }
            Block::Activation(activation) => self.activation(*activation, stream),
            Block::Dropout(rate) => {
                self.keep(stream.count() * stream.width());
                Layer::Dropout(*rate)
            }
            Block::Noise(deviation) => {
                self.keep(stream.count() * stream.width());
                // Each number is made of hashes, one integer operation after another.
                self.pass(600 * stream.count() * stream.width());
                Layer::Noise(*deviation)
            }
        }
    }

    /// x·W + b and nothing else.
    pub(super) fn linear(&mut self, inputs: usize, width: usize, init: Init, times: usize) -> Layer {
        let weight = self.weight(inputs, width, init, times);
        let bias = Some(self.bias(width));
        let activation = Pointwise::Identity;
        Layer::Dense(DenseLayer { weight, bias, norm: None, activation, dropout: 0.0, inputs, width, members: None })
    }

    fn dense(&mut self, dense: &Dense, path: &str, stream: &mut Stream) -> Layer {
        let (inputs, width, count) = (stream.width(), dense.width as usize, stream.count());
        let weight = self.weight(inputs, width, dense.init, count);
        self.reads(stream, inputs * width);
        let (bias, members) = match self.members {
            None => (dense.bias.then(|| self.bias(width)), None),
            Some(_) => (None, Some(self.member_scales(inputs, width, dense.bias))),
        };
        self.refuse_norm_of_one(dense.norm, width, &format!("{path}.norm"));
        let norm = self.norm(dense.norm, stream.members() * width);
        let pointwise = Pointwise::of(dense.activation);
        self.keep(count * (width * (2 + usize::from(norm.is_some())) + members.iter().len() * (inputs + width)));
        // Members' scales are operations of their own before and after the product.
        self.pass(count * members.iter().len() * 28 * (inputs + width));
        *stream = stream.with_width(width);
        let layer = |activation, dropout| {
            Layer::Dense(DenseLayer { weight, bias, norm, activation, dropout, inputs, width, members })
        };
        match pointwise {
            Some(activation) => layer(activation, dense.dropout),
            // What learns its slope is a layer of its own, so what follows it is, too.
            None => {
                let dense_layer = layer(Pointwise::Identity, 0.0);
                let mut parts = vec![dense_layer, self.activation(dense.activation, stream)];
                if dense.dropout > 0.0 {
                    self.keep(count * width);
                    parts.push(Layer::Dropout(dense.dropout));
                }
                Layer::Sequence(parts)
            }
        }
    }

    /// Only the first input scale differs at the start, as in TabM: with all of them random the members would start as
    /// strangers, with none they would stay one net.
    fn member_scales(&mut self, inputs: usize, width: usize, bias: bool) -> MemberScales {
        let (members, first) = match &mut self.members {
            Some(so_far) => (so_far.count, !std::mem::replace(&mut so_far.scaled, true)),
            None => (1, false),
        };
        let start = if first { Start::Signs } else { Start::Constant(1.0) };
        MemberScales {
            members,
            input: self.param(1, members * inputs, start),
            output: self.param(1, members * width, Start::Constant(1.0)),
            bias: bias.then(|| self.bias(members * width)),
        }
    }

    fn residual(&mut self, inner: &[Block], path: &str, stream: &mut Stream) -> Layer {
        let (before, growth) = (stream.clone(), self.growth);
        let inner = self.blocks(inner, path, stream);
        self.growth = self.growth.added_to(growth);
        let (came, goes) = (before.with_width(1), stream.with_width(1));
        if came != goes {
            let message = format!(
                "{} cannot be added to {}; keep what comes in and goes out alike",
                before.words(),
                stream.words()
            );
            self.mismatch(path, message);
            return Layer::Sequence(Vec::new());
        }
        let projection = (before.width() != stream.width())
            .then(|| self.weight(before.width(), stream.width(), Init::XavierUniform, before.count()));
        self.keep(stream.count() * stream.width());
        *stream = stream.with_width(stream.width());
        Layer::Residual { inner, projection, stream: before }
    }

    fn parallel(&mut self, parallel: &Parallel, path: &str, stream: &mut Stream) -> Layer {
        let mut streams = Vec::new();
        let mut branches = Vec::new();
        let before = self.growth;
        let mut each = Vec::new();
        let (lost, mut any_lost) = (self.lost, false);
        for (index, branch) in parallel.branches.iter().enumerate() {
            (self.growth, self.lost) = (before, lost);
            let mut own = stream.clone();
            branches.push(self.blocks(branch, &format!("{path}.branches[{index}]"), &mut own));
            streams.push(own.with_width(own.width()));
            each.push(self.growth);
            any_lost |= self.lost;
        }
        self.growth = Growth::joined(&each, parallel.combine == Combine::Concat);
        self.lost = any_lost;
        let first = streams[0].clone();
        let total: usize = streams.iter().map(Stream::width).sum();
        let tokens: usize = streams.iter().map(Stream::count).sum();
        let kind = |one: &Stream| std::mem::discriminant(one);
        let alike = streams.iter().all(|one| kind(one) == kind(&first));
        let same_width = streams.iter().all(|one| one.width() == first.width());
        let same_count = streams.iter().all(|one| one.count() == first.count());
        let joined = match (parallel.combine, &first) {
            _ if !alike => None,
            (Combine::Concat, Stream::Tokens { width, .. }) if same_width => {
                Some(Stream::Tokens { count: tokens, width: *width })
            }
            (Combine::Concat, Stream::Tokens { .. }) => None,
            (Combine::Concat, other) if same_count => Some(other.with_width(total)),
            (Combine::Sum | Combine::Mean, _) if same_width && same_count => Some(first.clone()),
            _ => None,
        };
        let Some(joined) = joined else {
            let words: Vec<String> = streams.iter().map(Stream::words).collect();
            let message = format!("{} cannot take {}", parallel.combine.word(), words.join(" and "));
            self.mismatch(path, message);
            return Layer::Sequence(Vec::new());
        };
        self.keep(joined.count() * joined.width());
        // What comes in and goes out is copied.
        self.hold(5 * joined.count() * joined.width());
        *stream = joined;
        Layer::Parallel { branches, combine: parallel.combine, streams }
    }

    fn norm_block(&mut self, kind: Norm, path: &str, stream: &mut Stream) -> Layer {
        let (width, members) = (stream.width(), stream.members());
        self.refuse_norm_of_one(kind, width, path);
        *stream = stream.with_width(width);
        self.keep(2 * stream.count() * width);
        let together = if kind == Norm::Batch { members * width } else { width };
        match self.norm(kind, members * width) {
            Some(norm) => Layer::Norm { norm, width: together },
            None => Layer::Sequence(Vec::new()),
        }
    }

    fn activation(&mut self, activation: Activation, stream: &mut Stream) -> Layer {
        let width = stream.width();
        *stream = stream.with_width(width);
        self.keep(stream.count() * width);
        match Pointwise::of(activation) {
            Some(pointwise) => Layer::Activation(pointwise),
            None => {
                let width = stream.members() * width;
                Layer::Prelu { slope: self.param(1, width, Start::Constant(0.25)), width }
            }
        }
    }

    fn inputs(&mut self, inputs: &Inputs, path: &str, stream: &mut Stream) -> Layer {
        let features = self.inputs.features;
        self.lost = false;
        let columns = match &inputs.sets {
            Names::All => (0..features).collect(),
            Names::Only(names) => {
                let mut columns = Vec::new();
                for name in names {
                    match self.inputs.sets.iter().find(|(known, _)| known == name) {
                        Some((_, of_set)) => columns.extend(of_set),
                        None => {
                            let known: Vec<&str> = self.inputs.sets.iter().map(|(known, _)| known.as_str()).collect();
                            let near = crate::spec::error::nearest(name, &known);
                            let message =
                                format!("the net does not read the set `{name}`; it reads {}.{near}", known.join(", "));
                            self.refuse(&format!("{path}.sets"), message);
                            self.lost = true;
                        }
                    }
                }
                columns.sort_unstable();
                columns.dedup();
                columns
            }
        };
        let all = columns.len() == features;
        self.growth = Growth::NONE;
        *stream = Stream::Features(columns.clone());
        Layer::Inputs { columns: (!all).then_some(columns), features }
    }
}

impl Block {
    /// The words of all blocks.
    #[cfg(test)]
    pub(crate) fn words() -> &'static [&'static str] {
        <Self as crate::spec::piece::Union>::WORDS
    }

    /// Its word in a spec.
    pub(crate) fn word(&self) -> &'static str {
        crate::spec::piece::Union::write_as(self).0
    }

    /// The lists of blocks inside it.
    pub fn inside(&self) -> Vec<&[Block]> {
        match self {
            Self::Residual(inner) => vec![inner],
            Self::Parallel(parallel) => parallel.branches.iter().map(Vec::as_slice).collect(),
            Self::Repeat(repeat) => vec![&repeat.blocks],
            Self::MixtureOfExperts(mixture) => vec![&mixture.expert],
            Self::BatchEnsemble(ensemble) => vec![&ensemble.blocks],
            Self::Autoencoder(autoencoder) => vec![&autoencoder.encoder, &autoencoder.decoder],
            Self::Dense(_)
            | Self::Gate(_)
            | Self::SqueezeExcitation(_)
            | Self::Cross(_)
            | Self::Tokenize(_)
            | Self::Attention(_)
            | Self::Pool(_)
            | Self::Tabnet(_)
            | Self::Inputs(_)
            | Self::Benchmark(_)
            | Self::StopGradient(_)
            | Self::Norm(_)
            | Self::Activation(_)
            | Self::Dropout(_)
            | Self::Noise(_) => Vec::new(),
        }
    }

    /// Whether it can work on members side by side.
    fn suits_members(&self) -> bool {
        matches!(
            self,
            Self::Dense(_)
                | Self::Residual(_)
                | Self::Parallel(_)
                | Self::Repeat(_)
                | Self::Gate(_)
                | Self::StopGradient(_)
                | Self::Norm(_)
                | Self::Activation(_)
                | Self::Dropout(_)
                | Self::Noise(_)
        )
    }
}
