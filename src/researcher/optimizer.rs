//! The embedded optimizer: no key, no network. It is the default researcher, the fallback, and the control arm against
//! which an LLM's worth is measured.
//!
//! It draws a pool of edits of the incumbent (`draw`: knobs, blocks, terms of the loss, recipes, other families of nets,
//! earlier trials put together), adds the moves of knobs that have been turned before (`pool`), forms a belief about each
//! from everything that the ledger has measured (`belief`, `scales`), and proposes the one that looks best in one draw from
//! that belief (Thompson sampling), less a price for what it costs to train, together with the next best ones where the phase
//! wants more than one. How far the edits go is the breadth of the briefing. Its control arm, [`Optimizer::random`], takes
//! any proposal made of the very same kinds of edits. It keeps no state of its own: what it proposes is a function of the briefing and of its seed.

mod belief;
mod choose;
mod draw;
mod families;
mod good;
mod ledger;
mod look;
mod matrix;
mod pool;
mod prior;
mod profile;
mod recipes;
mod scales;
mod structure;
#[cfg(test)]
mod surrogate;
#[cfg(test)]
pub(super) mod testing;
mod tree;
pub mod view;
mod words;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use self::belief::Observation;
use self::pool::Known;
use self::view::View;
use super::Ask;
use super::briefing::{Briefing, Pending, Rejection};
use super::error::ResearcherError;
use super::settings::{Kind, OptimizerSettings};
use crate::research::history::History;
use crate::research::near_duplicate::{Measured, Neighbours};
use crate::research::trial::{Proposal, Usage};

/// The name in commits and in the ledger.
pub const NAME: &str = "optimizer";

/// The embedded optimizer, or its control arm.
#[derive(Clone, Debug)]
pub struct Optimizer {
    seed: u64,
    believes: bool,
    profiles: ledger::Profiles,
    measured: Measured,
}

impl Optimizer {
    /// An optimizer with its seed.
    pub fn new(settings: &OptimizerSettings) -> Self {
        Self {
            seed: settings.seed,
            believes: true,
            profiles: ledger::Profiles::default(),
            measured: Measured::default(),
        }
    }

    /// The control arm: the very same kinds of edits, as broad, each as likely as any other.
    pub fn random(settings: &OptimizerSettings) -> Self {
        Self { believes: false, ..Self::new(settings) }
    }

    /// Its name in commits and in the ledger.
    pub fn name(&self) -> &'static str {
        if self.believes { NAME } else { Kind::Random.name() }
    }

    /// The next proposal: always a valid spec, new to the history and to what is pending, further from each of them than the gate
    /// can see, allowed by the rules and within the budget.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`](super::error::ErrorKind::Exhausted) when a bounded search found none.
    pub fn propose(&mut self, briefing: &Briefing<'_>, rejected: &[Rejection]) -> Result<Proposal, ResearcherError> {
        let started = std::time::Instant::now();
        let observations = self.observations(briefing);
        let waiting = waiting(briefing);
        let known = Known { observations: &observations, measured: &self.measured, waiting: &waiting, rejected };
        let mut rng = self.generator(b"propose", briefing, rejected.len());
        let chosen = if self.believes {
            choose::choose(briefing, known, &mut rng)?
        } else {
            choose::by_chance(briefing, known, &mut rng)?
        };
        Ok(Proposal {
            title: chosen.title,
            hypothesis: chosen.hypothesis,
            category: chosen.category,
            expected_effect: chosen.expected,
            spec: chosen.spec.to_yaml(),
            researcher: self.name().into(),
            parents: chosen.parents,
            usage: Usage { seconds: started.elapsed().as_secs_f64(), ..Usage::default() },
        })
    }

    /// As many proposals as are asked for, each as if those before it were pending; fewer where it finds no more.
    ///
    /// # Errors
    /// As [`Optimizer::propose`], for the first.
    pub fn propose_several(
        &mut self,
        briefing: &Briefing<'_>,
        ask: &Ask<'_>,
    ) -> Result<Vec<Proposal>, ResearcherError> {
        let mut pending = briefing.pending.to_vec();
        let mut found = Vec::new();
        while found.len() < ask.count {
            match self.propose(&Briefing { pending: &pending, ..*briefing }, ask.rejected) {
                Ok(proposal) => {
                    pending.extend(Pending::of(&proposal, briefing.incumbent));
                    found.push(proposal);
                }
                Err(error) if found.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(found)
    }

    /// What it makes of the ledger, for people and for a model that proposes beside it. The same ledger gives the same.
    pub fn view(&mut self, briefing: &Briefing<'_>) -> View {
        let observations = self.observations(briefing);
        let waiting = waiting(briefing);
        let known = Known { observations: &observations, measured: &self.measured, waiting: &waiting, rejected: &[] };
        look::look(briefing, known, &mut self.generator(b"view", briefing, 0))
    }

    /// Reads the specs that are new in the ledger.
    pub fn learn(&mut self, history: &History, protocol_hash: &str, data_hash: &str) {
        self.measured.learn(history, protocol_hash, data_hash);
    }

    /// What the ledger says, what is pending included; and the measured specs brought up to date.
    fn observations(&mut self, briefing: &Briefing<'_>) -> Vec<Observation> {
        if let Some(now) = briefing.history.incumbent() {
            self.measured.learn(briefing.history, &now.protocol_hash, &now.data_hash);
        }
        let mut found = self.profiles.observations(briefing.history, briefing.facts, briefing.min_effect);
        found.extend(ledger::Profiles::pending(briefing));
        found
    }

    /// The generator of one answer: a function of the seed, the trial, what is pending, and how often it was sent back.
    fn generator(&self, purpose: &[u8], briefing: &Briefing<'_>, attempt: usize) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"autoresearch optimizer 2");
        hasher.update(purpose);
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&briefing.history.next_trial().to_le_bytes());
        hasher.update(&(attempt as u64).to_le_bytes());
        for pending in briefing.pending {
            hasher.update(pending.spec_hash.as_bytes());
        }
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }
}

/// The specs that wait for their verdict.
fn waiting(briefing: &Briefing<'_>) -> Neighbours {
    let mut found = Neighbours::default();
    briefing.pending.iter().for_each(|pending| found.wait(&pending.spec));
    found
}

/// The place that a number in [0, 1) falls on, of places with these shares.
fn weighted(shares: &[f64], chance: f64) -> usize {
    let mut left = chance * shares.iter().sum::<f64>();
    shares
        .iter()
        .position(|share| {
            left -= share;
            left < 0.0
        })
        .unwrap_or(0)
}
