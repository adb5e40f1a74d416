//! Who proposes next: one researcher or several by shares, and a ladder of others for while one cannot. Decisions only;
//! who is asked, and when, is the loop's business.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Researcher;
use super::error::{ErrorKind, ResearcherError};
use super::optimizer::Optimizer;
use super::prompt::templates::Templates;
use super::settings::{Kind, ResearcherSettings};
use crate::research::history::History;
use crate::research::trial::{JudgementKind, Usage, Verdict};

/// Shares are kept over so many of the latest proposals, so that what was proposed under another configuration long ago
/// is not made up for.
const WINDOW: usize = 40;
/// The bandit looks at so many of the latest proposals.
const BANDIT_WINDOW: usize = 200;
/// No researcher's share falls under this part of what was configured, so that it can recover.
const LEAST: f64 = 0.2;

/// So long a session's start waits for a researcher's first word.
const CHECK: Duration = Duration::from_secs(60);
/// The longest rest that a server can ask for: one that names a year is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(6 * 3_600);
/// The longest rest, and the one after what only a person can mend.
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// The researchers of a session.
#[derive(Clone, Debug)]
pub struct Team {
    seats: BTreeMap<Kind, Seat>,
    /// Who proposes while all is well, with their shares.
    shares: Vec<(Kind, f64)>,
    ladder: Vec<Kind>,
    bandit: bool,
    /// The rest after a first failure.
    first_rest: Duration,
}

#[derive(Clone, Debug)]
struct Seat {
    researcher: Researcher,
    rest: Rest,
    /// Rounds in a row of which nothing could be used.
    unusable: u32,
}

/// How long one that failed is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    /// After one more failure. `dice` in [0, 1) spreads those who failed together.
    fn longer(self, first: Duration, kind: &ErrorKind, now: Instant, dice: f64) -> Self {
        let doubled = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST_REST);
        let rest = if kind.needs_a_person() { LONGEST_REST } else { doubled };
        let spread = rest.mul_f64(1.0 + 0.25 * dice);
        let asked = kind.retry_after().unwrap_or_default().min(LONGEST_ASKED);
        Self { failures: self.failures.saturating_add(1), until: now.checked_add(spread.max(asked)) }
    }

    fn is_over(self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}

impl Team {
    /// The researchers that the settings name, each ready to be asked.
    ///
    /// # Errors
    /// What is missing or wrong with one of them, and which.
    pub fn new(settings: &ResearcherSettings, templates: &Templates) -> Result<Self, (Kind, ResearcherError)> {
        let shares: Vec<(Kind, f64)> = match settings.kind {
            Kind::Mix => settings.mix.shares.iter().map(|(kind, share)| (*kind, *share)).collect(),
            kind => vec![(kind, 1.0)],
        };
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        let shares: Vec<(Kind, f64)> =
            shares.into_iter().filter(|(_, share)| *share > 0.0).map(|(kind, share)| (kind, share / total)).collect();
        let mut seats = BTreeMap::new();
        let kinds =
            shares.iter().map(|(kind, _)| *kind).chain(settings.ladder.iter().copied()).chain([Kind::Optimizer]);
        for kind in kinds {
            if let std::collections::btree_map::Entry::Vacant(seat) = seats.entry(kind) {
                let researcher = Researcher::new(kind, settings, templates.clone()).map_err(|error| (kind, error))?;
                seat.insert(Seat { researcher, rest: Rest::default(), unusable: 0 });
            }
        }
        let bandit = settings.kind == Kind::Mix && settings.mix.bandit;
        let first_rest = Duration::from_secs(settings.rest_seconds);
        Ok(Self { seats, shares, ladder: settings.ladder.clone(), bandit, first_rest })
    }

    /// What it is called in the status and in the ledger: `openai`, `mix of openai and optimizer`.
    pub fn name(&self) -> String {
        match self.shares.as_slice() {
            [(only, _)] => only.name().to_owned(),
            several => {
                let names: Vec<&str> = several.iter().map(|(kind, _)| kind.name()).collect();
                format!("mix of {}", names.join(" and "))
            }
        }
    }

    /// Everybody who may be asked: the session's own, then the rungs of the ladder, the optimizer the last of them.
    pub fn kinds(&self) -> Vec<Kind> {
        let own = self.shares.iter().map(|(kind, _)| *kind);
        let mut found = Vec::new();
        for kind in own.chain(self.ladder.iter().copied()).chain([Kind::Optimizer]) {
            if !found.contains(&kind) {
                found.push(kind);
            }
        }
        found
    }

    /// Whether it proposes while all is well, and not only in another's place.
    pub fn is_own(&self, kind: Kind) -> bool {
        self.shares.iter().any(|(own, _)| *own == kind)
    }

    /// A researcher to ask. Its clone keeps what it has learned of its endpoint when it is [put back](Team::put_back).
    pub fn researcher(&self, kind: Kind) -> Option<Researcher> {
        self.seats.get(&kind).map(|seat| seat.researcher.clone())
    }

    /// Lets the optimizer read what is new in the ledger, so that its clones need not.
    pub fn learn(&mut self, history: &History, protocol_hash: &str, data_hash: &str) {
        if let Some(Seat { researcher: Researcher::Optimizer(optimizer), .. }) = self.seats.get_mut(&Kind::Optimizer) {
            optimizer.learn(history, protocol_hash, data_hash);
        }
    }

    /// The optimizer, for its view of the ledger.
    pub fn optimizer(&self) -> Option<Optimizer> {
        match self.researcher(Kind::Optimizer) {
            Some(Researcher::Optimizer(optimizer)) => Some(*optimizer),
            _ => None,
        }
    }

    /// Takes a researcher back after it was asked, and remembers whether it could answer.
    pub fn put_back(
        &mut self,
        kind: Kind,
        researcher: Researcher,
        failure: Option<&ErrorKind>,
        now: Instant,
        dice: f64,
    ) {
        if let Some(seat) = self.seats.get_mut(&kind) {
            seat.researcher = researcher;
            seat.rest = match failure {
                Some(failure) => seat.rest.longer(self.first_rest, failure, now, dice),
                None => Rest::default(),
            };
        }
    }

    /// Whether anything of a round could be used. One that brings nothing usable twice in a row (the same model again and
    /// again, specs that are none) rests as one that failed, and as long.
    pub fn brought(&mut self, kind: Kind, usable: bool, now: Instant, dice: f64) {
        let first = self.first_rest;
        let Some(seat) = self.seats.get_mut(&kind) else { return };
        seat.unusable = if usable { 0 } else { seat.unusable + 1 };
        if seat.unusable > 1 {
            let rest = Rest { failures: seat.unusable - 2, until: None };
            seat.rest = rest.longer(first, &ErrorKind::Malformed { why: String::new() }, now, dice);
        }
    }

    /// Who is left alone at the moment, and for how many seconds.
    pub fn resting(&self, now: Instant) -> Vec<(Kind, u64)> {
        self.seats
            .iter()
            .filter(|(_, seat)| !seat.rest.is_over(now))
            .map(|(kind, seat)| (*kind, seat.rest.until.map_or(0, |until| until.duration_since(now).as_secs())))
            .collect()
    }

    /// Who proposes next. `under_way` counts the candidates of each that have no verdict yet.
    pub fn turn(&self, history: &History, under_way: &BTreeMap<String, usize>, now: Instant) -> Kind {
        let wanted = self.by_shares(history, under_way);
        if self.can(wanted, now) { wanted } else { self.stand_in(now) }
    }

    /// Who proposes in the place of one that cannot: another of the session's own, the first on the ladder that can, and
    /// at last the optimizer.
    pub fn stand_in(&self, now: Instant) -> Kind {
        let own = self.shares.iter().map(|(kind, _)| *kind);
        own.chain(self.ladder.iter().copied()).find(|kind| self.can(*kind, now)).unwrap_or(Kind::Optimizer)
    }

    /// The first on the ladder that answers at once.
    pub fn instant_stand_in(&self) -> Kind {
        self.ladder.iter().copied().find(|kind| kind.is_instant()).unwrap_or(Kind::Optimizer)
    }

    /// The language model that writes learnings.md: the first of the session's own that can at the moment.
    pub fn writer(&self, now: Instant) -> Option<Kind> {
        self.shares.iter().map(|(kind, _)| *kind).find(|kind| !kind.is_instant() && self.can(*kind, now))
    }

    /// The language model of the session's own that can be asked soonest, and for how long it is still left alone.
    pub fn rest_of_writers(&self, now: Instant) -> Option<(Kind, Duration)> {
        let own = self.shares.iter().map(|(kind, _)| *kind).filter(|kind| !kind.is_instant());
        let rest = |kind: Kind| self.seats.get(&kind).and_then(|seat| seat.rest.until);
        own.map(|kind| (kind, rest(kind).map_or(Duration::ZERO, |until| until.saturating_duration_since(now))))
            .min_by_key(|(_, rest)| *rest)
    }

    /// Whether the session's own researchers hold a language model, so that learnings.md is its to write.
    pub fn has_a_writer(&self) -> bool {
        self.shares.iter().any(|(kind, _)| !kind.is_instant())
    }

    fn can(&self, kind: Kind, now: Instant) -> bool {
        self.seats.get(&kind).is_some_and(|seat| seat.rest.is_over(now))
    }

    /// The one that lags most behind its share of the latest proposals.
    fn by_shares(&self, history: &History, under_way: &BTreeMap<String, usize>) -> Kind {
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for record in proposals(history).take(WINDOW) {
            *counts.entry(record.proposal.researcher.as_str()).or_default() += 1.0;
        }
        for (name, count) in under_way {
            *counts.entry(name).or_default() += *count as f64;
        }
        let shares = self.shares(history);
        let count = |kind: Kind| counts.get(kind.name()).copied().unwrap_or(0.0);
        let total: f64 = shares.iter().map(|(kind, _)| count(*kind)).sum::<f64>() + 1.0;
        let lag = |(kind, share): &(Kind, f64)| share * total - count(*kind);
        let most = shares.iter().fold(None, |best: Option<(Kind, f64)>, seat| match best {
            Some((_, least)) if lag(seat) <= least => best,
            _ => Some((seat.0, lag(seat))),
        });
        most.map_or(Kind::Optimizer, |(kind, _)| kind)
    }

    /// The shares in force: as configured, or with a bandit moved towards those whose proposals are kept.
    ///
    /// Each researcher's worth is the posterior mean of its share of successes under a Beta(1, 9) prior (of ten proposals,
    /// one is kept), a keep counting as one and a candidate that was still undecided at the most seeds as a half; shares
    /// are the configured ones times these, and never under a fifth of what was configured.
    pub fn shares(&self, history: &History) -> Vec<(Kind, f64)> {
        if !self.bandit || self.shares.len() < 2 {
            return self.shares.clone();
        }
        let worth = |kind: Kind| {
            let own = proposals(history).take(BANDIT_WINDOW).filter(|record| record.proposal.researcher == kind.name());
            let (tries, successes) = own.fold((0.0, 0.0), |(tries, successes), record| {
                let undecided = record.judgement.as_ref().is_some_and(|judged| judged.kind == JudgementKind::Undecided);
                let kept = record.verdict == Verdict::Keep && !history.is_demoted(record.trial);
                (
                    tries + 1.0,
                    successes
                        + if kept {
                            1.0
                        } else if undecided {
                            0.5
                        } else {
                            0.0
                        },
                )
            });
            (1.0 + successes) / (10.0 + tries)
        };
        let weighed: Vec<(Kind, f64)> = self.shares.iter().map(|(kind, share)| (*kind, share * worth(*kind))).collect();
        let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
        let floored: Vec<(Kind, f64)> = weighed
            .iter()
            .zip(&self.shares)
            .map(|((kind, weight), (_, share))| (*kind, (weight / total).max(LEAST * share)))
            .collect();
        let total: f64 = floored.iter().map(|(_, share)| share).sum();
        floored.into_iter().map(|(kind, share)| (kind, share / total)).collect()
    }

    /// The shares in force, in words, where they are not as configured.
    pub fn shares_in_words(&self, history: &History) -> Option<String> {
        let now = self.shares(history);
        let moved = now.iter().zip(&self.shares).any(|((_, now), (_, was))| (now - was).abs() > 0.005);
        let words: Vec<String> = now
            .iter()
            .zip(&self.shares)
            .map(|((kind, now), (_, was))| {
                format!("{} {:.0} % (configured {:.0} %)", kind.name(), now * 100.0, was * 100.0)
            })
            .collect();
        moved.then(|| format!("the bandit has moved the shares of the proposals: {}", words.join(", ")))
    }

    /// Who is [asked](Team::check) for a first word, by name; None where nobody is.
    pub fn first_words(&self) -> Option<String> {
        let names: Vec<&str> = self.seats.keys().filter(|kind| !kind.is_instant()).map(|kind| kind.name()).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    }

    /// Whether those who take part can be reached: one small call each to those that are not instant, without retries. One
    /// whose trouble may pass rests.
    ///
    /// # Errors
    /// Which researcher, and what only a person can mend.
    pub async fn check(&mut self, now: Instant) -> Result<Vec<Reached>, (Kind, ResearcherError)> {
        let mut found = Vec::new();
        let begun = Instant::now();
        let kinds: Vec<Kind> = self.seats.keys().copied().filter(|kind| !kind.is_instant()).collect();
        for kind in kinds {
            let Some(researcher) = self.researcher(kind) else { continue };
            let reached = tokio::time::timeout(CHECK, researcher.check()).await;
            let (usage, failure) = match reached {
                Err(_) => (Usage::default(), Some(ErrorKind::slow(kind.name(), CHECK))),
                Ok(Ok((_, usage))) => (usage, None),
                Ok(Err(failed)) if failed.kind.needs_a_person() => return Err((kind, failed)),
                Ok(Err(failed)) => (failed.usage, Some(failed.kind)),
            };
            if let Some(failure) = &failure {
                // A rest is one from here on: the call itself may have taken as long.
                self.put_back(kind, researcher, Some(failure), now + begun.elapsed(), 0.0);
            }
            found.push(Reached { kind, usage, failure });
        }
        Ok(found)
    }
}

/// Whether a researcher could be reached.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Which.
    pub kind: Kind,
    /// What it cost to find out.
    pub usage: Usage,
    /// Why it could not.
    pub failure: Option<ErrorKind>,
}

/// What researchers proposed, the latest first; baselines are people's.
fn proposals(history: &History) -> impl Iterator<Item = &crate::research::trial::TrialRecord> {
    history.records().rev().filter(|record| record.incumbent.is_some())
}

#[cfg(test)]
mod tests;
