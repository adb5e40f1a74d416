//! Asking the holdout how a kept spec scores on the eras that no trial was trained or judged on.
//!
//! An answer is written where only people look, and counted in the ledger without a number. Nothing here logs one, and no
//! briefing, commit or paper of the loop is made from it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use prepare::Protocol;
use prepare::evaluate::{EraScore, Evaluation};

use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::lab::config::Config;
use crate::lab::holdout::{self, Answer, Estimate, Estimates, Subject};
use crate::research::event::Event;
use crate::research::gate::{self, KnownEras};
use crate::research::measurement::evaluate;
use crate::research::trial::{Scores, SeedPayouts, TrialRecord, Verdict};
use crate::spec::Spec;
use crate::worker::supervisor::{Worker, WorkerProgress};

/// A kept spec, fit to be asked about.
pub(crate) struct Question<'a> {
    lab: &'a Lab,
    protocol: &'a Protocol,
    config: &'a Config,
    spec: Spec,
    subject: Subject,
    /// Queries so far.
    queries: u32,
}

impl<'a> Question<'a> {
    /// A question about a keep. `events` are the ledger's.
    ///
    /// # Errors
    /// A trial that was not kept, or was measured under another protocol or on other data; answers that cannot be read.
    pub(crate) fn new<'e>(
        lab: &'a Lab,
        (protocol, data_hash): (&'a Protocol, &str),
        config: &'a Config,
        record: &TrialRecord,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<Self> {
        let trial = record.trial;
        if record.verdict != Verdict::Keep {
            return Err(Error::Usage(format!(
                "trial {trial} is a {}; the holdout is for what was kept: `autoresearch log` shows which trials were",
                record.verdict
            )));
        }
        let protocol_hash = protocol.hash();
        if record.protocol_hash != protocol_hash || record.data_hash != data_hash {
            return Err(Error::Configuration(format!(
                "trial {trial} was measured under another protocol or on other data, and cannot be compared with its score on this holdout; `autoresearch run` measures model.yaml anew"
            )));
        }
        let spec = Spec::parse(&record.proposal.spec, &format!("runs/{}/spec.yaml", record.folder()))?;
        let spec_hash = record.spec_hash.clone().unwrap_or_else(|| spec.hash());
        let subject = Subject { trial, spec_hash, protocol_hash, data_hash: data_hash.to_owned() };
        let queries = holdout::queries(&holdout::read(lab)?, events);
        Ok(Self { lab, protocol, config, spec, subject, queries })
    }

    /// The answer that it got before.
    ///
    /// # Errors
    /// Answers that cannot be read.
    pub(crate) fn known(&self) -> Result<Option<Answer>> {
        let answers = holdout::read(self.lab)?;
        Ok(answers.into_iter().rev().find(|answer| answer.is_about(&self.subject)))
    }

    /// Queries so far.
    pub(crate) fn queries(&self) -> u32 {
        self.queries
    }

    /// The number of the query that asking it would be.
    ///
    /// # Errors
    /// [`Error::Configuration`] where the budget is used up.
    pub(crate) fn next_query(&self) -> Result<u32> {
        let budget = self.config.holdout.budget;
        if self.queries >= budget {
            return Err(Error::Configuration(format!(
                "the holdout's budget is used up: {} of {budget} queries. Each look at it makes its score less independent of what is kept, until it says no more than cross-validation does. Who wants to look again all the same raises holdout.budget in autoresearch.yaml",
                self.queries
            )));
        }
        Ok(self.queries + 1)
    }
}

/// Has a question answered, by training on every era of cross-validation under the protocol's seeds. What comes back holds no
/// score: it is what the ledger is to be told, or None where the answer was known and no query was spent. The answer itself
/// is on the disk then, for [`Question::known`] to show to people. A training that fails tells nothing of the holdout, and is
/// no query. After an error the worker may be dead.
///
/// # Errors
/// A budget that is used up; those of the worker; a file that cannot be written.
pub(crate) async fn score(
    worker: &mut Worker,
    question: &Question<'_>,
    report: impl FnMut(WorkerProgress),
) -> Result<Option<Event>> {
    if question.known()?.is_some() {
        return Ok(None);
    }
    let query = question.next_query()?;
    let Question { lab, protocol, config, spec, subject, .. } = question;
    let limit = config.budget.trial_seconds as f64;
    let deadline = Instant::now() + Duration::from_secs_f64(limit);
    let cells = worker.holdout(spec.to_yaml(), protocol.seeds.clone(), deadline, limit, report).await?;
    // The harness's own words name the score of the era that has none.
    let evaluation = evaluate(&cells, &protocol.objective)
        .map_err(|_| Error::Training(format!("trial {}: an era of the holdout has no score", subject.trial)))?;
    let scores = estimates(&evaluation, super::overlap(&protocol.targets.score_on));
    let seeds = protocol.seeds.clone();
    let answer = Answer::new(query, Timestamp::now(), subject.clone(), seeds, scores, evaluation.eras);
    holdout::add(lab, &answer)?;
    let Subject { trial, spec_hash, .. } = subject.clone();
    Ok(Some(Event::HoldoutQueried { trial, spec_hash, query, budget: config.holdout.budget }))
}

/// The scores of an evaluation with their standard errors over eras, each era the mean over seeds.
pub(crate) fn estimates(evaluation: &Evaluation, overlap: u32) -> Estimates {
    let known = KnownEras::new(overlap);
    let estimate = |mean: f64, of: fn(&EraScore) -> f64| {
        let series = SeedPayouts { seed: 0, payout: evaluation.eras.iter().map(of).collect() };
        let scores = Scores { eras: evaluation.eras.iter().map(|era| era.era).collect(), seeds: vec![series] };
        Estimate { mean, standard_error: gate::standard_error(&scores, &known, None).ok() }
    };
    Estimates {
        payout: estimate(evaluation.payout, |era| era.payout),
        corr: estimate(evaluation.corr.mean, |era| era.corr),
        bmc: estimate(evaluation.bmc.mean, |era| era.bmc),
    }
}
