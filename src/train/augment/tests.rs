//! Mixes by hand, and λ's distribution by its moments.

use burn::backend::{Autodiff, Flex};
use rand::SeedableRng;

use super::*;
use crate::spec::Spec;

type Tracked = Tensor<Autodiff<Flex>, 3>;

const REPLICAS: [Replica; 2] = [Replica { fold: 0, seed: 42, member: 0 }, Replica { fold: 1, seed: 42, member: 0 }];

fn tensor<B: Backend>(values: &[f32], shape: [usize; 3]) -> Tensor<B, 3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &B::Device::default())
}

fn host<B: Backend>(x: Tensor<B, 3>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn augments(list: &str) -> Vec<Augment> {
    let text = format!("network: [{{ dense: {{ width: 4 }} }}]\nloss: [mse]\naugment: {list}\n");
    Spec::parse(&text, "test").expect("valid").augment
}

#[test]
fn a_row_is_mixed_with_the_mirrored_one_of_its_run() {
    // Two replicas with λ of 0.75 and 0.5, four rows in two runs of two.
    let mix = Mix::<Flex> { share: tensor(&[0.75, 0.5], [2, 1, 1]), parts: 2 };
    let x = tensor(&[0.0, 4.0, 8.0, 16.0, 1.0, 3.0, 5.0, 9.0], [2, 4, 1]);
    assert_eq!(host(mix.rows(x.clone())), [1.0, 3.0, 10.0, 14.0, 2.0, 2.0, 7.0, 7.0]);
    let whole = Mix::<Flex> { parts: 1, ..mix };
    assert_eq!(host(whole.rows(x)), [4.0, 5.0, 7.0, 12.0, 5.0, 4.0, 4.0, 5.0]);
}

#[test]
fn the_gradient_of_a_mix_is_the_mix_of_the_gradients() {
    let mix = Mix::<Autodiff<Flex>> { share: tensor(&[0.75], [1, 1, 1]), parts: 2 };
    let x: Tracked = tensor(&[0.0, 4.0, 8.0, 16.0], [1, 4, 1]).require_grad();
    // The loss is Σ c·mix(x), so its gradient is λ·c + (1 - λ)·c', as mixing is its own transpose.
    let factors: Tracked = tensor(&[1.0, 5.0, -2.0, 6.0], [1, 4, 1]);
    let loss = (mix.rows(x.clone()) * factors).sum();
    let gradient = x.grad(&loss.backward()).expect("x takes part");
    assert_eq!(host(gradient), [2.0, 4.0, 0.0, 4.0]);
}

#[test]
fn a_mixs_label_exists_where_both_labels_do() {
    let mix = Mix::<Flex> { share: tensor(&[0.75], [1, 1, 1]), parts: 1 };
    let truth = Truth {
        targets: tensor(&[0.5, 0.0, 0.25, -0.5], [1, 4, 1]),
        mask: Some(tensor(&[1.0, 0.0, 1.0, 1.0], [1, 4, 1])),
        parts: 1,
        benchmark: None,
    };
    let mixed = mix.truth(truth);
    assert_eq!(host(mixed.targets), [0.25, 0.0, 0.0, -0.25]);
    assert_eq!(mixed.mask.map(host), Some(vec![1.0, 0.0, 0.0, 1.0]));
}

#[test]
fn cutmix_takes_the_share_of_features_that_lambda_leaves() {
    let (rows, units) = (400, 100);
    let shares = [0.2, 0.9];
    let mix = Mix::<Flex> { share: tensor(&shares, [2, 1, 1]), parts: 1 };
    // Every number says which row it comes from.
    let values: Vec<f32> = (0..2 * rows * units).map(|place| (place / units % rows) as f32).collect();
    let mixed = host(mix.features(tensor(&values, [2, rows, units]), &[[1, 2], [3, 4]]));
    for (replica, share) in mixed.chunks_exact(rows * units).zip(shares) {
        let own = replica.iter().enumerate().filter(|(place, value)| **value == (place / units) as f32).count();
        let swapped = replica.iter().enumerate().all(|(place, value)| {
            let row = place / units;
            *value == row as f32 || *value == (rows - 1 - row) as f32
        });
        assert!(swapped);
        // 40,000 draws: a standard deviation of 0.0025 at most.
        let found = own as f64 / (rows * units) as f64;
        assert!((found - f64::from(share)).abs() < 0.01, "{found}, wanted {share}");
    }
}

#[test]
fn lambda_has_the_moments_of_its_distribution() {
    for alpha in [0.01, 0.2, 0.4, 1.0, 3.0, 10.0] {
        let mut stream = ChaCha8Rng::seed_from_u64(5);
        let drawn: Vec<f64> = (0..40_000).map(|_| beta(alpha, &mut stream)).collect();
        assert!(drawn.iter().all(|value| (0.0..=1.0).contains(value)));
        let moment = |power: i32| drawn.iter().map(|value| (value - 0.5).powi(power)).sum::<f64>() / 40_000.0;
        // Mean 1/2, variance 1 / (4·(2α + 1)), fourth central moment 3 / (16·(2α + 1)·(2α + 3)).
        let (variance, fourth) = (0.25 / (2.0 * alpha + 1.0), 3.0 / 16.0 / ((2.0 * alpha + 1.0) * (2.0 * alpha + 3.0)));
        // Four standard errors of 40,000 draws.
        assert!(moment(1).abs() < 4.0 * (variance / 40_000.0).sqrt(), "{alpha}: mean {}", moment(1));
        assert!((moment(2) / variance - 1.0).abs() < 0.03, "{alpha}: variance {}, wanted {variance}", moment(2));
        assert!((moment(4) / fourth - 1.0).abs() < 0.06, "{alpha}: fourth {}, wanted {fourth}", moment(4));
        assert!(moment(3).abs() < 0.05 * variance.powf(1.5), "{alpha}: it is symmetric, {}", moment(3));
    }
}

#[test]
fn a_replicas_mixes_do_not_depend_on_its_neighbours() {
    let list = augments("[cutmix]");
    let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
    let truth =
        |count| Truth { targets: tensor(&vec![0.5; 4 * count], [count, 4, 1]), mask: None, parts: 1, benchmark: None };
    let (mut both, mut second) = (Augmenter::new(&list, &REPLICAS), Augmenter::new(&list, &REPLICAS[1..]));
    let mut changed = false;
    for at in 0..10 {
        let x: Tracked = tensor(&[values.clone(), values.clone()].concat(), [2, 4, 3]);
        let Augmented { x: together, .. } = both.augment(at, 2, x, truth(2));
        let Augmented { x: alone, inside, .. } = second.augment(at, 2, tensor(&values, [1, 4, 3]), truth(1));
        assert!(inside.is_none());
        let (together, alone) = (host(together), host(alone));
        changed |= alone != values;
        assert_eq!(together[12..], alone);
    }
    assert!(changed);
}

#[test]
fn manifold_mixup_mixes_once_after_a_block_of_the_steps_own() {
    let list = augments("[{ manifold_mixup: { alpha: 1 } }, { label_smoothing: { amount: 0.25 } }]");
    let values = [0.0, 1.0, 2.0, 3.0];
    let truth = || Truth { targets: tensor(&[0.5, 0.5, -0.5, -0.5], [1, 4, 1]), mask: None, parts: 1, benchmark: None };
    let mut augmenter = Augmenter::new(&list, &REPLICAS[..1]);
    let mut before = [0; 3];
    for at in 0..3000 {
        let x: Tracked = tensor(&values, [1, 4, 1]);
        let Augmented { x, truth, inside } = augmenter.augment(at, 3, x, truth());
        assert_eq!(host(x.clone()), values, "the inputs are not mixed yet");
        let inside = inside.expect("it mixes inside the net");
        before[inside.block] += 1;
        for block in 0..3 {
            let mixed = host(inside.before(block, x.clone()));
            if block == inside.block {
                // x = λ·0 + (1 - λ)·3 and y = 0.75·(λ·0.5 - (1 - λ)·0.5) of one λ.
                let label = host(truth.targets.clone())[0];
                assert!((label - 0.75 * (0.5 - mixed[0] / 3.0)).abs() < 1e-6, "{mixed:?} with {label}");
            } else {
                assert_eq!(mixed, values);
            }
        }
    }
    // 1000 expected of each; a standard deviation of 26.
    assert!(before.iter().all(|count| (900..1100).contains(count)), "{before:?}");
    assert!((0..100).all(|at| block(at, 3) == block(at, 3) && block(at, 1) == 0));
}
