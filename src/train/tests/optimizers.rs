//! Optimizers, wrappers and averages against PyTorch, timm and pytorch_optimizer
//! (tests/fixtures/make_optimizers.py), and what holds for all of them.

use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use super::{Market, bits, spec};
use crate::spec::net::{Inputs, Net};
use crate::spec::{Ema, OptimizerExtras, Rates, Spec, Swa};
use crate::train::backend::Precision;
use crate::train::feed::Feed;
use crate::train::forward::Running;
use crate::train::group::{Context, Weights, train_group};
use crate::train::optimizer::{Average, Stepper, parts, perturbed};
use crate::train::streams::Replica;

type Matrix = Vec<Vec<f64>>;
type Plain = Tensor<Flex, 3>;

#[derive(Deserialize)]
struct Fixture {
    factors: Vec<f64>,
    starts: Vec<Vec<Matrix>>,
    gradients: Vec<Vec<Vec<Matrix>>>,
    optimizers: Vec<Case>,
    lookahead: Case,
    sam: Vec<Case>,
    averages: Vec<AverageCase>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    optimizer: String,
    /// By net, step and parameter.
    after: Vec<Vec<Vec<Matrix>>>,
}

#[derive(Deserialize)]
struct AverageCase {
    name: String,
    spec: String,
    steps: Vec<AverageStep>,
}

#[derive(Deserialize)]
struct AverageStep {
    now: State,
    average: Option<State>,
}

#[derive(Deserialize)]
struct State {
    weight: Matrix,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

const REPLICAS: [Replica; 2] = [Replica { fold: 0, seed: 42, member: 0 }, Replica { fold: 1, seed: 17, member: 1 }];

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/optimizers.json")).expect("a fixture that can be read")
}

/// Matrices of one shape as `[replica, row, column]`.
fn stack(matrices: &[&Matrix]) -> Plain {
    let shape = [matrices.len(), matrices[0].len(), matrices[0][0].len()];
    let values: Vec<f32> =
        matrices.iter().flat_map(|matrix| matrix.iter().flatten()).map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn host(tensor: Plain) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

/// Ours is single precision, theirs double: the tolerance is in units of the array's largest number.
fn near(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().fold(1e-2_f64, |most, value| most.max(value.abs()));
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance * size, "{what}, number {index}: {found}, wanted {wanted}");
    }
}

/// The spec with an optimizer, its net having the fixture's parameters: 3 inputs, 2 targets.
fn with(optimizer: &str) -> (Spec, Net) {
    let spec =
        spec(&format!("network: [{{ dense: {{ width: 2 }} }}, {{ dense: {{ width: 4 }} }}]\noptimizer: {optimizer}\n"));
    let net = Net::of(&spec, &Inputs { features: 3, sets: Vec::new(), targets: 2 }).expect("valid");
    (spec, net)
}

/// The chosen nets' matrices, parameter by parameter.
fn stacked(nets: &[usize], of: impl Fn(usize) -> Vec<Matrix>) -> Vec<Plain> {
    let each: Vec<Vec<Matrix>> = nets.iter().map(|net| of(*net)).collect();
    (0..each[0].len()).map(|param| stack(&each.iter().map(|net| &net[param]).collect::<Vec<_>>())).collect()
}

fn check(params: &[Plain], case: &Case, step: usize, tolerance: f64) {
    for (index, param) in params.iter().enumerate() {
        let wanted: Vec<f64> = case.after.iter().flat_map(|net| net[step][index].iter().flatten().copied()).collect();
        near(&host(param.clone()), &wanted, tolerance, &format!("{}, step {step}, parameter {index}", case.name));
    }
}

/// The parameters after each of the fixture's steps, for some of its nets.
fn stepped(optimizer: &str, nets: &[usize]) -> Vec<Vec<Plain>> {
    let fixture = fixture();
    let (spec, net) = with(optimizer);
    let replicas: Vec<Replica> = nets.iter().map(|net| REPLICAS[*net]).collect();
    let mut stepper = Stepper::<Flex>::new(&spec.optimizer, parts(&net), &replicas);
    let mut params = stacked(nets, |net| fixture.starts[net].clone());
    let steps = fixture.factors.iter().enumerate().map(|(step, factor)| {
        let gradients = stacked(nets, |net| fixture.gradients[net][step].clone());
        stepper.step(&mut params, gradients.into_iter().map(Some).collect(), *factor);
        params.clone()
    });
    steps.collect()
}

#[test]
fn steps_of_the_optimizers_are_their_references() {
    let cases = fixture().optimizers;
    assert!(cases.len() >= 12);
    for case in &cases {
        for (step, params) in stepped(&case.optimizer, &[0, 1]).iter().enumerate() {
            // A few roundings of 6e-8 a step.
            check(params, case, step, 5e-7 * (step + 1) as f64);
        }
    }
}

#[test]
fn a_replicas_steps_do_not_depend_on_the_others() {
    let mut texts: Vec<String> = fixture().optimizers.into_iter().map(|case| case.optimizer).collect();
    texts.push("{ sgd: { clip_norm: 0.5 }, lookahead: { k: 2 }, gradient_noise: { eta: 0.01 } }".into());
    for text in texts {
        let together = stepped(&text, &[0, 1]);
        for net in 0..2 {
            for (grouped, alone) in together.iter().flatten().zip(stepped(&text, &[net]).iter().flatten()) {
                let grouped = host(grouped.clone().narrow(0, net, 1));
                near(&grouped, &host(alone.clone()), 1e-6, &format!("{text}, net {net}"));
            }
        }
    }
}

#[test]
fn lookaheads_slow_weights_are_the_references() {
    let Fixture { starts, gradients, lookahead, .. } = fixture();
    let (spec, net) = with(&lookahead.optimizer);
    let mut stepper = Stepper::<Flex>::new(&spec.optimizer, parts(&net), &REPLICAS);
    let mut params = stacked(&[0, 1], |net| starts[net].clone());
    for step in 0..5 {
        let gradients = stacked(&[0, 1], |net| gradients[net][step].clone());
        stepper.step(&mut params, gradients.into_iter().map(Some).collect(), 1.0);
        check(&params, &lookahead, step, 1e-6);
    }
    stepper.end_epoch(&mut params);
    check(&params, &lookahead, 5, 1e-6);
}

#[test]
fn gradients_are_taken_where_sam_takes_them() {
    let Fixture { starts, gradients, sam, .. } = fixture();
    for case in &sam {
        let (spec, net) = with(&case.optimizer);
        let wrapper = spec.optimizer.beside.sam.as_ref().expect("it is on");
        let mut stepper = Stepper::<Flex>::new(&spec.optimizer, parts(&net), &REPLICAS);
        let mut params = stacked(&[0, 1], |net| starts[net].clone());
        let slopes = stacked(&[0, 1], |net| gradients[net][0].clone());
        // The fixture's bowl: half the sum of |c|·w⁴.
        let gradient = |params: &[Plain]| -> Vec<Option<Plain>> {
            let cubes = params.iter().map(|param| param.clone().powi_scalar(3));
            cubes.zip(&slopes).map(|(cube, slope)| Some(cube * slope.clone().abs() * 2.0)).collect()
        };
        for step in 0..3 {
            let nearby = perturbed(&params, gradient(&params), wrapper);
            stepper.step(&mut params, gradient(&nearby), 1.0);
            check(&params, case, step, 1e-6);
        }
    }
}

#[test]
fn averages_of_weights_and_running_statistics_are_pytorchs() {
    let row = |values: &[f64]| vec![values.to_vec()];
    for case in fixture().averages {
        let spec = spec(&format!("network: [{{ dense: {{ width: 4 }} }}]\n{}\n", case.spec));
        let mut average = Average::<Flex>::of(&spec).expect("it averages");
        for (step, AverageStep { now, average: wanted }) in case.steps.iter().enumerate() {
            let running = Running { mean: stack(&[&row(&now.mean)]), variance: stack(&[&row(&now.variance)]) };
            let weights = Weights { params: vec![stack(&[&now.weight])], running: vec![running] };
            average.after_step(&weights);
            average.after_epoch(&weights, step as u32 + 1);
            let what = format!("{}, step {step}", case.name);
            assert_eq!(average.weights().is_some(), wanted.is_some(), "{what}");
            let (Some(found), Some(wanted)) = (average.weights(), wanted) else { continue };
            let flat: Vec<f64> = wanted.weight.iter().flatten().copied().collect();
            near(&host(found.params[0].clone()), &flat, 1e-6, &what);
            near(&host(found.running[0].mean.clone()), &wanted.mean, 1e-6, &what);
            near(&host(found.running[0].variance.clone()), &wanted.variance, 1e-6, &what);
        }
    }
}

const NET: &str = "network: [{ dense: { width: 16, norm: batch, activation: gelu, dropout: 0.2 } }, { dense: { width: 6 } }]\n\
                   targets: { weighting: learned }\n";

/// Every kind and every wrapper at least once.
const EVERYTHING: [&str; 8] = [
    "{ adam: { weight_decay: 0.01, clip_value: 0.1 }, sam: {}, ema: { decay: 0.9 } }",
    "{ sgd: { nesterov: true, clip_norm: 1.0 }, sam: { adaptive: true, rho: 0.5 }, swa: { from: 0.0 } }",
    "{ rmsprop: { centered: true }, lookahead: { k: 3 }, gradient_noise: {} }",
    "{ lion: {}, ema: { decay: 0.5 }, rates: { first: 0.3, target_weights: 3.0, decay_vectors: false } }",
    "{ muon: {}, lookahead: {}, swa: { from: 0.2 } }",
    "{ adan: { weight_decay: 0.02 }, gradient_noise: { eta: 0.01 } }",
    "{ lamb: { clip_norm: 1.0 }, swa: { from: 0.0 } }",
    "{ adamw: {}, lookahead: { k: 2, alpha: 0.8 }, sam: {}, ema: {}, gradient_noise: {}, rates: { output: 0.5 } }",
];

#[test]
fn every_optimizer_and_wrapper_trains_a_group_as_it_trains_each_net_alone() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    for optimizer in EVERYTHING {
        let spec =
            spec(&format!("{NET}optimizer: {optimizer}\ntraining: {{ epochs: 2, batch_rows: 256, patience: 3 }}\n"));
        let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
        let feed = Feed::<Flex>::of(&context, Default::default());
        let together = train_group(&feed, &REPLICAS, &|| {}).expect("it trains");
        for (replica, grouped) in REPLICAS.iter().zip(&together) {
            let alone = train_group(&feed, std::slice::from_ref(replica), &|| {}).expect("it trains").remove(0);
            assert!(grouped.outputs.iter().all(|value| value.is_finite()), "{optimizer}");
            assert_eq!(grouped.outputs, alone.outputs, "{optimizer}, {replica:?}");
        }
    }
}

/// The bits of what a spec predicts.
fn predicted(market: &Market, optimizer: &str, training: &str) -> Vec<u32> {
    let spec = spec(&format!("{NET}optimizer: {optimizer}\ntraining: {{ batch_rows: 256, {training} }}\n"));
    bits(&market.train(&spec, &[42], 1).expect("it trains"))
}

#[test]
fn wrappers_that_do_nothing_change_nothing() {
    let market = Market::small();
    let training = "epochs: 3, patience: null";
    let plain = predicted(&market, "{ adamw: {} }", training);
    // Such wrappers are refused in a spec, so they are put in afterwards.
    let with = |put: &dyn Fn(&mut OptimizerExtras)| {
        let mut spec = spec(&format!("{NET}training: {{ batch_rows: 256, {training} }}\n"));
        put(&mut spec.optimizer.beside);
        bits(&market.train(&spec, &[42], 1).expect("it trains"))
    };
    let ones = Rates { first: 1.0, body: 1.0, output: 1.0, target_weights: 1.0, vectors: 1.0, decay_vectors: true };
    assert_eq!(with(&|extras| extras.rates = Some(ones.clone())), plain, "rates of 1");
    assert_eq!(with(&|extras| extras.ema = Some(Ema { decay: 0.0 })), plain, "an average of the last step");
    assert_eq!(with(&|extras| extras.swa = Some(Swa { from: 0.9 })), plain, "a mean of the last epoch");
    for other in ["ema: { decay: 0.5 }", "swa: { from: 0 }", "lookahead: {}", "sam: {}", "gradient_noise: {}"] {
        assert_ne!(predicted(&market, &format!("{{ adamw: {{}}, {other} }}"), training), plain, "{other}");
    }
}

fn outputs(optimizer: &str) -> Vec<f64> {
    let bits = predicted(&Market::small(), optimizer, "epochs: 2, patience: null");
    bits.into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect()
}

#[test]
fn sam_takes_both_gradients_under_the_same_dropout() {
    let (plain, near_by) = ("{ sgd: { lr: 0.1 } }", "{ sgd: { lr: 0.1 }, sam: { rho: 1e-6 } }");
    // Other masks would be other gradients, and other nets: by a tenth.
    near(&outputs(near_by), &outputs(plain), 1e-3, "a distance of almost nothing");
}

#[test]
fn running_statistics_follow_sams_first_pass() {
    // Weights that hardly move: what is predicted then depends on the running statistics alone.
    let (plain, far) = ("{ sgd: { lr: 1e-7 } }", "{ sgd: { lr: 1e-7 }, sam: { rho: 5 } }");
    near(&outputs(far), &outputs(plain), 1e-3, "statistics at the weights themselves");
}

#[test]
fn early_stopping_begins_with_the_averaging() {
    let market = Market::small();
    let trained = |optimizer: &str| {
        let spec =
            spec(&format!("{NET}optimizer: {optimizer}\ntraining: {{ epochs: 12, batch_rows: 256, patience: 1 }}\n"));
        let cells = market.train(&spec, &[42], 1).expect("it trains");
        cells.iter().map(|cell| cell.rows_trained).min().expect("there are cells")
    };
    // A rate at which nothing is learned, so that the second epoch is no better than the first.
    let (plain, averaged) = (trained("{ sgd: { lr: 1e-7 } }"), trained("{ sgd: { lr: 1e-7 }, swa: { from: 0.75 } }"));
    assert!(plain * 4 < averaged, "{plain} rows, and {averaged} with averaging from the tenth epoch of twelve on");
}
