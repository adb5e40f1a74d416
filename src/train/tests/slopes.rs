//! What looks at parameters, not at outputs, against finite differences: penalties on weights and learned weights of targets;
//! and that every term of the loss is compared with its slopes, here or in `losses`.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{losses, spec};
use crate::spec::Spec;
use crate::spec::net::{Inputs, Net};
use crate::spec::tests::examples;
use crate::train::kernels::Truth;
use crate::train::loss::{LossInputs, loss, target_weights};

type Tracked = Tensor<Autodiff<Flex>, 3>;

const REPLICAS: usize = 2;
const ROWS: usize = 9;
const TARGETS: usize = 3;

/// What looks at parameters, each beside a term that does not.
const SPECS: [&str; 4] = [
    "loss: [mse, { weight_l1: { weight: 0.25 } }]",
    "loss: [mse, { weight_l2: { weight: 0.5 } }]",
    "loss: [pearson, huber, { weight_l1: { weight: 0.1 } }, { weight_l2: { weight: 0.2 } }]\n\
     targets: { weighting: { learned: { temperature: 0.7 } } }",
    "loss: [{ mse: { weight: 10 } }]\ntargets: { weighting: learned }",
];

/// Numbers of parameters, each by parameter and place.
type Numbers = Vec<Vec<f32>>;

/// The losses of both replicas, and their gradients by the parameters: 0 where none comes.
fn run(spec: &Spec, net: &Net, numbers: &Numbers) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let mut tensor = |shape: [usize; 3]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| dice.random_range(-1.0..1.0)).collect();
        Tracked::from_data(TensorData::new(values, shape), &Default::default())
    };
    let outputs = tensor([REPLICAS, ROWS, TARGETS]);
    let truth = Truth { targets: tensor([REPLICAS, ROWS, TARGETS]), mask: None, parts: 1, benchmark: None };
    let fixed = Tracked::from_data(TensorData::new(vec![0.5_f32, 0.25, 0.25], [1, 1, TARGETS]), &Default::default());
    let leaf = |(values, shape): (&Vec<f32>, [usize; 3])| {
        Tracked::from_data(TensorData::new(values.clone(), shape), &Default::default()).require_grad()
    };
    let shapes = net.params.iter().map(|param| [REPLICAS, param.rows, param.cols]);
    let params: Vec<Tracked> = numbers.iter().zip(shapes).map(leaf).collect();
    let losses = loss(&LossInputs {
        spec,
        net,
        params: &params,
        outputs: &outputs,
        features: None,
        truth: &truth,
        weights: &target_weights(spec, net, &params, &fixed),
        auxiliary: &[],
        members: 1,
    });
    let gradients = losses.clone().sum().backward();
    let of = |param: &Tracked| match param.grad(&gradients) {
        Some(gradient) => gradient.into_data().iter::<f32>().map(f64::from).collect(),
        None => vec![0.0; param.dims().iter().product()],
    };
    (losses.inner().into_data().iter::<f32>().map(f64::from).collect(), params.iter().map(of).collect())
}

#[test]
fn gradients_of_what_looks_at_parameters_are_slopes() {
    const STEP: f32 = 0.02;
    for text in SPECS {
        let spec = spec(&format!("network: [{{ dense: {{ width: 3 }} }}]\n{text}\n"));
        let inputs = Inputs { features: 4, sets: Vec::new(), targets: TARGETS };
        let net = Net::of(&spec, &inputs).expect("it can be laid out");
        let mut dice = ChaCha8Rng::seed_from_u64(11);
        // The size of a weight has no slope at 0.
        let mut number = || dice.random_range(0.1..1.0_f32) * if dice.random::<bool>() { 1.0 } else { -1.0 };
        let numbers: Numbers = net
            .params
            .iter()
            .map(|param| (0..REPLICAS * param.rows * param.cols).map(|_| number()).collect())
            .collect();
        let (_, gradients) = run(&spec, &net, &numbers);
        let mut moving = 0;
        for (param, values) in numbers.iter().enumerate() {
            for place in 0..values.len() {
                let replica = place / (values.len() / REPLICAS);
                let at_step = |step: f32| {
                    let mut moved = numbers.clone();
                    moved[param][place] += step;
                    run(&spec, &net, &moved).0[replica]
                };
                let slope = (at_step(STEP) - at_step(-STEP)) / (2.0 * f64::from(STEP));
                let gradient = gradients[param][place];
                // Losses around 5 are rounded to 5e-7, which the division makes 1e-5; the softmax bends by the step squared.
                assert!((slope - gradient).abs() < 2e-4, "{text}, {param}, {place}: {gradient}, slope {slope}");
                moving += usize::from(slope.abs() > 1e-3);
            }
        }
        assert!(moving >= 4, "{text}: {moving} numbers move the loss");
    }
}

#[test]
fn every_term_of_the_loss_is_compared_with_its_slopes() {
    let texts: Vec<String> = losses::texts().into_iter().chain(SPECS.map(str::to_owned)).collect();
    let word_in =
        |word: &str| texts.iter().any(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word));
    let every = examples::examples();
    let every = every.iter().filter_map(|example| example.what.strip_prefix("LossTerm."));
    let missing: Vec<&str> = every.clone().filter(|word| !word_in(word)).collect();
    assert!(every.count() > 10);
    assert_eq!(missing, Vec::<&str>::new(), "give each a case in losses.json, or a spec here");
}
