//! Chooses one proposal out of a pool of edits: what looks best in one draw from the belief, less a price for what it costs,
//! and what goes well with it; or, for the control arm, any.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};

use super::belief::{Belief, Change, Observation};
use super::draw::{Edit, edits};
use super::families::is_family;
use super::ledger::evidence;
use super::pool::{Candidate, Drawing, Known, Pool, turned};
use super::prior::relevance;
use super::words;
use crate::research::settings::Breadth;
use crate::research::words::count;
use crate::researcher::briefing::Briefing;
use crate::researcher::categories;
use crate::researcher::error::ErrorKind;
use crate::spec::Spec;

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

/// Chooses by belief: the edit that looks best in one draw from it, and with it as many of the next best ones as the phase
/// has edits in a proposal.
pub(super) fn choose(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> Result<Chosen, ErrorKind> {
    let mut pool = Pool::draw(briefing, known, Drawing::Edits, rng)?;
    let belief = Belief::new(known.observations, briefing.min_effect);
    pool.look_around(&belief);
    let changes: Vec<Change> = pool.candidates.iter().map(|candidate| candidate.change.clone()).collect();
    let outlook = belief.outlook(&changes);
    let dreamt = outlook.draw(boldness(briefing.breadth), rng);
    let worth = Worth::new(briefing, known.observations, belief.unit());
    let alone = |index: usize| worth.of(&pool.candidates[index], dreamt[index]);
    let mut order: Vec<usize> = (0..pool.candidates.len()).collect();
    order.sort_by(|a, b| alone(*b).total_cmp(&alone(*a)).then(a.cmp(b)));
    let best = pool.first_apart(order.iter().copied())?;
    // The belief is a sum over knobs: what it says of edits of different knobs adds up. One dream a proposal is enough: what
    // goes with it is to be expected to gain, or nobody could tell what a trial of several dreams has shown. And while nothing
    // succeeds, other kinds of edits are to be tried, not more of them at a time.
    let sum = |candidate: &Candidate, parts: &[usize]| {
        let expected = |index: &usize| if *index == best { dreamt[*index] } else { outlook.mean[*index] };
        worth.of(candidate, parts.iter().map(expected).sum())
    };
    let together = pool.together(best, order.into_iter(), edits(briefing.phase.breadth, rng), sum);
    let chosen = together.unwrap_or_else(|| pool.candidates.swap_remove(best));
    let outlook = belief.outlook(std::slice::from_ref(&chosen.change));
    // What waits for its verdict stands behind what was measured, and is no evidence.
    let next = briefing.history.next_trial();
    let measured = &known.observations[..known.observations.partition_point(|seen| seen.trial < next)];
    Ok(finish(chosen, Some((outlook.mean[0], outlook.deviation[0])), measured))
}

/// Chooses without belief: whole proposals of the very same edits, each as likely as any other.
pub(super) fn by_chance(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> Result<Chosen, ErrorKind> {
    let mut pool = Pool::draw(briefing, known, Drawing::Proposals, rng)?;
    let mut order: Vec<(u64, usize)> = (0..pool.candidates.len()).map(|index| (rng.random(), index)).collect();
    order.sort_unstable();
    let drawn = pool.first_apart(order.into_iter().map(|(_, index)| index))?;
    Ok(finish(pool.candidates.swap_remove(drawn), None, &[]))
}

/// What candidates are worth beyond what they are dreamt to gain.
struct Worth<'a> {
    briefing: &'a Briefing<'a>,
    /// One typical effect, in payout.
    unit: f64,
    /// The families that have been tried.
    families: BTreeSet<&'a str>,
    /// The dimensions that have been turned.
    turned: BTreeSet<&'a str>,
    /// Whether the phase lets the search go to other families.
    anywhere: bool,
}

impl<'a> Worth<'a> {
    fn new(briefing: &'a Briefing<'a>, observations: &'a [Observation], unit: f64) -> Self {
        let categories = &briefing.phase.categories;
        Self {
            briefing,
            unit,
            families: observations.iter().flat_map(|seen| brought(&seen.change)).collect(),
            turned: turned(observations),
            anywhere: briefing.breadth == Breadth::Wide
                && (categories.is_empty() || categories.iter().any(|one| one == "architecture")),
        }
    }

    /// The worth of a candidate that is dreamt to gain so much, in payout.
    fn of(&self, candidate: &Candidate, dreamt: f64) -> f64 {
        let categories = &self.briefing.phase.categories;
        let wanted = candidate.change.categories().iter().any(|one| categories.iter().any(|category| category == one));
        let first = self.anywhere && brought(&candidate.change).any(|kind| !self.families.contains(kind));
        let bonus = if wanted { PHASE_BONUS } else { 0.0 } + if first { FAMILY_BONUS } else { 0.0 };
        let new = NEW_BONUS * novelty(&candidate.change, &self.turned);
        dreamt + self.unit * (bonus + new - price(candidate.doublings))
    }
}

/// The families of nets that a change brings in.
fn brought(change: &Change) -> impl Iterator<Item = &str> {
    let brings = |shift: &&super::profile::Shift| shift.sign() > 0 && is_family(&shift.dimension);
    change.shifts.iter().filter(brings).map(|shift| shift.dimension.as_str())
}

/// How much the most relevant dimension is expected to matter that a change turns and nothing has turned before.
fn novelty(change: &Change, turned: &BTreeSet<&str>) -> f64 {
    let new = |shift: &&super::profile::Shift| shift.sign() != 0 && !turned.contains(shift.dimension.as_str());
    change.shifts.iter().filter(new).map(|shift| relevance(&shift.dimension)).fold(0.0, f64::max)
}

/// How much of the belief's spread a draw takes. The best of a hundred draws is far out as it is, so less than all of
/// it finds more; where steps are small anyway, or the phase wants leaps, it may be more.
fn boldness(breadth: Breadth) -> f64 {
    match breadth {
        Breadth::Narrow => 0.6,
        Breadth::Focused | Breadth::Combined => 0.4,
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

fn category(edit: &Edit) -> String {
    edit.category.clone()
}
