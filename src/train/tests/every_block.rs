//! What holds for every block of the language: gradients are slopes, starts are sensible, replicas share nothing, and
//! predicting is training where nothing is random.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::numbers::{Composed, Tracked, host, near};
use super::spec;
use crate::spec::Block;
use crate::spec::net::{Inputs, Layer, Net};
use crate::train::backend::Precision;
use crate::train::blocks::forward;
use crate::train::forward::{Learning, Predicting};
use crate::train::kernels::Dropout;
use crate::train::noise::Keys;
use crate::train::start::start;
use crate::train::streams::Replica;

const ROWS: usize = 16;
const FEATURES: usize = 8;

/// What sets a net apart from most.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing is random or of the batch.
    Plain,
    /// Dropout, noise or batch norm: training is not predicting.
    Trains,
    /// No slope of the inputs is asked for: a gradient is stopped on the way to them.
    Stops,
    /// It ends in members with outputs of their own.
    Members,
}

use Kind::{Members, Plain, Stops, Trains};

/// Nets that have every block. Two sets of features of four each; one benchmark.
const NETS: &[(Kind, &str)] = &[
    (Plain, "[{ dense: { width: 6, norm: layer, activation: gelu } }]"),
    (Trains, "[{ dense: { width: 6, norm: batch, activation: silu, dropout: 0.3 } }]"),
    (Plain, "[{ residual: [{ dense: { width: 6, activation: tanh } }] }]"),
    (
        Plain,
        "[{ parallel: { branches: [[{ dense: { width: 3, activation: mish } }], [], [{ gate: { width: 4 } }]] } }]",
    ),
    (
        Plain,
        "[{ dense: { width: 5 } }, { parallel: { combine: mean, branches: [[{ dense: { width: 5, activation: selu } }], []] } }]",
    ),
    (Plain, "[{ repeat: { times: 2, blocks: [{ dense: { width: 5, activation: elu } }] } }]"),
    (Plain, "[{ gate: { width: 5, kind: glu } }]"),
    (Plain, "[{ gate: { width: 5, kind: reglu } }]"),
    (Trains, "[{ gate: { width: 5, kind: geglu, bias: false, dropout: 0.4 } }]"),
    (Plain, "[squeeze_excitation]"),
    (Plain, "[{ tokenize: { width: 4 } }, squeeze_excitation, { pool: flatten }]"),
    (Plain, "[{ cross: { layers: 2 } }]"),
    (Plain, "[{ cross: { layers: 2, rank: 3 } }]"),
    (
        Plain,
        "[{ mixture_of_experts: { experts: 3, balance: 1.0, expert: [{ dense: { width: 5, activation: tanh } }] } }]",
    ),
    (Plain, "[{ mixture_of_experts: { experts: 4, top_k: 2, balance: 1.0, expert: [{ gate: { width: 5 } }] } }]"),
    (Plain, "[{ tokenize: { width: 4, class_token: true } }, { attention: { heads: 2 } }, { pool: first }]"),
    (
        Plain,
        "[{ tokenize: { width: 4, per: group, embedding: piecewise_linear } }, { attention: { heads: 1 } }, { pool: mean }]",
    ),
    (Plain, "[{ tokenize: { width: 3, embedding: piecewise_linear } }, { pool: flatten }]"),
    (Plain, "[{ tokenize: { width: 4, per: group, embedding: periodic } }, { pool: flatten }]"),
    (
        Plain,
        "[{ tokenize: { width: 4, embedding: { periodic: { frequencies: 3 } } } }, { norm: layer }, { pool: flatten }]",
    ),
    (
        Trains,
        "[{ tokenize: { width: 4 } }, { residual: [{ norm: layer }, { attention: { heads: 2, dropout: 0.3 } }] }, \
         { residual: [{ norm: layer }, { gate: { width: 5 } }, { dense: { width: 4, activation: identity } }] }, { pool: mean }]",
    ),
    (Trains, "[{ tabnet: { steps: 2, width: 4, attention_width: 3, sparsity: 1.0 } }]"),
    (Trains, "[{ tabnet: { steps: 3, width: 4, attention_width: 3, shared: 0, independent: 1, sparsity: 0.0 } }]"),
    (
        Members,
        "[{ batch_ensemble: { members: 3, blocks: [{ dense: { width: 5, activation: gelu } }, \
         { dense: { width: 4, activation: tanh } }] } }]",
    ),
    (
        Members,
        "[{ batch_ensemble: { members: 3, blocks: [{ dense: { width: 5, norm: layer, activation: prelu } }, \
         { residual: [{ gate: { width: 5 } }] }, { norm: layer }] } }]",
    ),
    (
        Trains,
        "[{ batch_ensemble: { members: 3, blocks: [{ dense: { width: 5, norm: batch, activation: prelu } }, \
         { parallel: { branches: [[], [{ dense: { width: 3, dropout: 0.2 } }]] } }] } }, { dense: { width: 4 } }]",
    ),
    (Stops, "[{ autoencoder: { weight: 1.0, encoder: [{ dense: { width: 3, activation: tanh } }] } }]"),
    (
        Stops,
        "[{ autoencoder: { weight: 1.0, encoder: [{ dense: { width: 3, activation: silu } }], \
         decoder: [{ dense: { width: 4, activation: gelu } }], output: both } }]",
    ),
    (Plain, "[{ inputs: { sets: [late] } }, { dense: { width: 4, activation: softplus } }]"),
    (Plain, "[{ parallel: { branches: [[benchmark], [{ dense: { width: 3, activation: hardswish } }]] } }]"),
    (Stops, "[{ activation: gelu }, stop_gradient, { dense: { width: 5, activation: tanh } }]"),
    (Plain, "[{ norm: layer }, { activation: prelu }]"),
    (Trains, "[{ norm: batch }, { activation: leaky_relu }]"),
    (Trains, "[{ dense: { width: 5, activation: tanh } }, { dropout: 0.25 }]"),
    (Trains, "[{ dense: { width: 5, activation: tanh } }, { noise: 0.5 }]"),
];

/// A net of one of them, and parameters and inputs for some replicas of it.
struct Trial {
    name: &'static str,
    net: Net,
    /// The net's parameters, then its inputs: by replica.
    values: Vec<Vec<(Vec<f32>, [usize; 2])>>,
}

fn inputs(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    // The sum of twelve uniform numbers is nearly normal, with variance 1.
    (0..count).map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0).collect()
}

impl Trial {
    /// Parameters as they start; `shaken`, so that no bias is 0 and no scale 1.
    fn new(network: &'static str, rows: usize, replicas: usize, shaken: f32) -> Self {
        let spec = spec(&format!("network: {network}\nfeatures: {{ sets: [early, late] }}\n"));
        let half = FEATURES / 2;
        let sets = vec![("early".to_owned(), (0..half).collect()), ("late".to_owned(), (half..FEATURES).collect())];
        let net = Net::of(&spec, &Inputs { features: FEATURES, sets, targets: 2 }).expect("it can be laid out");
        let values = (0..replicas).map(|member| {
            let mut rng = ChaCha8Rng::seed_from_u64(member as u64 + 11);
            let starts = start(&net, &Replica { fold: 0, seed: 42, member: member as u32 });
            let params = net.params.iter().zip(starts).map(|(shape, values)| {
                let shakes = inputs(&mut rng, values.len());
                let shaken = values.iter().zip(shakes).map(|(value, shake)| value + shaken * shake).collect();
                (shaken, [shape.rows, shape.cols])
            });
            let mut values: Vec<_> = params.collect();
            values.push((inputs(&mut rng, rows * net.columns), [rows, net.columns]));
            values
        });
        Self { name: network, values: values.collect(), net }
    }

    /// Parameters and inputs of some replicas.
    fn tensors(&self, replicas: &[usize]) -> Vec<Tracked> {
        (0..=self.net.params.len())
            .map(|number| {
                let [rows, cols] = self.values[0][number].1;
                let values: Vec<f32> = replicas.iter().flat_map(|one| self.values[*one][number].0.clone()).collect();
                Tensor::from_data(TensorData::new(values, [replicas.len(), rows, cols]), &Default::default())
            })
            .collect()
    }

    /// Outputs, and the terms that blocks add to the loss, `[replica, 1, 1]` each.
    fn run(&self, tensors: &[Tracked], replicas: &[usize], composed: bool) -> (Tracked, Vec<Tracked>) {
        let mut layer = 0;
        let mut dropout = |rate: f64| {
            layer += 1;
            Dropout::new(rate, replicas.iter().map(|one| [*one as u32 * 7919 + 1, layer]).collect())
        };
        let mut noise = || replicas.iter().map(|one| Keys::draw(&mut ChaCha8Rng::seed_from_u64(*one as u64))).collect();
        let (x, params) = tensors.split_last().expect("the inputs are last");
        let mut pass = Learning::new(&mut dropout, &mut noise, self.net.running.len(), Precision::Fp32);
        if composed {
            let mut pass = Composed(pass);
            let outputs = forward(&self.net, params, x.clone(), &mut pass);
            return (outputs, pass.0.auxiliary);
        }
        let outputs = forward(&self.net, params, x.clone(), &mut pass);
        (outputs, pass.auxiliary)
    }

    /// The loss of the first replica, summed in double precision: outputs by fixed numbers, and what blocks add.
    fn loss(&self, tensors: &[Tracked], pull: &[f32]) -> f64 {
        let (outputs, auxiliary) = self.run(tensors, &[0], false);
        let pulled: f64 = host(outputs.inner()).iter().zip(pull).map(|(y, pull)| y * f64::from(*pull)).sum();
        pulled + auxiliary.into_iter().flat_map(|term| host(term.inner())).sum::<f64>()
    }

    /// Gradients of the sum of all replicas' losses, of parameters and inputs, and the outputs and terms.
    fn gradients(&self, replicas: &[usize], pull: &[f32]) -> Vec<Vec<f64>> {
        let tensors: Vec<Tracked> = self.tensors(replicas).into_iter().map(Tensor::require_grad).collect();
        let (outputs, auxiliary) = self.run(&tensors, replicas, false);
        let [_, rows, units] = outputs.dims();
        let pull = Tensor::from_data(TensorData::new(pull.to_vec(), [1, rows, units]), &Default::default());
        let found = [vec![outputs.clone()], auxiliary.clone()].concat();
        let loss = auxiliary.into_iter().fold((outputs * pull).sum(), |sum, term| sum + term.sum());
        let mut gradients = loss.backward();
        let slopes = tensors.iter().map(|tensor| {
            let none = vec![0.0; tensor.dims().iter().product()];
            tensor.grad_remove(&mut gradients).map_or(none, host)
        });
        let mut all: Vec<Vec<f64>> = slopes.collect();
        all.extend(found.into_iter().map(|tensor| host(tensor.inner())));
        all
    }

    fn pull(&self) -> Vec<f32> {
        inputs(&mut ChaCha8Rng::seed_from_u64(5), ROWS * 2 * self.net.members)
    }
}

#[test]
fn every_block_is_tested_here() {
    let mut missing: Vec<&str> = Block::words().to_vec();
    fn strike(blocks: &[Block], missing: &mut Vec<&str>) {
        for block in blocks {
            missing.retain(|word| *word != block.word());
            block.inside().into_iter().for_each(|inner| strike(inner, missing));
        }
    }
    for (_, network) in NETS {
        strike(&spec(&format!("network: {network}\nfeatures: {{ sets: [early, late] }}\n")).network, &mut missing);
    }
    assert_eq!(missing, Vec::<&str>::new(), "give each a net in NETS");
}

/// How far each number is moved. Rounding moves a loss of some 10 by some 3e-6, which the first step keeps to some 1e-3 of a
/// slope of 1. But a step that crosses a corner (of relu, of sparsemax) sees half of two slopes; so shorter ones are tried,
/// for which slopes are larger than their rounding where there are many corners.
const STEPS: [f32; 3] = [2e-3, 4e-4, 1e-4];

/// In units of a gradient's length, which is the standard deviation of its slopes along random signs.
const SLOPE_TOLERANCE: f64 = 0.01;

#[test]
fn gradients_are_slopes() {
    let mut wrong = Vec::new();
    for (kind, network) in NETS {
        let trial = Trial::new(network, ROWS, 1, 0.2);
        let pull = trial.pull();
        let gradients = trial.gradients(&[0], &pull);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let last = trial.net.params.len();
        for number in 0..=last {
            if number == last && *kind == Stops {
                continue;
            }
            let gradient = &gradients[number];
            let length = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
            for _ in 0..3 {
                let signs: Vec<f32> = gradient.iter().map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect();
                let moved = |step: f32| {
                    let mut tensors = trial.tensors(&[0]);
                    let shape = tensors[number].dims();
                    let by = signs.iter().map(|sign| sign * step).collect();
                    let by = Tensor::from_data(TensorData::new(by, shape), &Default::default());
                    tensors[number] = tensors[number].clone() + by;
                    trial.loss(&tensors, &pull)
                };
                let wanted: f64 = gradient.iter().zip(&signs).map(|(slope, sign)| slope * f64::from(*sign)).sum();
                let slopes = STEPS.map(|step| (moved(step) - moved(-step)) / (2.0 * f64::from(step)));
                if slopes.iter().all(|slope| (slope - wanted).abs() > SLOPE_TOLERANCE * length.max(0.1)) {
                    let what = if number == last { "inputs".to_owned() } else { format!("parameter {number}") };
                    wrong.push(format!(
                        "{network}, {what}: {slopes:?}, the gradient says {wanted}, its length is {length}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_goes_back_through_what_stops_gradients() {
    let network = "[{ dense: { width: 5, activation: tanh } }, stop_gradient, { dense: { width: 4 } }]";
    let trial = Trial::new(network, ROWS, 1, 0.2);
    let gradients = trial.gradients(&[0], &trial.pull());
    let zero = |number: usize| gradients[number].iter().all(|slope| *slope == 0.0);
    assert!(zero(0) && zero(1) && zero(trial.net.params.len()), "the first layer and the inputs learn nothing");
    assert!(!zero(2) && !zero(4), "what follows does");
}

#[test]
fn blocks_start_with_outputs_of_a_sensible_size() {
    let mut wrong = Vec::new();
    for (_, network) in NETS {
        let mut trial = Trial::new(network, 256, 1, 0.0);
        let output = trial.net.layers.pop();
        assert!(matches!(output, Some(Layer::Dense(_) | Layer::MemberOutput { .. })), "the output layer is the last");
        let (outputs, _) = trial.run(&trial.tensors(&[0]), &[0], false);
        let outputs = host(outputs.inner());
        let mean = outputs.iter().sum::<f64>() / outputs.len() as f64;
        let deviation = (outputs.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / outputs.len() as f64).sqrt();
        // A comparison with NaN is false.
        if !(0.02..=20.0).contains(&deviation) {
            wrong.push(format!("{network}: {deviation}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn members_of_a_batch_ensemble_start_apart() {
    for (_, network) in NETS.iter().filter(|(kind, _)| *kind == Members) {
        let mut trial = Trial::new(network, ROWS, 1, 0.0);
        trial.net.layers.pop();
        let (outputs, _) = trial.run(&trial.tensors(&[0]), &[0], false);
        let width = outputs.dims()[2] / trial.net.members;
        let outputs = host(outputs.inner());
        let member = |member: usize| -> Vec<f64> {
            outputs.chunks(width).skip(member).step_by(trial.net.members).flatten().copied().collect()
        };
        for other in 1..trial.net.members {
            let apart = member(0).iter().zip(member(other)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart > 0.1, "{network}: members 0 and {other} are {apart} apart");
        }
    }
}

#[test]
fn replicas_together_are_each_alone_to_the_last_bit() {
    let mut wrong = Vec::new();
    for (_, network) in NETS {
        let trial = Trial::new(network, ROWS, 2, 0.2);
        let pull = trial.pull();
        let together = trial.gradients(&[0, 1], &pull);
        for replica in [0, 1] {
            let alone = trial.gradients(&[replica], &pull);
            for (number, (all, own)) in together.iter().zip(&alone).enumerate() {
                let within = &all[replica * own.len()..][..own.len()];
                let differs = within.iter().zip(own).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                if differs > 0 {
                    let params = trial.net.params.len();
                    let most = within.iter().zip(own).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    wrong.push(format!(
                        "{network}, replica {replica}, {number} of {params} parameters: {differs} of {}, by {most:e}",
                        own.len()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn predicting_is_training_where_nothing_is_random() {
    for (_, network) in NETS.iter().filter(|(kind, _)| *kind != Trains) {
        let trial = Trial::new(network, ROWS, 2, 0.2);
        let tensors = trial.tensors(&[0, 1]);
        let (fused, _) = trial.run(&tensors, &[0, 1], false);
        let (composed, _) = trial.run(&tensors, &[0, 1], true);
        let plain: Vec<Tensor<Flex, 3>> = tensors.into_iter().map(Tensor::<Autodiff<Flex>, 3>::inner).collect();
        let (x, params) = plain.split_last().expect("the inputs are last");
        let mut pass = Predicting { running: &[], precision: Precision::Fp32 };
        let predicted = host(forward(&trial.net, params, x.clone(), &mut pass));
        // The same numbers, added up in another order.
        near(&host(fused.inner()), &predicted, 1e-5, trial.name);
        near(&host(composed.inner()), &predicted, 1e-5, trial.name);
    }
}
