//! Payouts by seed and era of specs whose truth is known, and races over them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Design, Ground, KnownEras, Race, Ruling, Step};
use crate::research::trial::{Scores, SeedPayouts};
use crate::stats::moderated::Prior;

/// The market of the simulated nights.
#[path = "../../../../benchmarks/gate/market.rs"]
#[expect(dead_code, reason = "a night of benchmarks/gate takes more of it")]
mod market;

use market::Normal;
pub(crate) use market::{Market, Model as Spec, OVERLAP, STRIDE};

impl Normal for ChaCha8Rng {
    /// Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.random::<f64>()).cos()
    }
}

impl Spec {
    /// One that eras treat like any other.
    pub(crate) fn flat(payout: f64, market: &Market) -> Self {
        Self::of(payout, vec![0.0; market.folds * market.eras_a_fold])
    }
}

impl Market {
    /// A spec that earns `payout`, and in each era a little more or less.
    pub(crate) fn spec(&self, payout: f64, rng: &mut ChaCha8Rng) -> Spec {
        Spec::of(payout, self.era_effects(rng))
    }

    /// A cell: the payouts of a fold's eras under a seed that was not used before.
    pub(crate) fn cell(&self, spec: &Spec, fold: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        spec.draw(fold, self, rng)
    }

    /// Whole seeds.
    pub(crate) fn scores(&self, spec: &Spec, seeds: impl IntoIterator<Item = u64>, rng: &mut ChaCha8Rng) -> Scores {
        let mut whole = |seed| {
            let payout = (0..self.folds).flat_map(|fold| self.cell(spec, fold, rng)).collect();
            SeedPayouts { seed, payout }
        };
        Scores { eras: self.fold_eras().concat(), seeds: seeds.into_iter().map(&mut whole).collect() }
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

/// A plain design of three required seeds up to `most`, fold after fold, seed after seed.
pub(crate) fn design(market: &Market, most: u64) -> Design {
    Design {
        folds: market.fold_eras(),
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
