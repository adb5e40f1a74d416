//! Blocks against public implementations (tests/fixtures/make_blocks.py): torch.nn, rtdl_revisiting_models,
//! rtdl_num_embeddings, tabm, pytorch-tabnet, timm.

use burn::backend::Flex;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::numbers::{Composed, Matrix, Tracked, flat, host, near, twice};
use super::spec;
use crate::spec::net::{Inputs, Net};
use crate::train::backend::Precision;
use crate::train::blocks::forward;
use crate::train::forward::{Learning, Predicting, Running};
use crate::train::kernels::Dropout;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    network: String,
    sets: Vec<(String, Vec<usize>)>,
    x: Matrix,
    /// What outputs are multiplied by before they are summed to the loss.
    pull: Matrix,
    params: Vec<Matrix>,
    outputs: Matrix,
    /// Terms that blocks add to the loss.
    auxiliary: f64,
    x_gradient: Matrix,
    gradients: Vec<Matrix>,
    /// Outputs when predicting, after this one batch.
    predicted: Matrix,
}

/// Single precision against double, in units of an array's largest number: some dozens of roundings of 6e-8.
const VALUES: f64 = 1e-5;

/// Gradients go through twice as many operations, and sums of them cancel.
const GRADIENTS: f64 = 5e-5;

fn laid_out(case: &Case) -> Net {
    let reads_benchmark = usize::from(case.network.contains("benchmark"));
    let sets: Vec<&str> = case.sets.iter().map(|(name, _)| name.as_str()).collect();
    let names = if sets.is_empty() { "all".to_owned() } else { format!("[{}]", sets.join(", ")) };
    let spec = spec(&format!("network: {}\nfeatures: {{ sets: {names} }}\n", case.network));
    let inputs = Inputs { features: case.x[0].len() - reads_benchmark, sets: case.sets.clone(), targets: 2 };
    let net = Net::of(&spec, &inputs).unwrap_or_else(|faults| panic!("{}: {faults:?}", case.name));
    let shapes: Vec<_> = net.params.iter().map(|param| (param.rows, param.cols)).collect();
    let theirs: Vec<_> = case.params.iter().map(|param| (param.len(), param[0].len())).collect();
    assert_eq!(shapes, theirs, "{}: parameters are numbered as the fixture has them", case.name);
    net
}

fn check(case: &Case, composed: bool) {
    let net = laid_out(case);
    let what = |part: &str| format!("{} ({}), {part}", case.name, if composed { "composed" } else { "fused" });
    let params: Vec<Tracked> = case.params.iter().map(|param| twice(param).require_grad()).collect();
    let x: Tracked = twice(&case.x).require_grad();
    let mut no_dropout = |rate: f64| Dropout::new(rate, Vec::new());
    let mut no_noise = Vec::new;
    let mut pass = Learning::new(&mut no_dropout, &mut no_noise, net.running.len(), Precision::Fp32);
    let outputs = if composed {
        let mut plain = Composed(pass);
        let outputs = forward(&net, &params, x.clone(), &mut plain);
        pass = plain.0;
        outputs
    } else {
        forward(&net, &params, x.clone(), &mut pass)
    };
    let Learning { seen, auxiliary, .. } = pass;
    let pull: Tracked = twice(&case.pull);
    let start = (outputs.clone() * pull).sum_dim(1).sum_dim(2);
    let total = auxiliary.into_iter().fold(start.clone(), |sum, term| sum + term);
    near(&host(outputs.inner()), &flat(&case.outputs), VALUES, &what("outputs"));
    let added = host((total.clone() - start).inner());
    // A difference of two sums of the size of the loss.
    assert!(added.iter().all(|added| (added - case.auxiliary).abs() < 1e-5), "{}: {added:?}", what("auxiliary"));
    let mut gradients = total.sum().backward();
    let named = params.iter().chain([&x]).zip(case.gradients.iter().chain([&case.x_gradient]));
    for (index, (tensor, wanted)) in named.enumerate() {
        let found = tensor.grad_remove(&mut gradients).map(host).unwrap_or_else(|| vec![0.0; flat(wanted).len()]);
        if wanted.iter().flatten().all(|slope| slope.abs() < 1e-4) {
            // What a batch norm takes away again, but for its epsilon and the rounding of terms of order 1.
            let apart = found.iter().zip(flat(wanted).iter().cycle()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-5, "{}: {index} {found:?}", case.name);
            continue;
        }
        let place = if index == params.len() { "inputs".to_owned() } else { format!("parameter {index}") };
        near(&found, &flat(wanted), GRADIENTS, &what(&format!("gradient of {place}")));
    }
    if composed {
        return;
    }
    let widths = net.running.iter().zip(seen);
    let running: Vec<Running<Flex>> = widths
        .map(|(width, seen)| {
            let mut running = Running::new(2, *width, &Default::default());
            let (moments, rows) = seen.expect("every batch norm saw the batch");
            running.follow(moments, rows);
            running
        })
        .collect();
    let params: Vec<Tensor<Flex, 3>> = params.into_iter().map(Tensor::inner).collect();
    let mut pass = Predicting { running: &running, precision: Precision::Fp32 };
    let predicted = forward(&net, &params, x.inner(), &mut pass);
    near(&host(predicted), &flat(&case.predicted), VALUES, &what("predictions"));
}

#[test]
fn outputs_gradients_and_predictions_are_those_of_public_implementations() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/blocks.json")).expect("a fixture that can be read");
    assert!(fixture.cases.len() >= 60);
    let failed: Vec<String> = fixture
        .cases
        .iter()
        .flat_map(|case| [(case, false), (case, true)])
        .filter_map(|(case, composed)| {
            let run = std::panic::AssertUnwindSafe(|| check(case, composed));
            std::panic::catch_unwind(run).err().map(|_| case.name.clone())
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
