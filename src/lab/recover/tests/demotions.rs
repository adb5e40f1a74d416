//! A re-measurement that was interrupted, lost, or taken back.

use super::*;
use crate::research::history::History;

/// A re-measurement of a trial after another one, which stands or is taken back.
fn measured_again(trial: u32, after_trial: u32, demoted_to: Option<u32>) -> Remeasurement {
    Remeasurement {
        trial,
        after_trial,
        seeds: vec![1_000_001, 1_000_002],
        selected: 0.0182,
        fresh: 0.1 + 0.2,
        standard_error: 1.0 / 3.0,
        predecessor: trial.checked_sub(1),
        gain: Some(-0.0002),
        gain_error: Some(0.0009),
        p_value: Some(0.58),
        demoted_to,
        reason: "its gain on fresh seeds".into(),
        ended: format!("2026-03-01T23:{trial:02}:{after_trial:02}Z"),
    }
}

/// The files of a re-measurement, and its commit, as the loop makes them.
fn commit_again(lab: &TestLab, notebook: &mut Notebook, found: &Remeasurement) {
    let back = found.demoted_to.map(|trial| sample(trial, Verdict::Keep));
    let mut files = Vec::new();
    for (path, content) in remeasurement_files(found, back.as_ref()).expect("files") {
        atomic::replace(&lab.root().join(&path), &content).expect("written");
        files.push((path, Some(content)));
    }
    let message = commit::remeasurement(found, "GELU in every block").to_string();
    notebook.commit(&TrialCommit { message, files, when: now() }).expect("committed");
}

/// The loop's own way through a re-measurement.
fn whole_again(lab: &TestLab, ledger: &mut Ledger, notebook: &mut Notebook, found: &Remeasurement) {
    ledger.append(now(), Event::Remeasured { found: Box::new(found.clone()) }).expect("appended");
    commit_again(lab, notebook, found);
    ledger.append(now(), Event::RemeasurementCommitted { trial: found.trial }).expect("appended");
}

fn incumbent(ledger: &Ledger) -> Option<u32> {
    History::from_events(ledger.events()).incumbent().map(|record| record.trial)
}

#[test]
fn killed_at_any_step_of_a_demotion_it_is_brought_to_its_end() {
    for demoted_to in [Some(0), None] {
        let found = measured_again(1, 1, demoted_to);
        let back = demoted_to.map(|trial| sample(trial, Verdict::Keep));
        let files = remeasurement_files(&found, back.as_ref()).expect("files");
        // The event alone; each file behind it; the commit, without the event that tells of it.
        for steps in 0..=files.len() + 1 {
            let lab = TestLab::new();
            let (mut ledger, mut notebook) = started(&lab);
            for trial in 0..2 {
                whole_trial(&lab, &mut ledger, &mut notebook, &sample(trial, Verdict::Keep));
            }
            ledger.append(now(), Event::Remeasured { found: Box::new(found.clone()) }).expect("appended");
            for (path, content) in files.iter().take(steps) {
                atomic::replace(&lab.root().join(path), content).expect("written");
            }
            let committed = steps > files.len();
            if committed {
                commit_again(&lab, &mut notebook, &found);
            }
            drop((ledger, notebook));

            let (ledger, _, said) = restart(&lab);
            assert_eq!(said.len(), usize::from(!committed), "{said:?}");
            assert!(said.iter().all(|what| what.contains("trial 000001 had been measured again")), "{said:?}");
            let now = demoted_to.unwrap_or(1);
            assert_eq!(incumbent(&ledger), Some(now));
            assert_eq!(lab.read("model.yaml"), sample(now, Verdict::Keep).proposal.spec);
            assert_eq!(lab.git(&["show", "HEAD:model.yaml"]), lab.read("model.yaml"));
            assert_eq!(lab.git(&["show", "HEAD:runs/000001/remeasured.json"]).as_bytes(), files[0].1);
            let subject = lab.git(&["log", "-1", "--format=%s"]);
            let word = if demoted_to.is_some() { "demote 000001: " } else { "remeasure 000001: " };
            assert!(subject.starts_with(word), "{subject}");
            assert_eq!(lab.git(&["log", "--format=%(trailers:key=Remeasured,valueonly)"]).trim(), "1", "one commit");
            drop(ledger);
            all_is_well(&lab, &[0, 1]);
        }
    }
}

#[test]
fn a_persons_model_is_not_overwritten_by_a_demotion() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    for trial in 0..2 {
        whole_trial(&lab, &mut ledger, &mut notebook, &sample(trial, Verdict::Keep));
    }
    let found = Box::new(measured_again(1, 1, Some(0)));
    ledger.append(now(), Event::Remeasured { found }).expect("appended");
    lab.write("model.yaml", "version: 1\n# a person's\n");
    let error = recover(&lab.lab(), &mut ledger, &mut notebook, now()).expect_err("it stands in the way");
    assert!(matches!(error, LabError::DirtyModel { .. }), "{error}");
    assert_eq!(lab.read("model.yaml"), "version: 1\n# a person's\n");
    lab.git(&["checkout", "-q", "model.yaml"]);
    drop((ledger, notebook));
    assert_eq!(incumbent(&restart(&lab).0), Some(0));
    all_is_well(&lab, &[0, 1]);
}

#[test]
fn a_lost_ledger_is_retold_with_its_demotions() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    for trial in 0..3 {
        whole_trial(&lab, &mut ledger, &mut notebook, &sample(trial, Verdict::Keep));
    }
    // Trial 1 stood at first; then 2 falls, and one trial later 1 as well.
    whole_again(&lab, &mut ledger, &mut notebook, &measured_again(2, 2, Some(1)));
    whole_again(&lab, &mut ledger, &mut notebook, &measured_again(1, 2, None));
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(3, Verdict::Discard));
    assert_eq!(incumbent(&ledger), Some(1));
    all_is_well(&lab, &[0, 1, 2, 3]);
    whole_again(&lab, &mut ledger, &mut notebook, &measured_again(1, 3, Some(0)));
    drop((ledger, notebook));
    fs::remove_file(lab.root().join("runs/ledger.jsonl")).expect("lost");
    let (ledger, _, said) = restart(&lab);
    assert_eq!(said, ["there was no ledger; it was rebuilt from 4 trials in git"]);
    assert_eq!(incumbent(&ledger), Some(0));
    let history = History::from_events(ledger.events());
    assert_eq!(history.remeasurements().len(), 2, "the last one of each trial");
    assert!(history.is_demoted(1) && history.is_demoted(2));
    drop(ledger);
    all_is_well(&lab, &[0, 1, 2, 3]);
}

#[test]
fn the_ledger_follows_a_person_who_takes_a_demotion_back() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    for trial in 0..2 {
        whole_trial(&lab, &mut ledger, &mut notebook, &sample(trial, Verdict::Keep));
    }
    whole_again(&lab, &mut ledger, &mut notebook, &measured_again(1, 1, Some(0)));
    drop((ledger, notebook));
    all_is_well(&lab, &[0, 1]);
    let demotion = lab.git(&["rev-parse", "HEAD"]);
    lab.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let (ledger, _, said) = restart(&lab);
    assert!(said.len() == 1 && said[0].contains("rebuilt from 2 trials"), "{said:?}");
    assert_eq!(incumbent(&ledger), Some(1));
    drop(ledger);
    all_is_well(&lab, &[0, 1]);
    // And comes back to it.
    lab.git(&["reset", "-q", "--hard", demotion.trim()]);
    let (ledger, _, said) = restart(&lab);
    assert_eq!((said.len(), incumbent(&ledger)), (1, Some(0)), "{said:?}");
    drop(ledger);
    all_is_well(&lab, &[0, 1]);
}
