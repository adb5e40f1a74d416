//! Against conjugate normal algebra by hand and scipy's normal distribution.

use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1e-300), "{found} is not {wanted}");
}

/// `scipy.stats.norm.cdf(z) / scipy.stats.norm.sf(z)`, scipy 1.17.
#[test]
fn odds_are_those_of_the_normal_distribution() {
    let table =
        [(0.0, 1.0), (1.0, 5.302_974_375_068_753), (-1.0, 0.188_573_417_345_060_25), (2.5, 160.039_274_668_963_3)];
    for (z, wanted) in table {
        let found = Belief { mean: 0.002 * z, deviation: 0.002 }.odds_above_zero();
        assert!((found - wanted).abs() < 1e-9 * wanted, "{found} is not {wanted}");
    }
    assert_eq!(Belief { mean: 1.0, deviation: 1e-9 }.odds_above_zero(), MOST_ODDS);
    assert_eq!(Belief { mean: -1.0, deviation: 0.0 }.odds_above_zero(), 1.0 / MOST_ODDS);
    assert_eq!(Belief { mean: 0.0, deviation: 0.0 }.odds_above_zero(), 1.0);
}

/// Medians and the median absolute deviation of 1, 2, 3, 4, 100 are 3 and 1: the last could be anything.
#[test]
fn one_wild_estimate_moves_nothing() {
    let errors = [0.5; 5];
    let prior = NormalPrior::robust(&[1.0, 2.0, 3.0, 4.0, 100.0], &errors, 5.0).expect("a prior");
    close(prior.centre, 1.5);
    // (5 · (1.4826² − 0.25) + 5 · 0.25) / 10
    close(prior.spread, (0.5 * (1.482_602_218_505_602_f64.powi(2) - 0.25) + 0.125_f64).sqrt());
    assert_eq!(NormalPrior::robust(&[1.0, 2.0, 3.0, 4.0, 1e9], &errors, 5.0), Ok(prior));
}

/// 20,000 truths from N(−0.001, 0.002²), one in ten of them a disaster, under errors of 0.001.
#[test]
fn it_finds_the_bulk_of_many() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut normal = || {
        let (u, v): (f64, f64) = (rng.random::<f64>().max(1e-300), rng.random());
        (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
    };
    let estimates: Vec<f64> = (0..20_000)
        .map(|index| {
            let truth = if index % 10 == 0 { -0.05 } else { -0.001 + 0.002 * normal() };
            truth + 0.001 * normal()
        })
        .collect();
    let prior = NormalPrior::robust(&estimates, &vec![0.001; 20_000], 8.0).expect("a prior");
    // A tenth of disasters moves a median by an eighth of a standard deviation, and widens the MAD by as much.
    assert!((prior.centre + 0.001).abs() < 0.000_5, "{prior:?}");
    assert!((0.0018..0.0026).contains(&prior.spread), "{prior:?}");
}

#[test]
fn few_estimates_decide_little() {
    let prior = NormalPrior::robust(&[0.01], &[0.001], 8.0).expect("a prior");
    close(prior.centre, 0.01 / 9.0);
    close(prior.spread, 0.001 * (8.0_f64 / 9.0).sqrt());
    for (estimates, errors, weight) in [
        (vec![], vec![], 1.0),
        (vec![1.0], vec![], 1.0),
        (vec![f64::NAN], vec![1.0], 1.0),
        (vec![1.0], vec![0.0], 1.0),
        (vec![1.0], vec![1.0], 0.0),
    ] {
        assert!(NormalPrior::robust(&estimates, &errors, weight).is_err(), "{estimates:?} {errors:?} {weight}");
    }
}

/// Prior N(1, 4), estimate 3 with error 1: precision 1/4 + 1, mean (1/4 + 3)/(5/4).
#[test]
fn a_posterior_is_the_conjugate_one() {
    let prior = NormalPrior { centre: 1.0, spread: 2.0 };
    let belief = prior.given(3.0, 1.0);
    close(belief.mean, 2.6);
    close(belief.deviation, 0.8_f64.sqrt());
    assert_eq!(prior.given(3.0, 0.0), Belief { mean: 3.0, deviation: 0.0 });
    assert_eq!(prior.given(3.0, 1e-200), Belief { mean: 3.0, deviation: 1e-200 });
    let over = belief.carried_over(&prior, 0.5);
    close(over.mean, 1.8);
    close(over.deviation, (0.25 * 0.8 + 0.75 * 4.0_f64).sqrt());
    let lost = belief.carried_over(&prior, 0.0);
    assert_eq!((lost.mean, lost.deviation), (prior.centre, prior.spread));
    assert_eq!(belief.carried_over(&prior, 1.0), belief);
}

proptest! {
    /// What is believed lies between the prior and the estimate, and is surer than either.
    #[test]
    fn a_posterior_lies_between(centre in -5.0..5.0_f64, spread in 1e-3..9.0_f64, estimate in -9.0..9.0_f64, error in 1e-3..9.0_f64, correlation in 0.0..1.0_f64) {
        let prior = NormalPrior { centre, spread };
        let belief = prior.given(estimate, error);
        prop_assert!(belief.mean >= centre.min(estimate) - 1e-12 && belief.mean <= centre.max(estimate) + 1e-12);
        prop_assert!(belief.deviation <= spread.min(error) * (1.0 + 1e-12));
        let over = belief.carried_over(&prior, correlation);
        prop_assert!(over.deviation >= belief.deviation * (1.0 - 1e-12) && over.deviation <= spread * (1.0 + 1e-12));
        let odds = belief.odds_above_zero();
        prop_assert!(odds > 0.0 && odds <= MOST_ODDS);
        // Closer to 0 than that, both tails round to a half.
        if (belief.mean / belief.deviation).abs() > 1e-12 {
            prop_assert_eq!(odds > 1.0, belief.mean > 0.0);
        }
    }

    /// Whatever finite numbers come, a prior is finite with a spread above 0, or an error.
    #[test]
    fn a_prior_is_a_prior_or_an_error(pairs in prop::collection::vec((any::<f64>(), any::<f64>()), 0..9)) {
        let (estimates, errors): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        if let Ok(prior) = NormalPrior::robust(&estimates, &errors, 8.0) {
            prop_assert!(prior.centre.is_finite() && prior.spread.is_finite() && prior.spread >= 0.0);
        }
    }
}
