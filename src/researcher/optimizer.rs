//! The embedded optimizer: no key, no network. It is the default researcher, the fallback, and the control arm against
//! which an LLM's worth is measured.
//!
//! It draws a pool of edits of the incumbent (`draw`: knobs, blocks, terms of the loss, recipes, near misses), forms a
//! belief about each from everything that the ledger has measured (`belief`), and proposes the one that looks best in
//! one draw from that belief (Thompson sampling), less a price for what it costs to train. How far the edits go is the
//! phase's breadth. It keeps no state of its own: what it proposes is a function of the briefing and of its seed.

mod belief;
mod choose;
mod draw;
mod ledger;
mod matrix;
mod prior;
mod profile;
mod recipes;
mod scale;
#[cfg(test)]
mod surrogate;
#[cfg(test)]
pub(super) mod testing;
mod tree;
pub mod view;
mod words;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::briefing::{Briefing, Rejection};
use super::error::ResearcherError;
use super::settings::OptimizerSettings;
use crate::research::trial::{Proposal, Usage};

/// The name in commits and in the ledger.
pub const NAME: &str = "optimizer";

/// The embedded optimizer.
#[derive(Clone, Debug)]
pub struct Optimizer {
    seed: u64,
    profiles: ledger::Profiles,
}

impl Optimizer {
    /// An optimizer with its seed.
    pub fn new(settings: &OptimizerSettings) -> Self {
        Self { seed: settings.seed, profiles: ledger::Profiles::default() }
    }

    /// The next proposal: always a valid spec, new to the history, allowed by the rules and within the budget.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`](super::error::ErrorKind::Exhausted) when a bounded search found none.
    pub fn propose(&mut self, briefing: &Briefing<'_>, rejected: &[Rejection]) -> Result<Proposal, ResearcherError> {
        let started = std::time::Instant::now();
        let observations = self.profiles.observations(briefing.history, briefing.facts, briefing.min_effect);
        let mut rng = self.generator(briefing.history.next_trial(), rejected.len());
        let chosen = choose::choose(briefing, rejected, &observations, &mut rng)?;
        Ok(Proposal {
            title: chosen.title,
            hypothesis: chosen.hypothesis,
            category: chosen.category,
            expected_effect: Some(chosen.expected),
            spec: chosen.spec.to_yaml(),
            researcher: NAME.into(),
            parents: chosen.parents,
            usage: Usage { seconds: started.elapsed().as_secs_f64(), ..Usage::default() },
        })
    }

    /// What it makes of the ledger.
    pub fn view(&mut self, briefing: &Briefing<'_>) -> view::View {
        let observations = self.profiles.observations(briefing.history, briefing.facts, briefing.min_effect);
        view::View { trials: observations.len(), ..view::View::default() }
    }

    /// The generator of one proposal: a function of the seed, the trial and how often it has been sent back.
    fn generator(&self, trial: u32, attempt: usize) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"autoresearch optimizer 1");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&trial.to_le_bytes());
        hasher.update(&(attempt as u64).to_le_bytes());
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }
}
