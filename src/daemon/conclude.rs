//! The end of a trial: the verdict into the ledger, the files into the work tree, all of it into one commit.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::session::Session;
use super::update::Update;
use crate::error::{Error, Result};
use crate::lab::LabError;
use crate::lab::atomic;
use crate::lab::notebook::TrialCommit;
use crate::lab::recover::loop_files;
use crate::lab::trial_files::trial_files;
use crate::research::commit;
use crate::research::event::Event;
use crate::research::trial::{TrialRecord, Verdict};

/// How long the loop waits for a person's git command before it ends the session.
const LOCKED_LIMIT: Duration = Duration::from_secs(3600);

impl Session<'_> {
    /// Concludes a trial. After each of the steps below, recovery can complete the rest from what is on disk.
    pub(super) async fn conclude(&mut self, record: TrialRecord) -> Result<()> {
        let incumbent = record.incumbent.and_then(|trial| self.history.trial(trial)).cloned();
        self.record(Event::TrialEnded { record: Box::new(record.clone()) })?;
        self.count(&record);
        self.learn(&record).await?;
        let message = commit::message(&record, incumbent.as_ref()).to_string();
        let files = trial_files(&record).map_err(|error| Error::Internal(error.to_string()))?;
        let root = self.lab.root().to_path_buf();
        if record.verdict == Verdict::Keep {
            // A person's edit of model.yaml during the training must not be overwritten. They settle it, and recovery then
            // makes this commit.
            self.notebook.refuse_dirty_model()?;
        }
        for (path, content) in &files {
            let path = root.join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|error| crate::lab::LabError::io("make the folder", folder, error))?;
            }
            atomic::replace_if_different(&path, content)?;
        }
        let mut files: Vec<_> = files.into_iter().map(|(path, content)| (path, Some(content))).collect();
        files.extend(loop_files(&self.lab, &self.notebook)?);
        if record.incumbent.is_none()
            && let Some(lock) = self.protocol_lock.take()
        {
            files.push(("prepare/protocol.lock".into(), Some(lock)));
        }
        self.commit(&TrialCommit { message, files, when: Timestamp::now() })?;
        self.record(Event::TrialCommitted { trial: record.trial })?;
        tracing::info!(
            trial = record.trial,
            verdict = %record.verdict,
            payout = record.payout(),
            delta = record.judgement.as_ref().map(|judged| judged.delta),
            seconds = record.wall_seconds,
            title = record.proposal.title,
            reason = record.reason,
            "trial ended"
        );
        self.notify.progress();
        self.live.live.doing = "between trials".into();
        self.live.write();
        (self.say)(Update::Ended(Box::new(record)));
        Ok(())
    }

    /// Commits, and waits for a person's git command that holds the index.
    pub(super) fn commit(&mut self, commit: &TrialCommit) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.notebook.commit(commit) {
                Ok(_) => return Ok(()),
                Err(LabError::IndexLocked { .. }) if begun.elapsed() < LOCKED_LIMIT && !*self.stop.borrow() => {
                    self.notify.progress();
                    self.warn(
                        "git's index is locked by another command (an open commit editor?); waiting for it".into(),
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn count(&mut self, record: &TrialRecord) {
        if !record.verdict.was_trained() {
            self.untrained_in_a_row += 1;
            return;
        }
        self.untrained_in_a_row = 0;
        let failed = matches!(record.verdict, Verdict::Crash | Verdict::Timeout);
        self.crashes_in_a_row = if failed { self.crashes_in_a_row + 1 } else { 0 };
        if record.incumbent.is_some() {
            self.trained += 1;
            self.trial_seconds.push(record.wall_seconds);
            let mut sorted = self.trial_seconds.clone();
            sorted.sort_by(f64::total_cmp);
            self.live.live.seconds_a_trial = Some(sorted[sorted.len() / 2]);
            self.live.live.trained = self.trained;
        }
    }
}
