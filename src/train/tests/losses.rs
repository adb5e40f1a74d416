//! Every term of the loss against PyTorch, SciPy and numerai-tools (tests/fixtures/make_losses.py) and against finite
//! differences; members inside a net; outputs and labels that say nothing.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use super::spec;
use crate::spec::Spec;
use crate::spec::net::{Inputs, Net};
use crate::train::kernels::{Benchmark, Truth};
use crate::train::labels::gaussianized;
use crate::train::loss::{LossInputs, loss, predictions};

type Tracked = Tensor<Autodiff<Flex>, 3>;
type Rows<T> = Vec<Vec<T>>;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    spearman: Vec<Spearman>,
    contribution: Vec<Contribution>,
}

/// `[replica][row][unit]`; null is missing.
#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    loss: String,
    parts: usize,
    members: usize,
    weights: Vec<f32>,
    outputs: Vec<Rows<f32>>,
    targets: Vec<Rows<Option<f32>>>,
    features: Option<Vec<Rows<f32>>>,
    benchmark: Option<Rows<Option<f32>>>,
    losses: Vec<f64>,
    gradients: Vec<Rows<f64>>,
}

#[derive(Deserialize)]
struct Spearman {
    outputs: Vec<f32>,
    targets: Vec<f32>,
    spearman: f64,
}

#[derive(Deserialize)]
struct Contribution {
    outputs: Vec<f32>,
    raw_benchmark: Vec<f32>,
    targets: Vec<f32>,
    contribution: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/losses.json")).expect("a fixture that can be read")
}

/// The losses whose gradients are compared with slopes.
pub(super) fn texts() -> Vec<String> {
    fixture().cases.into_iter().map(|case| case.loss).collect()
}

fn stack(replicas: &[Rows<f32>]) -> Tracked {
    let shape = [replicas.len(), replicas[0].len(), replicas[0][0].len()];
    let values: Vec<f32> = replicas.iter().flatten().flatten().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Numbers with 0 for what is missing, and the mask if anything is.
fn masked(replicas: &[Rows<Option<f32>>]) -> (Tracked, Option<Tracked>) {
    let each = |of: &dyn Fn(&Option<f32>) -> f32| -> Tracked {
        let rows = |rows: &Rows<Option<f32>>| rows.iter().map(|row| row.iter().map(of).collect()).collect();
        stack(&replicas.iter().map(rows).collect::<Vec<Rows<f32>>>())
    };
    let missing = replicas.iter().flatten().flatten().any(Option::is_none);
    let mask = missing.then(|| each(&|value| if value.is_some() { 1.0 } else { 0.0 }));
    (each(&|value| value.unwrap_or(0.0)), mask)
}

fn host(tensor: Tensor<Flex, 3>) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

impl Case {
    fn spec(&self) -> Spec {
        // A net of one member refuses the penalty on members; what it computes is tested all the same.
        let with_members = self.loss.contains("negative_correlation");
        let text =
            if with_members { self.loss.replace("negative_correlation", "output_l2") } else { self.loss.clone() };
        let mut spec = spec(&format!("network: [{{ dense: {{ width: 4 }} }}]\nloss: {text}\n"));
        if with_members {
            let last = spec.loss.len() - 1;
            let crate::spec::LossTerm::OutputL2(penalty) = &spec.loss[last] else { panic!("it stands last") };
            let term = crate::spec::language::NegativeCorrelation { weight: penalty.weight };
            spec.loss[last] = crate::spec::LossTerm::NegativeCorrelation(term);
        }
        spec
    }

    /// One replica of it.
    fn alone(&self, replica: usize) -> Self {
        let mut alone = self.clone();
        alone.outputs = vec![self.outputs[replica].clone()];
        alone.targets = vec![self.targets[replica].clone()];
        alone.features = self.features.as_ref().map(|features| vec![features[replica].clone()]);
        alone.benchmark = self.benchmark.as_ref().map(|benchmark| vec![benchmark[replica].clone()]);
        alone
    }

    /// The losses `[replica]` and their gradients by the outputs.
    fn run(&self) -> (Vec<f64>, Vec<f64>) {
        let spec = self.spec();
        let net = laid_out(&spec, 3, self.weights.len());
        let outputs = stack(&self.outputs).require_grad();
        let features = self.features.as_deref().map(stack);
        let (targets, mask) = masked(&self.targets);
        let benchmark = self.benchmark.as_ref().map(|rows| {
            let column = |row: &Vec<Option<f32>>| row.iter().map(|value| vec![*value]).collect();
            let (scores, mask) = masked(&rows.iter().map(column).collect::<Vec<_>>());
            Benchmark { scores, mask }
        });
        let truth = Truth { targets, mask, parts: self.parts, benchmark };
        let weights = stack(&[vec![self.weights.clone()]]);
        let losses = loss(&LossInputs {
            spec: &spec,
            net: &net,
            params: &[],
            outputs: &outputs,
            features: features.as_ref(),
            truth: &truth,
            weights: &weights,
            auxiliary: &[],
            members: self.members,
        });
        assert_eq!(losses.dims(), [self.outputs.len(), 1, 1], "{}", self.name);
        let gradient = outputs.grad(&losses.clone().sum().backward()).expect("outputs take part in the loss");
        (host(losses.inner()), host(gradient))
    }
}

/// Ours is single precision: the tolerance is in units of the largest number.
fn near(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().fold(1e-3_f64, |most, value| most.max(value.abs()));
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance * size, "{what}, number {index}: {found}, wanted {wanted}");
    }
}

#[test]
fn terms_and_their_gradients_are_those_of_the_references() {
    let cases = fixture().cases;
    assert!(cases.len() > 30);
    for case in cases {
        let (losses, gradients) = case.run();
        let wanted: Vec<f64> = case.gradients.iter().flatten().flatten().copied().collect();
        near(&losses, &case.losses, 1e-5, &format!("{}, loss", case.name));
        // A low temperature multiplies roundings of the outputs by its inverse.
        near(&gradients, &wanted, 1e-4, &format!("{}, gradient", case.name));
    }
}

#[test]
fn replicas_together_have_the_losses_that_each_has_alone() {
    for case in fixture().cases {
        let (losses, gradients) = case.run();
        let each: Vec<_> = (0..losses.len()).map(|replica| case.alone(replica).run()).collect();
        // The same sums in, perhaps, another order.
        near(&losses, &each.iter().flat_map(|(loss, _)| loss.clone()).collect::<Vec<_>>(), 1e-6, &case.name);
        let alone: Vec<f64> = each.into_iter().flat_map(|(_, gradients)| gradients).collect();
        near(&gradients, &alone, 2e-6, &case.name);
    }
}

#[test]
fn gradients_are_the_slopes_of_the_losses() {
    const STEP: f32 = 4e-3;
    for case in fixture().cases {
        let (_, gradients) = case.run();
        let size = gradients.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let (rows, units) = (case.outputs[0].len(), case.outputs[0][0].len());
        for at in (0..gradients.len()).step_by(7) {
            let (replica, row, unit) = (at / (rows * units), at / units % rows, at % units);
            // The size of an error has no slope at 0.
            let error = case.targets[replica][row][unit % case.weights.len()]
                .map_or(1.0, |y| case.outputs[replica][row][unit] - y);
            if case.loss.contains("mae") && error.abs() <= STEP {
                continue;
            }
            let at_step = |step: f32| {
                let mut moved = case.clone();
                moved.outputs[replica][row][unit] += step;
                moved.run().0[replica]
            };
            let slope = (at_step(STEP) - at_step(-STEP)) / (2.0 * f64::from(STEP));
            // Losses around 1 are rounded to 6e-8, which the division makes 2e-5; the curvature of a soft rank over the step,
            // a tenth of its temperature, makes a few percent.
            let close = (slope - gradients[at]).abs() <= 0.03 * size + 5e-5;
            assert!(close, "{}, output {at}: {} against the slope {slope}", case.name, gradients[at]);
        }
    }
}

/// The loss of one replica and one target over mixed rows.
fn one(loss: &str, outputs: &[f32], targets: &[f32], benchmark: Option<&[f32]>) -> Case {
    let column = |values: &[f32]| values.iter().map(|value| vec![*value]).collect::<Rows<f32>>();
    Case {
        name: loss.into(),
        loss: loss.into(),
        parts: 1,
        members: 1,
        weights: vec![1.0],
        outputs: vec![column(outputs)],
        targets: vec![targets.iter().map(|value| vec![Some(*value)]).collect()],
        features: None,
        benchmark: benchmark.map(|values| vec![values.iter().copied().map(Some).collect()]),
        losses: Vec::new(),
        gradients: Vec::new(),
    }
}

#[test]
fn the_rank_loss_of_a_low_temperature_is_spearmans() {
    for case in fixture().spearman {
        let text = "[{ rank: { temperature: 0.001, anchors: 4096 } }]";
        let (losses, _) = one(text, &case.outputs, &case.targets, None).run();
        assert!((losses[0] - (1.0 - case.spearman)).abs() < 1e-6, "{} against {}", losses[0], case.spearman);
    }
}

/// Of outputs that are gaussianized ranks already, numerai-tools' contribution is 4 std(y) std(p) (1 - loss): it multiplies
/// targets by 4, and the loss divides by both deviations.
#[test]
fn bmc_of_gaussianized_outputs_is_numerais_contribution_but_for_its_scale() {
    for case in fixture().contribution {
        let deviation = |values: &[f32]| {
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
            let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2));
            (squares.sum::<f64>() / values.len() as f64).sqrt()
        };
        let benchmark = gaussianized(&case.raw_benchmark);
        let (losses, _) = one("[bmc]", &case.outputs, &case.targets, Some(&benchmark)).run();
        let found = 4.0 * deviation(&case.targets) * deviation(&case.outputs) * (1.0 - losses[0]);
        assert!((found - case.contribution).abs() < 1e-6, "{found} against {}", case.contribution);
    }
}

#[test]
fn constant_outputs_and_columns_without_any_label_give_finite_numbers() {
    for case in fixture().cases {
        let mut constant = case.clone();
        constant.outputs.iter_mut().flatten().flatten().for_each(|output| *output = 0.3);
        let mut unlabelled = case.clone();
        for row in unlabelled.targets.iter_mut().flatten() {
            row[0] = None;
        }
        let mut nothing = case.clone();
        nothing.targets.iter_mut().flatten().flatten().for_each(|target| *target = None);
        if let Some(benchmark) = &mut unlabelled.benchmark {
            benchmark.iter_mut().flatten().for_each(|score| *score = None);
        }
        for (what, case) in [("constant", constant), ("unlabelled", unlabelled.clone()), ("nothing", nothing)] {
            let (losses, gradients) = case.run();
            assert!(losses.iter().chain(&gradients).all(|value| value.is_finite()), "{}, {what}", case.name);
        }
        // Only the terms that look at no label still pull at the first target's outputs.
        let pulls = ["output_l2", "exposure", "negative_correlation"].iter().any(|word| case.loss.contains(word));
        let bins = case.spec().bins().unwrap_or(1);
        let targets = case.weights.len();
        for (index, gradient) in unlabelled.run().1.into_iter().enumerate() {
            let target = index / bins % targets;
            assert!(pulls || target > 0 || gradient == 0.0, "{}: {gradient} at {index}", case.name);
        }
    }
}

#[test]
fn predictions_are_expected_bins_and_means_over_members() {
    let plain = spec("network: [{ dense: { width: 4 } }]\n");
    let bins = spec("network: [{ dense: { width: 4 } }]\nloss: [{ cross_entropy: { bins: 3 } }]\n");
    // Two members, two targets: unit = member · 2 + target.
    let outputs = stack(&[vec![vec![1.0, 2.0, 3.0, 6.0], vec![0.0, 0.0, 1.0, -1.0]]]).inner();
    assert_eq!(host(predictions(&plain, outputs.clone(), 2)), [2.0, 4.0, 0.5, -0.5]);
    assert_eq!(host(predictions(&plain, outputs.clone(), 1)), host(outputs));
    // Logits ln 1, ln 2, ln 5 are shares of 1/8, 2/8, 5/8 of the values 0, 1/2, 1; equal logits expect 1/2.
    let logits = stack(&[vec![vec![1.0_f32.ln(), 2.0_f32.ln(), 5.0_f32.ln(), 0.7, 0.7, 0.7]]]).inner();
    near(&host(predictions(&bins, logits.clone(), 1)), &[0.25, 0.0], 1e-6, "two targets");
    near(&host(predictions(&bins, logits, 2)), &[0.125], 1e-6, "two members");
}

#[test]
fn weight_penalties_look_at_weight_matrices_and_auxiliary_losses_are_added() {
    let spec = spec("network: [{ dense: { width: 2 } }]\nloss: [mse, { weight_l1: { weight: 0.5 } }]\n");
    let net = laid_out(&spec, 2, 1);
    // Weight and bias of the layer, weight and bias of the output.
    let params: Vec<Tracked> =
        [vec![vec![1.0, -2.0], vec![0.25, 3.0]], vec![vec![9.0, -9.0]], vec![vec![-4.0], vec![0.5]], vec![vec![7.0]]]
            .iter()
            .map(|rows| {
                stack(&[rows.clone(), rows.iter().map(|row| row.iter().map(|w| w * 2.0).collect()).collect()])
                    .require_grad()
            })
            .collect();
    let outputs = stack(&[vec![vec![0.5]], vec![vec![-0.5]]]);
    let (targets, mask) = masked(&[vec![vec![Some(0.5)]], vec![vec![Some(0.5)]]]);
    let collected = [stack(&[vec![vec![0.125]], vec![vec![0.25]]]), stack(&[vec![vec![1.0]], vec![vec![2.0]]])];
    let losses = loss(&LossInputs {
        spec: &spec,
        net: &net,
        params: &params,
        outputs: &outputs,
        features: None,
        truth: &Truth { targets, mask, parts: 1, benchmark: None },
        weights: &stack(&[vec![vec![1.0]]]),
        auxiliary: &collected,
        members: 1,
    });
    assert_eq!(host(losses.clone().inner()), [0.5 * 10.75 + 1.125, 1.0 + 0.5 * 21.5 + 2.25]);
    let gradients = losses.sum().backward();
    assert_eq!(host(params[0].grad(&gradients).expect("a weight")), [0.5, -0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0.5]);
    assert!(params[1].grad(&gradients).is_none(), "a bias is no weight");
}

/// A layout for data of one set.
fn laid_out(spec: &Spec, features: usize, targets: usize) -> Net {
    Net::of(spec, &Inputs { features, sets: Vec::new(), targets }).expect("it can be laid out")
}
