//! Chooses one edit out of a pool: what looks best in one draw from the belief, less a price for what it costs.

use std::collections::BTreeSet;

use rand::Rng;

use super::belief::{Belief, Change, Observation};
use super::draw::{Drawn, Edit, Miss, Source};
use super::ledger::evidence;
use super::profile::Profile;
use super::words;
use crate::research::settings::Breadth;
use crate::research::trial::KnobChange;
use crate::researcher::briefing::{Briefing, Rejection};
use crate::researcher::categories;
use crate::researcher::error::ErrorKind;
use crate::spec::{Spec, cost, diff};

/// Candidates that are weighed against each other.
const POOL: usize = 120;
/// Draws at most: where nearly everything near the incumbent has been tried, most are thrown away.
const MOST_DRAWS: usize = 6_000;
/// What a doubling of the baseline's cost must bring, in typical effects: a trial that takes twice as long leaves half
/// the night.
const PRICE: f64 = 0.08;
/// Beyond this many times the baseline's cost the price rises steeply.
const SOFT_LIMIT: f64 = 3.0;
/// How steeply: for each doubling beyond, squared.
const STEEPNESS: f64 = 3.0;
/// What it is worth to be what the phase asks for.
const PHASE_BONUS: f64 = 0.4;

/// What was chosen.
pub(super) struct Chosen {
    pub(super) spec: Spec,
    pub(super) title: String,
    pub(super) hypothesis: String,
    pub(super) category: String,
    pub(super) expected: f64,
    pub(super) parents: Vec<u32>,
}

/// A candidate that may be proposed.
struct Candidate {
    drawn: Drawn,
    spec: Spec,
    change: Change,
    /// log₂ of its cost over the baseline's.
    doublings: f64,
}

/// Why candidates were thrown away.
#[derive(Default)]
struct Waste {
    tried: usize,
    duplicate: usize,
    blocked: usize,
    costly: usize,
    invalid: usize,
}

/// Chooses.
pub(super) fn choose(
    briefing: &Briefing<'_>,
    rejected: &[Rejection],
    observations: &[Observation],
    rng: &mut impl Rng,
) -> Result<Chosen, ErrorKind> {
    let pool = pool(briefing, rejected, rng)?;
    let belief = Belief::new(observations, briefing.min_effect);
    let changes: Vec<Change> = pool.iter().map(|candidate| candidate.change.clone()).collect();
    let outlook = belief.outlook(&changes);
    let dreamt = outlook.draw(boldness(briefing.phase.breadth), rng);
    let unit = belief.unit();
    let worth = |index: usize| {
        let candidate = &pool[index];
        let wanted = candidate.change.categories().iter().any(|one| briefing.phase.categories.iter().any(|c| c == one));
        dreamt[index] + unit * (if wanted { PHASE_BONUS } else { 0.0 } - price(candidate.doublings))
    };
    let best = (0..pool.len()).max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
    // A pool is never empty: that is an error above.
    let Some(best) = best else { return Err(Waste::default().error()) };
    let (mean, deviation) = (outlook.mean[best], outlook.deviation[best]);
    let Some(candidate) = pool.into_iter().nth(best) else { return Err(Waste::default().error()) };
    Ok(finish(candidate, mean, deviation, observations))
}

/// Candidates that are valid, new, allowed, and within the budget.
fn pool(briefing: &Briefing<'_>, rejected: &[Rejection], rng: &mut impl Rng) -> Result<Vec<Candidate>, ErrorKind> {
    let filter = Filter::new(briefing, rejected);
    let source = Source::new(briefing.incumbent, briefing.facts, misses(briefing), briefing.phase.breadth);
    let mut seen = BTreeSet::new();
    let mut waste = Waste::default();
    let mut pool: Vec<Candidate> = Vec::new();
    for drawn in source.recipes() {
        pool.extend(filter.admit(drawn, &mut seen, &mut waste));
    }
    for _ in 0..MOST_DRAWS {
        if pool.len() >= POOL {
            break;
        }
        if let Some(drawn) = source.draw(rng) {
            pool.extend(filter.admit(drawn, &mut seen, &mut waste));
        }
    }
    if pool.is_empty() { Err(waste.error()) } else { Ok(pool) }
}

fn misses(briefing: &Briefing<'_>) -> Vec<Miss> {
    briefing
        .near_misses
        .iter()
        .filter_map(|miss| {
            Some(Miss {
                trial: miss.trial,
                // Without the trial that it was itself built on.
                title: miss.title.split(" (as in").next().unwrap_or(&miss.title).to_owned(),
                category: miss.category.clone(),
                tree: Spec::parse(&miss.spec, "near miss").ok()?.canonical(),
            })
        })
        .collect()
}

/// The first edit that may be proposed: the control that the belief is measured against.
#[cfg(test)]
pub(super) fn by_chance(briefing: &Briefing<'_>, rng: &mut impl Rng) -> Option<Spec> {
    let filter = Filter::new(briefing, &[]);
    let source = Source::new(briefing.incumbent, briefing.facts, misses(briefing), briefing.phase.breadth);
    let mut waste = Waste::default();
    (0..MOST_DRAWS).find_map(|_| {
        let drawn = source.draw(rng)?;
        filter.admit(drawn, &mut BTreeSet::new(), &mut waste).map(|candidate| candidate.spec)
    })
}

struct Filter<'a> {
    briefing: &'a Briefing<'a>,
    /// The incumbent itself, and what has been rejected.
    refused: BTreeSet<String>,
    profile: Profile,
    baseline_flops: f64,
    /// The most times the baseline's cost that still fits into the session.
    time_limit: f64,
}

impl<'a> Filter<'a> {
    fn new(briefing: &'a Briefing<'a>, rejected: &[Rejection]) -> Self {
        let baseline = briefing.history.baseline();
        let spec = baseline.and_then(|record| Spec::parse(&record.proposal.spec, "baseline").ok());
        let flops = cost::estimate(spec.as_ref().unwrap_or(briefing.incumbent), briefing.facts).flops.max(1.0);
        let measured = baseline.and_then(|record| record.measurement.as_ref()).map(|measured| measured.wall_seconds);
        let time_limit = match (briefing.seconds_left, measured) {
            // The estimate is rough, and a trial that is dropped early costs a third: twice the time left is allowed.
            (Some(left), Some(seconds)) if seconds > 0.0 => (2.0 * left / seconds).max(1.0),
            _ => f64::INFINITY,
        };
        let refused = rejected
            .iter()
            .filter_map(|rejection| Spec::parse(&rejection.proposal.spec, "rejected").ok())
            .map(|spec| spec.hash())
            .chain([briefing.incumbent.hash()])
            .collect();
        Self {
            briefing,
            refused,
            profile: Profile::of(briefing.incumbent, briefing.facts),
            baseline_flops: flops,
            time_limit,
        }
    }

    fn admit(&self, drawn: Drawn, seen: &mut BTreeSet<String>, waste: &mut Waste) -> Option<Candidate> {
        let briefing = self.briefing;
        waste.tried += 1;
        let Some(spec) = Spec::from_value(&drawn.tree).ok().filter(|spec| spec.check_data(briefing.facts).is_ok())
        else {
            waste.invalid += 1;
            return None;
        };
        // A handful of steps an epoch is no training, whatever the batch would be good for.
        let batch = spec.training.batch_rows;
        if batch > briefing.incumbent.training.batch_rows && u64::from(batch) * 4 > briefing.facts.rows {
            waste.invalid += 1;
            return None;
        }
        let hash = spec.hash();
        if self.refused.contains(&hash) || briefing.history.find_spec(&hash).is_some() || !seen.insert(hash) {
            waste.duplicate += 1;
            return None;
        }
        let cost = cost::estimate(&spec, briefing.facts);
        let ratio = cost.flops / self.baseline_flops;
        if cost::check(&cost, briefing.budget).is_err() || ratio > self.time_limit {
            waste.costly += 1;
            return None;
        }
        let changes: Vec<KnobChange> = diff::changes(briefing.incumbent, &spec)
            .into_iter()
            .map(|change| KnobChange { path: change.path, from: change.from, to: change.to })
            .collect();
        let blocked = |category: &str| briefing.rules.blocks(&changes, category).is_some();
        if drawn.edits.iter().any(|edit| blocked(&edit.category)) {
            waste.blocked += 1;
            return None;
        }
        let change = Change::new(self.profile.shifts(&Profile::of(&spec, briefing.facts)));
        Some(Candidate { drawn, spec, change, doublings: ratio.max(1e-9).log2() })
    }
}

impl Waste {
    fn error(&self) -> ErrorKind {
        ErrorKind::Exhausted {
            tried: self.tried,
            duplicate: self.duplicate,
            blocked: self.blocked,
            costly: self.costly,
            invalid: self.invalid,
        }
    }
}

/// How much of the belief's spread a draw takes. The best of a hundred draws is far out as it is, so less than all of
/// it finds more; where steps are small anyway, or the phase wants leaps, it may be more.
fn boldness(breadth: Breadth) -> f64 {
    match breadth {
        Breadth::Narrow => 0.6,
        Breadth::Focused | Breadth::Combined => 0.45,
        Breadth::Wide => 0.7,
    }
}

/// The price of a cost, in typical effects.
fn price(doublings: f64) -> f64 {
    PRICE * doublings.max(0.0) + STEEPNESS * (doublings - SOFT_LIMIT.log2()).max(0.0).powi(2)
}

fn finish(candidate: Candidate, mean: f64, deviation: f64, observations: &[Observation]) -> Chosen {
    let edits = &candidate.drawn.edits;
    let pieces: Vec<String> = edits.iter().map(|edit| edit.text.clone()).collect();
    let mut said: Vec<String> = Vec::new();
    for why in edits.iter().filter_map(|edit| edit.why) {
        if !said.iter().any(|known| known.starts_with(why)) {
            said.push(format!("{why}."));
        }
    }
    said.push(match evidence(&candidate.change, observations) {
        Some(seen) => format!("Evidence: {seen}."),
        None => "Evidence: none yet; nothing like it has been tried.".to_owned(),
    });
    said.push(format!("Believed to bring {mean:+.4} ± {deviation:.4}, from {} trials.", observations.len()));
    if candidate.doublings > 0.3 {
        said.push(format!("It costs about {:.1} times the baseline.", candidate.doublings.exp2()));
    }
    Chosen {
        title: words::title(&pieces),
        hypothesis: said.join(" "),
        category: edits.first().map_or_else(|| categories::OTHER.to_owned(), category),
        expected: mean,
        parents: candidate.drawn.parents,
        spec: candidate.spec,
    }
}

fn category(edit: &Edit) -> String {
    edit.category.clone()
}
