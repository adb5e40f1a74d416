//! What people do to files that are theirs, and to model.yaml.

use std::fs;

use super::super::support::{TestLab, now};

#[test]
fn an_edit_of_a_persons_files_is_committed_as_theirs_and_alone() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    assert_eq!(notebook.commit_person_edits(now()).expect("looked"), None);
    lab.write("program.md", "# Brief\n\nThink of BMC.\n");
    lab.write("do_not_retry.toml", "# a rule\n");
    lab.write("learnings.md", "# half-done\n");
    lab.write("other.txt", "untracked\n");
    lab.git(&["add", "program.md"]);
    fs::remove_file(lab.root().join("autoresearch.yaml")).expect("an editor is just replacing it");
    let made = notebook.commit_person_edits(now()).expect("committed").expect("there are edits");
    assert_eq!(made.files, ["program.md", "do_not_retry.toml"]);
    assert_eq!(lab.git(&["log", "-1", "--format=%an: %s"]), "Ada: edit: program.md, do_not_retry.toml\n");
    assert_eq!(lab.git(&["show", "--name-only", "--format=", "HEAD"]), "do_not_retry.toml\nprogram.md\n");
    assert_eq!(lab.status(), [" D autoresearch.yaml", " M learnings.md", "?? other.txt"]);
    assert_eq!(notebook.commit_person_edits(now()).expect("looked"), None);
    lab.fsck();
}

#[test]
fn line_ends_that_git_converts_are_no_edit() {
    let lab = TestLab::new();
    lab.git(&["config", "core.autocrlf", "true"]);
    let mut notebook = lab.notebook();
    lab.write("program.md", "# Brief\r\n");
    lab.write("model.yaml", "version: 1\r\nnetwork: []\r\n");
    assert_eq!(notebook.commit_person_edits(now()).expect("looked"), None);
    assert!(!notebook.model_is_dirty().expect("looked"));
}

#[test]
fn a_dirty_model_is_noticed_however_it_is_dirty() {
    let lab = TestLab::new();
    let notebook = lab.notebook();
    let dirty = || notebook.model_is_dirty().expect("looked");
    let clean = lab.read("model.yaml");
    assert!(!dirty());
    lab.write("model.yaml", &clean);
    assert!(!dirty(), "touched, but the same");
    lab.write("model.yaml", "version: 1\n# edited\n");
    assert!(dirty(), "unstaged");
    let words = notebook.refuse_dirty_model().expect_err("dirty").to_string();
    for way_out in ["git commit", "git checkout HEAD -- model.yaml", "git stash push model.yaml"] {
        assert!(words.contains(way_out), "{words}");
    }
    lab.git(&["add", "model.yaml"]);
    assert!(dirty(), "staged");
    lab.write("model.yaml", &clean);
    assert!(dirty(), "staged, and put back in the work tree");
    // Each way out that is named does what it says.
    lab.git(&["checkout", "HEAD", "--", "model.yaml"]);
    assert!(!dirty());
    lab.write("model.yaml", "version: 1\n# edited\n");
    lab.git(&["stash", "push", "-q", "model.yaml"]);
    assert!(!dirty());
    lab.git(&["stash", "pop", "-q"]);
    assert!(dirty());
    lab.git(&["add", "model.yaml"]);
    lab.git(&["commit", "-q", "-m", "edit: model.yaml", "model.yaml"]);
    assert!(!dirty());
    fs::remove_file(lab.root().join("model.yaml")).expect("removed");
    assert!(dirty(), "gone");
}
