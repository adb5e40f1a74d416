//! Measuring the incumbent again, on seeds that nothing was selected by; and taking it back if its gain does not stand.

use std::time::Instant;

use jiff::Timestamp;

use super::race::refused;
use super::session::{Flow, Session};
use crate::error::{Error, Result};
use crate::lab::atomic;
use crate::lab::notebook::TrialCommit;
use crate::lab::recover::remeasurement_files;
use crate::research::commit;
use crate::research::event::{Event, SeedPurpose};
use crate::research::gate::{Ground, pool};
use crate::research::remeasure::{Evidence, Remeasurement, remeasure};
use crate::research::trial::{JudgementKind, Scores};

/// Where the seeds begin that only re-measurements use.
const FRESH: u64 = 1_000_001;

impl Session<'_> {
    /// Measures the incumbent again where so many keeps have gone by.
    pub(super) async fn remeasure_when_due(&mut self) -> Result<Flow<()>> {
        let every = self.config.gate.remeasure.every_keeps;
        if every == 0 || self.history.keeps_since_remeasurement() < every || self.model_is_dirty()? {
            return Ok(Flow::On(()));
        }
        match self.remeasure().await? {
            Flow::End(reason) => Ok(Flow::End(reason)),
            Flow::On(_) => Ok(Flow::On(())),
        }
    }

    /// Measures the incumbent, and its predecessor, on fresh seeds; a gain that does not stand is taken back. None where
    /// a training failed, which is said.
    pub(super) async fn remeasure(&mut self) -> Result<Flow<Option<Remeasurement>>> {
        let begun = Instant::now();
        let (record, _) = self.incumbent()?;
        let (trial, selected) = (record.trial, record.payout().unwrap_or(f64::NAN));
        let predecessor = record.incumbent;
        let kept_for = record.judgement.as_ref().map(|judged| judged.delta);
        let simpler = record.judgement.as_ref().is_some_and(|judged| judged.kind == JudgementKind::Simpler);
        let margin = if simpler { self.config.gate.simplify.clone().unwrap_or_default().margin } else { 0.0 };
        let of: Vec<u32> = std::iter::once(trial).chain(predecessor).collect();
        let count = self.config.gate.remeasure.seeds as usize;
        let protocol = self.protocol.seeds.clone();
        // None of the protocol's: those are what candidates are selected by.
        let seeds: Vec<u64> = self
            .unused_seeds(&of, FRESH, count + protocol.len())
            .into_iter()
            .filter(|seed| !protocol.contains(seed))
            .take(count)
            .collect();
        let mut found: Vec<Scores> = Vec::new();
        for trial in &of {
            match self.measure_seeds(*trial, &seeds, SeedPurpose::Remeasurement).await? {
                Flow::End(reason) => return Ok(Flow::End(reason)),
                // All that were ever measured for this, so that each call decides by more than the one before.
                Flow::On(Ok(some)) => {
                    found.push(self.history.scores_for(*trial, SeedPurpose::Remeasurement).unwrap_or(some));
                }
                Flow::On(Err((_, why))) => {
                    self.warn(format!("trial {trial:06} could not be measured again: {why}"));
                    return Ok(Flow::On(None));
                }
            }
        }
        let fresh = found.first().ok_or_else(|| Error::Internal("nothing was measured again".into()))?;
        let prior = pool::noise_between_seeds(&self.history).map_err(refused)?;
        let ground = Ground { folds: &self.folds, eras: &self.known_eras, prior, claim: self.config.gate.claim };
        let evidence = Evidence {
            trial,
            after_trial: self.history.next_trial().saturating_sub(1),
            selected,
            fresh,
            predecessor: predecessor.zip(found.get(1)),
            margin,
            kept_for,
            level: self.config.gate.remeasure.level,
            now: Timestamp::now().to_string(),
        };
        let found = remeasure(&evidence, &ground).map_err(refused)?;
        tracing::info!(
            trial,
            stands = found.demoted_to.is_none(),
            seconds = begun.elapsed().as_secs_f64(),
            "measured again"
        );
        self.conclude_remeasurement(&found)?;
        self.note(format!("trial {trial:06} was measured again: {}", found.reason));
        Ok(Flow::On(Some(found)))
    }

    /// Ledger, files, commit: in this order, so that recovery can complete the rest.
    fn conclude_remeasurement(&mut self, found: &Remeasurement) -> Result<()> {
        if found.demoted_to.is_some() {
            // A person's edit of model.yaml in the meantime must not be overwritten.
            self.notebook.refuse_dirty_model()?;
        }
        let back = found.demoted_to.and_then(|trial| self.history.trial(trial)).cloned();
        let title = self.history.trial(found.trial).map(|record| record.proposal.title.clone()).unwrap_or_default();
        self.record(Event::Remeasured { found: Box::new(found.clone()) })?;
        let files = remeasurement_files(found, back.as_ref()).map_err(|error| Error::Internal(error.to_string()))?;
        for (path, content) in &files {
            atomic::replace_if_different(&self.lab.root().join(path), content)?;
        }
        let message = commit::remeasurement(found, &title).to_string();
        let files = files.into_iter().map(|(path, content)| (path, Some(content))).collect();
        self.commit(&TrialCommit { message, files, when: Timestamp::now() })?;
        self.record(Event::RemeasurementCommitted { trial: found.trial })
    }
}
