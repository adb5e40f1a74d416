//! The noise floor of arrays whose noise is known by hand.

use super::*;
use crate::research::trial::SeedPayouts;

/// Two folds of four eras; a seed's payout is its own number in the first fold and twice that in the second.
fn scores() -> Scores {
    let seeds = (1..4_u64).map(|seed| SeedPayouts {
        seed,
        payout: (0..8).map(|era| 0.01 * seed as f64 * if era < 4 { 1.0 } else { 2.0 }).collect(),
    });
    Scores { eras: (0..8).map(|at| 1 + 4 * at).collect(), seeds: seeds.collect() }
}

fn folds() -> Vec<Vec<u32>> {
    let eras = scores().eras;
    vec![eras[..4].to_vec(), eras[4..].to_vec()]
}

fn floor(scores: &Scores, folds: &[Vec<u32>], prior: Option<Prior>) -> Result<NoiseFloor, GateError> {
    let eras = KnownEras::new(12);
    let (level, power) = (0.025, 0.8);
    noise_floor(scores, &Terms { folds, eras: &eras, prior, most_seeds: 4, incumbent_seeds: 12, level, power })
}

#[test]
fn by_hand() {
    let found = floor(&scores(), &folds(), None).expect("known");
    let near = |found: f64, wanted: f64| assert!((found / wanted - 1.0).abs() < 1e-9, "{found} for {wanted}");
    // Seeds' means 0.015, 0.030, 0.045; folds' means 0.02 and 0.04; eras as the folds.
    near(found.payout, 0.03);
    near(found.between_seeds, 0.015);
    near(found.between_folds, 0.02 / 2.0_f64.sqrt());
    near(found.between_eras, 0.01 * (8.0 / 7.0_f64).sqrt());
    // Cells: 0.01, 0.02, 0.03 and twice that: variances 1e-4 and 4e-4.
    near(found.between_cells, 2.5e-4_f64.sqrt());
    near(found.comparison_error, 0.015 * (1.0 / 4.0 + 1.0 / 12.0_f64).sqrt());
    // The normal deviates of 0.025 and of a power of 0.8.
    near(found.detectable, found.comparison_error * (1.959_963_984_540_054 + 0.841_621_233_572_914_3));
    assert_eq!((found.seeds, found.most_seeds, found.incumbent_seeds), (3, 4, 12));
    assert!(found.standard_error > 0.015 / 3.0_f64.sqrt(), "eras add to it");
}

/// Against the closed form of Politis and Romano's lemma, worked out by the module that has it, and Newey and West's.
#[test]
fn both_errors_over_eras_are_there() {
    let found = floor(&scores(), &folds(), None).expect("known");
    let eras: Vec<f64> = (0..8).map(|era| if era < 4 { 0.02 } else { 0.04 }).collect();
    let block = bootstrap::block_length(&eras).expect("eight values");
    // The autocovariances of 0.02 four times and 0.04 four times, about 0.03: (8 − 3j)/8·1e-4 up to lag 4, then (j − 8)/8·1e-4.
    let covariance = |lag: usize| 1e-4 * if lag <= 4 { 8.0 - 3.0 * lag as f64 } else { lag as f64 - 8.0 } / 8.0;
    let (stay, mut sum) = (1.0 - 1.0 / block, covariance(0));
    for lag in 1..8 {
        let share = lag as f64 / 8.0;
        let weight = (1.0 - share) * stay.powi(lag as i32) + share * stay.powi(8 - lag as i32);
        sum += 2.0 * weight * covariance(lag);
    }
    let wanted = (sum / 8.0).sqrt();
    assert!((found.bootstrap_error.expect("eight eras") / wanted - 1.0).abs() < 1e-9, "{found:?} for {wanted}");
    assert_eq!(found.bootstrap_block, Some(block));
    let own = found.era_error.expect("known");
    // What is left of the standard error is the seeds'.
    assert!((found.standard_error.powi(2) - own * own - 0.015 * 0.015 / 3.0).abs() < 1e-12);
    assert!(found.series_eras.is_some_and(|eras| eras == 4 || eras == 8));
    assert!(found.warnings().iter().any(|words| words.contains("under 30")));
}

#[test]
fn other_trials_moderate_the_noise_between_seeds() {
    // (4·1e-4 + 2·2.25e-4)/6
    let prior = Prior { variance: 1e-4, freedom: 4.0, pooled: 100.0 };
    let found = floor(&scores(), &folds(), Some(prior)).expect("known");
    let wanted = (8.5e-4 / 6.0 * (1.0 / 4.0 + 1.0 / 12.0_f64)).sqrt();
    assert!((found.comparison_error / wanted - 1.0).abs() < 1e-12);
    assert!((found.between_seeds - 0.015).abs() < 1e-12, "what is shown is its own");
}

#[test]
fn wrong_input_is_an_error() {
    let mut one = scores();
    one.seeds.truncate(1);
    assert_eq!(floor(&one, &folds(), None), Err(GateError::TooFewSeeds { found: 1, needed: 2 }));
    let mut broken = scores();
    broken.seeds[1].payout[2] = f64::NAN;
    assert!(matches!(floor(&broken, &folds(), None), Err(GateError::NotFinite { seed: 2, era: 9, .. })));
    let mut huge = scores();
    huge.seeds[1].payout[2] = 1e200;
    assert!(floor(&huge, &folds(), None).is_err());
    // Folds of other eras have no scores.
    assert!(floor(&scores(), &[vec![500, 504]], None).is_err());
    assert!(floor(&scores(), &[], None).is_err());
}

#[test]
fn the_minimum_effect_is_what_is_set_or_what_was_measured() {
    let found = floor(&scores(), &folds(), None).expect("known");
    let settings = |min_effect| GateSettings { min_effect, ..GateSettings::default() };
    assert_eq!(min_effect(&settings(MinEffect::Payout(0.002)), Some(&found)), 0.002);
    assert_eq!(min_effect(&settings(MinEffect::Auto), Some(&found)), found.comparison_error);
    assert_eq!(min_effect(&settings(MinEffect::Auto), None), 0.0);
}
