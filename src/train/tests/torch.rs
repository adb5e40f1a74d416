//! Nets, losses, optimizers and running statistics against PyTorch (tests/fixtures/make_training.py), both as
//! fused for the CPU and as composed of Burn's own operations.

use burn::backend::Flex;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::numbers::{Composed, Matrix, Tracked, flat, host, laid_out, near, stack, twice};
use crate::spec::Spec;
use crate::train::backend::Precision;
use crate::train::blocks::forward;
use crate::train::forward::{Learning, Predicting, Running};
use crate::train::kernels::{Dropout, Truth};
use crate::train::loss::{LossInputs, loss, target_weights};
use crate::train::optimizer::{Stepper, parts};

#[derive(Deserialize)]
struct Fixture {
    nets: Vec<NetCase>,
    optimizers: Vec<OptimizerCase>,
    running: Vec<RunningCase>,
}

#[derive(Deserialize)]
struct NetCase {
    name: String,
    spec: String,
    rows: usize,
    parts: usize,
    features: Matrix,
    targets: Vec<Vec<Option<f64>>>,
    params: Vec<Matrix>,
    outputs: Matrix,
    loss: f64,
    gradients: Vec<Matrix>,
}

#[derive(Deserialize)]
struct OptimizerCase {
    name: String,
    optimizer: String,
    factors: Vec<f64>,
    replicas: Vec<Replica>,
}

#[derive(Deserialize)]
struct Replica {
    start: Vec<Matrix>,
    gradients: Vec<Vec<Matrix>>,
    after: Vec<Vec<Matrix>>,
}

#[derive(Deserialize)]
struct RunningCase {
    spec: String,
    params: Vec<Matrix>,
    batches: Vec<Matrix>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    features: Matrix,
    outputs: Matrix,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/training.json")).expect("a fixture that can be read")
}

fn check_net(case: &NetCase, composed: bool) {
    let spec = Spec::parse(&case.spec, &case.name).expect("the fixture's spec is valid");
    let targets = case.targets[0].len();
    let net = laid_out(&spec, case.features[0].len(), targets);
    let shapes: Vec<_> = net.params.iter().map(|param| (param.rows, param.cols)).collect();
    let theirs: Vec<_> = case.params.iter().map(|param| (param.len(), param[0].len())).collect();
    assert_eq!(shapes, theirs, "{}: parameters are numbered as the fixture has them", case.name);

    let params: Vec<Tracked> = case.params.iter().map(|param| twice(param).require_grad()).collect();
    let mut no_dropout = |rate: f64| Dropout::new(rate, Vec::new());
    let mut no_noise = Vec::new;
    let pass = Learning::new(&mut no_dropout, &mut no_noise, net.running.len(), Precision::Fp32);
    let x = twice(&case.features);
    let outputs = if composed {
        forward(&net, &params, x, &mut Composed(pass))
    } else {
        let mut pass = pass;
        forward(&net, &params, x, &mut pass)
    };
    let there = |value: &Option<f64>| if value.is_some() { 1.0 } else { 0.0 };
    let mask: Matrix = case.targets.iter().map(|row| row.iter().map(there).collect()).collect();
    let known: Matrix = case.targets.iter().map(|row| row.iter().map(|value| value.unwrap_or(0.0)).collect()).collect();
    let missing = mask.iter().flatten().any(|value| *value == 0.0);
    let truth =
        Truth { targets: twice(&known), mask: missing.then(|| twice(&mask)), parts: case.parts, benchmark: None };
    let uniform = stack(&[&vec![vec![1.0 / targets as f64; targets]]]);
    let weights = target_weights(&spec, &net, &params, &uniform);
    let total = loss(&LossInputs {
        spec: &spec,
        net: &net,
        params: &params,
        outputs: &outputs,
        features: None,
        truth: &truth,
        weights: &weights,
        auxiliary: &[],
        members: 1,
    });
    let what = |part: &str| format!("{} ({}), {part}", case.name, if composed { "composed" } else { "fused" });
    assert_eq!(outputs.dims(), [2, case.rows, targets]);
    near(&host(outputs.inner()), &flat(&case.outputs), 1e-5, &what("outputs"));
    near(&host(total.clone().inner()), &[case.loss], 1e-5, &what("loss"));
    let mut gradients = total.sum().backward();
    for (index, (param, wanted)) in params.iter().zip(&case.gradients).enumerate() {
        let found = param.grad_remove(&mut gradients).map(host).unwrap_or_else(|| vec![0.0; flat(wanted).len()]);
        near(&found, &flat(wanted), 5e-5, &what(&format!("gradient of parameter {index}")));
    }
}

#[test]
fn outputs_losses_and_gradients_are_pytorchs() {
    let cases = fixture().nets;
    assert!(cases.len() > 20);
    for case in &cases {
        check_net(case, false);
        check_net(case, true);
    }
}

#[test]
fn steps_of_the_optimizers_are_pytorchs_and_each_replica_is_clipped_by_its_own_norm() {
    for case in fixture().optimizers {
        let text = format!("network: [{{ dense: {{ width: 4 }} }}]\noptimizer: {}\n", case.optimizer);
        let spec = Spec::parse(&text, &case.name).expect("valid");
        let [one, other] = case.replicas.as_slice() else { panic!("two replicas") };
        let pair = |a: &[Matrix], b: &[Matrix]| -> Vec<Tensor<Flex, 3>> {
            a.iter().zip(b).map(|(a, b)| stack(&[a, b])).collect()
        };
        let mut params = pair(&one.start, &other.start);
        let mut stepper = Stepper::<Flex>::new(&spec.optimizer, parts(&laid_out(&spec, 3, 1)), &[]);
        for (step, factor) in case.factors.iter().enumerate() {
            let gradients = pair(&one.gradients[step], &other.gradients[step]).into_iter().map(Some).collect();
            stepper.step(&mut params, gradients, *factor);
            for (index, param) in params.iter().enumerate() {
                let wanted = [flat(&one.after[step][index]), flat(&other.after[step][index])].concat();
                // A few roundings a step.
                near(&host(param.clone()), &wanted, 1e-6 * (step + 1) as f64, &format!("{}, step {step}", case.name));
            }
        }
    }
}

#[test]
fn batch_norms_running_statistics_and_predictions_are_pytorchs() {
    for case in fixture().running {
        let spec = Spec::parse(&case.spec, "fixture").expect("valid");
        let net = laid_out(&spec, case.features[0].len(), case.outputs[0].len());
        let tracked: Vec<Tracked> = case.params.iter().map(twice).collect();
        let mut running = vec![Running::<Flex>::new(2, 4, &Default::default())];
        for batch in &case.batches {
            let mut no_dropout = |rate: f64| Dropout::new(rate, Vec::new());
            let mut no_noise = Vec::new;
            let mut pass = Learning::new(&mut no_dropout, &mut no_noise, 1, Precision::Fp32);
            let outputs = forward(&net, &tracked, twice(batch), &mut pass);
            assert_eq!(outputs.dims()[1], batch.len());
            let (moments, rows) = pass.seen[0].take().expect("the layer has a batch norm");
            running[0].follow(moments, rows);
        }
        near(&host(running[0].mean.clone()), &case.mean, 1e-5, "running mean");
        near(&host(running[0].variance.clone()), &case.variance, 1e-5, "running variance");
        let params: Vec<Tensor<Flex, 3>> = case.params.iter().map(twice).collect();
        let mut pass = Predicting { running: &running, precision: Precision::Fp32 };
        let outputs = forward(&net, &params, twice(&case.features), &mut pass);
        near(&host(outputs), &flat(&case.outputs), 1e-5, "predictions");
    }
}
