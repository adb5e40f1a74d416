//! A trial's way through the gate, cell by cell: what to train next, and when enough is known. Pure: it is told scores
//! and says what it wants; who trains (a worker, an audit, a simulation on arrays) is not its business.
//!
//! **Looks.** A candidate may be kept when the protocol's seeds are whole, and again each time their number has doubled,
//! up to the most (3, 6, 12, 24). The looks share this trial's error: a group-sequential test whose bounds come from Lan
//! and DeMets' (1983) spending function of O'Brien and Fleming's type, at the information that each look has. Information
//! is the inverse of the difference's variance, and as the noise of eras and of the incumbent is in every look alike,
//! successive estimates have independent increments in it (Jennison and Turnbull 2000, section 11), which is what the
//! bounds need.
//!
//! **Futility.** After every batch of cells a candidate is given up when the chance that its last look would keep it,
//! given what is known (predictive power under a flat prior: Spiegelhalter, Freedman and Blackburn 1986), has fallen
//! under the threshold. The bounds do not count on it (it is not binding), so that stopping early never adds to the
//! error. Where eras make most of the noise, further seeds cannot help, the chance is small, and nothing is escalated.
//!
//! **The incumbent** is measured under as many seeds as its settings say before it is compared with, and under twice as
//! many as the candidate has whole seeds once those are more than the protocol's; what it gains stays for the trials to
//! come.

use super::cells::Cells;
use super::contrast::{Contrast, Ground};
use super::error::GateError;
use super::ruling::{Kind, Ruling};
use crate::research::trial::Scores;
use crate::research::words::under;
use crate::stats::spending::{bounds, predictive_power};

/// Everything that is settled about a race before it begins.
#[derive(Clone, Debug)]
pub struct Design {
    /// Test eras of each fold, ascending.
    pub folds: Vec<Vec<u32>>,
    /// The folds in the order in which their cells are trained.
    pub order: Vec<usize>,
    /// The candidate's seeds, in the order of training; their number is the most.
    pub seeds: Vec<u64>,
    /// How many of them it takes for any keep.
    pub required: usize,
    /// Cells after which it is asked again what is wanted.
    pub cells_at_once: usize,
    /// Seeds of the incumbent before anything is compared with it.
    pub incumbent_seeds: usize,
    /// This trial's level: the chance that it is kept if it is no better.
    pub level: f64,
    /// The smallest gain that is kept.
    pub min_effect: f64,
    /// A chance of being kept under this ends the race.
    pub futility: f64,
    /// For a candidate that is small enough: the margin by which it may be worse, and the level for ruling out more.
    pub simplify: Option<(f64, f64)>,
}

/// What the race wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Train these cells of the candidate: fold and seed.
    Train(Vec<(usize, u64)>),
    /// Measure the incumbent until it has this many seeds.
    Incumbent(usize),
    /// Nothing: it is decided.
    Done(Box<Ruling>),
}

/// A race of one candidate.
#[derive(Clone, Debug)]
pub struct Race {
    design: Design,
    looks: Vec<usize>,
    cells: Cells,
    /// The incumbent gets no further seeds.
    incumbent_is_final: bool,
}

impl Race {
    /// A race that has not begun.
    ///
    /// # Errors
    /// [`GateError::Plan`] for a design that makes no sense.
    pub fn new(design: Design) -> Result<Self, GateError> {
        let wrong = |what: &str| Err(GateError::Plan(what.to_owned()));
        let mut order = design.order.clone();
        order.sort_unstable();
        if design.folds.is_empty() || order.iter().copied().ne(0..design.folds.len()) {
            return wrong("the order of the folds does not name each of them once");
        }
        let mut seeds = design.seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        if seeds.len() != design.seeds.len() || design.required == 0 || seeds.len() < design.required {
            return wrong("a candidate needs the required seeds, each once");
        }
        if !(design.level > 0.0 && design.level < 1.0) {
            return wrong("a level must be above 0 and below 1");
        }
        if design
            .simplify
            .is_some_and(|(margin, alpha)| !(margin >= 0.0 && margin.is_finite() && alpha > 0.0 && alpha < 1.0))
        {
            return wrong("a margin must be a number of at least 0, and its level above 0 and below 1");
        }
        if !(0.0..1.0).contains(&design.futility) || !design.min_effect.is_finite() {
            return wrong("futility must be at least 0 and below 1, and the minimum effect a number");
        }
        let looks = looks(design.required, design.seeds.len());
        let cells = Cells::none(design.folds.len());
        Ok(Self { looks, cells, design, incumbent_is_final: false })
    }

    /// Takes a trained cell in.
    ///
    /// # Errors
    /// A cell that was not asked for.
    pub fn add(&mut self, fold: usize, seed: u64, payout: Vec<f64>) -> Result<(), GateError> {
        if !self.design.seeds.contains(&seed) {
            return Err(GateError::StrayCell { fold, seed, what: "is of no seed of the candidate" });
        }
        if self.design.folds.get(fold).is_some_and(|eras| eras.len() != payout.len()) {
            return Err(GateError::StrayCell { fold, seed, what: "has not the fold's eras" });
        }
        self.cells.add(fold, seed, payout)
    }

    /// The incumbent cannot be measured under further seeds (a training of it failed): the race goes on with those that it
    /// has, and its noise is counted as it is.
    pub fn take_the_incumbent_as_it_is(&mut self) {
        self.incumbent_is_final = true;
    }

    /// The cells so far.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The seeds at which the candidate may be kept.
    pub fn looks(&self) -> &[usize] {
        &self.looks
    }

    /// The seeds at the next look.
    pub fn next_look(&self) -> usize {
        let whole = self.cells.whole_seeds().len();
        self.looks.iter().copied().find(|look| *look > whole).unwrap_or(self.design.seeds.len())
    }

    /// Seeds of the incumbent that a comparison at so many seeds of the candidate wants.
    fn incumbent_at(&self, seeds: usize) -> usize {
        if self.incumbent_is_final {
            return 0;
        }
        let first = self.looks.first().copied().unwrap_or(seeds);
        if seeds <= first { self.design.incumbent_seeds } else { self.design.incumbent_seeds.max(2 * seeds) }
    }

    /// What is wanted next.
    ///
    /// # Errors
    /// When the two cannot be compared: see [`GateError`].
    pub fn step(&self, incumbent: &Scores, ground: &Ground<'_>) -> Result<Step, GateError> {
        let whole = self.cells.whole_seeds().len();
        let wanted = self.incumbent_at(whole).max(2);
        match incumbent.seeds.len() {
            found if found >= wanted => {}
            found if self.incumbent_is_final => return Err(GateError::TooFewSeeds { found, needed: wanted }),
            _ => return Ok(Step::Incumbent(wanted)),
        }
        if self.cells.count() == 0 {
            return Ok(Step::Train(self.batch()));
        }
        // A part of the first seed may be too little to estimate any noise from.
        if whole == 0 && !self.estimable(ground) {
            return Ok(Step::Train(self.batch()));
        }
        let contrast = Contrast::of(&self.cells, incumbent, ground)?;
        let prospects = self.prospects(&contrast, incumbent.seeds.len())?;
        let complete = self.cells.count() == whole * self.design.folds.len();
        let ruling = |kind, words: String| self.ruling(kind, words, &contrast, &prospects);
        // One that is smaller may be kept for that.
        if self.design.simplify.is_none() && self.cells.are_those_of(incumbent, &self.design.folds) {
            return ruling(Kind::Same, "no effect: the incumbent's own predictions".into());
        }
        if complete && let Some(look) = self.looks.iter().position(|seeds| *seeds == whole) {
            let (better, size) = (&prospects.better, self.design.min_effect);
            if contrast.delta > 0.0 && contrast.deviate(0.0)? >= better.bounds[look] {
                if contrast.delta >= size {
                    return ruling(Kind::Better, "better than the incumbent".into());
                }
                if prospects.as_good.is_none() {
                    return ruling(Kind::Small, format!("smaller than the minimum effect {size}"));
                }
            }
            if let Some(as_good) = &prospects.as_good
                && contrast.deviate(-as_good.margin)? >= as_good.bounds[look]
            {
                let words = format!("as good as the incumbent within {}, with fewer parameters", as_good.margin);
                return ruling(Kind::Simpler, words);
            }
            if look + 1 == self.looks.len() {
                let (kind, words) = if contrast.delta > 0.0 {
                    (Kind::Undecided, "still undecided at the most seeds")
                } else {
                    (Kind::Worse, "no better than the incumbent")
                };
                return ruling(kind, words.into());
            }
        }
        let chance = prospects.chance();
        // At no threshold nothing is given up, whatever the chance.
        if chance < self.design.futility {
            let kind = if contrast.delta > 0.0 { Kind::Futile } else { Kind::Worse };
            let words = if contrast.delta > 0.0 {
                let (own, limit) = under(chance, self.design.futility);
                format!("too little hope: chance {own} of being kept, under {limit}")
            } else {
                "no better than the incumbent".into()
            };
            return ruling(kind, words);
        }
        Ok(Step::Train(self.batch()))
    }

    /// The next cells up to the next step.
    fn batch(&self) -> Vec<(usize, u64)> {
        self.ahead().take(self.design.cells_at_once.max(1)).collect()
    }

    /// The cells that it will want next unless it comes to its end before: of the first seed alone until it is whole, then up to
    /// the next look, seed by seed.
    pub fn ahead(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let whole = self.cells.whole_seeds().len();
        let upto = if whole == 0 { 1 } else { self.next_look() };
        self.design.seeds[..upto].iter().flat_map(|seed| {
            self.design
                .order
                .iter()
                .map(move |fold| (*fold, *seed))
                .filter(|(fold, seed)| !self.cells.has(*fold, *seed))
        })
    }

    /// Whether the cells are enough to estimate noise from.
    fn estimable(&self, ground: &Ground<'_>) -> bool {
        let folds = || self.cells.folds.iter().zip(&self.design.folds).filter(|(own, _)| !own.is_empty());
        let mut eras: Vec<u32> = folds().flat_map(|(_, eras)| eras.clone()).collect();
        eras.sort_unstable();
        folds().all(|(_, eras)| ground.eras.of(eras).is_ok()) || ground.eras.of(&eras).is_ok()
    }

    /// The bounds of all looks, as far as things are known now, and the chance of passing the last.
    fn prospects(&self, contrast: &Contrast, incumbent: usize) -> Result<Prospects, GateError> {
        let seeds_at = |look: usize| incumbent.max(self.incumbent_at(look));
        let variances: Vec<f64> = self.looks.iter().map(|look| contrast.variance_at(*look, seeds_at(*look))).collect();
        let last = self.looks.len() - 1;
        let final_variance = variances[last];
        let fractions: Vec<f64> = variances
            .iter()
            .map(
                |variance| {
                    if *variance > 0.0 { (final_variance / variance).clamp(f64::MIN_POSITIVE, 1.0) } else { 1.0 }
                },
            )
            .collect();
        let fractions = ascending(fractions);
        let road = |level: f64, margin: f64, least: f64| -> Result<Road, GateError> {
            let bounds = bounds(level, &fractions)?;
            // A look without information of its own has no bound of its own.
            let t = contrast.t_at(bounds[last], self.looks[last], seeds_at(self.looks[last]))?;
            let now = contrast.variance().max(final_variance);
            let hope = if t.is_finite() {
                let needed = (t * final_variance.sqrt()).max(least + margin);
                predictive_power(contrast.delta + margin - needed, now, final_variance, 0.0)?
            } else {
                // A level too small for any bound.
                0.0
            };
            Ok(Road { bounds, margin, hope })
        };
        Ok(Prospects {
            better: road(self.design.level, 0.0, self.design.min_effect)?,
            as_good: self.design.simplify.map(|(margin, alpha)| road(alpha, margin, -margin)).transpose()?,
        })
    }

    fn ruling(&self, kind: Kind, words: String, contrast: &Contrast, prospects: &Prospects) -> Result<Step, GateError> {
        let seeds = self.cells.whole_seeds().len();
        let look = self.looks.iter().position(|look| *look == seeds);
        Ok(Step::Done(Box::new(Ruling {
            kind,
            words,
            contrast: *contrast,
            p_value: if kind == Kind::Same { 0.5 } else { contrast.p_value(0.0)? },
            seeds,
            cells: self.cells.count(),
            folds: self.design.folds.len(),
            first_seed: self.design.seeds.first().copied().unwrap_or_default(),
            level: self.design.level,
            // There and back between probability and deviate, rounding must not give more than the trial has.
            bound: look.map(|look| super::contrast::tail(prospects.better.bounds[look]).min(self.design.level)),
            chance: prospects.better.hope,
        })))
    }
}

/// One way of being kept.
struct Road {
    /// Standard normal deviates that the looks ask for.
    bounds: Vec<f64>,
    /// By how much the candidate may be worse.
    margin: f64,
    /// The chance that the last look is passed.
    hope: f64,
}

struct Prospects {
    better: Road,
    as_good: Option<Road>,
}

impl Prospects {
    fn chance(&self) -> f64 {
        self.as_good.as_ref().map_or(self.better.hope, |as_good| self.better.hope.max(as_good.hope))
    }
}

/// The required seeds, doubled and doubled again, up to the most.
pub fn looks(required: usize, most: usize) -> Vec<usize> {
    let mut looks: Vec<usize> =
        std::iter::successors(Some(required), |seeds| Some(seeds * 2)).take_while(|seeds| *seeds < most).collect();
    looks.push(most);
    looks
}

/// Fractions that ascend strictly, as the bounds need them: a look that brings no information (the noise is all of the
/// eras') stands a hair before the next.
fn ascending(mut fractions: Vec<f64>) -> Vec<f64> {
    const HAIR: f64 = 1e-6;
    for at in (0..fractions.len().saturating_sub(1)).rev() {
        fractions[at] = fractions[at].min(fractions[at + 1] * (1.0 - HAIR));
    }
    fractions
}
