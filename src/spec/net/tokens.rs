//! Tokens: from features, through attention, back to units; and TabNet, which chooses features step by step.

use super::builder::{Builder, Stream};
use super::layers::{AttentionLayer, EmbeddingLayer, Group, Layer, TabNetLayer, TabNetStep, TokenizeLayer};
use super::params::Start;
use super::rules::Growth;
use crate::spec::language::{Attention, Embedding, Init, Norm, Pool, TabNet, TokenPer, Tokenize};

/// Intervals between the five values of a feature.
pub(crate) const INTERVALS: usize = 4;

impl Builder<'_> {
    pub(super) fn tokenize(&mut self, tokenize: &Tokenize, path: &str, stream: &mut Stream) -> Layer {
        let Stream::Features(columns) = stream else {
            let message =
                format!("it takes features as they come in, not {}; put it first, or after `inputs`", stream.words());
            self.mismatch(path, message);
            return Layer::Sequence(Vec::new());
        };
        let groups = match tokenize.per {
            TokenPer::Feature => (0..columns.len()).map(|place| Group { columns: vec![place] }).collect(),
            TokenPer::Group => groups(columns, &self.inputs.sets),
        };
        let width = tokenize.width as usize;
        let features = columns.len();
        let members: usize = groups.iter().map(|group: &Group| group.columns.len()).sum();
        // A token of one feature is a sum over one; one of a set, over all of the set.
        let fan_in = members.div_ceil(groups.len().max(1));
        let (embedding, each, bound) = self.embedding(&tokenize.embedding, (members, width, fan_in));
        let bias = self.param(1, groups.len() * width, Start::Uniform(bound));
        let class_token =
            tokenize.class_token.then(|| self.param(1, width, Start::Uniform((1.0 / width as f64).sqrt())));
        let count = groups.len() + usize::from(tokenize.class_token);
        self.keep(members * each + 2 * count * width);
        // An embedding that is no product alone is a chain of operations over all of its numbers.
        let chain = match tokenize.embedding {
            Embedding::Linear(_) => 0,
            Embedding::PiecewiseLinear(_) => 5,
            Embedding::Periodic(_) => 8,
        };
        self.pass(4 * count * width + chain * members * each);
        if matches!(tokenize.embedding, Embedding::PiecewiseLinear(_)) {
            self.hold(4 * members * each);
        }
        *stream = Stream::Tokens { count, width };
        self.growth = Growth { mixed: count == 1, class_token: tokenize.class_token, ..self.growth };
        let plain =
            groups.len() == features && groups.iter().enumerate().all(|(place, group)| group.columns == [place]);
        Layer::Tokenize(TokenizeLayer { groups, plain, embedding, bias, class_token, width, features })
    }

    /// The embedding of so many numbers, how many numbers are kept for each, and the bound of the biases' start. The starts are
    /// those of `rtdl_num_embeddings`, divided by the root of the features in a token.
    fn embedding(
        &mut self,
        embedding: &Embedding,
        (members, width, fan_in): (usize, usize, usize),
    ) -> (EmbeddingLayer, usize, f64) {
        let bound = |numbers: usize| (1.0 / numbers as f64).sqrt();
        let weight = |builder: &mut Self, parts: usize, bound: f64| {
            let number = builder.weight(members * parts, width, Init::LecunNormal, 1);
            builder.params[number].start = Start::Uniform(bound / (fan_in as f64).sqrt());
            number
        };
        match embedding {
            Embedding::Linear(_) => {
                let bound = bound(width);
                (EmbeddingLayer::Linear { weight: weight(self, 1, bound) }, 1, bound)
            }
            Embedding::PiecewiseLinear(_) => {
                let bound = bound(INTERVALS);
                (EmbeddingLayer::PiecewiseLinear { weight: weight(self, INTERVALS, bound) }, INTERVALS, bound)
            }
            Embedding::Periodic(periodic) => {
                let count = periodic.frequencies as usize;
                let bound = bound(2 * count);
                let frequencies = self.param(members, count, Start::Truncated(periodic.scale));
                let weight = weight(self, 2 * count, bound);
                (EmbeddingLayer::Periodic { frequencies, weight, count }, 4 * count, bound)
            }
        }
    }

    pub(super) fn attention(&mut self, attention: &Attention, path: &str, stream: &mut Stream) -> Layer {
        let Stream::Tokens { count, width } = *stream else {
            self.mismatch(path, format!("it takes tokens, and {} come in; put `tokenize` before it", stream.words()));
            return Layer::Sequence(Vec::new());
        };
        let heads = attention.heads as usize;
        if !width.is_multiple_of(heads) && !self.lost {
            self.refuse(&format!("{path}.heads"), format!("{heads} heads do not divide the tokens' width, {width}"));
        }
        self.growth.mixed = true;
        let project = self.weight(width, 3 * width, Init::XavierUniform, count);
        self.params[project].start = Start::of(Init::XavierUniform, width, width);
        let project_bias = self.bias(3 * width);
        let output = self.weight(width, width, Init::XavierUniform, count);
        let output_bias = self.bias(width);
        self.products += (2 * count * count * width) as u64;
        self.keep(count * (3 * width + heads * count / 2));
        // Exponentials, and products of matrices as narrow as a head.
        self.pass(14 * heads * count * count);
        Layer::Attention(AttentionLayer {
            project,
            project_bias,
            output,
            output_bias,
            heads,
            dropout: attention.dropout,
            count,
            width,
        })
    }

    pub(super) fn pool(&mut self, kind: Pool, path: &str, stream: &mut Stream) -> Layer {
        let Stream::Tokens { count, width } = *stream else {
            self.mismatch(path, format!("it takes tokens, and {} come in", stream.words()));
            return Layer::Sequence(Vec::new());
        };
        if kind == Pool::First && !self.growth.mixed && !self.lost {
            let knows = if self.growth.class_token { "no feature" } else { "one feature, or set, alone" };
            let message = format!(
                "no block has mixed the tokens, so the first knows of {knows}; put `attention` before it, or take mean"
            );
            self.refuse(path, message);
        }
        *stream = Stream::Units(match kind {
            Pool::Flatten => count * width,
            Pool::Mean | Pool::First => width,
        });
        self.keep(stream.width());
        Layer::Pool { kind, count, width }
    }

    pub(super) fn tabnet(&mut self, tabnet: &TabNet, path: &str, stream: &mut Stream) -> Layer {
        if !matches!(stream, Stream::Features(_) | Stream::Units(_)) {
            self.mismatch(path, format!("it takes units, and {} come in; add `pool` before it", stream.words()));
        }
        if tabnet.shared + tabnet.independent == 0 {
            self.refuse(
                path,
                "shared and independent are both 0, so there is no layer; make one of them 1 or more".into(),
            );
        }
        let inputs = stream.width();
        let (width, attention) = (tabnet.width as usize, tabnet.attention_width as usize);
        let units = width + attention;
        let steps = tabnet.steps as usize + 1;
        let norm = self.batch_norm(inputs);
        let mut from = inputs;
        let mut shared = Vec::new();
        for _ in 0..tabnet.shared {
            shared.push(self.weight(from, 2 * units, Init::XavierNormal, steps));
            from = units;
        }
        let steps = (0..steps).map(|step| {
            let mask = (step > 0).then(|| {
                let weight = self.weight(attention, inputs, Init::XavierNormal, 1);
                self.keep(6 * inputs);
                (weight, self.batch_norm(inputs))
            });
            let shared_norms = (0..tabnet.shared).map(|_| self.batch_norm(2 * units)).collect();
            let mut from = if tabnet.shared == 0 { inputs } else { units };
            let own = (0..tabnet.independent).map(|_| {
                let weight = self.weight(from, 2 * units, Init::XavierNormal, 1);
                from = units;
                (weight, self.batch_norm(2 * units))
            });
            let own = own.collect();
            self.keep((tabnet.shared + tabnet.independent) as usize * 4 * units + width);
            // Gates and norms are operations of their own, one after another.
            self.pass((tabnet.shared + tabnet.independent) as usize * 28 * units + 18 * inputs);
            TabNetStep { mask, shared_norms, own }
        });
        let steps = steps.collect();
        self.has_auxiliary |= tabnet.sparsity > 0.0;
        *stream = Stream::Units(width);
        Layer::TabNet(TabNetLayer {
            norm,
            shared,
            steps,
            inputs,
            width,
            attention,
            relaxation: tabnet.relaxation,
            sparsity: tabnet.sparsity,
        })
    }

    fn batch_norm(&mut self, units: usize) -> super::NormLayer {
        self.norm(Norm::Batch, units).expect("batch norm has parameters")
    }
}

/// The places of each set's columns among `columns`; what is in no set makes a last group.
fn groups(columns: &[usize], sets: &[(String, Vec<usize>)]) -> Vec<Group> {
    let place = |column: &usize| columns.binary_search(column).ok();
    let of_set = |of_set: &[usize]| {
        let mut columns: Vec<usize> = of_set.iter().filter_map(place).collect();
        columns.sort_unstable();
        Group { columns }
    };
    let mut groups: Vec<Group> =
        sets.iter().map(|(_, columns)| of_set(columns)).filter(|group| !group.columns.is_empty()).collect();
    let mut taken = vec![false; columns.len()];
    groups.iter().flat_map(|group| &group.columns).for_each(|place| taken[*place] = true);
    let left: Vec<usize> = (0..columns.len()).filter(|place| !taken[*place]).collect();
    if !left.is_empty() {
        groups.push(Group { columns: left });
    }
    groups
}
