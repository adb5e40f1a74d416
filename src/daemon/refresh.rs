//! Between trials: what a person changed is taken in. Configuration, brief and rules are followed at once and committed as
//! theirs; a model.yaml changed by hand is never overwritten.

use jiff::Timestamp;

use super::desk::Desk;
use super::open::{budget, limits, team, worker_settings};
use super::rates::known;
use super::session::Session;
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::lab::layout::MODEL;
use crate::lab::{LabError, hints};
use crate::research::event::Event;
use crate::research::history::Hint;
use crate::research::trial::{TrialRecord, Verdict};
use crate::spec::Spec;

impl Session<'_> {
    /// Takes in configuration, brief and rules. Their edits become a commit of theirs.
    pub(super) async fn refresh_lab(&mut self) -> Result<()> {
        match Config::read(&self.lab) {
            Ok(config) if config == self.config => {}
            Ok(config) => self.follow(config).await?,
            // A half-saved or mistaken edit must not end the night: the last good configuration stays in force.
            Err(error) => self.warn(format!("{error}; going on with the configuration as it was")),
        }
        if let Some(commit) = self.notebook.commit_person_edits(Timestamp::now())? {
            self.note(format!("took in a person's edit of {}", commit.files.join(", ")));
            self.record(Event::PersonEdited { files: commit.files })?;
        }
        self.take_hints()
    }

    /// Takes a person's hints into the ledger. One that is known since the last trial was kept before the file could be
    /// emptied, and is not kept twice.
    fn take_hints(&mut self) -> Result<()> {
        let lab = self.lab.clone();
        let unreadable = hints::take(&lab, |text| {
            let after_trial = self.history.records().next_back().map(|record| record.trial);
            if self.history.hints().contains(&Hint { after_trial, text: text.clone() }) {
                return Ok(());
            }
            self.note(format!("took in a hint: {text}"));
            self.record(Event::Hinted { text })
        });
        match unreadable {
            // What a person wrote is told before it is gone.
            Ok(lines) => {
                for line in lines {
                    self.warn(format!(
                        "a line of .autoresearch/hints is no hint and was not taken in; say it with `autoresearch hint`: {line}"
                    ));
                }
                Ok(())
            }
            // A hint is no reason to end a night; a ledger that cannot be written is.
            Err(Error::Lab(LabError::Io { action, path, source })) if path == lab.hints() => {
                let error = LabError::Io { action, path, source };
                self.warn(format!("{error}; going on without the hints there"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Follows a new configuration: researcher, budgets, limits, device. (The branch's tag waits for the next session.)
    async fn follow(&mut self, config: Config) -> Result<()> {
        if config.researcher != self.config.researcher {
            match team(&self.lab, &config, self.options.researcher) {
                Ok(team) => {
                    self.close_desk()?;
                    self.desk = Desk::new(team);
                }
                Err(error) => {
                    self.warn(format!("{error}; going on with the configuration as it was"));
                    return Ok(());
                }
            }
        }
        let settings = worker_settings(&self.lab, &config);
        if settings != self.worker_settings {
            // What another device has trained is another model's.
            self.stocks.clear();
            if let Some(mut worker) = self.worker.take() {
                worker.kill().await;
            }
        }
        self.budget = budget(&config, &settings, known(&self.lab, &settings).map(|measured| measured.rates));
        self.limits = limits(&self.options, &config, self.started);
        self.live.live.trials = self.limits.trials;
        self.live.live.until = self.limits.until;
        self.live.live.researcher = self.team_in_words();
        self.worker_settings = settings;
        self.config = config;
        Ok(())
    }

    /// Whether model.yaml has changes that are not committed. They are left alone, and said.
    pub(super) fn model_is_dirty(&mut self) -> Result<bool> {
        let dirty = self.notebook.model_is_dirty()?;
        if dirty {
            let warning = "model.yaml has changes of yours that are not committed: they are left alone, and until they are \
                           committed or taken back no trial can be kept";
            self.warn(warning.into());
        }
        Ok(dirty)
    }

    /// A keep against an incumbent that a person has replaced in the meantime is none: it becomes a discard, and the
    /// person's model the next baseline.
    pub(super) fn respect_the_persons_model(&mut self, mut record: TrialRecord) -> Result<TrialRecord> {
        if record.verdict != Verdict::Keep || record.incumbent.is_none() {
            return Ok(record);
        }
        let committed = self.notebook.file_at("HEAD", std::path::Path::new(MODEL))?.unwrap_or_default();
        let committed = Spec::parse(&String::from_utf8_lossy(&committed), MODEL).ok().map(|spec| spec.hash());
        let incumbent = self.history.incumbent().and_then(|incumbent| incumbent.spec_hash.clone());
        if committed == incumbent && !self.model_is_dirty()? {
            return Ok(record);
        }
        record.verdict = Verdict::Discard;
        record.reason =
            format!("model.yaml was changed by hand while this trained; against the model before: {}", record.reason);
        if let Some(judgement) = &mut record.judgement {
            judgement.keep = false;
        }
        Ok(record)
    }
}
