//! Reading a lab without holding it: what `status`, `log` and `show` look at. Changes nothing.

use jiff::Timestamp;
use prepare::{Lock, Protocol};

use crate::daemon::overlap;
use crate::error::Result;
use crate::lab::config::Config;
use crate::lab::holdout;
use crate::lab::ledger::{Entry, retell};
use crate::lab::{Lab, LabError, Ledger, Notebook, hints, live, lock};
use crate::report::holdout::HoldoutFacts;
use crate::report::status::{Found, Status, status as derive};
use crate::research::event::Event;
use crate::research::history::History;

/// The ledger's entries and what they add up to. A clone has no ledger; its trials are then read from git.
pub(super) fn history(lab: &Lab) -> Result<(Vec<Entry>, History)> {
    let entries = Ledger::read(lab)?;
    if !entries.is_empty() {
        let history = History::from_events(entries.iter().map(|entry| &entry.event));
        return Ok((entries, history));
    }
    let notebook = Notebook::view(lab)?;
    let events = retell(&notebook.head_records()?, &notebook.head_remeasurements()?, Timestamp::now());
    let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    Ok((entries, History::from_events(&events)))
}

/// What a trial is called; nothing where there is none.
pub(super) fn title(lab: &Lab, trial: u32) -> Result<String> {
    let (_, history) = history(lab)?;
    Ok(history.trial(trial).map(|record| record.proposal.title.clone()).unwrap_or_default())
}

/// Era numbers that a target of an unreadable protocol is taken to span: sixty days.
const LONGEST: u32 = 12;

/// What `run` would refuse the protocol or model.yaml for. A session at work, or one that died, may have left model.yaml as
/// it is: the one commits it, the other is repaired.
fn in_the_way(lab: &Lab, protocol: Result<&Protocol, &prepare::Error>, is_free: bool) -> Vec<String> {
    let lock = lab.protocol_lock();
    let protocol = match protocol {
        Err(error) => Some(error.to_string()),
        Ok(_) if !lock.exists() => None,
        Ok(protocol) => {
            let locked = Lock::read(&lock).and_then(|locked| locked.check_protocol(protocol));
            locked.err().map(|error| error.to_string())
        }
    };
    let model = is_free.then(|| Notebook::view(lab).and_then(|notebook| notebook.refuse_dirty_model()));
    // That the notebook cannot be looked at is said already.
    let model = model.and_then(Result::err).filter(|error| matches!(error, LabError::DirtyModel { .. }));
    protocol.into_iter().chain(model.map(|error| error.to_string())).collect()
}

/// The lab's status, and what is wrong with its configuration: the status goes without it, and says so.
pub(super) fn status(lab: &Lab) -> Result<(Status, Option<LabError>)> {
    let (entries, history) = history(lab)?;
    let mut warnings = Vec::new();
    let mut wrong = None;
    let branch = match Notebook::view(lab) {
        Ok(notebook) => Some(notebook.branch().to_owned()),
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    };
    let (plateau, budget, gate) = match Config::read(lab) {
        Ok(config) => {
            let own = config.phases.iter().find(|phase| history.phase() == Some(phase.name.as_str()));
            (own.and_then(|phase| phase.plateau).unwrap_or(config.plateau), config.holdout.budget, Some(config.gate))
        }
        Err(error) => {
            // Nothing is decided without it, so it comes first.
            warnings.insert(0, error.to_string());
            wrong = Some(error);
            (0, 0, None)
        }
    };
    let answers = holdout::read(lab).unwrap_or_else(|error| {
        warnings.push(error.to_string());
        Vec::new()
    });
    let waiting_hints = hints::waiting(lab).unwrap_or_else(|error| {
        warnings.push(error.to_string());
        Vec::new()
    });
    let protocol = Protocol::read(&lab.protocol());
    let holder = lock::holder(lab);
    warnings.extend(in_the_way(lab, protocol.as_ref(), holder.is_none()));
    let protocol = protocol.ok();
    let status = derive(Found {
        entries: &entries,
        history: &history,
        holder,
        live: live::read(lab),
        branch,
        plateau,
        overlap: protocol.as_ref().map_or(LONGEST, |protocol| overlap(&protocol.targets.score_on)),
        required_seeds: protocol.as_ref().map_or(1, |protocol| protocol.seeds.len()),
        gate,
        holdout: HoldoutFacts::of(&answers, entries.iter().map(|entry| &entry.event), budget),
        waiting_hints,
        warnings,
        now: Timestamp::now(),
    });
    Ok((status, wrong))
}
