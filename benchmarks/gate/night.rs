//! A night of trials through the program's own gate.

use std::sync::Arc;

use autoresearch::research::gate::level::level;
use autoresearch::research::gate::order::of_folds;
use autoresearch::research::gate::pool::{expected, of_seeds};
use autoresearch::research::gate::settings::{Claim, GateSettings, MinEffect};
use autoresearch::research::gate::{Design, Ground, Kind, KnownEras, Race, Ruling, Step, mean};
use autoresearch::research::trial::{Scores, SeedPayouts};
use autoresearch::stats::moderated::Prior;

use super::market::{Luck, Market, Model, OVERLAP};

/// Seeds of the protocol.
const REQUIRED: usize = 3;

/// How the gate is set.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// As in autoresearch.yaml.
    pub(crate) gate: GateSettings,
    /// Cells that are trained in one go.
    pub(crate) cells_at_once: usize,
    /// Whether a candidate may be given up before the protocol's seeds are whole.
    pub(crate) racing: bool,
}

impl Rules {
    /// The program's defaults, with the 24 seeds of a GPU and two cells at once.
    pub(crate) fn standard() -> Self {
        Self { gate: GateSettings { most_seeds: Some(24), ..GateSettings::default() }, cells_at_once: 2, racing: true }
    }

    /// These rules, but for what `change` changes.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut GateSettings)) -> Self {
        change(&mut self.gate);
        self
    }
}

/// How a trial ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How the race ended.
    pub(crate) kind: Kind,
    /// Whole seeds' worth of training of the candidate.
    pub(crate) seeds: f64,
    /// Further seeds of the incumbent that were trained for it, those of a new incumbent included.
    pub(crate) incumbent: usize,
    /// The candidate's mean over the protocol's three seeds is above the best so far: the plain rule.
    pub(crate) plain: bool,
    /// Its true gain over the incumbent of then, by the gate's claim.
    pub(crate) gain: f64,
}

/// The state of a night.
#[derive(Clone)]
pub(crate) struct Night<'a> {
    market: &'a Market,
    rules: &'a Rules,
    folds: Vec<Vec<u32>>,
    eras: Arc<KnownEras>,
    /// The incumbent.
    pub(crate) incumbent: Model,
    scores: Scores,
    /// The best mean over three seeds so far: what the plain rule compares with.
    plain: f64,
    pool: Vec<(f64, f64)>,
    known: Option<Prior>,
    tests: usize,
    rejections: Vec<usize>,
    next_seed: u64,
}

impl<'a> Night<'a> {
    /// A night begins: the baseline under the protocol's seeds, and the further ones that a comparison begins with.
    pub(crate) fn new(market: &'a Market, rules: &'a Rules, luck: &mut Luck) -> Self {
        let incumbent = Model::new(0.0, market, luck);
        let scores = incumbent.scores(0..REQUIRED as u64, market);
        let mut night = Self {
            market,
            rules,
            folds: market.fold_eras(),
            eras: Arc::new(KnownEras::new(OVERLAP)),
            plain: payout(&scores),
            incumbent,
            scores,
            pool: Vec::new(),
            known: None,
            tests: 0,
            rejections: Vec::new(),
            next_seed: REQUIRED as u64,
        };
        night.measure(rules.gate.incumbent_seeds as usize);
        night
    }

    /// The same night under other rules.
    pub(crate) fn under(&self, rules: &'a Rules) -> Self {
        Self { rules, ..self.clone() }
    }

    /// The incumbent gets seeds until it has so many.
    fn measure(&mut self, seeds: usize) -> usize {
        let missing = seeds.saturating_sub(self.scores.seeds.len());
        let further = self.incumbent.scores(self.next_seed..self.next_seed + missing as u64, self.market);
        self.next_seed += missing as u64;
        self.scores.seeds.extend(further.seeds);
        let samples: Vec<(f64, f64)> = self.pool.iter().copied().chain(of_seeds(&self.scores)).collect();
        self.known = expected(&samples).expect("finite variances");
        missing
    }

    /// One trial of a model.
    pub(crate) fn trial(&mut self, model: &Model) -> Ended {
        let gate = &self.rules.gate;
        let most = gate.most_seeds.unwrap_or(24) as usize;
        let design = Design {
            order: of_folds(&self.folds, &self.scores),
            folds: self.folds.clone(),
            seeds: (0..most as u64).collect(),
            required: REQUIRED,
            cells_at_once: self.rules.cells_at_once,
            incumbent_seeds: gate.incumbent_seeds as usize,
            level: level(gate, self.tests, &self.rejections).expect("a level"),
            min_effect: if let MinEffect::Payout(payout) = gate.min_effect { payout } else { 0.0 },
            futility: gate.futility,
            simplify: None,
        };
        let mut race = Race::new(design).expect("a design");
        let mut incumbent = 0;
        let ruling = self.run(&mut race, model, &mut incumbent);
        let mut gain = model.payout - self.incumbent.payout;
        if gate.claim == Claim::TheseEras {
            gain += mean(&model.eras) - mean(&self.incumbent.eras);
        }
        let three = payout(&model.scores(0..REQUIRED as u64, self.market));
        let plain = three > self.plain;
        self.plain = self.plain.max(three);
        let own = whole(&race, &self.folds);
        self.pool.extend(of_seeds(&own));
        self.tests += 1;
        let seeds = race.cells().count() as f64 / self.folds.len() as f64;
        if ruling.kind.keep() {
            self.rejections.push(self.tests);
            self.pool.extend(of_seeds(&self.scores));
            self.incumbent = model.clone();
            self.scores = own;
            self.next_seed = most as u64;
            incumbent += self.measure(gate.incumbent_seeds as usize);
        } else {
            self.measure(0);
        }
        Ended { kind: ruling.kind, seeds, incumbent, plain, gain }
    }

    fn run(&mut self, race: &mut Race, model: &Model, incumbent: &mut usize) -> Ruling {
        let claim = self.rules.gate.claim;
        loop {
            let ground = Ground { folds: &self.folds, eras: &self.eras, prior: self.known, claim };
            match race.step(&self.scores, &ground).expect("comparable") {
                // Without racing the protocol's seeds are trained to the end whatever the race says.
                Step::Done(_) if !self.rules.racing && race.cells().whole_seeds().len() < REQUIRED => {
                    for seed in 0..REQUIRED as u64 {
                        for fold in 0..self.folds.len() {
                            if !race.cells().has(fold, seed) {
                                race.add(fold, seed, model.cell(fold, seed, self.market)).expect("a new cell");
                            }
                        }
                    }
                }
                Step::Done(ruling) => return *ruling,
                Step::Incumbent(seeds) => *incumbent += self.measure(seeds),
                Step::Train(cells) => {
                    for (fold, seed) in cells {
                        race.add(fold, seed, model.cell(fold, seed, self.market)).expect("a new cell");
                    }
                }
            }
        }
    }
}

/// The whole seeds of a race.
fn whole(race: &Race, folds: &[Vec<u32>]) -> Scores {
    let cells = race.cells();
    let cell = |fold: usize, seed: u64| {
        let own = cells.folds[fold].iter().find(|(own, _)| *own == seed);
        own.map(|(_, payout)| payout.clone()).unwrap_or_default()
    };
    let of = |seed: u64| SeedPayouts { seed, payout: (0..folds.len()).flat_map(|fold| cell(fold, seed)).collect() };
    Scores { eras: folds.concat(), seeds: cells.whole_seeds().into_iter().map(of).collect() }
}

fn payout(scores: &Scores) -> f64 {
    mean(&scores.seeds.iter().map(|seed| mean(&seed.payout)).collect::<Vec<_>>())
}
