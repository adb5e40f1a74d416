//! Chooses one edit out of a pool: what looks best in one draw from the belief, less a price for what it costs; or, for the
//! control arm, any of them.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};

use super::belief::{Belief, Change, Observation};
use super::draw::{Drawn, Edit, Source};
use super::families::is_family;
use super::good::good;
use super::ledger::evidence;
use super::prior::relevance;
use super::profile::Profile;
use super::words;
use crate::research::near_duplicate::Measured;
use crate::research::settings::Breadth;
use crate::research::trial::KnobChange;
use crate::research::words::count;
use crate::researcher::briefing::{Briefing, Rejection};
use crate::researcher::categories;
use crate::researcher::error::ErrorKind;
use crate::spec::diff::changes as differences;
use crate::spec::{Spec, cost};

/// Candidates that are weighed against each other.
const POOL: usize = 90;
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
/// What it is worth, where the search may go anywhere, to be the first of a family of nets: one trial of each says more
/// about where to go on than another of a known one.
const FAMILY_BONUS: f64 = 1.2;

/// What it is worth to turn a knob that nothing has turned, times how much it is expected to matter: what everybody leaves
/// alone is never found out, and one trial of it tells the belief about its neighbours, too.
const NEW_BONUS: f64 = 0.4;

/// What was chosen.
pub(super) struct Chosen {
    pub(super) spec: Spec,
    pub(super) title: String,
    pub(super) hypothesis: String,
    pub(super) category: String,
    /// None where nothing is expected: the choice was left to chance.
    pub(super) expected: Option<f64>,
    pub(super) parents: Vec<u32>,
}

/// A candidate that may be proposed.
pub(super) struct Candidate {
    pub(super) drawn: Drawn,
    pub(super) spec: Spec,
    pub(super) change: Change,
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

/// What a choice rests on, beside the briefing.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// What the trials measured, and what waits for its verdict.
    pub(super) observations: &'a [Observation],
    /// The measured specs.
    pub(super) measured: &'a Measured,
    /// Proposals that were sent back.
    pub(super) rejected: &'a [Rejection],
}

/// Chooses by belief.
pub(super) fn choose(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> Result<Chosen, ErrorKind> {
    let mut pool = pool(briefing, known, rng)?;
    let belief = Belief::new(known.observations, briefing.min_effect);
    let changes: Vec<Change> = pool.iter().map(|candidate| candidate.change.clone()).collect();
    let outlook = belief.outlook(&changes);
    let dreamt = outlook.draw(boldness(briefing.breadth), rng);
    let unit = belief.unit();
    let families = families(known.observations);
    let turned = turned(known.observations);
    let anywhere = briefing.breadth == Breadth::Wide
        && (briefing.phase.categories.is_empty() || briefing.phase.categories.iter().any(|one| one == "architecture"));
    let worth = |candidate: &Candidate, dreamt: f64| {
        let wanted = candidate.change.categories().iter().any(|one| briefing.phase.categories.iter().any(|c| c == one));
        let first = anywhere && brought(&candidate.change).any(|kind| !families.contains(kind));
        let bonus = if wanted { PHASE_BONUS } else { 0.0 } + if first { FAMILY_BONUS } else { 0.0 };
        let new = NEW_BONUS * novelty(&candidate.change, &turned);
        dreamt + unit * (bonus + new - price(candidate.doublings))
    };
    let mut order: Vec<(f64, usize)> =
        pool.iter().zip(&dreamt).map(|(candidate, dreamt)| worth(candidate, *dreamt)).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let best = first_apart(order.into_iter().map(|(_, index)| index), &pool, known)?;
    let (mean, deviation) = (outlook.mean[best], outlook.deviation[best]);
    // What waits for its verdict stands behind what was measured, and is no evidence.
    let next = briefing.history.next_trial();
    let measured = &known.observations[..known.observations.partition_point(|seen| seen.trial < next)];
    Ok(finish(pool.swap_remove(best), Some((mean, deviation)), measured))
}

/// Chooses without belief: each candidate of the very same pool is as likely as any other.
pub(super) fn by_chance(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> Result<Chosen, ErrorKind> {
    let mut pool = pool(briefing, known, rng)?;
    let mut order: Vec<(u64, usize)> = (0..pool.len()).map(|index| (rng.random(), index)).collect();
    order.sort_unstable();
    let drawn = first_apart(order.into_iter().map(|(_, index)| index), &pool, known)?;
    Ok(finish(pool.swap_remove(drawn), None, &[]))
}

/// The first that is further from every measured spec than the gate can see: the loop would send back any other.
fn first_apart(order: impl Iterator<Item = usize>, pool: &[Candidate], known: Known<'_>) -> Result<usize, ErrorKind> {
    let mut order = order;
    let all = pool.len();
    order
        .find(|index| is_apart(&pool[*index], known))
        .ok_or_else(|| Waste { tried: all, duplicate: all, ..Waste::default() }.error())
}

/// Whether the gate could tell it from every measured spec.
pub(super) fn is_apart(candidate: &Candidate, known: Known<'_>) -> bool {
    known.measured.near(&candidate.spec).is_none()
}

/// The families of nets that a change brings in.
fn brought(change: &Change) -> impl Iterator<Item = &str> {
    let brings = |shift: &&super::profile::Shift| shift.sign() > 0 && is_family(&shift.dimension);
    change.shifts.iter().filter(brings).map(|shift| shift.dimension.as_str())
}

/// The dimensions that have been turned.
fn turned(observations: &[Observation]) -> BTreeSet<&str> {
    let dimensions = observations.iter().flat_map(|seen| &seen.change.shifts).filter(|shift| shift.sign() != 0);
    dimensions.map(|shift| shift.dimension.as_str()).collect()
}

/// How much the most relevant dimension is expected to matter that a change turns and nothing has turned before.
fn novelty(change: &Change, turned: &BTreeSet<&str>) -> f64 {
    let new = |shift: &&super::profile::Shift| shift.sign() != 0 && !turned.contains(shift.dimension.as_str());
    change.shifts.iter().filter(new).map(|shift| relevance(&shift.dimension)).fold(0.0, f64::max)
}

/// The families that have been tried.
fn families(observations: &[Observation]) -> BTreeSet<&str> {
    observations.iter().flat_map(|seen| brought(&seen.change)).collect()
}

/// Candidates that are valid, new, allowed, and within the budget; never empty.
pub(super) fn pool(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> Result<Vec<Candidate>, ErrorKind> {
    let filter = Filter::new(briefing, known);
    let mut source = Source::new(briefing.incumbent, briefing.facts, good(briefing), briefing.breadth);
    let mut waste = Waste::default();
    // A phase that says how many of its proposals combine is taken at its word, proposal by proposal.
    if let Some(share) = briefing.phase.combinations {
        if rng.random::<f64>() < share && source.can_combine() {
            source = source.combining(1.0);
            let pool = filter.fill(&source, &mut waste, rng);
            if !pool.is_empty() {
                return Ok(pool);
            }
        }
        source = source.combining(0.0);
    }
    let pool = filter.fill(&source, &mut waste, rng);
    if pool.is_empty() { Err(waste.error()) } else { Ok(pool) }
}

struct Filter<'a> {
    briefing: &'a Briefing<'a>,
    /// The incumbent itself, what has been rejected, and what waits for its verdict.
    refused: BTreeSet<String>,
    profile: Profile,
    baseline_flops: f64,
    /// The most times the baseline's cost that still fits into the session.
    time_limit: f64,
}

impl<'a> Filter<'a> {
    fn new(briefing: &'a Briefing<'a>, known: Known<'a>) -> Self {
        let baseline = briefing.history.baseline();
        let spec = baseline.and_then(|record| Spec::parse(&record.proposal.spec, "baseline").ok());
        let flops = cost::estimate(spec.as_ref().unwrap_or(briefing.incumbent), briefing.facts).flops.max(1.0);
        let measured = baseline.and_then(|record| record.measurement.as_ref()).map(|measured| measured.wall_seconds);
        let time_limit = match (briefing.seconds_left, measured) {
            // The estimate is rough, and a trial that is dropped early costs a third: twice the time left is allowed.
            (Some(left), Some(seconds)) if seconds > 0.0 => (2.0 * left / seconds).max(1.0),
            _ => f64::INFINITY,
        };
        let refused = known
            .rejected
            .iter()
            .filter_map(|rejection| Spec::parse(&rejection.proposal.spec, "rejected").ok())
            .map(|spec| spec.hash())
            .chain(briefing.pending.iter().map(|pending| pending.spec_hash.clone()))
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

    /// A pool from a source: its recipes, and draws until there are enough.
    fn fill(&self, source: &Source<'_>, waste: &mut Waste, rng: &mut impl Rng) -> Vec<Candidate> {
        let mut seen = BTreeSet::new();
        let mut pool: Vec<Candidate> = Vec::new();
        for drawn in source.recipes() {
            pool.extend(self.admit(drawn, &mut seen, waste));
        }
        for _ in 0..MOST_DRAWS {
            if pool.len() >= POOL {
                break;
            }
            if let Some(drawn) = source.draw(rng) {
                pool.extend(self.admit(drawn, &mut seen, waste));
            }
        }
        pool
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
        if !briefing.rules.all().is_empty() {
            let changes = knob_changes(briefing.incumbent, &spec);
            if drawn.edits.iter().any(|edit| briefing.rules.blocks(&changes, &edit.category).is_some()) {
                waste.blocked += 1;
                return None;
            }
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

fn finish(candidate: Candidate, believed: Option<(f64, f64)>, observations: &[Observation]) -> Chosen {
    let edits = &candidate.drawn.edits;
    let pieces: Vec<String> = edits.iter().map(|edit| edit.text.clone()).collect();
    let mut said: Vec<String> = Vec::new();
    for why in edits.iter().filter_map(|edit| edit.why) {
        if !said.iter().any(|known| known.starts_with(why)) {
            said.push(format!("{why}."));
        }
    }
    match believed {
        Some((mean, deviation)) => {
            said.push(match evidence(&candidate.change, observations) {
                Some(seen) => format!("Evidence: {seen}."),
                None => "Evidence: none yet; nothing like it has been tried.".to_owned(),
            });
            said.push(format!(
                "Believed to bring {mean:+.4} ± {deviation:.4}, from {}.",
                count(observations.len(), "trial")
            ));
        }
        None => said.push("Drawn by lot, as the control: nothing is believed about it.".to_owned()),
    }
    if candidate.doublings > 0.3 {
        said.push(format!("It costs about {:.1} times the baseline.", candidate.doublings.exp2()));
    }
    Chosen {
        title: words::title(&pieces),
        hypothesis: said.join(" "),
        category: edits.first().map_or_else(|| categories::OTHER.to_owned(), category),
        expected: believed.map(|(mean, _)| mean),
        parents: candidate.drawn.parents,
        spec: candidate.spec,
    }
}

/// What differs, as rules and records say it.
pub(super) fn knob_changes(from: &Spec, to: &Spec) -> Vec<KnobChange> {
    differences(from, to).into_iter().map(KnobChange::from).collect()
}

fn category(edit: &Edit) -> String {
    edit.category.clone()
}
