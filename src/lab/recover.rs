//! After a kill at any point: what was begun is brought to an end or taken back, and said in words.
//!
//! The loop ends a trial in this order: `TrialEnded` into the ledger; the trial's files (and learnings.md,
//! do_not_retry.toml) into the work tree; the commit; `TrialCommitted` into the ledger. Whatever is missing behind the
//! last step that was reached is made up for from the ledger's record, so that at most the trial in training is lost.
//! Doing all this twice does nothing the second time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::atomic;
use super::error::LabError;
use super::layout::{DO_NOT_RETRY, LEARNINGS, Lab, MODEL, PROTOCOL_LOCK, RUNS, STATE, trial_folder};
use super::ledger::Ledger;
use super::notebook::{FileChange, Notebook, TrialCommit};
use super::trial_files::{NOTES, REMEASURED, RESULT, SPEC, remeasured, trial_files};
use crate::research::commit;
use crate::research::event::Event;
use crate::research::remeasure::Remeasurement;
use crate::research::rules::{By, Rules};
use crate::research::trial::{TrialRecord, Verdict};

/// Repairs the lab, and returns what was done in sentences for people. The caller holds the lab's lock, and has
/// brought the notebook onto its branch.
///
/// # Errors
/// [`LabError::DirtyModel`] where a person's change of model.yaml stands in the way of a kept model; those of the
/// ledger, of git, and of the file system.
pub fn recover(
    lab: &Lab,
    ledger: &mut Ledger,
    notebook: &mut Notebook,
    now: Timestamp,
) -> Result<Vec<String>, LabError> {
    let mut said = notebook.take_repairs();
    said.extend(ledger.take_repairs());
    remove_temporary_files(lab)?;
    said.extend(agree_with_notebook(lab, ledger, notebook, now)?);
    for record in Trials::of(ledger).pending {
        let sentence = commit_ended_trial(lab, ledger, notebook, &record, now)?;
        said.push(sentence);
    }
    said.extend(commit_remeasurement(lab, ledger, notebook, now)?);
    said.extend(free_started_trial(ledger, now)?);
    said.extend(remove_unfinished_folders(lab, ledger, notebook)?);
    Ok(said)
}

/// The content that a trial's commit gives the lab's own files beside the trial's, as they are in the work tree:
/// learnings.md, the rules that the loop itself wrote, and the protocol's lock until the first commit that has it.
///
/// # Errors
/// Those of git and of the file system.
pub fn loop_files(lab: &Lab, notebook: &Notebook) -> Result<Vec<FileChange>, LabError> {
    let mut files = Vec::new();
    for name in [LEARNINGS, DO_NOT_RETRY, PROTOCOL_LOCK] {
        let path = Path::new(name);
        let Some(found) = read(&lab.root().join(path))? else { continue };
        let committed = notebook.file_at("HEAD", path)?;
        let is_the_loops = match name {
            LEARNINGS => committed.as_ref() != Some(&found),
            DO_NOT_RETRY => adds_learned_rules(&committed.unwrap_or_default(), &found),
            _ => committed.is_none(),
        };
        if is_the_loops {
            files.push((path.to_path_buf(), Some(found)));
        }
    }
    Ok(files)
}

/// What the ledger says of its trials.
struct Trials {
    /// Every trial that ended.
    ended: BTreeMap<u32, TrialRecord>,
    /// Those whose commit was made.
    committed: BTreeSet<u32>,
    /// Those that ended and whose commit the ledger does not tell of, ascending.
    pending: Vec<TrialRecord>,
    /// The trial in training when the log ends.
    in_training: Option<u32>,
    /// The branch of the last session.
    branch: Option<String>,
}

impl Trials {
    fn of(ledger: &Ledger) -> Self {
        let mut ended: BTreeMap<u32, TrialRecord> = BTreeMap::new();
        let mut committed = BTreeSet::new();
        let (mut in_training, mut branch) = (None, None);
        for event in ledger.events() {
            match event {
                Event::SessionStarted { branch: name, .. } => branch = Some(name.clone()),
                Event::TrialStarted { trial, .. } => in_training = Some(*trial),
                Event::TrialEnded { record } => {
                    in_training = None;
                    ended.insert(record.trial, (**record).clone());
                }
                Event::TrialCommitted { trial } => {
                    committed.insert(*trial);
                }
                Event::SessionEnded { .. } | Event::Recovered { .. } => in_training = None,
                _ => {}
            }
        }
        let pending = ended.values().filter(|record| !committed.contains(&record.trial)).cloned().collect();
        Self { ended, committed, pending, in_training, branch }
    }
}

/// Sees to it that ledger and notebook tell of the same trials. A commit whose event is missing gets it; a ledger that
/// was lost, or that tells of another branch, is retold from the notebook.
fn agree_with_notebook(
    lab: &Lab,
    ledger: &mut Ledger,
    notebook: &Notebook,
    now: Timestamp,
) -> Result<Option<String>, LabError> {
    let records = notebook.head_records()?;
    let trials = Trials::of(ledger);
    let in_head: BTreeMap<u32, &TrialRecord> = records.iter().map(|record| (record.trial, record)).collect();
    let missing_in_ledger =
        records.iter().any(|record| trials.ended.get(&record.trial).is_none_or(|own| !same_trial(own, record)));
    let missing_in_head = trials.committed.iter().any(|trial| !in_head.contains_key(trial));
    let remeasured = notebook.head_remeasurements()?;
    let disagree = remeasurements_disagree(ledger, &remeasured);
    // A trial that waits for its commit, in a session that was on another branch and made no commit at all.
    let elsewhere = !trials.pending.is_empty()
        && trials.committed.is_empty()
        && records.is_empty()
        && trials.branch.as_deref().is_some_and(|branch| branch != notebook.branch());
    if !missing_in_ledger && !missing_in_head && !disagree && !elsewhere {
        for record in trials.pending.iter().filter(|record| in_head.contains_key(&record.trial)) {
            ledger.append(now, Event::TrialCommitted { trial: record.trial })?;
        }
        return Ok(None);
    }
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let branch = trials.branch.as_deref().unwrap_or("unknown").replace('/', "-");
    let archive = lab.make_state()?.join(format!("ledger-{branch}-{time}.jsonl"));
    let archived = ledger.rebuild(&records, &remeasured, &archive, now)?;
    let count = match records.len() {
        1 => "1 trial".to_owned(),
        count => format!("{count} trials"),
    };
    let what = match archived {
        None => format!("there was no ledger; it was rebuilt from {count} in git"),
        Some(archive) => format!(
            "the ledger told of other trials than {} does; it was moved to {STATE}/{} and rebuilt from {count} in git",
            notebook.branch(),
            archive.file_name().unwrap_or_default().to_string_lossy()
        ),
    };
    ledger.append(now, Event::Recovered { what: what.clone() })?;
    Ok(Some(what))
}

/// Whether a re-measurement is in one of the two only: HEAD has one that the ledger does not tell of, or the last one of a
/// trial that the ledger has a commit of is not the one in HEAD (a person took that commit back).
fn remeasurements_disagree(ledger: &Ledger, in_head: &[Remeasurement]) -> bool {
    let identity = |found: &Remeasurement| (found.trial, found.after_trial, found.ended.clone());
    let in_head: BTreeMap<u32, _> = in_head.iter().map(|found| (found.trial, identity(found))).collect();
    let (mut told, mut committed) = (BTreeSet::new(), BTreeMap::new());
    let mut last = None;
    for event in ledger.events() {
        match event {
            Event::Remeasured { found } => {
                last = Some(identity(found));
                told.extend(last.clone());
            }
            Event::RemeasurementCommitted { trial } => {
                committed.extend(last.take().map(|identity| (*trial, identity)));
            }
            _ => {}
        }
    }
    // One that waits for its commit may be there already.
    let agrees = |(trial, identity): (&u32, &_)| {
        in_head.get(trial).is_some_and(|found| found == identity || last.as_ref() == Some(found))
    };
    in_head.values().any(|identity| !told.contains(identity)) || !committed.iter().all(agrees)
}

/// Whether two records are of the same trial. Numbers are not compared: they may differ in how they were rounded.
fn same_trial(one: &TrialRecord, other: &TrialRecord) -> bool {
    let identity = |record: &TrialRecord| {
        (record.trial, record.verdict, record.spec_hash.clone(), record.started.clone(), record.ended.clone())
    };
    identity(one) == identity(other)
}

/// Makes the commit of a trial that ended, from its record.
fn commit_ended_trial(
    lab: &Lab,
    ledger: &mut Ledger,
    notebook: &mut Notebook,
    record: &TrialRecord,
    now: Timestamp,
) -> Result<String, LabError> {
    let files = trial_files(record)
        .map_err(|error| LabError::EventRefused { path: lab.ledger(), message: error.to_string() })?;
    if record.verdict == Verdict::Keep {
        // The work tree may hold the kept model already. Anything else than that or HEAD's is a person's.
        let kept = record.proposal.spec.as_bytes();
        if read(&lab.model())?.is_none_or(|found| found != kept) {
            notebook.refuse_dirty_model()?;
        }
    }
    let mut paths = Vec::new();
    for (path, content) in files {
        atomic::replace_if_different(&lab.root().join(&path), &content)?;
        paths.push((path, Some(content)));
    }
    paths.extend(loop_files(lab, notebook)?);
    let incumbent = record.incumbent.and_then(|trial| Trials::of(ledger).ended.remove(&trial));
    let message = commit::message(record, incumbent.as_ref()).to_string();
    let when = record.ended.parse().unwrap_or(now);
    notebook.commit(&TrialCommit { message, files: paths, when })?;
    ledger.append(now, Event::TrialCommitted { trial: record.trial })?;
    let what = format!(
        "trial {} had come to its verdict ({}), but its commit was missing; its commit was made now",
        record.folder(),
        record.verdict
    );
    ledger.append(now, Event::Recovered { what: what.clone() })?;
    Ok(what)
}

/// The files of a re-measurement's commit: its own, and, where the incumbent is taken back, the model that `back` (the
/// record of the incumbent from now on) was proposed as.
///
/// # Errors
/// A number that JSON has no word for.
pub fn remeasurement_files(
    found: &Remeasurement,
    back: Option<&TrialRecord>,
) -> Result<Vec<(PathBuf, Vec<u8>)>, serde_json::Error> {
    let mut files = vec![(trial_folder(found.trial).join(REMEASURED), remeasured(found)?)];
    files.extend(back.map(|record| (PathBuf::from(MODEL), record.proposal.spec.clone().into_bytes())));
    Ok(files)
}

/// Makes the commit of a re-measurement that was recorded, and whose commit the ledger does not tell of.
fn commit_remeasurement(
    lab: &Lab,
    ledger: &mut Ledger,
    notebook: &mut Notebook,
    now: Timestamp,
) -> Result<Option<String>, LabError> {
    let mut pending: Option<Remeasurement> = None;
    for event in ledger.events() {
        match event {
            Event::Remeasured { found } => pending = Some((**found).clone()),
            Event::RemeasurementCommitted { .. } => pending = None,
            _ => {}
        }
    }
    let Some(found) = pending else { return Ok(None) };
    let back = found.demoted_to.and_then(|trial| Trials::of(ledger).ended.remove(&trial));
    let files = remeasurement_files(&found, back.as_ref())
        .map_err(|error| LabError::EventRefused { path: lab.ledger(), message: error.to_string() })?;
    let own = &files[0];
    if notebook.file_at("HEAD", &own.0)?.as_ref() == Some(&own.1) {
        ledger.append(now, Event::RemeasurementCommitted { trial: found.trial })?;
        return Ok(None);
    }
    if let Some(back) = &back
        && read(&lab.model())?.is_none_or(|model| model != back.proposal.spec.as_bytes())
    {
        notebook.refuse_dirty_model()?;
    }
    for (path, content) in &files {
        atomic::replace_if_different(&lab.root().join(path), content)?;
    }
    let title = Trials::of(ledger).ended.remove(&found.trial).map(|record| record.proposal.title).unwrap_or_default();
    let message = commit::remeasurement(&found, &title).to_string();
    let files = files.into_iter().map(|(path, content)| (path, Some(content))).collect();
    notebook.commit(&TrialCommit { message, files, when: found.ended.parse().unwrap_or(now) })?;
    ledger.append(now, Event::RemeasurementCommitted { trial: found.trial })?;
    let what = format!(
        "trial {:06} had been measured again ({}), but the commit of that was missing; it was made now",
        found.trial,
        if found.demoted_to.is_some() { "its gain did not stand" } else { "its gain stands" }
    );
    ledger.append(now, Event::Recovered { what: what.clone() })?;
    Ok(Some(what))
}

/// A trial in training cannot be taken up again: its number is free.
fn free_started_trial(ledger: &mut Ledger, now: Timestamp) -> Result<Option<String>, LabError> {
    let Some(trial) = Trials::of(ledger).in_training else { return Ok(None) };
    let what =
        format!("trial {trial:06} was in training when the program died; it is lost, and its number is free again");
    ledger.append(now, Event::Recovered { what: what.clone() })?;
    Ok(Some(what))
}

/// Removes what the loop wrote into folders of trials that never ended. Files of other names are a person's.
fn remove_unfinished_folders(lab: &Lab, ledger: &Ledger, notebook: &Notebook) -> Result<Vec<String>, LabError> {
    let ended = Trials::of(ledger).ended;
    let mut said = Vec::new();
    for (name, folder) in entries(&lab.runs())? {
        let is_trial = name.len() >= 6 && name.bytes().all(|byte| byte.is_ascii_digit()) && folder.is_dir();
        let Some(trial) = name.parse::<u32>().ok().filter(|_| is_trial) else { continue };
        if ended.contains_key(&trial) {
            continue;
        }
        for own in [SPEC, RESULT, NOTES] {
            if notebook.file_at("HEAD", &trial_folder(trial).join(own))?.is_none() {
                remove_file(&folder.join(own))?;
            }
        }
        match fs::remove_dir(&folder) {
            Ok(()) => said.push(format!("{RUNS}/{name} was left of a trial that never ended; it was removed")),
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {}
            Err(error) => return Err(LabError::io("remove the folder", &folder, error)),
        }
    }
    Ok(said)
}

/// Removes what interrupted replacements of files left.
fn remove_temporary_files(lab: &Lab) -> Result<(), LabError> {
    let mut folders = vec![lab.root().to_path_buf(), lab.state(), lab.runs(), lab.root().join("prepare")];
    folders.extend(entries(&lab.runs())?.into_iter().map(|(_, path)| path).filter(|path| path.is_dir()));
    for folder in folders {
        for (name, path) in entries(&folder)? {
            if atomic::is_temporary(&name) {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}

/// Whether `found` is `committed` with nothing but rules of the loop's behind it.
fn adds_learned_rules(committed: &[u8], found: &[u8]) -> bool {
    let Some(added) = found.strip_prefix(committed).and_then(|added| std::str::from_utf8(added).ok()) else {
        return false;
    };
    Rules::parse(added, DO_NOT_RETRY)
        .is_ok_and(|rules| !rules.all().is_empty() && rules.all().iter().all(|rule| rule.by == By::Loop))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, LabError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LabError::io("read it", path, error)),
    }
}

fn remove_file(path: &Path) -> Result<(), LabError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LabError::io("remove it", path, error)),
        _ => Ok(()),
    }
}

/// Names and paths in a folder; none if it is not there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, LabError> {
    let failed = |error| LabError::io("list it", folder, error);
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
