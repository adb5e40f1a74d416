//! The daemon is killed, at every step of a trial that can be told from outside. The next start must find everything,
//! say what it repaired, and go on as if nothing had been.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::lab::{PROTOCOL, TestLab, eventually};
use crate::session::notebook_is_sound;

/// Trains long enough to be killed in it.
const SLOW: &str = "\
version: 1
network: [ { dense: { width: 24 } } ]
loss: [ { mse: { weight: 1.0 } } ]
training: { epochs: 12, batch_rows: 128, patience: 12 }
";

/// Trains for minutes.
const ENDLESS: &str = "\
version: 1
network: [ { dense: { width: 64 } }, { dense: { width: 64 } } ]
training: { epochs: 1000, batch_rows: 32, patience: null }
ensemble: { members: 16 }
";

/// A moment of a session, told by what it leaves behind. Counts are of what came since the session's start.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The raw data is being written.
    Preparing,
    /// The n-th trial went into training.
    Started(usize),
    /// It came to its verdict; nothing else is written yet.
    Ended(usize),
    /// Its last file is in the work tree.
    Written(usize),
    /// The branch has its commit.
    Moved(usize),
    /// The ledger tells of the commit.
    Committed(usize),
}

/// Each once while there is little history, and again later.
const MOMENTS: [Moment; 12] = [
    Moment::Preparing,
    Moment::Started(1),
    Moment::Ended(1),
    Moment::Written(1),
    Moment::Started(2),
    Moment::Moved(1),
    Moment::Committed(1),
    Moment::Ended(2),
    Moment::Written(2),
    Moment::Moved(2),
    Moment::Started(1),
    Moment::Committed(3),
];

/// Waits for the moment, and kills.
fn kill_at(lab: &TestLab, moment: Moment) {
    let count = |kind: &str| lab.events(kind).len();
    let before = ["trial_started", "trial_ended", "trial_committed"].map(count);
    let head = || lab.try_git(&["rev-parse", "HEAD"]).1;
    let mut running = lab.start(&["run"]);
    let mut last = None;
    let reached = || match moment {
        Moment::Preparing => lab.path(".autoresearch/data").exists(),
        Moment::Started(n) => count("trial_started") >= before[0] + n,
        Moment::Ended(n) => count("trial_ended") >= before[1] + n,
        Moment::Committed(n) => count("trial_committed") >= before[2] + n,
        Moment::Written(n) => {
            let ended = lab.events("trial_ended");
            let trial = ended.get(before[1] + n - 1).and_then(|event| event["record"]["trial"].as_u64());
            trial.is_some_and(|trial| lab.path(&format!("runs/{trial:06}/result.json")).exists())
        }
        Moment::Moved(n) => {
            let ended = lab.events("trial_ended");
            if ended.len() < before[1] + n {
                last = None;
                return false;
            }
            let now = head();
            let moved = last.as_ref().is_some_and(|last| *last != now);
            last.get_or_insert(now);
            moved || count("trial_committed") >= before[2] + n
        }
    };
    let mut reached = reached;
    eventually("the moment to kill", || {
        assert!(!running.is_over(), "the session ended before {moment:?}");
        reached().then_some(())
    });
    running.signal(Signal::SIGKILL);
    let outcome = running.ends();
    assert_eq!(outcome.code, None, "killed at {moment:?}: {}", outcome.stderr);
}

#[test]
fn killed_at_any_step_the_lab_is_whole_after_the_next_start() {
    let lab = TestLab::with(PROTOCOL, SLOW);
    for moment in MOMENTS {
        kill_at(&lab, moment);
        lab.is_deserted();
        let status = lab.status();
        assert_eq!((&status["state"], &status["pid"]), (&Value::from("stale"), &Value::Null), "{moment:?}");
        let warned =
            status["warnings"].as_array().is_some_and(|all| all.iter().any(|one| one.to_string().contains("died")));
        assert!(warned, "{moment:?}: {status}");
        assert_eq!(lab.git(&["fsck", "--strict", "--full", "--no-dangling"]), "", "{moment:?}");
    }
    let outcome = lab.run(&["run", "--trials", "2"]).exits(0);
    assert!(outcome.stderr.contains("died while it held this lab"), "{}", outcome.stderr);
    lab.is_clean();
    lab.is_deserted();
    let pages = notebook_is_sound(&lab);
    let ended: Vec<u64> =
        lab.events("trial_ended").iter().filter_map(|event| event["record"]["trial"].as_u64()).collect();
    let committed: Vec<u64> =
        lab.events("trial_committed").iter().filter_map(|event| event["trial"].as_u64()).collect();
    let numbers: Vec<u64> = pages.iter().map(|page| u64::from(page.trial)).collect();
    assert_eq!((&ended, &committed), (&numbers, &numbers), "ledger and notebook tell of the same trials");
    let baselines = pages.iter().filter(|page| page.trailer("Category") == "baseline").count();
    assert_eq!(baselines, 1);
    let recovered = lab.events("recovered");
    let told =
        |words: &str| recovered.iter().any(|event| event["what"].as_str().is_some_and(|what| what.contains(words)));
    assert!(told("was in training when the program died"), "{recovered:?}");
    assert!(told("its commit was made now"), "{recovered:?}");
    // A second start finds nothing to repair.
    let repairs = recovered.len();
    lab.run(&["run", "--trials", "1"]).exits(0);
    assert_eq!(lab.events("recovered").len(), repairs);
}

#[test]
fn the_sessions_time_ends_a_trial_in_training() {
    let lab = TestLab::with(PROTOCOL, ENDLESS);
    // The first session has the data prepared and the device measured, and is over before it trains.
    lab.edit("autoresearch.yaml", "session_hours: null ", "session_hours: 0.00001 ");
    lab.commit("no time");
    lab.run(&["run"]).exits(0);
    assert!(lab.events("trial_started").is_empty());
    lab.edit("autoresearch.yaml", "session_hours: 0.00001 ", "session_hours: 0.005 ");
    lab.commit("eighteen seconds");
    let outcome = lab.run(&["run"]).exits(0);
    let reason = "session over: the session's time is over; what was in training was given up";
    assert!(outcome.stdout.contains(reason), "{}", outcome.stdout);
    assert!(lab.events("trial_started").len() == 1 && lab.events("trial_ended").is_empty());
    lab.is_deserted();
    lab.is_clean();
}

#[test]
fn a_term_signal_ends_the_session_in_order() {
    let lab = TestLab::with(PROTOCOL, ENDLESS);
    let session = lab.start(&["run"]);
    eventually("a trial is in training", || (!lab.events("trial_started").is_empty()).then_some(()));
    let running = lab.status();
    assert_eq!((&running["state"], &running["pid"]), (&Value::from("running"), &Value::from(session.pid())));
    session.signal(Signal::SIGTERM);
    session.ends().exits(0);
    lab.is_deserted();
    let ending = lab.events("session_ended");
    assert_eq!(ending.len(), 1);
    assert!(ending[0]["reason"].as_str().is_some_and(|reason| reason.contains("asked to stop")), "{ending:?}");
    assert_eq!(lab.status()["state"], "stopped");
    assert_eq!(lab.git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
}

#[test]
fn a_worker_that_is_killed_ends_a_trial_and_not_the_night() {
    let lab = TestLab::with(PROTOCOL, SLOW);
    lab.run(&["run", "--trials", "1"]).exits(0);
    let session = lab.start(&["run"]);
    let before = lab.events("trial_ended").len();
    let crashed = |event: &Value| event["record"]["verdict"] == "crash";
    // The worker of each trial is killed once, until a trial has ended by it: a quick one may end before.
    let mut killed_in = None;
    eventually("a trial crashes", || {
        let last = lab.ledger().pop()?;
        let (event, trial) = (&last["event"]["event"], last["event"]["trial"].as_u64());
        if event == "trial_started" && trial != killed_in {
            killed_in = trial;
            for pid in lab.processes().into_iter().filter(|pid| *pid != session.pid()) {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process number"));
                // It may be gone already.
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
        }
        lab.events("trial_ended").iter().skip(before).any(crashed).then_some(())
    });
    let ended = lab.events("trial_ended").len();
    eventually("the night goes on", || {
        lab.events("trial_ended").iter().skip(ended).any(|event| !crashed(event)).then_some(())
    });
    session.signal(Signal::SIGTERM);
    session.ends().exits(0);
    let record = lab.events("trial_ended").into_iter().find(crashed).expect("a crash");
    assert!(record["record"]["reason"].as_str().is_some_and(|why| why.contains("the worker died")), "{record}");
    notebook_is_sound(&lab);
    lab.is_clean();
    lab.is_deserted();
}
