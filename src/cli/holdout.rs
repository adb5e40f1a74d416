//! `autoresearch holdout`

use jiff::Timestamp;
use prepare::{Lock, Manifest, Protocol};
use serde::Serialize;

use super::screen::Screen;
use super::{Context, logging, out};
use crate::daemon::holdout::{Question, estimates, score};
use crate::daemon::{Update, worker_settings};
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::lab::holdout::{Answer, Estimates};
use crate::lab::{Lab, LabLock, Ledger, Notebook};
use crate::report::holdout::scores_text;
use crate::research::event::Event;
use crate::research::foreign::one_line;
use crate::research::history::History;
use crate::research::trial::TrialRecord;
use crate::research::words::second;
use crate::worker::supervisor::{Worker, WorkerProgress};

/// Score the incumbent on the holdout; each query is counted.
///
/// Trains the incumbent, or another kept trial, on every era of cross-validation under the protocol's seeds, and scores it
/// on the holdout: the last eras, which no trial was trained or judged on.
///
/// Each look makes the holdout a little less independent of what is kept, so queries are counted against holdout.budget of
/// autoresearch.yaml. A spec that was scored before costs none: its answer is shown again. Answers stand in
/// .autoresearch/holdout.jsonl, and no researcher, log or commit ever holds one. No session may run meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A kept trial, in place of the incumbent.
    #[arg(long, value_name = "N")]
    trial: Option<u32>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts<'a> {
    title: &'a str,
    #[serde(flatten)]
    answer: &'a Answer,
    cross_validated: Estimates,
    queries: u32,
    budget: u32,
    /// Whether a query was spent for it now.
    asked_now: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    logging::start(context.verbose, true);
    let config = Config::read(&lab)?;
    let protocol = Protocol::read(&lab.protocol())?;
    let lock = LabLock::take(&lab, Timestamp::now())?;
    if let Some(dead) = lock.stale() {
        out::note(&format!("process {} died while it held this lab; the next `run` repairs what it left", dead.pid));
    }
    let manifest = Manifest::read(&lab.packed_data()).map_err(prepare_first)?;
    if lab.protocol_lock().exists() {
        Lock::read(&lab.protocol_lock())?.check(&protocol, &manifest)?;
    }
    let mut ledger = ledger(&lab)?;
    let history = History::from_events(ledger.events());
    let record = chosen(&history, arguments.trial)?;
    let question = Question::new(&lab, (&protocol, &manifest.data_hash), &config, record, ledger.events())?;
    let before = question.queries();
    let asked_now = question.known()?.is_none();
    if asked_now {
        // Refused before a worker starts.
        question.next_query()?;
        if let Some(event) = ask(&lab, &config, &question)? {
            ledger.append(Timestamp::now(), event)?;
        }
    }
    let answer = question.known()?.ok_or_else(|| Error::Internal("an answer that was written is not there".into()))?;
    let measured = record.measurement.as_ref().map(|measured| &measured.evaluation);
    let measured = measured.ok_or_else(|| Error::Internal("a keep without a measurement".into()))?;
    let facts = Facts {
        title: &record.proposal.title,
        answer: &answer,
        cross_validated: estimates(measured, crate::daemon::overlap(&protocol.targets.score_on)),
        queries: before + u32::from(asked_now),
        budget: config.holdout.budget,
        asked_now,
    };
    if context.json {
        return out::json(&facts);
    }
    out::line(&format!("trial {:06}: {}", record.trial, one_line(facts.title, 100)));
    let held = (&facts.answer.scores, facts.answer.eras.len());
    out::print(&scores_text(held, (&facts.cross_validated, measured.eras.len())));
    out::line(&spent(&facts));
    Ok(())
}

/// That there is no data is said with what to do in what order: a fresh lab has nothing to score either.
fn prepare_first(error: prepare::Error) -> prepare::Error {
    match error {
        prepare::Error::NotPrepared { path, message } => prepare::Error::NotPrepared {
            path,
            message: format!(
                "{message}, and the holdout is part of it; no query was spent. A new lab does all it takes with `autoresearch run`: it prepares, and measures the baseline, which can be scored then. Where trials have been kept already"
            ),
        },
        other => other,
    }
}

/// What was spent, and what is left.
fn spent(facts: &Facts<'_>) -> String {
    let Facts { answer, queries, budget, .. } = facts;
    let left = budget.saturating_sub(*queries);
    if facts.asked_now {
        format!("query {} of {budget}; {left} left", answer.query)
    } else {
        format!(
            "answered before, as query {} at {}; no query was spent, {left} of {budget} are left",
            answer.query,
            second(answer.time)
        )
    }
}

/// The lab's ledger; in a clone, which has none, retold from the notebook.
fn ledger(lab: &Lab) -> Result<Ledger> {
    let mut ledger = Ledger::open(lab)?;
    for sentence in ledger.take_repairs() {
        out::note(&sentence);
    }
    if ledger.entries().is_empty() {
        let notebook = Notebook::view(lab)?;
        let records = notebook.head_records()?;
        let archive = lab.make_state()?.join("ledger-empty.jsonl");
        ledger.rebuild(&records, &notebook.head_remeasurements()?, &archive, Timestamp::now())?;
    }
    Ok(ledger)
}

fn chosen(history: &History, trial: Option<u32>) -> Result<&TrialRecord> {
    match trial {
        None => history.incumbent().ok_or_else(|| {
            Error::Configuration("nothing has been kept yet; `autoresearch run` measures the baseline first".into())
        }),
        Some(trial) => history.trial(trial).ok_or_else(|| {
            let last = history.trials().last();
            let known =
                last.map_or_else(|| "there is none yet".to_owned(), |last| format!("the last is {}", last.trial));
            Error::Usage(format!("no trial {trial}: {known}"))
        }),
    }
}

fn ask(lab: &Lab, config: &Config, question: &Question<'_>) -> Result<Option<Event>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime did not start: {error}")))?;
    let mut screen = Screen::new();
    let asked = runtime.block_on(async {
        let mut worker = Worker::start(worker_settings(lab, config)).await?;
        let asked = score(&mut worker, question, |progress| {
            if let WorkerProgress::Replica { done, total, .. } = progress {
                screen.show(&Update::Nets { done, total, stage: "the holdout".into() });
            }
        })
        .await;
        worker.kill().await;
        asked
    });
    screen.clear();
    asked
}
