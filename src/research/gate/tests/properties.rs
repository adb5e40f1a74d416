//! What must hold of the contrast for any payouts.

use proptest::prelude::*;

use super::support::{OVERLAP, STRIDE};
use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Contrast, GateError, Ground, KnownEras, standard_error};
use crate::research::trial::{Scores, SeedPayouts};
use crate::stats::moderated::Prior;

/// Two sides over the same folds.
#[derive(Clone, Debug)]
struct Pair {
    folds: Vec<Vec<u32>>,
    cells: Cells,
    incumbent: Scores,
    prior: Option<Prior>,
    claim: Claim,
}

impl Pair {
    fn compared(&self) -> Result<Contrast, GateError> {
        let eras = KnownEras::new(OVERLAP);
        Contrast::of(
            &self.cells,
            &self.incumbent,
            &Ground { folds: &self.folds, eras: &eras, prior: self.prior, claim: self.claim },
        )
    }

    /// Every payout of the candidate, with its era.
    fn candidate(&mut self, mut change: impl FnMut(u32, &mut f64)) {
        for (own, eras) in self.cells.folds.iter_mut().zip(&self.folds) {
            for (_, payout) in own {
                eras.iter().zip(payout).for_each(|(era, payout)| change(*era, payout));
            }
        }
    }

    fn incumbent(&mut self, mut change: impl FnMut(u32, &mut f64)) {
        for seed in &mut self.incumbent.seeds {
            self.incumbent.eras.iter().zip(&mut seed.payout).for_each(|(era, payout)| change(*era, payout));
        }
    }
}

/// Whole seeds and parts of one, folds of any size that can be compared.
fn pairs() -> impl Strategy<Value = Pair> {
    let prior = prop::option::of((1e-7..1e-2_f64, 1.0..60.0_f64, 1.0..200.0_f64));
    (prop::collection::vec(5_usize..14, 1..4), 1_usize..6, 0_usize..3, 2_usize..7, prior, any::<bool>()).prop_flat_map(
        |(sizes, whole, part, incumbent, prior, these)| {
            let count: usize = sizes.iter().sum();
            let whole = if count - sizes[0] < 8 { whole.max(1) } else { whole };
            let payouts = |rows: usize| prop::collection::vec(prop::collection::vec(-0.2..0.2_f64, count.max(8)), rows);
            (payouts(whole + 1), payouts(incumbent)).prop_map(move |(own, theirs)| {
                let mut sizes = sizes.clone();
                if count < 8 {
                    sizes[0] += 8 - count;
                }
                let ends = sizes.iter().scan(0, |end, size| {
                    *end += size;
                    Some(*end)
                });
                let spans: Vec<(usize, usize)> = ends.zip(&sizes).map(|(end, size)| (end - size, end)).collect();
                let era = |at: usize| 1 + STRIDE * at as u32;
                let folds: Vec<Vec<u32>> = spans.iter().map(|(from, to)| (*from..*to).map(era).collect()).collect();
                let mut cells = Cells::none(folds.len());
                for (seed, row) in (0..).zip(&own) {
                    let folds = if (seed as usize) < whole { spans.len() } else { part.min(spans.len()) };
                    for (fold, (from, to)) in spans.iter().enumerate().take(folds) {
                        cells.add(fold, seed, row[*from..*to].to_vec()).expect("each once");
                    }
                }
                let seeds = (100..).zip(theirs).map(|(seed, payout)| SeedPayouts { seed, payout }).collect();
                Pair {
                    incumbent: Scores { eras: folds.concat(), seeds },
                    folds,
                    cells,
                    prior: prior.map(|(variance, freedom, pooled)| Prior { variance, freedom, pooled }),
                    claim: if these { Claim::TheseEras } else { Claim::NewEras },
                }
            })
        },
    )
}

fn near(found: f64, wanted: f64, size: f64) -> bool {
    (found - wanted).abs() <= 1e-9 * wanted.abs().max(size)
}

proptest! {
    /// `by` is added to all payouts of the candidate: delta moves by as much, and no variance at all. So a candidate that
    /// is better by a constant never has a larger p-value.
    #[test]
    fn a_constant_gain_shifts_delta_and_nothing_else(mut pair in pairs(), by in 0.0..0.5_f64) {
        let Ok(plain) = pair.compared() else { return Ok(()) };
        pair.candidate(|_, payout| *payout += by);
        let better = pair.compared().expect("as comparable as before");
        prop_assert!(near(better.delta, plain.delta + by, 1.0));
        prop_assert!(near(better.variance(), plain.variance(), 1e-6));
        prop_assert!(near(better.era_variance_now, plain.era_variance_now, 1e-6));
        prop_assert!(near(better.candidate_variance, plain.candidate_variance, 1e-6));
        prop_assert_eq!((better.lag, better.eras, better.incumbent_variance), (plain.lag, plain.eras, plain.incumbent_variance));
        let p = |contrast: &Contrast| contrast.p_value(0.0).expect("a number");
        prop_assert!(p(&better) <= p(&plain) * (1.0 + 1e-6) + 1e-12, "{} after {}", p(&better), p(&plain));
        let z = |threshold| plain.deviate(threshold).expect("a number");
        prop_assert!(z(by) <= z(0.0), "a higher threshold is not passed more easily");
    }

    /// What an era does to both sides alike is in no difference.
    #[test]
    fn what_eras_do_to_both_alike_changes_nothing(mut pair in pairs(), market in prop::collection::vec(-1.0..1.0_f64, 60)) {
        let Ok(plain) = pair.compared() else { return Ok(()) };
        let shock = |era: u32| market[(era / STRIDE) as usize % market.len()];
        pair.candidate(|era, payout| *payout += shock(era));
        pair.incumbent(|era, payout| *payout += shock(era));
        let moved = pair.compared().expect("as comparable as before");
        // A part of the seeds without some folds: what is said is over the eras that it has.
        prop_assert!(near(moved.delta, plain.delta, 1.0));
        prop_assert!(near(moved.era_variance_now, plain.era_variance_now, 1e-4));
        prop_assert!(near(moved.variance(), plain.variance(), 1e-4));
    }

    #[test]
    fn the_order_of_seeds_and_of_folds_does_not_matter(pair in pairs(), seeds in any::<prop::sample::Index>()) {
        let plain = pair.compared();
        let mut other = pair.clone();
        for own in &mut other.cells.folds {
            let by = seeds.index(own.len().max(1));
            own.rotate_left(by);
        }
        let by = seeds.index(other.incumbent.seeds.len());
        other.incumbent.seeds.rotate_left(by);
        let seeds = other.compared();
        other.cells.folds.reverse();
        other.folds.reverse();
        let folds = other.compared();
        for moved in [seeds, folds] {
            match (&plain, moved) {
                (Err(_), Err(_)) => {}
                (Ok(plain), Ok(moved)) => {
                    prop_assert!(near(moved.delta, plain.delta, 1.0));
                    prop_assert!(near(moved.variance(), plain.variance(), 1e-4));
                    prop_assert!((moved.deviate(0.0).expect("a number") - plain.deviate(0.0).expect("a number")).abs() < 1e-6);
                }
                (one, other) => prop_assert!(false, "{:?} {:?}", one, other),
            }
        }
    }

    /// Another unit: delta by its size, variances by its square, what they say not at all.
    #[test]
    fn another_unit_says_the_same(pair in pairs(), exponent in -30_i32..30) {
        let Ok(plain) = pair.compared() else { return Ok(()) };
        let unit = 2.0_f64.powi(exponent);
        let mut scaled = pair;
        scaled.candidate(|_, payout| *payout *= unit);
        scaled.incumbent(|_, payout| *payout *= unit);
        scaled.prior = scaled.prior.map(|prior| Prior { variance: prior.variance * unit * unit, ..prior });
        let scaled = scaled.compared().expect("as comparable as before");
        prop_assert!(near(scaled.delta / unit, plain.delta, 0.0));
        prop_assert!(near(scaled.variance() / unit / unit, plain.variance(), 0.0));
        prop_assert!((scaled.deviate(0.0).expect("a number") - plain.deviate(0.0).expect("a number")).abs() < 1e-6);
    }

    /// Every number is finite or the whole is an error, in any unit up to one whose squares overflow.
    #[test]
    fn no_nan_comes_out(pair in pairs(), unit in prop::sample::select(vec![0.0, 1e-300, 1e-160, 1e-12, 1.0, 1e60, 1e150, 1e160, 1e300])) {
        let mut scaled = pair;
        scaled.candidate(|_, payout| *payout *= unit);
        scaled.incumbent(|_, payout| *payout *= unit);
        if let Ok(found) = scaled.compared() {
            prop_assert!(found.delta.is_finite() && found.variance().is_finite() && found.variance() >= 0.0, "{:?}", found);
            prop_assert!(found.era_variance >= 0.0 && found.variance_at(3, 12).is_finite());
            prop_assert!(found.degrees_of_freedom() >= 1.0);
            let z = found.deviate(0.0).expect("a number, or a side");
            prop_assert!(!z.is_nan());
            prop_assert!((0.0..=1.0).contains(&found.p_value(0.0).expect("a number")));
            let t = found.t_at(3.0, 3, 12).expect("a number");
            prop_assert!(t >= 3.0 - 1e-9);
        }
        if let Ok(error) = standard_error(&scaled.incumbent, &KnownEras::new(OVERLAP), scaled.prior) {
            prop_assert!(error.is_finite() && error >= 0.0);
        }
    }

    /// Garbage is refused or compared, and never a panic.
    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        folds in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..12), 0..4),
        cells in prop::collection::vec(prop::collection::vec((0_u64..4, prop::collection::vec(any::<f64>(), 0..12)), 0..3), 0..4),
        rows in prop::collection::vec((0_u64..5, prop::collection::vec(any::<f64>(), 0..30)), 0..4),
        sorted in any::<bool>(),
    ) {
        let mut eras = folds.concat();
        if sorted {
            eras.sort_unstable();
        }
        let seeds = rows.into_iter().map(|(seed, payout)| SeedPayouts { seed, payout }).collect();
        let wild = Pair { folds, cells: Cells { folds: cells }, incumbent: Scores { eras, seeds }, prior: None, claim: Claim::NewEras };
        let _ = wild.compared();
        let _ = standard_error(&wild.incumbent, &KnownEras::new(OVERLAP), None);
    }

    /// A payout that is no number is found wherever it is.
    #[test]
    fn a_payout_that_is_no_number_is_named(pair in pairs(), at in any::<prop::sample::Index>(), value in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), candidates in any::<bool>()) {
        let mut broken = pair;
        let mut count = 0;
        if candidates { broken.candidate(|_, _| count += 1) } else { broken.incumbent(|_, _| count += 1) }
        prop_assume!(count > 0);
        let (at, mut seen, mut era_of) = (at.index(count), 0, 0);
        let mut change = |era: u32, payout: &mut f64| {
            if seen == at {
                (*payout, era_of) = (value, era);
            }
            seen += 1;
        };
        if candidates { broken.candidate(&mut change) } else { broken.incumbent(&mut change) }
        let found = broken.compared();
        prop_assert!(matches!(found, Err(GateError::NotFinite { era, .. }) if era == era_of), "{:?}", found);
    }
}
