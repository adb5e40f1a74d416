//! What a trial teaches: learnings.md synthesized anew, and rules learned for do_not_retry.toml.

use std::time::{Duration, Instant};

use prepare::Protocol;

use super::propose::{Papers, passed, patiently};
use super::session::Session;
use crate::error::Result;
use crate::lab::atomic;
use crate::research::event::Event;
use crate::research::evidence::evidence;
use crate::research::learned::learned_rules;
use crate::research::learnings;
use crate::research::rules::render;
use crate::research::settings::{Breadth, PhaseSettings};
use crate::research::trial::TrialRecord;
use crate::spec::DataFacts;

impl Session<'_> {
    /// Writes learnings.md and do_not_retry.toml in the work tree; the trial's commit takes them in.
    pub(super) async fn learn(&mut self, record: &TrialRecord) -> Result<()> {
        let papers = self.papers()?;
        let found = evidence(&self.history);
        let text = match self.synthesized(record, &papers).await? {
            Learned::Text(text) => text,
            Learned::Template => learnings::update(&papers.learnings, &self.history, &found),
            Learned::AsItIs => papers.learnings.clone(),
        };
        atomic::replace_if_different(&self.lab.learnings(), text.as_bytes())?;
        let learned = learned_rules(&self.history, &papers.rules);
        if !learned.is_empty() {
            // A person may have saved the file in the meantime: their lines are committed as theirs first.
            if let Some(commit) = self.notebook.commit_person_edits(jiff::Timestamp::now())? {
                self.record(Event::PersonEdited { files: commit.files })?;
            }
            let fresh = self.papers()?;
            if !fresh.rules_are_fresh {
                // The person is not done with the file; what was learned is learned again after the next trial.
                return Ok(());
            }
            let mut rules = fresh.rules_text;
            for rule in &learned {
                self.note(format!("learned a rule: {} ({})", rule.name, rule.reason));
                if !rules.ends_with("\n\n") {
                    rules.push('\n');
                }
                rules.push_str(&render(rule));
            }
            atomic::replace(&self.lab.do_not_retry(), rules.as_bytes())?;
        }
        Ok(())
    }

    /// What becomes of learnings.md. A language model writes beside the next training, so that the device does not wait for
    /// it: its text stands in the commit of a later trial. Only the last trial of a session waits.
    async fn synthesized(&mut self, record: &TrialRecord, papers: &Papers) -> Result<Learned> {
        let every = self.config.researcher.learnings_every;
        if !self.desk.team.has_a_writer() || every == 0 {
            // Rendered anew each time, over what a model may have written before.
            return Ok(Learned::Template);
        }
        let mut learned = Learned::AsItIs;
        let last = self.limit_reached().is_some();
        if self.desk.writing().is_some_and(|done| done || last) {
            learned = self.written(papers).await?;
        }
        // One that was waited for in vain is not waited for again.
        let in_vain = self.desk.writing().is_some();
        // Before there is an incumbent (a baseline that failed) there is nothing to synthesize.
        let is_due = last || is_due(every, self.history.trained());
        let worth_a_call = is_due && record.verdict.was_trained() && self.history.incumbent().is_some();
        let may_call = self.is_over().is_none() && self.spent_out().is_none();
        if worth_a_call && may_call && self.desk.writing().is_none() {
            let now = Instant::now();
            let Some((kind, researcher)) =
                self.desk.team.writer(now).and_then(|kind| Some((kind, self.desk.team.researcher(kind)?)))
            else {
                // What a model has written stays until it can write again.
                return Ok(learned);
            };
            let nowhere = PhaseSettings::new(&record.phase, Breadth::Wide);
            let phase = self.config.phases.iter().find(|phase| phase.name == record.phase).unwrap_or(&nowhere);
            let packet = self.packet(phase, None)?;
            self.desk.write(kind, researcher, packet, record.clone());
        }
        if last && !in_vain && self.desk.writing().is_some() {
            // What was written of the trial before stands where this one brings nothing.
            match self.written(papers).await? {
                Learned::AsItIs => {}
                found => learned = found,
            }
        }
        Ok(learned)
    }

    /// The synthesis under way, if it is fit to replace the old text.
    async fn written(&mut self, papers: &Papers) -> Result<Learned> {
        let patience = Duration::from_secs(self.config.researcher.patience_seconds);
        let Session { desk, stop, notify, limits, .. } = self;
        let written = tokio::select! {
            written = patiently(desk.written(), stop, || notify.progress()) => written.flatten(),
            _ = passed(limits.until) => None,
            // A trial's verdict does not wait for a server that hangs.
            () = tokio::time::sleep(patience) => None,
        };
        let Some(written) = written else { return Ok(Learned::AsItIs) };
        let (kind, researcher, found) = written?;
        let failure = found.as_ref().err().map(|error| error.kind.clone());
        if failure.is_some() {
            self.desk.team.put_back(kind, researcher, failure.as_ref(), Instant::now(), rand::random());
        }
        match found {
            Ok(None) => Ok(Learned::Template),
            Ok(Some(synthesis)) => {
                let researcher = Some(kind.name().to_owned());
                self.record(Event::TokensSpent { purpose: "learnings".into(), researcher, usage: synthesis.usage })?;
                let text = learnings::with_notes(&papers.learnings, &synthesis.text);
                match learnings::accept(&papers.learnings, &text) {
                    Ok(()) => Ok(Learned::Text(text)),
                    Err(why) => {
                        self.warn(format!(
                            "the researcher's learnings were not taken ({why}); rendered from the evidence instead"
                        ));
                        Ok(Learned::Template)
                    }
                }
            }
            Err(error) => {
                let researcher = kind.name().to_owned();
                self.record(Event::ResearcherFailed { researcher, error: error.to_string(), usage: error.usage })?;
                self.warn(format!("learnings: {error}; rendered from the evidence instead"));
                Ok(Learned::Template)
            }
        }
    }
}

/// Whether learnings.md is to be written anew by a model after so many trained trials.
fn is_due(every: u32, trained: u32) -> bool {
    every > 0 && trained.is_multiple_of(every)
}

/// What becomes of learnings.md after a trial.
enum Learned {
    /// A new text.
    Text(String),
    /// It is rendered from the evidence.
    Template,
    /// Nothing: its writer is not done.
    AsItIs,
}

/// The protocol and its objective in a few sentences, for prompts.
pub(super) fn protocol_summary(protocol: &Protocol, facts: &DataFacts) -> String {
    let sets: Vec<String> =
        facts.feature_sets.iter().map(|(name, columns)| format!("{name} ({})", columns.len())).collect();
    let seeds: Vec<String> = protocol.seeds.iter().map(ToString::to_string).collect();
    format!(
        "Payout = {} x mean CORR + {} x mean BMC, per era, over out-of-fold predictions ({}). {} blocked folds over eras, \
         purged by an embargo of {} era numbers; seeds {}; {} rows. Scored on {}; trained on {}. Feature sets: {} \
         ({} features together). BMC is the part of the score that the benchmark (the mean of {}) does not explain.",
        protocol.objective.corr,
        protocol.objective.bmc,
        protocol.objective.name,
        facts.folds.len(),
        protocol.folds.embargo,
        seeds.join(", "),
        facts.rows,
        protocol.targets.score_on,
        facts.targets.join(", "),
        sets.join(", "),
        facts.features,
        protocol.benchmark.columns.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::is_due;

    #[test]
    fn learnings_are_written_as_often_as_is_asked_for() {
        let due = |every| (0..=6).filter(|trained| is_due(every, *trained)).collect::<Vec<u32>>();
        assert_eq!(due(1), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(due(3), [0, 3, 6]);
        assert_eq!(due(0), Vec::<u32>::new());
    }
}
