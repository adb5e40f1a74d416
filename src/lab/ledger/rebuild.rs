//! The ledger made anew from the records that the notebook holds: when it was lost (it is untracked, so a clone has
//! none), or when it tells of another branch than the one that HEAD is on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Entry, Ledger, line};
use crate::lab::error::LabError;
use crate::research::event::Event;
use crate::research::remeasure::Remeasurement;
use crate::research::trial::TrialRecord;

impl Ledger {
    /// Replaces the content by events that tell of `records` (ascending): for each its phase's beginning, its end,
    /// and its commit; behind them, what was asked of the holdout, which no branch takes back. The old file, where it has any event, goes to `archive`. Returns the archive, if one was made.
    ///
    /// # Errors
    /// [`LabError::Io`]; a crash leaves either the old ledger, or none (and the next start rebuilds it again).
    pub fn rebuild(
        &mut self,
        records: &[TrialRecord],
        remeasured: &[Remeasurement],
        archive: &Path,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, LabError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut text = String::new();
        let asked = self.entries.iter().filter(|entry| matches!(entry.event, Event::HoldoutQueried { .. }));
        let asked: Vec<(Timestamp, Event)> = asked.map(|entry| (entry.time, entry.event.clone())).collect();
        for (time, event) in retell(records, remeasured, now).into_iter().chain(asked) {
            let entry = Entry { seq: entries.len() as u64, time, event };
            let line =
                line::write(&entry).map_err(|message| LabError::EventRefused { path: self.path.clone(), message })?;
            text.push_str(&line);
            entries.push(entry);
        }
        let archived = self.archive(archive)?;
        super::super::atomic::replace(&self.path, text.as_bytes())?;
        self.file = File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|error| LabError::io("open it", &self.path, error))?;
        self.length = text.len() as u64;
        self.entries = entries;
        self.torn = false;
        Ok(archived)
    }

    fn archive(&self, to: &Path) -> Result<Option<PathBuf>, LabError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let target = free_name(to);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| LabError::io("make the folder", folder, error))?;
        }
        fs::rename(&self.path, &target).map_err(|error| LabError::io("move the old ledger there", &target, error))?;
        Ok(Some(target))
    }
}

/// The events that records tell of. They are dated as the trials were.
pub(crate) fn retell(records: &[TrialRecord], remeasured: &[Remeasurement], now: Timestamp) -> Vec<(Timestamp, Event)> {
    let mut events = Vec::new();
    let mut phase: Option<&str> = None;
    for record in records {
        let started = record.started.parse().unwrap_or(now);
        let ended = record.ended.parse().unwrap_or(now);
        if phase != Some(record.phase.as_str()) {
            phase = Some(&record.phase);
            let why = "retold from the notebook".to_owned();
            events.push((started, Event::PhaseEntered { phase: record.phase.clone(), why }));
        }
        events.push((ended, Event::TrialEnded { record: Box::new(record.clone()) }));
        events.push((ended, Event::TrialCommitted { trial: record.trial }));
        for found in remeasured.iter().filter(|found| found.after_trial == record.trial) {
            let when = found.ended.parse().unwrap_or(ended);
            events.push((when, Event::Remeasured { found: Box::new(found.clone()) }));
            events.push((when, Event::RemeasurementCommitted { trial: found.trial }));
        }
    }
    events
}

/// `to`, or `to` with a number, if there is such a file.
fn free_name(to: &Path) -> PathBuf {
    let mut target = to.to_path_buf();
    let mut number = 2;
    while target.exists() {
        let stem = to.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        target = to.with_file_name(format!("{stem}-{number}.jsonl"));
        number += 1;
    }
    target
}
