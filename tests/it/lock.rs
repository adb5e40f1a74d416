//! One lab, one daemon.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::lab::{TestLab, eventually};

#[test]
fn a_second_daemon_is_refused_and_told_by_whom() {
    let lab = TestLab::new();
    let session = lab.start(&["run"]);
    eventually("a trial has ended", || (!lab.events("trial_ended").is_empty()).then_some(()));
    let pid = session.pid().to_string();
    for second in [["run", "--trials", "1"].as_slice(), &["prepare"]] {
        lab.run(second).exits(7).says(&[&format!("process {pid}"), "has held this lab since"]);
    }
    assert_eq!(lab.status()["pid"], session.pid());
    // Looking needs no lock.
    for look in [["status"].as_slice(), &["log"], &["show", "0"], &["folds"]] {
        lab.run(look).exits(0);
    }
    session.signal(Signal::SIGINT);
    session.ends().exits(0);
    assert_eq!(lab.events("session_started").len(), 1);
}

#[test]
fn a_lock_whose_process_number_belongs_to_another_program_is_stale() {
    let lab = TestLab::new();
    lab.run(&["run", "--trials", "1"]).exits(0);
    // This test runs, and began at another time than the lock says.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    let lock = json!({
        "pid": std::process::id(), "since": "2026-03-01T22:00:00Z", "process_start": 1, "boot": boot.trim(),
    });
    lab.write(".autoresearch/lock", lock.to_string());
    let status = lab.status();
    assert_eq!((&status["state"], &status["pid"]), (&Value::from("stale"), &Value::Null));
    lab.run(&["run", "--trials", "1"]).exits(0).says(&[&format!("process {} died", std::process::id())]);
    assert_eq!(lab.status()["state"], "stopped");
}
