//! A person works in the lab while the loop does: nothing of theirs is lost, moved or committed but what is meant to be.

use nix::sys::signal::Signal;

use crate::lab::{TestLab, bytes, eventually};
use crate::session::notebook_is_sound;

#[test]
fn staged_unstaged_and_untracked_changes_survive_a_session_byte_for_byte() {
    let lab = TestLab::new();
    lab.write("notes/plan.md", "one\n");
    lab.write("notes/mixed.md", "one\n");
    lab.write("gone.md", "to be deleted\n");
    lab.write("moved.md", "to be renamed\n");
    lab.commit("notes");
    // Staged; staged and changed again; changed alone; deleted; renamed; new and staged; untracked; only intended.
    lab.write("notes/plan.md", "two, staged\n");
    lab.write("notes/mixed.md", "two, staged\n");
    lab.write("notes/new.md", "new, staged \u{e4}\r\n");
    lab.git(&["add", "notes"]);
    lab.git(&["mv", "moved.md", "renamed.md"]);
    lab.write("notes/mixed.md", b"three, not staged\xff\x00\n");
    lab.write(".gitignore", format!("{}# mine\n", lab.read(".gitignore")));
    lab.write("untracked \"odd\" n\u{e4}me.txt", "untracked\n");
    lab.write("runs/mine.txt", "also untracked\n");
    lab.write("intended.md", "intended\n");
    lab.git(&["add", "-N", "intended.md"]);
    std::fs::remove_file(lab.path("gone.md")).expect("removed");

    let files = ["notes/plan.md", "notes/mixed.md", "notes/new.md", "renamed.md", ".gitignore", "runs/mine.txt"];
    let look = || {
        let contents: Vec<Vec<u8>> = files.iter().map(|name| bytes(&lab.path(name))).collect();
        let views = [
            vec!["diff", "--binary"],
            vec!["diff", "--cached", "--binary"],
            vec!["status", "--porcelain=v2", "--untracked-files=all"],
            vec!["stash", "list"],
        ];
        (contents, views.map(|view| lab.git(&view)))
    };
    let before = look();
    lab.run(&["run", "--trials", "3"]).exits(0);
    assert_eq!(look(), before);
    assert!(!lab.path("gone.md").exists() && lab.path("untracked \"odd\" n\u{e4}me.txt").exists());
    assert_eq!(lab.git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
    notebook_is_sound(&lab);
}

#[test]
fn edits_of_a_persons_files_while_the_loop_runs_become_commits_of_theirs() {
    let lab = TestLab::new();
    lab.git(&["config", "user.name", "Ada"]);
    lab.git(&["config", "user.email", "ada@example.org"]);
    let mut session = lab.start(&["run"]);
    let committed = |lab: &TestLab| lab.events("trial_committed").len();
    eventually("the first trial is committed", || (committed(&lab) >= 2).then_some(()));
    let edits = [
        ("program.md", "\nThink of the interactions.\n"),
        ("do_not_retry.toml", "\n# A remark of mine.\n"),
        ("autoresearch.yaml", "\n# Mine as well.\n"),
    ];
    for (name, line) in edits {
        // As an editor saves: a new file in the place of the old one.
        let text = lab.read(name) + line;
        let draft = lab.home().join("draft");
        std::fs::write(&draft, &text).expect("written");
        std::fs::rename(&draft, lab.path(name)).expect("renamed");
        let taken =
            |event: &serde_json::Value| event["files"].as_array().is_some_and(|files| files.contains(&name.into()));
        eventually("the edit is taken in", || lab.events("person_edited").iter().any(taken).then_some(()));
    }
    let seen = committed(&lab);
    eventually("the loop goes on", || (committed(&lab) > seen).then_some(()));
    assert!(!session.is_over());
    session.signal(Signal::SIGTERM);
    session.ends().exits(0);

    notebook_is_sound(&lab);
    lab.is_clean();
    for (name, line) in edits {
        let log = lab.git(&["log", "--format=%H %an|%s", "--grep", "^edit: ", "--", name]);
        let [entry] = log.lines().collect::<Vec<_>>()[..] else { panic!("one commit of {name}: {log}") };
        assert!(entry.ends_with(&format!(" Ada|edit: {name}")), "{entry}");
        let commit = entry.split(' ').next().expect("a commit");
        assert_eq!(lab.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", commit]).trim(), name);
        assert!(lab.git(&["show", &format!("{commit}:{name}")]).ends_with(line));
    }
}

#[test]
fn a_model_changed_by_hand_and_committed_is_a_new_baseline() {
    let lab = TestLab::new();
    lab.run(&["run", "--trials", "1"]).exits(0);
    lab.edit("model.yaml", "version: 1", "# by hand\nversion: 1");
    let text = lab.read("model.yaml").replacen("epochs: 2", "epochs: 3", 1);
    lab.write("model.yaml", &text);
    lab.git(&["commit", "-q", "-m", "edit: model.yaml", "model.yaml"]);
    lab.run(&["run", "--trials", "1"]).exits(0);
    let pages = notebook_is_sound(&lab);
    let baselines: Vec<u32> =
        pages.iter().filter(|page| page.trailer("Category") == "baseline").map(|page| page.trial).collect();
    assert_eq!(baselines.len(), 2);
    assert_eq!(lab.git(&["show", &format!("HEAD:runs/{:06}/spec.yaml", baselines[1])]), text);
    lab.is_clean();
}
