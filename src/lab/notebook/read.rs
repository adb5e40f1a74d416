//! Reading the notebook: its pages, files of a commit, and the records of all trials.

use std::path::Path;

use git2::{ErrorCode, ObjectType, Tree};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{Notebook, short};
use crate::lab::error::LabError;
use crate::lab::layout::RUNS;
use crate::lab::trial_files::{REMEASURED, RESULT};
use crate::research::remeasure::Remeasurement;
use crate::research::trial::TrialRecord;

/// One commit, as a page of the notebook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name, in full.
    pub commit: String,
    /// First line.
    pub subject: String,
    /// What follows, trailers included.
    pub body: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub when: Timestamp,
    /// `Trial: 000042`, `Verdict: keep`, … in their order.
    pub trailers: Vec<(String, String)>,
}

impl Page {
    /// The value of a trailer.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The trial that it is the page of; None for other commits.
    pub fn trial(&self) -> Option<u32> {
        self.trailer("Trial")?.trim().parse().ok()
    }
}

impl Notebook {
    /// The last `limit` commits that HEAD descends from, newest first.
    ///
    /// # Errors
    /// Git's.
    pub fn log(&self, limit: usize) -> Result<Vec<Page>, LabError> {
        let failed = |error| self.git("read the history", error);
        if self.head_commit()?.is_none() {
            return Ok(Vec::new());
        }
        let mut walk = self.repository.revwalk().map_err(failed)?;
        walk.push_head().map_err(failed)?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(failed)?;
        let mut pages = Vec::new();
        for id in walk.take(limit) {
            let commit = self.repository.find_commit(id.map_err(failed)?).map_err(failed)?;
            pages.push(page(&commit));
        }
        Ok(pages)
    }

    /// The page of a trial, if HEAD descends from its commit.
    ///
    /// # Errors
    /// Git's.
    pub fn page_of(&self, trial: u32) -> Result<Option<Page>, LabError> {
        Ok(self.log(usize::MAX)?.into_iter().find(|page| page.trial() == Some(trial)))
    }

    /// A file's content in a commit (any name that git understands: `HEAD`, `a1b2c3`, `main~3`); None if it is not
    /// there.
    ///
    /// # Errors
    /// A name that names no commit, and git's own.
    pub fn file_at(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>, LabError> {
        let failed = |error| self.git("find that commit", error);
        if commit == "HEAD" && self.head_commit()?.is_none() {
            return Ok(None);
        }
        let object = self.repository.revparse_single(commit).map_err(failed)?;
        let tree = object.peel_to_tree().map_err(failed)?;
        self.content(&tree, path)
    }

    /// The records of all trials that are in HEAD, ascending.
    ///
    /// # Errors
    /// [`LabError::RecordUnreadable`], and git's.
    pub fn head_records(&self) -> Result<Vec<TrialRecord>, LabError> {
        let mut records: Vec<TrialRecord> = self.of_trials(RESULT, |record: &TrialRecord| record.trial)?;
        records.sort_by_key(|record| record.trial);
        Ok(records)
    }

    /// The last re-measurement of each trial that has one, as HEAD has them, by the trial after which they were made.
    ///
    /// # Errors
    /// Git's, and [`LabError::RecordUnreadable`].
    pub fn head_remeasurements(&self) -> Result<Vec<Remeasurement>, LabError> {
        let mut found: Vec<Remeasurement> = self.of_trials(REMEASURED, |found: &Remeasurement| found.trial)?;
        found.sort_by_key(|found| found.after_trial);
        Ok(found)
    }

    /// A file of every trial's folder that has it, in HEAD.
    fn of_trials<T: DeserializeOwned>(&self, name: &str, trial_of: fn(&T) -> u32) -> Result<Vec<T>, LabError> {
        let Some(head) = self.head_commit()? else { return Ok(Vec::new()) };
        let failed = |error| self.git("read HEAD", error);
        let tree = head.tree().map_err(failed)?;
        let Ok(runs) = tree.get_path(Path::new(RUNS)) else { return Ok(Vec::new()) };
        if runs.kind() != Some(ObjectType::Tree) {
            return Ok(Vec::new());
        }
        let runs = self.repository.find_tree(runs.id()).map_err(failed)?;
        let mut found = Vec::new();
        for entry in runs.iter() {
            let Some(number) = entry.name().ok().and_then(trial_number) else { continue };
            if entry.kind() != Some(ObjectType::Tree) {
                continue;
            }
            let folder = self.repository.find_tree(entry.id()).map_err(failed)?;
            let Some(bytes) = self.content(&folder, Path::new(name))? else { continue };
            let unreadable = |message| LabError::RecordUnreadable {
                path: format!("{RUNS}/{number:06}/{name}"),
                commit: short(&head.id()),
                message,
            };
            let read: T = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
            if trial_of(&read) != number {
                return Err(unreadable(format!("it is of trial {}", trial_of(&read))));
            }
            found.push(read);
        }
        Ok(found)
    }

    fn content(&self, tree: &Tree<'_>, path: &Path) -> Result<Option<Vec<u8>>, LabError> {
        let failed = |error| self.git("read a file of a commit", error);
        match tree.get_path(path) {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => {
                self.repository.find_blob(entry.id()).map(|blob| Some(blob.content().to_vec())).map_err(failed)
            }
            Ok(_) => Ok(None),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// `000042` is trial 42; other names are no trial's.
fn trial_number(name: &str) -> Option<u32> {
    (name.len() >= 6 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

fn page(commit: &git2::Commit<'_>) -> Page {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let (subject, body) = message.split_once('\n').unwrap_or((&message, ""));
    let trailers = git2::message_trailers_strs(&message).map_or_else(
        |_| Vec::new(),
        |found| found.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    );
    Page {
        commit: commit.id().to_string(),
        subject: subject.to_owned(),
        body: body.trim().to_owned(),
        author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
        when: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        trailers,
    }
}
