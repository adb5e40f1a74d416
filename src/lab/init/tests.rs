//! New labs: in an empty folder, beside files that are there, and taken up after an interruption.

use super::*;
use crate::lab::config::Config;
use crate::lab::notebook::support::{git_command, now, today};
use crate::research::rules::Rules;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = git_command(folder).args(arguments).output().expect("git runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_new_lab_is_complete_committed_and_clean() {
    for preset in Preset::ALL {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/lab");
        let made = create(&path, preset, now()).expect("made");
        assert!(made.left.is_empty());
        assert_eq!(git(&path, &["status", "--porcelain", "--ignored"]), "!! .autoresearch/\n");
        assert_eq!(git(&path, &["rev-parse", "HEAD"]).trim(), made.commit);
        let tracked = git(&path, &["ls-tree", "-r", "--name-only", "HEAD"]);
        assert_eq!(
            tracked.lines().collect::<Vec<_>>(),
            [
                ".gitignore",
                "autoresearch.yaml",
                "do_not_retry.toml",
                "learnings.md",
                "model.yaml",
                "prepare/protocol.yaml",
                "program.md",
                "runs/.gitkeep",
            ]
        );
        assert_eq!(fs::read_to_string(made.lab.protocol()).expect("read"), preset.yaml());
        assert_eq!(Config::read(&made.lab).expect("read"), Config::default());
        git(&path, &["fsck", "--strict"]);
        let error = create(&path, preset, now()).expect_err("a lab already");
        assert!(matches!(error, LabError::AlreadyALab { .. }), "{error}");
        let mut notebook = Notebook::open(&made.lab).expect("opened");
        notebook.start(None, today(), now()).expect("it can begin at once");
    }
}

#[test]
fn nothing_that_is_there_is_overwritten_or_committed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    git(path, &["init", "-q", "-b", "trunk"]);
    fs::write(path.join("program.md"), "# Mine\n").expect("written");
    fs::write(path.join(".gitignore"), "target\n").expect("written");
    fs::write(path.join("data.csv"), "1\n").expect("written");
    git(path, &["add", "data.csv"]);
    let made = create(path, Preset::Demo, now()).expect("made");
    assert_eq!(made.left, [".gitignore", "program.md"]);
    assert_eq!(fs::read_to_string(path.join("program.md")).expect("read"), "# Mine\n");
    fs::write(made.lab.ledger(), "").expect("written");
    let status = git(path, &["status", "--porcelain"]);
    assert_eq!(status, "A  data.csv\n?? .gitignore\n?? program.md\n");
    assert_eq!(git(path, &["branch", "--show-current"]).trim(), "trunk");
}

#[test]
fn an_interrupted_init_can_be_repeated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    create(path, Preset::Demo, now()).expect("made");
    fs::remove_dir_all(path.join(".git")).expect("removed");
    fs::remove_file(path.join(CONFIG)).expect("removed");
    let made = create(path, Preset::Demo, now()).expect("made again");
    assert!(made.left.is_empty(), "{:?}", made.left);
    assert_eq!(git(path, &["status", "--porcelain"]), "");
}

#[test]
fn a_new_lab_rules_nothing_out() {
    assert!(Rules::parse(DO_NOT_RETRY_TEXT, DO_NOT_RETRY).expect("valid").all().is_empty());
}

#[test]
fn the_example_rule_is_a_rule() {
    let example: String = DO_NOT_RETRY_TEXT
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let rules = Rules::parse(&example, DO_NOT_RETRY).expect("what is taught is valid");
    assert_eq!(rules.all().len(), 1, "{example}");
}
