//! Whether a gain stands on fresh seeds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::research::gate::settings::Claim;
use crate::research::gate::tests::support::{Market, OVERLAP};
use crate::research::gate::{GateError, KnownEras};

const MARKET: Market = Market { folds: 3, eras_a_fold: 12, seeds: 0.001, eras: 0.0005, rest: 0.002, unlike: 1.0 };

/// The incumbent, better than its predecessor by `gain`, measured again on six seeds.
fn measured_within(margin: f64, gain: f64, level: f64, predecessor: bool) -> Remeasurement {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (own, theirs) = (MARKET.spec(0.02 + gain, &mut rng), MARKET.spec(0.02, &mut rng));
    let seeds = 1_000_001..1_000_007;
    let (fresh, theirs) = (MARKET.scores(&own, seeds.clone(), &mut rng), MARKET.scores(&theirs, seeds, &mut rng));
    let (folds, eras) = (MARKET.fold_eras(), KnownEras::new(OVERLAP));
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let evidence = Evidence {
        trial: 7,
        after_trial: 9,
        selected: 0.05,
        fresh: &fresh,
        predecessor: predecessor.then_some((4, &theirs)),
        margin,
        kept_for: Some(0.012),
        level,
        now: "2026-03-01T22:00:00Z".into(),
    };
    remeasure(&evidence, &ground).expect("comparable")
}

fn measured(gain: f64, level: f64, predecessor: bool) -> Remeasurement {
    measured_within(0.0, gain, level, predecessor)
}

/// One that was kept for its simplicity need not be better, only no worse than by the margin.
#[test]
fn a_smaller_model_stands_while_it_is_as_good() {
    let found = measured_within(0.004, -0.001, 0.25, true);
    assert_eq!(found.demoted_to, None, "{found:?}");
    assert!(found.reason.contains("for a loss of less than 0.004"), "{}", found.reason);
    assert_eq!(measured_within(0.004, -0.01, 0.25, true).demoted_to, Some(4));
    assert_eq!(measured(-0.001, 0.25, true).demoted_to, Some(4));
}

#[test]
fn a_real_gain_stands() {
    let found = measured(0.01, 0.25, true);
    assert_eq!((found.demoted_to, found.predecessor, found.trial, found.after_trial), (None, Some(4), 7, 9));
    assert!(found.reason.starts_with("its gain stands: +0.0097 ± "), "{}", found.reason);
    assert!(found.p_value.is_some_and(|p| p < 0.01) && found.gain.is_some_and(|gain| (gain - 0.01).abs() < 0.003));
    assert_eq!(found.seeds, (1_000_001..1_000_007).collect::<Vec<u64>>());
    assert!((found.fresh - 0.03).abs() < 0.003 && found.standard_error > 0.0 && found.selected == 0.05);
}

/// The level is a quarter: what is no better at all fails in three of four, and what is far better hardly ever.
#[test]
fn the_chance_of_a_mistake_is_said() {
    let found = measured(0.01, 0.25, true);
    assert!(
        found.reason.ends_with("; a true gain of +0.0120, which it was kept for, fails so with a chance of 0 %"),
        "{}",
        found.reason
    );
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (own, theirs) = (MARKET.spec(0.02, &mut rng), MARKET.spec(0.02, &mut rng));
    let (fresh, theirs) = (MARKET.scores(&own, 0..6, &mut rng), MARKET.scores(&theirs, 0..6, &mut rng));
    let (folds, eras) = (MARKET.fold_eras(), KnownEras::new(OVERLAP));
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let contrast = Contrast::of(&cells(&fresh, &ground).expect("whole"), &theirs, &ground).expect("comparable");
    let none = contrast.chance_below(0.0, 0.0, 0.25).expect("a number");
    assert!((none - 0.75).abs() < 0.01, "{none}");
    // A gain of the standard error times the two quantiles is missed in as many cases as the second says.
    let error = contrast.variance().sqrt();
    let needed = contrast.t_at(0.674_489_750, 6, 6).expect("a number") * error;
    let some = contrast.chance_below(needed + 1.281_551_566 * error, 0.0, 0.25).expect("a number");
    assert!((some - 0.1).abs() < 0.01, "{some}");
}

#[test]
fn a_gain_that_was_luck_is_taken_back() {
    for (gain, level) in [(-0.003, 0.25), (0.01, 1e-15)] {
        let found = measured(gain, level, true);
        assert_eq!(found.demoted_to, Some(4), "{found:?}");
        assert!(found.reason.starts_with("its gain did not stand: "), "{}", found.reason);
        assert!(found.reason.ends_with("trial 000004 is the incumbent again"), "{}", found.reason);
    }
}

#[test]
fn a_baseline_has_nobody_to_fall_back_to() {
    let found = measured(-0.01, 0.25, false);
    assert_eq!((found.demoted_to, found.predecessor, found.gain, found.p_value), (None, None, None, None));
    assert!(found.reason.contains("no predecessor"), "{}", found.reason);
}

#[test]
fn scores_are_cut_into_cells_and_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let scores = MARKET.scores(&MARKET.spec(0.0, &mut rng), 5..8, &mut rng);
    let (folds, eras) = (MARKET.fold_eras(), KnownEras::new(OVERLAP));
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let found = cells(&scores, &ground).expect("whole");
    assert_eq!((found.count(), found.whole_seeds()), (9, vec![5, 6, 7]));
    for (seed, own) in scores.seeds.iter().enumerate() {
        let back: Vec<f64> = found.folds.iter().flat_map(|fold| fold[seed].1.clone()).collect();
        assert_eq!(back, own.payout);
    }
    let other = [vec![1, 5], vec![2]];
    let ground = Ground { folds: &other, ..ground };
    assert!(matches!(cells(&scores, &ground), Err(GateError::DifferentEras { first: 2, .. })));
}
