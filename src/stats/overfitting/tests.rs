//! Overfitting against brute force in numpy, on noise and on true effects, and what must hold for any.

use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    overfitting: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    scores: Vec<Vec<f64>>,
    blocks: usize,
    probability: f64,
    median_logit: f64,
    splits: usize,
}

#[test]
fn agrees_with_brute_force() {
    let fixtures: Fixtures =
        serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape");
    assert!(fixtures.overfitting.len() >= 4);
    for case in fixtures.overfitting {
        let found = probability_of_overfitting(&case.scores, case.blocks).expect("valid");
        assert_eq!((found.blocks, found.splits), (case.blocks, case.splits));
        assert!((found.probability - case.probability).abs() < 1e-12, "{found:?} for {}", case.probability);
        assert!((found.median_logit - case.median_logit).abs() < 1e-9, "{found:?} for {}", case.median_logit);
    }
}

fn noise(generator: &mut ChaCha8Rng, trials: usize, eras: usize) -> Vec<Vec<f64>> {
    (0..trials).map(|_| (0..eras).map(|_| generator.random::<f64>() - 0.5).collect()).collect()
}

/// Over forty markets without an effect the mean is one half; splits of one market resemble each other, so that a single
/// one tells little (its standard deviation is about 0.2).
#[test]
fn noise_is_overfitted_half_of_the_time() {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let markets = 40;
    let mean: f64 = (0..markets)
        .map(|_| probability_of_overfitting(&noise(&mut generator, 20, 60), 10).expect("valid").probability)
        .sum::<f64>()
        / f64::from(markets);
    assert!((0.4..0.6).contains(&mean), "{mean}");
}

#[test]
fn a_true_effect_is_not_overfitted() {
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let mut scores = noise(&mut generator, 50, 120);
    scores[17].iter_mut().for_each(|score| *score += 0.5);
    let found = probability_of_overfitting(&scores, BLOCKS).expect("valid");
    assert_eq!((found.probability, found.blocks, found.splits), (0.0, 16, 12_870));
    assert!(found.median_logit > 3.0);
}

/// What is best on one half is worst on the other when the eras' effects add up to nothing.
#[test]
fn pure_overfitting_is_certain() {
    let scores = vec![vec![1.0, -1.0, 1.0, -1.0], vec![-1.0, 1.0, -1.0, 1.0], vec![0.0; 4]];
    let found = probability_of_overfitting(&scores, 4).expect("valid");
    // Of six splits, two take both of one sign; four tie all three on either side, in the middle of their ranks.
    assert_eq!((found.probability, found.splits), (1.0, 6));
}

#[test]
fn trials_that_are_the_same_tie() {
    let found = probability_of_overfitting(&vec![vec![0.1, 0.2, 0.3, 0.5]; 3], 4).expect("valid");
    assert_eq!((found.probability, found.median_logit), (1.0, 0.0));
}

#[test]
fn few_eras_make_fewer_blocks() {
    let scores = [vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![0.0; 5]];
    assert_eq!(probability_of_overfitting(&scores, BLOCKS).expect("valid").blocks, 4);
}

#[test]
fn wrong_input_has_a_name() {
    let good = vec![vec![1.0; 8]; 3];
    assert!(matches!(probability_of_overfitting(&good[..1], 4), Err(StatsError::TooFew { what: "trials", .. })));
    assert!(matches!(
        probability_of_overfitting(&[vec![1.0], vec![1.0]], 4),
        Err(StatsError::TooFew { what: "eras", .. })
    ));
    for blocks in [0, 3, 18] {
        assert!(matches!(probability_of_overfitting(&good, blocks), Err(StatsError::OutOfRange { .. })));
    }
    let mut uneven = good.clone();
    uneven[1].pop();
    assert!(matches!(
        probability_of_overfitting(&uneven, 4),
        Err(StatsError::LengthsDiffer { found: 7, wanted: 8, .. })
    ));
    let mut broken = good.clone();
    broken[2][5] = f64::NAN;
    assert!(matches!(probability_of_overfitting(&broken, 4), Err(StatsError::NotFinite { index: 5, .. })));
    assert!(matches!(probability_of_overfitting(&vec![vec![1e308; 8]; 2], 4), Err(StatsError::Overflow { .. })));
}

fn matrix() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (2usize..8, 2usize..20).prop_flat_map(|(trials, eras)| {
        // Few distinct values, so that trials tie.
        let score = prop_oneof![(-3i32..4).prop_map(f64::from), -1.0..1.0_f64];
        prop::collection::vec(prop::collection::vec(score, eras), trials)
    })
}

proptest! {
    /// Neither the order of trials nor that of time, nor what shifts or stretches all alike, changes it.
    #[test]
    fn relabelling_changes_nothing(scores in matrix(), turn in 0usize..8) {
        let plain = probability_of_overfitting(&scores, 6).expect("valid");
        let mut turned = scores.clone();
        turned.rotate_left(turn % scores.len());
        let turned = probability_of_overfitting(&turned, 6).expect("valid");
        let doubled: Vec<Vec<f64>> = scores.iter().map(|row| row.iter().map(|score| score * 2.0).collect()).collect();
        let doubled = probability_of_overfitting(&doubled, 6).expect("valid");
        for other in [turned, doubled] {
            prop_assert!((other.probability - plain.probability).abs() < 1e-9);
            prop_assert!((other.median_logit - plain.median_logit).abs() < 1e-9);
        }
        prop_assert!((0.0..=1.0 + 1e-9).contains(&plain.probability) && plain.median_logit.is_finite());
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        scores in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..5), 0..4), blocks in 0usize..20,
    ) {
        if let Ok(found) = probability_of_overfitting(&scores, blocks) {
            prop_assert!(found.probability.is_finite() && found.median_logit.is_finite());
        }
    }
}
