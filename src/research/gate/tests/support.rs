//! Payouts by seed and era of specs whose truth is known, and races over them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Design, Ground, KnownEras, Race, Ruling, Step};
use crate::research::trial::{Scores, SeedPayouts};
use crate::stats::moderated::Prior;

/// Weeks between retained eras.
pub(crate) const STRIDE: u32 = 4;
/// Weeks that a target of sixty days spans.
pub(crate) const OVERLAP: u32 = 12;

/// What a market is made of. The payouts of a spec: what it earns, what eras do to it, the luck of a run (fold and seed),
/// and the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market {
    pub(crate) folds: usize,
    pub(crate) eras_a_fold: usize,
    /// Standard deviation of a seed's mean payout over all folds, `rest` not counted.
    pub(crate) seeds: f64,
    /// Standard deviation, in one era, of what eras do to one spec and not to another.
    pub(crate) eras: f64,
    /// Standard deviation of what a run does in one era beyond its luck.
    pub(crate) rest: f64,
}

/// A spec whose payout is known.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    payout: f64,
    eras: Vec<f64>,
}

impl Spec {
    /// One that eras treat like any other.
    pub(crate) fn flat(payout: f64, market: &Market) -> Self {
        Self { payout, eras: vec![0.0; market.folds * market.eras_a_fold] }
    }
}

impl Market {
    /// Test eras of each fold, folds one after another.
    pub(crate) fn folds(&self) -> Vec<Vec<u32>> {
        let era = |index: usize| 1 + STRIDE * index as u32;
        let of_fold = |fold: usize| (fold * self.eras_a_fold..(fold + 1) * self.eras_a_fold).map(era).collect();
        (0..self.folds).map(of_fold).collect()
    }

    /// A spec that earns `payout`, and in each era a little more or less: autocorrelated as overlapping targets make it,
    /// each the sum of the shocks of the weeks that its target spans.
    pub(crate) fn spec(&self, payout: f64, rng: &mut ChaCha8Rng) -> Spec {
        let (stride, span) = (STRIDE as usize, OVERLAP as usize);
        let count = self.folds * self.eras_a_fold;
        let weeks: Vec<f64> = (0..(count - 1) * stride + span).map(|_| normal(rng)).collect();
        let unit = self.eras / (span as f64).sqrt();
        let eras = (0..count).map(|at| unit * weeks[at * stride..at * stride + span].iter().sum::<f64>()).collect();
        Spec { payout, eras }
    }

    /// A cell: the payouts of a fold's eras under a seed that was not used before.
    pub(crate) fn cell(&self, spec: &Spec, fold: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        // A seed's mean over F folds has the F-th part of the variance of a cell's.
        let run = self.seeds * (self.folds as f64).sqrt() * normal(rng);
        let from = fold * self.eras_a_fold;
        let eras = &spec.eras[from..from + self.eras_a_fold];
        eras.iter().map(|era| spec.payout + era + run + self.rest * normal(rng)).collect()
    }

    /// Whole seeds.
    pub(crate) fn scores(&self, spec: &Spec, seeds: impl IntoIterator<Item = u64>, rng: &mut ChaCha8Rng) -> Scores {
        let mut whole = |seed| {
            let payout = (0..self.folds).flat_map(|fold| self.cell(spec, fold, rng)).collect();
            SeedPayouts { seed, payout }
        };
        Scores { eras: self.folds().concat(), seeds: seeds.into_iter().map(&mut whole).collect() }
    }

    /// The first `seeds` seeds of a candidate, whole.
    pub(crate) fn cells(&self, spec: &Spec, seeds: u64, rng: &mut ChaCha8Rng) -> Cells {
        let mut cells = Cells::none(self.folds);
        for seed in 0..seeds {
            for fold in 0..self.folds {
                cells.add(fold, seed, self.cell(spec, fold, rng)).expect("each once");
            }
        }
        cells
    }
}

/// Standard normal (Box and Muller 1958).
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// A plain design of three required seeds up to `most`, fold after fold, seed after seed.
pub(crate) fn design(market: &Market, most: u64) -> Design {
    Design {
        folds: market.folds(),
        order: (0..market.folds).collect(),
        seeds: (0..most).collect(),
        required: 3,
        cells_at_once: market.folds,
        incumbent_seeds: 12,
        level: 0.05,
        min_effect: 0.0,
        futility: 0.05,
        simplify: None,
    }
}

/// Runs a race to its end, measuring the incumbent as it is asked for.
pub(crate) fn race(
    design: Design,
    market: &Market,
    candidate: &Spec,
    (incumbent, scores): (&Spec, &mut Scores),
    prior: Option<Prior>,
    rng: &mut ChaCha8Rng,
) -> Ruling {
    let eras = KnownEras::new(OVERLAP);
    race_over(&eras, Claim::NewEras, design, market, candidate, (incumbent, scores), prior, rng)
}

/// The same with what is known of the eras, which a series of races shares, and with a claim.
#[expect(
    clippy::too_many_arguments,
    reason = "a race has two sides, a ground and luck; a struct for tests would hide them"
)]
pub(crate) fn race_over(
    eras: &KnownEras,
    claim: Claim,
    design: Design,
    market: &Market,
    candidate: &Spec,
    (incumbent, scores): (&Spec, &mut Scores),
    prior: Option<Prior>,
    rng: &mut ChaCha8Rng,
) -> Ruling {
    let folds = design.folds.clone();
    let ground = Ground { folds: &folds, eras, prior, claim };
    let mut race = Race::new(design).expect("a design that makes sense");
    loop {
        match race.step(scores, &ground).expect("comparable") {
            Step::Done(ruling) => return *ruling,
            Step::Incumbent(wanted) => {
                let have = scores.seeds.len();
                let further = market.scores(incumbent, 10_000 + have as u64..10_000 + wanted as u64, rng);
                scores.seeds.extend(further.seeds);
                assert_eq!(scores.seeds.len(), wanted, "only what is missing is asked for");
            }
            Step::Train(cells) => {
                for (fold, seed) in cells {
                    let payout = market.cell(candidate, fold, rng);
                    race.add(fold, seed, payout).expect("asked for");
                }
            }
        }
    }
}
