//! Recovery after a kill between any two steps.

mod demotions;

use super::*;
use crate::lab::notebook::support::{TestLab, commit_of, now, today};
use crate::lab::trial_files::sample;

fn started(lab: &TestLab) -> (Ledger, Notebook) {
    let mut ledger = Ledger::open(&lab.lab()).expect("a ledger");
    let notebook = lab.notebook();
    ledger
        .append(
            now(),
            Event::SessionStarted {
                pid: 1,
                branch: notebook.branch().to_owned(),
                version: "0".into(),
                researcher: "optimizer".into(),
                protocol_hash: "p".into(),
                data_hash: "d".into(),
            },
        )
        .expect("appended");
    (ledger, notebook)
}

fn begin(ledger: &mut Ledger, record: &TrialRecord) {
    let event = Event::TrialStarted {
        trial: record.trial,
        title: record.proposal.title.clone(),
        spec_hash: record.spec_hash.clone().unwrap_or_default(),
    };
    ledger.append(now(), event).expect("appended");
}

fn end(ledger: &mut Ledger, record: &TrialRecord) {
    ledger.append(now(), Event::TrialEnded { record: Box::new(record.clone()) }).expect("appended");
}

/// The loop's own way through a trial's end.
fn whole_trial(lab: &TestLab, ledger: &mut Ledger, notebook: &mut Notebook, record: &TrialRecord) {
    begin(ledger, record);
    end(ledger, record);
    let mut files = Vec::new();
    for (path, content) in trial_files(record).expect("files") {
        atomic::replace(&lab.root().join(&path), &content).expect("written");
        files.push((path, Some(content)));
    }
    files.extend(loop_files(&lab.lab(), notebook).expect("files"));
    let message = commit::message(record, None).to_string();
    notebook.commit(&TrialCommit { message, files, when: now() }).expect("committed");
    ledger.append(now(), Event::TrialCommitted { trial: record.trial }).expect("appended");
}

/// As the next start does it.
fn restart(lab: &TestLab) -> (Ledger, Notebook, Vec<String>) {
    let mut ledger = Ledger::open(&lab.lab()).expect("a ledger");
    let mut notebook = Notebook::open(&lab.lab()).expect("a notebook");
    notebook.start(Some("test"), today(), now()).expect("on its branch");
    let said = recover(&lab.lab(), &mut ledger, &mut notebook, now()).expect("recovered");
    (ledger, notebook, said)
}

/// A second recovery does nothing, git and ledger agree, and nothing is left over.
fn all_is_well(lab: &TestLab, trials: &[u32]) {
    let length = Ledger::read(&lab.lab()).expect("read").len();
    let head = lab.git(&["rev-parse", "HEAD"]);
    let (ledger, notebook, said) = restart(lab);
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(ledger.entries().len(), length);
    assert_eq!(lab.git(&["rev-parse", "HEAD"]), head);
    let found: Vec<u32> = notebook.head_records().expect("read").iter().map(|record| record.trial).collect();
    assert_eq!(found, trials);
    let told = Trials::of(&ledger);
    assert_eq!(told.committed.iter().copied().collect::<Vec<_>>(), trials);
    assert!(told.pending.is_empty() && told.in_training.is_none());
    assert!(lab.status().is_empty(), "{:?}", lab.status());
    let count = lab.git(&["log", "--format=%(trailers:key=Trial,valueonly)"]);
    let mut pages: Vec<u32> = count.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    pages.sort_unstable();
    assert_eq!(pages, trials, "exactly one commit a trial");
    lab.fsck();
}

#[test]
fn a_trial_in_training_is_lost_and_its_number_free() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    begin(&mut ledger, &sample(1, Verdict::Discard));
    // As if something of it had been written, by this program or an earlier one; and a person's file beside it.
    lab.write("runs/000001/spec.yaml", "half");
    lab.write("runs/000001/.autoresearch-x1.tmp", "half");
    lab.write("runs/000002/spec.yaml", "half");
    lab.write("runs/000002/mine.txt", "a person's");
    drop((ledger, notebook));
    let (_, _, said) = restart(&lab);
    assert!(said[0].contains("trial 000001 was in training"), "{said:?}");
    assert!(said.iter().any(|sentence| sentence.starts_with("runs/000001 ")), "{said:?}");
    assert!(!lab.has("runs/000001") && !lab.has("runs/000002/spec.yaml"));
    assert_eq!(lab.read("runs/000002/mine.txt"), "a person's");
    fs::remove_dir_all(lab.root().join("runs/000002")).expect("removed");
    all_is_well(&lab, &[0]);
}

#[test]
fn killed_at_any_step_of_a_trials_end_it_is_brought_to_its_end() {
    // How far the loop came: nothing written; the k-th file written, the last one half; everything but the commit.
    for verdict in [Verdict::Keep, Verdict::Discard] {
        let record = sample(1, verdict);
        let files = trial_files(&record).expect("files");
        for written in 0..=files.len() {
            let lab = TestLab::new();
            let (mut ledger, mut notebook) = started(&lab);
            whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
            begin(&mut ledger, &record);
            end(&mut ledger, &record);
            for (path, content) in &files[..written] {
                atomic::replace(&lab.root().join(path), content).expect("written");
            }
            if let Some((path, _)) = files.get(written).filter(|(path, _)| path.starts_with("runs")) {
                lab.write(&format!("{}/.autoresearch-9.tmp", path.parent().expect("a folder").display()), "ha");
            }
            if written == files.len() {
                lab.write("learnings.md", "# Learnings\n\nSmooth is good.\n");
            }
            lab.write("person.txt", "mine\n");
            lab.git(&["add", "person.txt"]);
            drop((ledger, notebook));

            let (_, _, said) = restart(&lab);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("trial 000001 had come to its verdict"), "{said:?}");
            let model = lab.read("model.yaml");
            assert_eq!(model == record.proposal.spec, verdict == Verdict::Keep);
            assert_eq!(lab.git(&["show", "HEAD:model.yaml"]), model);
            assert_eq!(lab.git(&["log", "-1", "--format=%(trailers:key=Verdict,valueonly)"]).trim(), verdict.word());
            if written == files.len() {
                assert!(lab.git(&["show", "HEAD:learnings.md"]).contains("Smooth"), "the loop's own file");
            }
            assert_eq!(lab.status(), ["A  person.txt"]);
            lab.git(&["rm", "-q", "-f", "person.txt"]);
            all_is_well(&lab, &[0, 1]);
        }
    }
}

#[test]
fn killed_after_the_commit_only_the_event_is_missing() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    drop((ledger, notebook));
    // Take the last event away again, as if it had never been written.
    let text = lab.read("runs/ledger.jsonl");
    let cut = text.trim_end().rfind('\n').expect("a line end") + 1;
    lab.write("runs/ledger.jsonl", &text[..cut]);
    let (ledger, _, said) = restart(&lab);
    assert!(said.is_empty(), "{said:?}");
    assert!(matches!(ledger.entries().last().map(|entry| &entry.event), Some(Event::TrialCommitted { trial: 0 })));
    all_is_well(&lab, &[0]);
}

#[test]
fn a_torn_ledger_gives_the_trial_up_and_not_the_notebook() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    begin(&mut ledger, &sample(1, Verdict::Discard));
    end(&mut ledger, &sample(1, Verdict::Discard));
    drop((ledger, notebook));
    let text = lab.read("runs/ledger.jsonl");
    lab.write("runs/ledger.jsonl", &text[..text.len() - 40]);
    let (_, _, said) = restart(&lab);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("torn") && said[1].contains("trial 000001 was in training"), "{said:?}");
    all_is_well(&lab, &[0]);
}

#[test]
fn a_lost_ledger_is_retold_from_git() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    for (trial, verdict) in [(0, Verdict::Keep), (1, Verdict::Discard), (2, Verdict::Keep)] {
        whole_trial(&lab, &mut ledger, &mut notebook, &sample(trial, verdict));
    }
    drop((ledger, notebook));
    fs::remove_file(lab.root().join("runs/ledger.jsonl")).expect("lost");
    let (ledger, _, said) = restart(&lab);
    assert_eq!(said, ["there was no ledger; it was rebuilt from 3 trials in git"]);
    assert_eq!(Trials::of(&ledger).ended[&2], sample(2, Verdict::Keep));
    all_is_well(&lab, &[0, 1, 2]);
}

#[test]
fn the_ledger_follows_head_to_another_branch_and_back() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(1, Verdict::Discard));
    drop((ledger, notebook));
    // A person takes the last trial back.
    lab.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let (ledger, _, said) = restart(&lab);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("told of other trials") && said[0].contains("1 trial in git"), "{said:?}");
    drop(ledger);
    all_is_well(&lab, &[0]);
    let archived: Vec<_> = entries(&lab.lab().state())
        .expect("listed")
        .into_iter()
        .filter(|(name, _)| name.starts_with("ledger-"))
        .collect();
    assert_eq!(archived.len(), 1);
    assert_eq!(archived[0].0, "ledger-autoresearch-test-20260301T220000Z.jsonl");

    // And goes to a branch with other trials of the same numbers.
    lab.git(&["switch", "-q", "-c", "autoresearch/other", "main"]);
    let (mut ledger, mut notebook, said) = restart(&lab);
    assert!(said[0].contains("0 trials in git"), "{said:?}");
    let mut other = sample(0, Verdict::Keep);
    other.spec_hash = Some("another".into());
    whole_trial(&lab, &mut ledger, &mut notebook, &other);
    drop((ledger, notebook));
    all_is_well(&lab, &[0]);
    lab.git(&["switch", "-q", "autoresearch/test"]);
    let (ledger, _, said) = restart(&lab);
    assert_eq!(said.len(), 1);
    assert_eq!(Trials::of(&ledger).ended[&0].spec_hash, sample(0, Verdict::Keep).spec_hash);
    all_is_well(&lab, &[0]);
}

#[test]
fn a_persons_model_is_not_overwritten_by_a_kept_one() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    begin(&mut ledger, &sample(1, Verdict::Keep));
    end(&mut ledger, &sample(1, Verdict::Keep));
    lab.write("model.yaml", "version: 1\n# a person's\n");
    let error = recover(&lab.lab(), &mut ledger, &mut notebook, now()).expect_err("it stands in the way");
    assert!(matches!(error, LabError::DirtyModel { .. }), "{error}");
    assert_eq!(lab.read("model.yaml"), "version: 1\n# a person's\n");
    lab.git(&["stash", "push", "-q", "model.yaml"]);
    drop((ledger, notebook));
    restart(&lab);
    all_is_well(&lab, &[0, 1]);
}

#[test]
fn rules_of_the_loop_go_with_the_trial_and_rules_of_people_do_not() {
    let rule = |by: &str| {
        format!(
            "\n[[rule]]\nname = \"{by}-1\"\nstatus = \"exhausted\"\nby = \"{by}\"\nreason = \"r\"\ncategory = \"loss\"\n"
        )
    };
    for (added, is_the_loops) in [
        (rule("loop"), true),
        (rule("human"), false),
        (rule("loop") + &rule("human"), false),
        ("\n# a remark\n".to_owned(), false),
        ("\n[[rule]]\nbroken".to_owned(), false),
    ] {
        let lab = TestLab::new();
        let (ledger, notebook) = started(&lab);
        drop(ledger);
        lab.write("do_not_retry.toml", &format!("{}{added}", lab.read("do_not_retry.toml")));
        let found = loop_files(&lab.lab(), &notebook).expect("looked");
        assert_eq!(found.len(), usize::from(is_the_loops), "{added}");
    }
}

#[test]
fn the_protocols_lock_goes_with_the_first_trial_and_is_never_replaced() {
    let lab = TestLab::new();
    let (mut ledger, mut notebook) = started(&lab);
    lab.write("prepare/protocol.lock", "hash: 1\n");
    begin(&mut ledger, &sample(0, Verdict::Keep));
    end(&mut ledger, &sample(0, Verdict::Keep));
    drop((ledger, notebook));
    let (ledger, again, _) = restart(&lab);
    notebook = again;
    drop(ledger);
    assert_eq!(lab.git(&["show", "HEAD:prepare/protocol.lock"]), "hash: 1\n");
    all_is_well(&lab, &[0]);
    lab.write("prepare/protocol.lock", "hash: 2\n");
    assert!(loop_files(&lab.lab(), &notebook).expect("looked").is_empty());
}

#[test]
fn a_first_start_has_nothing_to_repair() {
    let lab = TestLab::new();
    let (_, _, said) = restart(&lab);
    assert!(said.is_empty(), "{said:?}");
    // A person's commit between two sessions is nothing to repair either.
    let (mut ledger, mut notebook) = started(&lab);
    whole_trial(&lab, &mut ledger, &mut notebook, &sample(0, Verdict::Keep));
    notebook.commit(&commit_of(&lab, "a person's\n", &[("program.md", "# New\n")])).expect("committed");
    drop((ledger, notebook));
    all_is_well(&lab, &[0]);
}

/// Processes that end trials as fast as they can, killed with SIGKILL at one moment after another; each next one has to
/// find its way from what the last one left.
#[test]
fn killed_for_real_again_and_again() {
    const FOLDER: &str = "AUTORESEARCH_TEST_KILLED_LAB";
    const NAME: &str = "lab::recover::tests::killed_for_real_again_and_again";
    if let Some(folder) = std::env::var_os(FOLDER) {
        end_trials_for_ever(Path::new(&folder));
        return;
    }
    let lab = TestLab::new();
    lab.write("person.txt", "mine\n");
    lab.git(&["add", "person.txt"]);
    for round in 0..12_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", NAME, "--nocapture"])
            .env(FOLDER, lab.root())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("spawned");
        std::thread::sleep(std::time::Duration::from_millis(40 + 23 * round));
        child.kill().expect("killed");
        let status = child.wait().expect("ended");
        assert!(status.code().is_none(), "it was to be killed, and ended by itself: {status}");
    }
    restart(&lab);
    let trials = u32::try_from(Trials::of(&Ledger::open(&lab.lab()).expect("a ledger")).committed.len()).expect("few");
    assert!(trials > 3, "{trials} trials: too few to say anything");
    assert_eq!(lab.status(), ["A  person.txt"]);
    lab.git(&["rm", "-q", "-f", "person.txt"]);
    all_is_well(&lab, &(0..trials).collect::<Vec<_>>());
}

fn end_trials_for_ever(folder: &Path) {
    let lab = Lab::open(folder).expect("a lab");
    let _lock = crate::lab::LabLock::take(&lab, now()).expect("the dead hold nothing");
    let mut ledger = Ledger::open(&lab).expect("a ledger");
    let mut notebook = Notebook::open(&lab).expect("a notebook");
    notebook.start(Some("test"), today(), now()).expect("on its branch");
    recover(&lab, &mut ledger, &mut notebook, now()).expect("recovered");
    let first = Trials::of(&ledger).ended.keys().max().map_or(0, |last| last + 1);
    for trial in first..first + 10_000 {
        let verdict = if trial % 3 == 0 { Verdict::Keep } else { Verdict::Discard };
        let record = sample(trial, verdict);
        begin(&mut ledger, &record);
        end(&mut ledger, &record);
        let mut files = Vec::new();
        for (path, content) in trial_files(&record).expect("files") {
            atomic::replace(&lab.root().join(&path), &content).expect("written");
            files.push((path, Some(content)));
        }
        atomic::replace(&lab.learnings(), format!("# Learnings\n\nAfter {trial}.\n").as_bytes()).expect("written");
        files.extend(loop_files(&lab, &notebook).expect("files"));
        let message = commit::message(&record, None).to_string();
        notebook.commit(&TrialCommit { message, files, when: now() }).expect("committed");
        ledger.append(now(), Event::TrialCommitted { trial }).expect("appended");
    }
}
