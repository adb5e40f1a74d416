//! The candidates that one proposal is chosen from: valid, new, allowed, within the budget; and how several of them become one.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};

use super::belief::{Belief, Change, Observation};
use super::draw::{Drawn, Source, edits};
use super::good::good;
use super::profile::Profile;
use crate::research::near_duplicate::{Measured, Neighbours};
use crate::research::settings::Breadth;
use crate::research::trial::KnobChange;
use crate::researcher::briefing::{Briefing, Rejection};
use crate::researcher::error::ErrorKind;
use crate::spec::Spec;
use crate::spec::cost::{self, Budget, Cost};
use crate::spec::diff::changes as differences;
use crate::spec::merge::merged;
use crate::spec::rates::seconds;

/// Candidates that are weighed against each other.
const POOL: usize = 90;
/// Draws at most: where nearly everything near the incumbent has been tried, most are thrown away.
const MOST_DRAWS: usize = 6_000;
/// Moves of knobs that have been turned that come to the pool beside those: the ones expected to gain most.
const AROUND: usize = 12;
/// Knobs that are looked at for them: those of the trials that moved the score most clearly, up or down.
const CLEAREST: usize = 12;
/// Candidates that are looked at for what may go together with another.
const MOST_PARTNERS: usize = 40;

/// A candidate that may be proposed.
pub(super) struct Candidate {
    pub(super) drawn: Drawn,
    pub(super) spec: Spec,
    pub(super) change: Change,
    /// log₂ of its cost over the baseline's.
    pub(super) doublings: f64,
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
    /// The specs that wait for their verdict.
    pub(super) waiting: &'a Neighbours,
    /// Proposals that were sent back.
    pub(super) rejected: &'a [Rejection],
}

/// Whether the gate could tell it from every measured spec and from all that wait.
pub(super) fn is_apart(candidate: &Candidate, known: Known<'_>) -> bool {
    let (spec, reach) = (&candidate.spec, known.measured.reach());
    known.measured.near(spec).is_none() && known.waiting.near(spec, reach).is_none()
}

/// The dimensions that have been turned.
pub(super) fn turned(observations: &[Observation]) -> BTreeSet<&str> {
    let dimensions = observations.iter().flat_map(|seen| &seen.change.shifts).filter(|shift| shift.sign() != 0);
    dimensions.map(|shift| shift.dimension.as_str()).collect()
}

/// The knobs of the trials that moved the score most clearly, in standard errors.
fn clearest(observations: &[Observation]) -> BTreeSet<&str> {
    let clarity = |seen: &Observation| (seen.delta / seen.standard_error.max(1e-9)).abs();
    let mut order: Vec<&Observation> = observations.iter().collect();
    order.sort_by(|a, b| clarity(b).total_cmp(&clarity(a)));
    let mut found = BTreeSet::new();
    for shift in order.iter().flat_map(|seen| &seen.change.shifts).filter(|shift| shift.sign() != 0) {
        if found.len() == CLEAREST {
            break;
        }
        // The words of a choice are one knob.
        found.insert(shift.dimension.split('=').next().unwrap_or(&shift.dimension));
    }
    found
}

/// How many edits each candidate is drawn with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Drawing {
    /// One; what is put together is decided afterwards, by what is believed of each.
    Edits,
    /// As many as a whole proposal has.
    Proposals,
}

/// Candidates for one proposal; never empty.
pub(super) struct Pool<'a> {
    filter: Filter<'a>,
    known: Known<'a>,
    pub(super) candidates: Vec<Candidate>,
}

impl<'a> Pool<'a> {
    /// Draws a pool.
    ///
    /// # Errors
    /// Nothing was found that is valid, new, allowed and within the budget.
    pub(super) fn draw(
        briefing: &'a Briefing<'a>,
        known: Known<'a>,
        drawing: Drawing,
        rng: &mut impl Rng,
    ) -> Result<Self, ErrorKind> {
        let filter = Filter::new(briefing, known);
        let mut source = Source::new(briefing.incumbent, briefing.facts, good(briefing), briefing.breadth);
        let mut waste = Waste::default();
        let mut candidates = Vec::new();
        // A phase that says how many of its proposals combine is taken at its word, proposal by proposal.
        if let Some(share) = briefing.phase.combinations {
            if rng.random::<f64>() < share && source.can_combine() {
                source = source.combining(1.0);
                candidates = filter.fill(&source, drawing, &mut waste, rng);
            }
            if candidates.is_empty() {
                source = source.combining(0.0);
            }
        }
        if candidates.is_empty() {
            candidates = filter.fill(&source, drawing, &mut waste, rng);
        }
        if candidates.is_empty() { Err(waste.error()) } else { Ok(Self { filter, known, candidates }) }
    }

    /// Adds the moves of knobs that have been turned before which are expected to gain most. What the ledger speaks for must
    /// not hang on what the dice happen to bring: of some hundred knobs, a pool holds a few.
    pub(super) fn look_around(&mut self, belief: &Belief<'_>) {
        let briefing = self.filter.briefing;
        let source = Source::new(briefing.incumbent, briefing.facts, Vec::new(), briefing.breadth);
        let mut seen: BTreeSet<String> = self.candidates.iter().map(|candidate| candidate.spec.hash()).collect();
        let moves = source.around(&clearest(self.known.observations)).into_iter();
        let found: Vec<Candidate> =
            moves.filter_map(|drawn| self.filter.admit(drawn, &mut seen, &mut Waste::default())).collect();
        let changes: Vec<Change> = found.iter().map(|candidate| candidate.change.clone()).collect();
        let mut found: Vec<(f64, Candidate)> = belief.outlook(&changes).mean.into_iter().zip(found).collect();
        found.retain(|(mean, _)| *mean > 0.0);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.candidates.extend(found.into_iter().take(AROUND).map(|(_, candidate)| candidate));
    }

    /// The first that is further from every measured spec, and from all that wait, than the gate can see: the loop would send back any other.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn first_apart(&self, order: impl Iterator<Item = usize>) -> Result<usize, ErrorKind> {
        let (mut order, all) = (order, self.candidates.len());
        order
            .find(|index| is_apart(&self.candidates[*index], self.known))
            .ok_or_else(|| Waste { tried: all, duplicate: all, ..Waste::default() }.error())
    }

    /// The candidate `best` together with those of `order`, the better ones first, that turn other knobs and are not in its way,
    /// until there are `wanted` edits. Each must be worth its place: `worth` is that of a candidate which is made of these of
    /// the pool. None where nothing was added.
    pub(super) fn together(
        &self,
        best: usize,
        order: impl Iterator<Item = usize>,
        wanted: usize,
        worth: impl Fn(&Candidate, &[usize]) -> f64,
    ) -> Option<Candidate> {
        let mut parts = vec![best];
        let mut made: Option<Candidate> = None;
        for index in order.filter(|index| *index != best).take(MOST_PARTNERS) {
            let base = made.as_ref().unwrap_or(&self.candidates[best]);
            if base.drawn.edits.len() >= wanted {
                break;
            }
            let more = [parts.as_slice(), &[index]].concat();
            let both = self.both(base, &self.candidates[index]);
            if let Some(both) = both.filter(|both| worth(both, &more) > worth(base, &parts)) {
                (made, parts) = (Some(both), more);
            }
        }
        made
    }

    /// Two candidates as one; None where they turn the same knob, are in each other's way, or are together nothing that may
    /// be proposed.
    fn both(&self, one: &Candidate, other: &Candidate) -> Option<Candidate> {
        let turned = |candidate: &Candidate, dimension: &str| {
            candidate.change.shifts.iter().any(|shift| shift.sign() != 0 && shift.dimension == dimension)
        };
        let shared = one.change.shifts.iter().any(|shift| shift.sign() != 0 && turned(other, &shift.dimension));
        if shared {
            return None;
        }
        let spec = merged(self.filter.briefing.incumbent, &other.spec, &one.spec).ok()?;
        let drawn = Drawn {
            tree: spec.canonical(),
            edits: [one.drawn.edits.as_slice(), &other.drawn.edits].concat(),
            parents: [one.drawn.parents.as_slice(), &other.drawn.parents].concat(),
        };
        let both = self.filter.admit(drawn, &mut BTreeSet::new(), &mut Waste::default())?;
        is_apart(&both, self.known).then_some(both)
    }
}

struct Filter<'a> {
    briefing: &'a Briefing<'a>,
    known: Known<'a>,
    /// The incumbent itself, what has been rejected, and what waits for its verdict.
    refused: BTreeSet<String>,
    profile: Profile,
    /// What the baseline costs, by [`work`].
    baseline_work: f64,
    /// The most times the baseline's cost that still fits into the session.
    time_limit: f64,
}

impl<'a> Filter<'a> {
    fn new(briefing: &'a Briefing<'a>, known: Known<'a>) -> Self {
        let baseline = briefing.history.baseline();
        let spec = baseline.and_then(|record| Spec::parse(&record.proposal.spec, "baseline").ok());
        let baseline_cost = cost::estimate(spec.as_ref().unwrap_or(briefing.incumbent), briefing.facts);
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
            known,
            refused,
            profile: Profile::of(briefing.incumbent, briefing.facts),
            baseline_work: work(&baseline_cost, briefing.budget).max(f64::MIN_POSITIVE),
            time_limit,
        }
    }

    /// A pool from a source: its recipes, and draws until there are enough.
    fn fill(&self, source: &Source<'_>, drawing: Drawing, waste: &mut Waste, rng: &mut impl Rng) -> Vec<Candidate> {
        let mut seen = BTreeSet::new();
        let mut pool: Vec<Candidate> = Vec::new();
        for drawn in source.recipes() {
            pool.extend(self.admit(drawn, &mut seen, waste));
        }
        for _ in 0..MOST_DRAWS {
            if pool.len() >= POOL {
                break;
            }
            let wanted = match drawing {
                Drawing::Edits => 1,
                Drawing::Proposals => edits(self.briefing.breadth, rng),
            };
            if let Some(drawn) = source.draw(wanted, rng) {
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
        let ratio = work(&cost, briefing.budget) / self.baseline_work;
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
        let candidate = Candidate { drawn, spec, change, doublings: ratio.max(1e-9).log2() };
        // Small steps are often too small: they must not fill the pool.
        if briefing.breadth == Breadth::Narrow && !is_apart(&candidate, self.known) {
            waste.duplicate += 1;
            return None;
        }
        Some(candidate)
    }
}

/// The work of a trial of that cost: seconds where the device has been measured, as a loss of chained operations is dear
/// without many operations on paper; else floating point operations.
fn work(cost: &Cost, budget: &Budget) -> f64 {
    budget.rates.as_ref().map_or(cost.flops, |rates| seconds(cost, rates))
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

/// What differs, as rules and records say it.
pub(super) fn knob_changes(from: &Spec, to: &Spec) -> Vec<KnobChange> {
    differences(from, to).into_iter().map(KnobChange::from).collect()
}
