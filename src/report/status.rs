//! The state of a lab as facts: `status --json` is this, and the text for people is laid out from it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::holdout::HoldoutFacts;
use crate::lab::Holder;
use crate::lab::ledger::Entry;
use crate::lab::live::Live;
use crate::research::event::Event;
use crate::research::foreign::one_line;
use crate::research::gate::level::promise;
use crate::research::gate::pool::noise_between_seeds;
use crate::research::gate::settings::{Control, GateSettings};
use crate::research::gate::{self, KnownEras};
use crate::research::history::History;
use crate::research::near_miss::{NearMiss, near_misses};
use crate::research::proposers::{Proposer, proposers};
use crate::research::session_statistics::{SessionStatistics, session_statistics};
use crate::research::trial::{TrialRecord, Verdict};
use crate::research::words::count;

/// Whether a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A live process holds the lab.
    Running,
    /// It runs, and waits.
    Paused,
    /// No session holds the lab.
    Stopped,
    /// A session died without giving the lab back.
    Stale,
}

/// The best spec so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incumbent {
    /// Its trial.
    pub trial: u32,
    /// What it is called.
    pub title: String,
    /// Its payout, as its commit has it: over the seeds that it was kept by, and on average too good.
    pub payout: f64,
    /// Its payout over all seeds that it was measured under.
    pub payout_over_all_seeds: f64,
    /// Standard error of the payout over all seeds, of eras and seeds; None where it cannot be estimated.
    pub standard_error: Option<f64>,
    /// Seeds that it was measured under, in all.
    pub seeds: usize,
}

/// The score that everything began with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// Its trial.
    pub trial: u32,
    /// Its payout, as its commit has it.
    pub payout: f64,
    /// Its payout over all seeds that it was measured under.
    pub payout_over_all_seeds: f64,
    /// Seeds that it was measured under, in all.
    pub seeds: usize,
}

/// Tokens of all researchers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Sent.
    pub input: u64,
    /// Received.
    pub output: u64,
}

/// One of the last trials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Number.
    pub trial: u32,
    /// Verdict.
    pub verdict: Verdict,
    /// What was tried.
    pub title: String,
    /// Its payout.
    pub payout: Option<f64>,
    /// Gain over the incumbent of then, over the same seeds.
    pub delta: Option<f64>,
    /// Whole seeds that it was trained under; 0 means that it fell in its first.
    pub seeds: usize,
    /// Cells that it was trained in where no seed is whole: one in each fold that was come to.
    pub cells: Option<usize>,
    /// How many cells a whole seed has; None where nothing was judged.
    pub folds: Option<usize>,
    /// Whether it was kept, and failed its re-measurement since.
    pub demoted: bool,
    /// The gain that was left of a keep when it was last measured again.
    pub fresh_delta: Option<f64>,
    /// Seconds.
    pub wall_seconds: f64,
    /// Why.
    pub reason: String,
}

/// A near miss, without its spec.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// Its trial.
    pub trial: u32,
    /// What was tried.
    pub title: String,
    /// The odds that its change is a true gain over the present incumbent.
    pub odds: f64,
    /// The incumbent that it was compared with.
    pub against: u32,
    /// By how much it was ahead of that one.
    pub delta: f64,
    /// How sure that was.
    pub p_value: f64,
    /// Over how many whole seeds.
    pub seeds: usize,
    /// Over how many cells, where no seed is whole.
    pub cells: Option<usize>,
    /// Over what, in words.
    pub over: String,
    /// Whether it was kept, and demoted when it was measured again.
    pub demoted: bool,
}

/// A person's hint to the researchers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HintFacts {
    /// The hint.
    pub text: String,
    /// The last trial that had ended when it was taken in.
    pub after_trial: Option<u32>,
    /// Whether it waits to be taken in.
    pub waiting: bool,
}

/// Everything that `status` tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Whether a session runs.
    pub state: State,
    /// Its process.
    pub pid: Option<u32>,
    /// The notebook's branch.
    pub branch: Option<String>,
    /// The phase of the search.
    pub phase: Option<String>,
    /// Trained trials in this phase.
    pub trained_in_phase: u32,
    /// Trials that came to a verdict, the baseline included.
    pub trials: u32,
    /// How many of each verdict; the baseline, which nothing judged, is not counted as a keep.
    pub verdicts: std::collections::BTreeMap<&'static str, u32>,
    /// Keeps among the trained trials, in 0..=1; None before there is one.
    pub keep_rate: Option<f64>,
    /// Trained trials since the last keep or phase.
    pub discards_in_a_row: u32,
    /// After so many, the search moves on.
    pub plateau: u32,
    /// The best so far.
    pub incumbent: Option<Incumbent>,
    /// Where it began.
    pub baseline: Option<Baseline>,
    /// Trained trials an hour in the last session; None before there are any.
    pub trials_per_hour: Option<f64>,
    /// Seconds that this rate is of.
    #[serde(skip)]
    pub seconds_of_rate: f64,
    /// What researchers used.
    pub tokens: Tokens,
    /// US dollars, by the configured prices.
    pub cost_usd: f64,
    /// Those who proposed, at equal budget.
    pub researchers: Vec<Proposer>,
    /// The closest discards against the incumbent.
    pub best_near_misses: Vec<Near>,
    /// The hints that researchers are told, and those that wait to be taken in.
    pub hints: Vec<HintFacts>,
    /// How many older ones are in the ledger and no longer passed on.
    pub past_hints: usize,
    /// What was asked of the holdout.
    pub holdout: HoldoutFacts,
    /// What the trials amount to, for people who ask whether the keeps are luck.
    #[serde(flatten)]
    pub statistics: SessionStatistics,
    /// The last trials, oldest first.
    pub last_trials: Vec<Line>,
    /// What the running session is doing.
    pub live: Option<Live>,
    /// How the last session ended.
    pub last_ending: Option<String>,
    /// Anything wrong.
    pub warnings: Vec<String>,
}

/// What the edge found, for [`status`].
pub struct Found<'a> {
    /// The ledger.
    pub entries: &'a [Entry],
    /// What the ledger adds up to.
    pub history: &'a History,
    /// Who holds the lab.
    pub holder: Option<Holder>,
    /// What the session said last.
    pub live: Option<Live>,
    /// The notebook's branch.
    pub branch: Option<String>,
    /// The configured plateau.
    pub plateau: u32,
    /// Era numbers that a scored target spans.
    pub overlap: u32,
    /// The protocol's seeds.
    pub required_seeds: usize,
    /// The gate's settings; None where the configuration cannot be read.
    pub gate: Option<GateSettings>,
    /// What was asked of the holdout.
    pub holdout: HoldoutFacts,
    /// Hints that wait to be taken in.
    pub waiting_hints: Vec<String>,
    /// What was wrong with finding out.
    pub warnings: Vec<String>,
    /// The time.
    pub now: Timestamp,
}

/// Trials that are listed.
const LAST: usize = 8;
/// A running session that has said nothing for so long is worth a warning, in seconds.
const SILENT_SECONDS: f64 = 600.0;

/// Derives the status.
pub fn status(found: Found<'_>) -> Status {
    let Found { entries, history, holder, live, branch, plateau, overlap, .. } = found;
    let Found { required_seeds, gate, holdout, waiting_hints, mut warnings, now, .. } = found;
    let eras = KnownEras::new(overlap);
    let state = match &holder {
        Some(holder) if holder.alive => State::Running,
        Some(_) => State::Stale,
        None => State::Stopped,
    };
    if let (State::Stale, Some(holder)) = (state, &holder) {
        warnings.push(format!(
            "the session of process {} died without ending; `autoresearch run` repairs what it left",
            holder.pid
        ));
    }
    let live =
        live.filter(|live| state == State::Running && holder.as_ref().is_some_and(|holder| holder.pid == live.pid));
    if let Some(live) = &live {
        let silent = live.updated.map_or(0.0, |updated| now.duration_since(updated).as_secs_f64());
        if silent > SILENT_SECONDS {
            warnings.push(format!("the session has said nothing for {:.0} minutes", silent / 60.0));
        }
        warnings.extend(live.warnings.iter().cloned());
    } else {
        warnings.extend(outage(entries));
    }
    if let Some(settings) = gate.as_ref().filter(|settings| settings.control == Control::None) {
        warnings.push(promise(settings));
    }
    let usage = history.usage();
    let mut verdicts: std::collections::BTreeMap<&'static str, u32> =
        Verdict::ALL.iter().map(|verdict| (verdict.word(), 0)).collect();
    let judged = |record: &&TrialRecord| record.incumbent.is_some() || record.verdict != Verdict::Keep;
    for record in history.records().filter(judged) {
        *verdicts.entry(record.verdict.word()).or_default() += 1;
    }
    let keeps = verdicts.get("keep").copied().unwrap_or(0);
    let (trained, rate) = (history.trained(), pace(entries));
    Status {
        state,
        pid: holder.as_ref().filter(|holder| holder.alive).map(|holder| holder.pid),
        branch,
        phase: history.phase().map(str::to_owned),
        trained_in_phase: history.trained_in_phase(),
        trials: u32::try_from(history.trials().len()).unwrap_or(u32::MAX),
        verdicts,
        keep_rate: (trained > 0).then(|| f64::from(keeps) / f64::from(trained)),
        discards_in_a_row: history.discards_in_a_row(),
        plateau,
        incumbent: history.incumbent().and_then(|record| incumbent(record, history, &eras)),
        baseline: history
            .baseline()
            .and_then(|record| Some((record.trial, record.payout()?, history.payout(record.trial)?)))
            .map(|(trial, payout, (payout_over_all_seeds, seeds))| Baseline {
                trial,
                payout,
                payout_over_all_seeds,
                seeds,
            }),
        trials_per_hour: rate.map(|(trials, seconds)| f64::from(trials) / seconds * 3600.0),
        seconds_of_rate: rate.map_or(0.0, |(_, seconds)| seconds),
        tokens: Tokens { input: usage.input_tokens, output: usage.output_tokens },
        cost_usd: usage.cost_usd,
        researchers: proposers(history),
        best_near_misses: near_misses(history, 3).into_iter().map(|miss| near(miss, history)).collect(),
        hints: hints(history, waiting_hints),
        past_hints: history.hints().len() - history.hints_in_force().count(),
        holdout,
        statistics: session_statistics(history, gate.as_ref(), &eras, required_seeds),
        last_trials: history.trials().iter().rev().take(LAST).rev().map(|record| line(record, history)).collect(),
        live,
        last_ending: last_ending(entries),
        warnings,
    }
}

fn incumbent(record: &TrialRecord, history: &History, eras: &KnownEras) -> Option<Incumbent> {
    let scores = history.scores(record.trial)?;
    let (payout_over_all_seeds, seeds) = history.payout(record.trial)?;
    Some(Incumbent {
        trial: record.trial,
        title: record.proposal.title.clone(),
        payout: record.payout()?,
        payout_over_all_seeds,
        standard_error: gate::standard_error(&scores, eras, noise_between_seeds(history).ok().flatten()).ok(),
        seeds,
    })
}

fn hints(history: &History, waiting: Vec<String>) -> Vec<HintFacts> {
    let told = history.hints_in_force().map(|hint| HintFacts {
        text: hint.text.clone(),
        after_trial: hint.after_trial,
        waiting: false,
    });
    told.chain(waiting.into_iter().map(|text| HintFacts { text, after_trial: None, waiting: true })).collect()
}

fn near(miss: NearMiss, history: &History) -> Near {
    let cells = history.trial(miss.trial).and_then(TrialRecord::folds_of_no_whole_seed);
    let NearMiss { trial, title, odds, against, delta, p_value, seeds, over, demoted, .. } = miss;
    Near { trial, title, odds, against, delta, p_value, seeds, cells, over, demoted }
}

/// A trial on one line.
pub fn line(record: &TrialRecord, history: &History) -> Line {
    let fresh_delta = history.remeasurement(record.trial).and_then(|found| found.gain);
    Line { demoted: history.is_demoted(record.trial), fresh_delta, ..line_of(record) }
}

/// A trial on one line, as it ended.
pub fn line_of(record: &TrialRecord) -> Line {
    Line {
        trial: record.trial,
        verdict: record.verdict,
        title: record.proposal.title.clone(),
        payout: record.payout(),
        delta: record.judgement.as_ref().map(|judged| judged.delta),
        seeds: record.measurement.as_ref().map_or(0, |measured| measured.scores.seeds.len()),
        cells: record.folds_of_no_whole_seed(),
        folds: record.judgement.as_ref().and_then(|judged| judged.folds),
        demoted: false,
        fresh_delta: None,
        wall_seconds: record.wall_seconds,
        reason: record.reason.clone(),
    }
}

/// Trained trials and seconds of the last session that trained any: from the moment that the baseline (or the session) was
/// there to the last verdict.
fn pace(entries: &[Entry]) -> Option<(u32, f64)> {
    let mut begun: Option<Timestamp> = None;
    let (mut trained, mut last): (u32, Option<Timestamp>) = (0, None);
    let mut rate = None;
    for entry in entries {
        match &entry.event {
            Event::SessionStarted { .. } => (begun, trained, last) = (Some(entry.time), 0, None),
            Event::TrialEnded { record } if record.verdict.was_trained() => {
                if record.incumbent.is_none() {
                    begun = Some(entry.time);
                } else {
                    trained += 1;
                    last = Some(entry.time);
                }
            }
            _ => {}
        }
        if let (Some(begun), Some(last)) = (begun, last) {
            let seconds = last.duration_since(begun).as_secs_f64();
            if seconds > 0.0 {
                rate = Some((trained, seconds));
            }
        }
    }
    rate
}

/// What the researcher of the last session could not do: it stands in the morning's status, when the session's own
/// warnings are gone with it.
fn outage(entries: &[Entry]) -> Option<String> {
    let begun = entries.iter().rposition(|entry| matches!(entry.event, Event::SessionStarted { .. }))?;
    let mut failures = entries[begun..].iter().filter_map(|entry| match &entry.event {
        Event::ResearcherFailed { researcher, error, .. } if researcher != "optimizer" => Some((researcher, error)),
        _ => None,
    });
    let (failed, (researcher, error)) = (failures.clone().count(), failures.next_back()?);
    let proposed = entries[begun..].iter().filter_map(|entry| match &entry.event {
        // A baseline is nobody's proposal.
        Event::TrialEnded { record } => record.incumbent.map(|_| record.proposal.researcher.as_str()),
        _ => None,
    });
    let others: BTreeSet<&str> = proposed.filter(|other| other != researcher).collect();
    let meanwhile = match others.into_iter().collect::<Vec<_>>().join(" and ") {
        nobody if nobody.is_empty() => String::new(),
        others => format!(", in which {others} proposed, too"),
    };
    Some(format!(
        "{researcher} failed {} in the last session{meanwhile}; the last time: {}",
        count(failed, "time"),
        one_line(error, 300)
    ))
}

fn last_ending(entries: &[Entry]) -> Option<String> {
    entries.iter().rev().find_map(|entry| match &entry.event {
        Event::SessionEnded { reason } => Some(reason.clone()),
        _ => None,
    })
}
