//! Gates, crossings, experts, members, autoencoders.

use super::builder::{Builder, MembersSoFar, Stream};
use super::layers::{AutoencoderLayer, CrossLayer, ExciteLayer, ExpertsLayer, GateLayer, Layer};
use super::params::Start;
use crate::spec::language::{
    Autoencoder, BatchEnsemble, CodeOutput, Cross, Gate, GateKind, Init, MixtureOfExperts, SqueezeExcitation,
};

impl Builder<'_> {
    pub(super) fn gate(&mut self, gate: &Gate, path: &str, stream: &mut Stream) -> Layer {
        // A sigmoid is bounded; the others grow with what they are given, so that it is multiplied by itself.
        self.raise(if gate.kind == GateKind::Glu { 1 } else { 2 }, path);
        let (inputs, width, count) = (stream.width(), gate.width as usize, stream.count());
        let weight = self.weight(inputs, 2 * width, gate.init, count);
        self.reads(stream, 2 * inputs * width);
        // Two matrices side by side: each starts as one of its own size.
        self.params[weight].start = Start::of(gate.init, inputs, width);
        let bias = gate.bias.then(|| self.bias(2 * width));
        self.keep(5 * count * width);
        *stream = stream.with_width(width);
        Layer::Gate(GateLayer { weight, bias, kind: gate.kind, dropout: gate.dropout, inputs, width })
    }

    pub(super) fn excite(&mut self, excitation: &SqueezeExcitation, path: &str, stream: &mut Stream) -> Layer {
        let (units, tokens) = match stream {
            Stream::Features(_) | Stream::Units(_) => (stream.width(), None),
            Stream::Tokens { count, width } => {
                self.growth.mixed = true;
                (*count, Some((*count, *width)))
            }
            Stream::Members { .. } => {
                self.refuse(path, "it cannot stand inside batch_ensemble".into());
                (stream.width(), None)
            }
        };
        let hidden = ((units as f64 * excitation.ratio).round() as usize).max(1);
        let squeeze = self.weight(units, hidden, Init::HeUniform, 1);
        let squeeze_bias = self.bias(hidden);
        let excite = self.weight(hidden, units, Init::XavierUniform, 1);
        let excite_bias = self.bias(units);
        self.keep(2 * hidden + 2 * units + 2 * stream.count() * stream.width());
        *stream = stream.with_width(stream.width());
        Layer::Excite(ExciteLayer { squeeze, squeeze_bias, excite, excite_bias, tokens })
    }

    pub(super) fn cross(&mut self, cross: &Cross, path: &str, stream: &mut Stream) -> Layer {
        // Each layer multiplies by what came in first.
        self.raise(u64::from(cross.layers) + 1, path);
        let (width, count) = (stream.width(), stream.count());
        let layers = (0..cross.layers).map(|_| {
            let weights = match cross.rank {
                None => vec![self.weight(width, width, Init::XavierUniform, count)],
                Some(rank) => {
                    let rank = rank as usize;
                    self.keep(count * rank);
                    vec![
                        self.weight(width, rank, Init::XavierUniform, count),
                        self.weight(rank, width, Init::XavierUniform, count),
                    ]
                }
            };
            self.keep(3 * count * width);
            CrossLayer { weights, bias: self.bias(width) }
        });
        let layers = layers.collect();
        *stream = stream.with_width(width);
        Layer::Cross(layers)
    }

    pub(super) fn experts(&mut self, mixture: &MixtureOfExperts, path: &str, stream: &mut Stream) -> Layer {
        if !matches!(stream, Stream::Features(_) | Stream::Units(_)) {
            self.mismatch(path, format!("it takes units, and {} come in; add `pool` before it", stream.words()));
        }
        let count = mixture.experts as usize;
        let top_k = mixture.top_k.map(|most| most as usize);
        if let Some(most) = top_k.filter(|most| *most >= count) {
            let message = format!("{most} of {count} experts are all of them; take fewer, or null for all");
            self.refuse(&format!("{path}.top_k"), message);
        }
        let gate = self.weight(stream.width(), count, Init::XavierUniform, 1);
        let gate_bias = self.bias(count);
        let before = stream.clone();
        let mut experts = Vec::new();
        let (growth, params) = (self.growth, self.params.len());
        let (lost, mut any_lost) = (self.lost, false);
        for _ in 0..count {
            *stream = before.clone();
            (self.growth, self.lost) = (growth, lost);
            experts.push(self.blocks(&mixture.expert, &format!("{path}.expert"), stream));
            self.keep(stream.count() * stream.width());
            self.pass(20 * stream.count() * stream.width());
            any_lost |= self.lost;
        }
        self.lost = any_lost;
        if self.params.len() == params {
            let message = "no weights inside, so all experts are the same; add a `dense`".into();
            self.mismatch(&format!("{path}.expert"), message);
        }
        if !matches!(stream, Stream::Features(_) | Stream::Units(_)) {
            self.mismatch(&format!("{path}.expert"), format!("an expert must end in units, not in {}", stream.words()));
        }
        *stream = stream.with_width(stream.width());
        self.keep(4 * count + stream.width());
        self.has_auxiliary |= mixture.balance > 0.0;
        Layer::Experts(ExpertsLayer { gate, gate_bias, experts, top_k, balance: mixture.balance })
    }

    pub(super) fn batch_ensemble(
        &mut self,
        ensemble: &BatchEnsemble,
        path: &str,
        stream: &mut Stream,
        last: bool,
    ) -> Layer {
        if !matches!(stream, Stream::Features(_) | Stream::Units(_)) {
            self.mismatch(path, format!("it takes units, and {} come in; add `pool` before it", stream.words()));
        }
        let members = ensemble.members as usize;
        let faults = self.faults.len();
        let outer = self.members.replace(MembersSoFar { count: members, scaled: false });
        self.keep(members * stream.width());
        *stream = Stream::Members { count: members, width: stream.width() };
        let inner = self.blocks(&ensemble.blocks, &format!("{path}.blocks"), stream);
        if self.members.is_some_and(|members| !members.scaled) && self.faults.len() == faults {
            let message = "no `dense` layer inside, so all members are the same; add one".into();
            self.refuse(&format!("{path}.blocks"), message);
        }
        self.members = outer;
        let width = stream.width();
        if !last {
            self.keep(width);
            *stream = Stream::Units(width);
        }
        Layer::Members { members, inner, mean: (!last).then_some(width) }
    }

    pub(super) fn autoencoder(&mut self, autoencoder: &Autoencoder, path: &str, stream: &mut Stream) -> Layer {
        if !matches!(stream, Stream::Features(_) | Stream::Units(_)) {
            self.mismatch(path, format!("it takes units, and {} come in; add `pool` before it", stream.words()));
        }
        let (before, growth) = (stream.width(), self.growth);
        let encoder = self.blocks(&autoencoder.encoder, &format!("{path}.encoder"), stream);
        let code = stream.clone();
        let mut way_back = code.clone();
        if let Some(block) = autoencoder.decoder.first() {
            self.refuse_throwing_away(block, true, &format!("{path}.decoder[0]"));
        }
        if autoencoder.output == CodeOutput::Both {
            self.growth = self.growth.added_to(growth);
        }
        let growth = self.growth;
        let mut decoder = self.blocks(&autoencoder.decoder, &format!("{path}.decoder"), &mut way_back);
        for (end, name) in [(&code, "encoder"), (&way_back, "decoder")] {
            if !matches!(end, Stream::Features(_) | Stream::Units(_)) {
                self.mismatch(&format!("{path}.{name}"), format!("it must end in units, not in {}", end.words()));
            }
        }
        self.growth = growth;
        decoder.push(self.linear(way_back.width(), before, Init::XavierUniform, 1));
        self.keep(3 * before);
        self.pass(40 * before);
        self.has_auxiliary = true;
        *stream = Stream::Units(match autoencoder.output {
            CodeOutput::Code => code.width(),
            CodeOutput::Both => before + code.width(),
        });
        Layer::Autoencoder(AutoencoderLayer {
            encoder,
            decoder,
            weight: autoencoder.weight,
            output: autoencoder.output,
        })
    }
}
