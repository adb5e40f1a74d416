//! A night of trials through the program's own gate.

use autoresearch::research::gate::level::level;
use autoresearch::research::gate::order::of_folds;
use autoresearch::research::gate::pool::of_seeds;
use autoresearch::research::gate::settings::{Claim, GateSettings, MinEffect};
use autoresearch::research::gate::{Design, Ground, KnownEras, Kind, Race, Step, mean};
use autoresearch::research::trial::Scores;
use autoresearch::stats::moderated::{Prior, prior};

use super::market::{Luck, Market, Model, OVERLAP};

/// How the gate is set, beside its settings file.
#[derive(Clone, Debug)]
pub struct Rules {
    /// As in autoresearch.yaml.
    pub gate: GateSettings,
    /// Cells that are trained in one go.
    pub cells_at_once: usize,
}

impl Rules {
    /// The defaults of the program on a GPU, but for the number of cells that are trained at once.
    pub fn standard() -> Self {
        let gate = GateSettings { most_seeds: Some(24), min_effect: MinEffect::Payout(0.0005), ..GateSettings::default() };
        Self { gate, cells_at_once: 2 }
    }

    pub fn with(mut self, change: impl FnOnce(&mut GateSettings)) -> Self {
        change(&mut self.gate);
        self
    }
}

/// How a trial ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How the race ended.
    pub kind: Kind,
    /// Whole seeds' worth of training of the candidate.
    pub seeds: f64,
    /// Further seeds of the incumbent that it asked for.
    pub incumbent: usize,
    /// The candidate's mean over the protocol's three seeds is above the incumbent's: the plain rule.
    pub plain: bool,
    pub ruling: autoresearch::research::gate::Ruling,
    /// Its true gain over the incumbent of then.
    pub gain: f64,
}

/// The state of a night.
pub struct Night<'a> {
    market: &'a Market,
    rules: &'a Rules,
    folds: Vec<Vec<u32>>,
    eras: KnownEras,
    /// The incumbent.
    pub incumbent: Model,
    scores: Scores,
    /// The incumbent's three seeds of the protocol, for the plain rule.
    plain: f64,
    pool: Vec<(f64, f64)>,
    tests: usize,
    rejections: Vec<usize>,
    next_seed: u64,
}

const REQUIRED: usize = 3;

impl<'a> Night<'a> {
    /// A night begins: the baseline under the protocol's seeds.
    pub fn new(market: &'a Market, rules: &'a Rules, luck: &mut Luck) -> Self {
        let incumbent = Model::new(0.0, market, luck);
        let scores = incumbent.scores(REQUIRED, 0, market, luck);
        let plain = payout(&scores);
        let mut night = Self {
            market,
            rules,
            folds: market.fold_eras(),
            eras: KnownEras::new(OVERLAP),
            incumbent,
            scores,
            plain,
            pool: Vec::new(),
            tests: 0,
            rejections: Vec::new(),
            next_seed: REQUIRED as u64,
        };
        night.measure(rules.gate.incumbent_seeds as usize, luck);
        night
    }

    /// The incumbent gets seeds until it has so many.
    fn measure(&mut self, seeds: usize, luck: &mut Luck) -> usize {
        let missing = seeds.saturating_sub(self.scores.seeds.len());
        let further = self.incumbent.scores(missing, self.next_seed, self.market, luck);
        self.next_seed += missing as u64;
        self.scores.seeds.extend(further.seeds);
        missing
    }

    /// The pool of what is known about seeds: the trials so far, and the incumbent.
    fn prior(&self) -> Option<Prior> {
        let samples: Vec<(f64, f64)> = self.pool.iter().copied().chain(of_seeds(&self.scores)).collect();
        prior(&samples).expect("finite variances")
    }

    /// One trial of a model.
    pub fn trial(&mut self, model: &Model, luck: &mut Luck) -> Ended {
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
        let ruling = loop {
            let prior = self.prior();
            let ground = Ground { folds: &self.folds, eras: &self.eras, prior, claim: gate.claim };
            match race.step(&self.scores, &ground).expect("comparable") {
                Step::Done(ruling) => break ruling,
                Step::Incumbent(seeds) => incumbent += self.measure(seeds, luck),
                Step::Train(cells) => {
                    for (fold, seed) in cells {
                        race.add(fold, seed, model.cell(fold, self.market, luck)).expect("a new cell");
                    }
                }
            }
        };
        let gain = model.payout - self.incumbent.payout
            + if gate.claim == Claim::TheseEras { mean(&model.eras) - mean(&self.incumbent.eras) } else { 0.0 };
        // The plain rule has no incumbent but the one it was given.
        let plain = payout(&model.scores(REQUIRED, 0, self.market, luck)) > self.plain;
        let own = whole(&race, &self.folds);
        self.pool.extend(of_seeds(&own));
        self.tests += 1;
        let ended = Ended {
            kind: ruling.kind,
            seeds: race.cells().count() as f64 / self.folds.len() as f64,
            incumbent,
            ruling: (*ruling).clone(),
            plain,
            gain,
        };
        if ruling.kind.keep() {
            self.rejections.push(self.tests);
            self.pool.extend(of_seeds(&self.scores));
            self.incumbent = model.clone();
            self.scores = own;
            self.next_seed = most as u64;
            self.measure(gate.incumbent_seeds as usize, luck);
        }
        ended
    }
}

/// The whole seeds of a race.
fn whole(race: &Race, folds: &[Vec<u32>]) -> Scores {
    let cells = race.cells();
    let seeds = cells.whole_seeds();
    let of = |seed: u64| {
        let cell = |fold: usize| cells.folds[fold].iter().find(|(own, _)| *own == seed).map(|(_, payout)| payout.clone());
        autoresearch::research::trial::SeedPayouts {
            seed,
            payout: (0..folds.len()).flat_map(|fold| cell(fold).unwrap_or_default()).collect(),
        }
    };
    Scores { eras: folds.concat(), seeds: seeds.into_iter().map(of).collect() }
}

fn payout(scores: &Scores) -> f64 {
    mean(&scores.seeds.iter().map(|seed| mean(&seed.payout)).collect::<Vec<_>>())
}
