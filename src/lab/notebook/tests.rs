//! The notebook against git's own program.

use std::fs;
use std::path::PathBuf;

use super::support::{TestLab, commit_of, git_command, now, today};
use super::*;

mod interrupted;
mod person;

const RESULT: &str = "runs/000001/result.json";

#[test]
fn a_commit_is_heads_tree_plus_its_own_paths() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    let before = lab.git(&["rev-parse", "HEAD"]);
    let message = "keep 000001: wider (payout 0.0182, +0.0013)\n\nWhy not.\n\nTrial: 000001\nVerdict: keep\n";
    let commit = commit_of(&lab, message, &[(RESULT, "{}\n"), ("model.yaml", "version: 1\n# wider\n")]);
    let name = notebook.commit(&commit).expect("committed");
    assert_eq!(lab.git(&["rev-parse", "HEAD"]).trim(), name);
    assert_eq!(lab.git(&["rev-parse", "HEAD~1"]), before);
    assert_eq!(lab.git(&["diff", "--name-only", "HEAD~1", "HEAD"]), format!("model.yaml\n{RESULT}\n"));
    assert_eq!(lab.git(&["show", "HEAD:model.yaml"]), "version: 1\n# wider\n");
    assert_eq!(lab.git(&["log", "-1", "--format=%an <%ae> %cn %ct"]), "Ada <ada@example.org> Ada 1772402400\n");
    assert_eq!(lab.git(&["log", "-1", "--format=%(trailers:key=Verdict,valueonly)"]).trim(), "keep");
    assert!(lab.status().is_empty(), "{:?}", lab.status());
    lab.fsck();
    assert!(git_folder_is_clean(&lab));

    let commit = commit_of(&lab, "discard 000002: narrower\n", &[("runs/000002/result.json", "{}\n")]);
    notebook.commit(&commit).expect("a second one in a row");
    assert_eq!(lab.git(&["rev-list", "--count", "HEAD"]).trim(), "3");
    assert!(lab.status().is_empty(), "{:?}", lab.status());
    assert_eq!(
        lab.git(&["reflog", "--format=%gs", "-2"]),
        "commit: discard 000002: narrower\ncommit: keep 000001: wider (payout 0.0182, +0.0013)\n"
    );
    lab.fsck();
}

fn git_folder_is_clean(lab: &TestLab) -> bool {
    fs::read_dir(lab.root().join(".git")).expect("listed").all(|entry| {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        !name.contains("autoresearch") && !name.ends_with(".lock")
    })
}

/// Everything that a person may have lying about: staged, unstaged, both in one file, untracked, added by intent,
/// removed, renamed, an executable, a link.
fn make_a_mess(lab: &TestLab) {
    for name in ["staged.txt", "unstaged.txt", "both.txt", "gone.txt", "old-name.txt", "script.sh", "hidden.txt"] {
        lab.write(name, &format!("{name} as committed\n"));
    }
    lab.git(&["add", "."]);
    lab.git(&["commit", "-q", "-m", "a person's files"]);
    lab.write("staged.txt", "staged\n");
    lab.git(&["add", "staged.txt"]);
    lab.write("unstaged.txt", "unstaged\n");
    lab.write("both.txt", "staged half\n");
    lab.git(&["add", "both.txt"]);
    lab.write("both.txt", "unstaged half\n");
    lab.git(&["rm", "-q", "gone.txt"]);
    lab.git(&["mv", "old-name.txt", "new-name.txt"]);
    lab.git(&["update-index", "--chmod=+x", "script.sh"]);
    lab.git(&["update-index", "--skip-worktree", "hidden.txt"]);
    lab.write("intended.txt", "by intent\n");
    lab.git(&["add", "-N", "intended.txt"]);
    lab.write("untracked/ünïcödé \"name\".txt", "untracked\n");
    std::os::unix::fs::symlink("staged.txt", lab.root().join("link")).expect("linked");
    lab.git(&["add", "link"]);
}

/// What git says of a person's files, and their bytes.
fn photograph(lab: &TestLab) -> (Vec<String>, Vec<(PathBuf, Vec<u8>)>) {
    let mut files = Vec::new();
    let mut folders = vec![lab.root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.ends_with(".git") || path.ends_with("runs") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).expect("read")));
            }
        }
    }
    files.sort();
    let outside = ["--", ".", ":!runs"];
    let with = |arguments: &[&str]| lab.git(&[arguments, &outside[..]].concat());
    let mut said =
        vec![with(&["diff", "--cached", "--binary"]), with(&["diff", "--binary"]), with(&["ls-files", "-s", "-v"])];
    said.extend(lab.git(&["status", "--porcelain", "--untracked-files=all", "-z"]).split('\0').map(str::to_owned));
    (said, files)
}

#[test]
fn a_persons_changes_survive_byte_for_byte() {
    for version in ["2", "4"] {
        let lab = TestLab::new();
        lab.git(&["config", "index.version", version]);
        let mut notebook = lab.notebook();
        make_a_mess(&lab);
        lab.git(&["update-index", "--index-version", version]);
        let before = photograph(&lab);
        for trial in 1..4 {
            let name = format!("runs/{trial:06}/result.json");
            notebook.commit(&commit_of(&lab, "discard\n", &[(&name, "{}\n")])).expect("committed");
            assert_eq!(photograph(&lab), before, "index version {version}, trial {trial}");
        }
        assert_eq!(
            lab.git(&["diff", "--name-only", "HEAD~3", "HEAD"]).lines().count(),
            3,
            "nothing else was committed"
        );
        lab.fsck();
        // And git itself can put it all aside and bring it back.
        lab.git(&["reset", "-q", "intended.txt"]);
        let before = lab.git(&["diff", "HEAD", "--binary"]);
        lab.git(&["stash", "-q"]);
        lab.git(&["stash", "pop", "-q", "--index"]);
        assert_eq!(lab.git(&["diff", "HEAD", "--binary"]), before);
    }
}

#[test]
fn indexes_of_other_kinds_are_kept_or_named() {
    // What git calls `manyFiles`: no checksum, version 4, a cache of untracked files.
    let lab = TestLab::new();
    lab.git(&["config", "feature.manyFiles", "true"]);
    let mut notebook = lab.notebook();
    make_a_mess(&lab);
    let before = photograph(&lab);
    notebook.commit(&commit_of(&lab, "discard\n", &[(RESULT, "{}\n")])).expect("committed");
    assert_eq!(photograph(&lab), before);
    lab.fsck();

    let lab = TestLab::new();
    lab.git(&["update-index", "--split-index"]);
    let error = Notebook::open(&lab.lab()).err().expect("a split index is not understood");
    assert!(matches!(error, LabError::IndexUnreadable { .. }), "{error}");
    assert!(error.to_string().contains("git update-index --no-split-index"), "{error}");
    lab.git(&["update-index", "--no-split-index"]);
    Notebook::open(&lab.lab()).expect("the way out is one");
}

#[test]
fn a_change_within_the_same_tick_is_still_seen() {
    // Same size, same second as the index: git must look into the file, and it does so only while it mistrusts the
    // entry. A newer index must not make it trusted.
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    lab.write("racy.txt", "aaaa\n");
    lab.git(&["add", "racy.txt"]);
    lab.git(&["commit", "-q", "-m", "racy"]);
    let stamp = fs::metadata(lab.root().join("racy.txt")).expect("metadata").modified().expect("a time");
    lab.write("racy.txt", "bbbb\n");
    let file = fs::File::options().write(true).open(lab.root().join("racy.txt")).expect("opened");
    file.set_modified(stamp).expect("the old time");
    let index = fs::File::options().write(true).open(lab.root().join(".git/index")).expect("opened");
    index.set_modified(stamp).expect("the same time");
    notebook.commit(&commit_of(&lab, "discard\n", &[(RESULT, "{}\n")])).expect("committed");
    lab.git(&["config", "core.trustctime", "false"]);
    assert_eq!(lab.status(), [" M racy.txt"]);
}

#[test]
fn the_content_of_a_commit_is_what_was_given_not_what_lies_there() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    let commit = commit_of(&lab, "keep\n", &[("learnings.md", "# New\n"), (RESULT, "{}\n")]);
    lab.write("learnings.md", "# A person was faster\n");
    notebook.commit(&commit).expect("committed");
    assert_eq!(lab.git(&["show", "HEAD:learnings.md"]), "# New\n");
    assert_eq!(lab.read("learnings.md"), "# A person was faster\n");
    assert_eq!(lab.status(), [" M learnings.md"], "shown as a change, neither hidden nor staged");
    lab.fsck();
}

#[test]
fn odd_names_removals_and_modes() {
    let lab = TestLab::new();
    lab.write("tool.sh", "#!/bin/sh\n");
    lab.git(&["add", "tool.sh"]);
    lab.git(&["update-index", "--chmod=+x", "tool.sh"]);
    lab.git(&["commit", "-q", "-m", "a program"]);
    let mut notebook = lab.notebook();
    let odd = "runs/000001/a b\t\"ü\"\\*?.md";
    let mut commit =
        commit_of(&lab, "odd\n", &[(odd, "odd\n"), ("tool.sh", "#!/bin/sh\ntrue\n"), ("deep/er/file", "x\n")]);
    notebook.commit(&commit).expect("committed");
    assert_eq!(lab.git(&["show", &format!("HEAD:{odd}")]), "odd\n");
    assert!(lab.git(&["ls-tree", "HEAD", "tool.sh"]).starts_with("100755"), "it stays a program");

    for (_, content) in &mut commit.files {
        *content = None;
    }
    commit.files.push(("was/never/there".into(), None));
    fs::remove_file(lab.root().join(odd)).expect("removed");
    fs::remove_file(lab.root().join("tool.sh")).expect("removed");
    fs::remove_file(lab.root().join("deep/er/file")).expect("removed");
    notebook.commit(&commit).expect("removed");
    assert!(!lab.git(&["ls-tree", "-r", "-t", "--name-only", "HEAD"]).contains("deep"), "no empty folders");
    assert!(lab.status().iter().all(|line| !line.contains("deep") && !line.contains("odd")), "{:?}", lab.status());
    lab.fsck();

    for bad in ["../outside", "/absolute", ".git/config", "a/.GIT/hooks", "", "a/../b"] {
        commit.files = vec![(bad.into(), Some(Vec::new()))];
        let error = notebook.commit(&commit).expect_err("not inside the lab");
        assert!(matches!(error, LabError::BadPath { .. }), "{bad:?}: {error}");
    }
}

#[test]
fn branches_are_made_once_and_never_moved() {
    let lab = TestLab::new();
    let index = fs::read(lab.root().join(".git/index")).expect("read");
    let begin = |tag| {
        let mut notebook = Notebook::open(&lab.lab()).expect("opened");
        notebook.start(tag, today(), now())
    };
    assert_eq!(begin(None).expect("begun"), "autoresearch/2026-03-01");
    assert_eq!(begin(Some("other")).expect("begun"), "autoresearch/2026-03-01", "one that HEAD is on is kept");
    assert_eq!(lab.git(&["branch", "--show-current"]).trim(), "autoresearch/2026-03-01");
    lab.git(&["switch", "-q", "main"]);
    assert_eq!(begin(None).expect("begun"), "autoresearch/2026-03-01-2");
    lab.git(&["switch", "-q", "main"]);
    assert_eq!(begin(Some("gelu")).expect("begun"), "autoresearch/gelu");
    lab.git(&["switch", "-q", "main"]);
    for bad in ["a b", "", "..", "a/b", "-x", "x.lock", "é"] {
        assert!(matches!(begin(Some(bad)), Err(LabError::BadTag { .. })), "{bad:?}");
    }
    assert_eq!(fs::read(lab.root().join(".git/index")).expect("read"), index);
    assert!(lab.status().is_empty());

    let lab = TestLab::new();
    lab.git(&["branch", "autoresearch"]);
    let error = Notebook::open(&lab.lab()).expect("opened").start(None, today(), now()).expect_err("in the way");
    assert!(matches!(error, LabError::BranchInTheWay { .. }), "{error}");
}

#[test]
fn a_repository_without_commits_gets_its_first_one() {
    let lab = TestLab::unborn();
    lab.write("private.txt", "mine\n");
    lab.git(&["add", "private.txt"]);
    let notebook = lab.notebook();
    assert_eq!(notebook.branch(), "autoresearch/test");
    assert!(lab.git(&["ls-tree", "-r", "--name-only", "HEAD"]).contains("prepare/protocol.yaml\n"));
    assert_eq!(lab.status(), ["A  private.txt"], "what a person staged is still staged, and nothing else is left");
    assert_eq!(lab.git(&["rev-parse", "main"]), lab.git(&["rev-parse", "HEAD"]));
    lab.fsck();
}

#[test]
fn states_that_stand_in_the_way_are_named_with_the_way_out() {
    let conflict = |lab: &TestLab| {
        lab.git(&["switch", "-q", "-c", "side"]);
        lab.write("program.md", "# Side\n");
        lab.git(&["commit", "-q", "-am", "side"]);
        lab.git(&["switch", "-q", "main"]);
        lab.write("program.md", "# Main\n");
        lab.git(&["commit", "-q", "-am", "main"]);
    };
    let refused = |lab: &TestLab| Notebook::open(&lab.lab()).err().expect("refused").to_string();

    let lab = TestLab::new();
    conflict(&lab);
    assert!(!lab.try_git(&["merge", "side"]).status.success());
    let words = refused(&lab);
    assert!(words.contains("a merge is under way") && words.contains("git merge --abort"), "{words}");
    Notebook::view(&lab.lab()).expect("one may still look").log(10).expect("and read");
    lab.git(&["merge", "--abort"]);

    assert!(!lab.try_git(&["rebase", "side"]).status.success());
    let words = refused(&lab);
    assert!(words.contains("a rebase is under way") && words.contains("git rebase --continue"), "{words}");
    lab.git(&["rebase", "--abort"]);

    assert!(!lab.try_git(&["cherry-pick", "side"]).status.success());
    assert!(refused(&lab).contains("a cherry-pick is under way"));
    lab.git(&["cherry-pick", "--abort"]);

    lab.git(&["switch", "-q", "--detach"]);
    let words = refused(&lab);
    assert!(words.contains("HEAD is detached at ") && words.contains("git switch"), "{words}");
    lab.git(&["switch", "-q", "main"]);

    lab.write("program.md", "# Stashed\n");
    lab.git(&["stash", "-q"]);
    lab.write("program.md", "# Other\n");
    lab.git(&["commit", "-q", "-am", "other"]);
    assert!(!lab.try_git(&["stash", "pop"]).status.success());
    let words = refused(&lab);
    assert!(words.contains("conflict") && words.contains("git add"), "{words}");
    lab.git(&["reset", "-q", "--hard"]);
    Notebook::open(&lab.lab()).expect("all is well again");
}

#[test]
fn folders_that_are_no_repository_or_no_top_of_one_are_named() {
    let lab = TestLab::new();
    lab.write("inner/autoresearch.yaml", "version: 1\n");
    let inner = Lab::open(&lab.root().join("inner")).expect("a lab");
    let error = Notebook::open(&inner).err().expect("not the top");
    assert!(matches!(error, LabError::NotRepositoryRoot { .. }), "{error}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("autoresearch.yaml"), "version: 1\n").expect("written");
    let error = Notebook::open(&Lab::open(folder.path()).expect("a lab")).err().expect("no repository");
    assert!(matches!(error, LabError::NoRepository { .. }), "{error}");

    assert!(git_command(folder.path()).args(["init", "-q", "--bare"]).status().expect("git runs").success());
    let error = Notebook::open(&Lab::open(folder.path()).expect("a lab")).err().expect("bare");
    assert!(matches!(error, LabError::BareRepository { .. }), "{error}");
}

#[test]
fn a_person_who_moves_head_is_followed_along_the_branch_and_not_elsewhere() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    lab.write("notes.txt", "mine\n");
    lab.git(&["add", "notes.txt"]);
    lab.git(&["commit", "-q", "-m", "a person's commit"]);
    lab.git(&["pack-refs", "--all"]);
    lab.git(&["gc", "-q"]);
    notebook.commit(&commit_of(&lab, "discard\n", &[(RESULT, "{}\n")])).expect("on top of it");
    assert_eq!(lab.git(&["log", "--format=%s", "-2"]), "discard\na person's commit\n");
    assert_eq!(lab.git(&["show", "HEAD:notes.txt"]), "mine\n");

    lab.git(&["switch", "-q", "main"]);
    let before = lab.git(&["for-each-ref"]);
    let commit = commit_of(&lab, "discard\n", &[("runs/000002/result.json", "{}\n")]);
    let error = notebook.commit(&commit).expect_err("elsewhere");
    assert!(error.to_string().contains("git switch autoresearch/test"), "{error}");
    lab.git(&["switch", "-q", "--detach"]);
    let error = notebook.commit(&commit).expect_err("nowhere");
    assert!(error.to_string().contains("no branch"), "{error}");
    assert_eq!(lab.git(&["for-each-ref"]), before, "no branch was moved");
    assert!(git_folder_is_clean(&lab));
    lab.fsck();
}

#[test]
fn another_git_process_is_waited_for_and_its_lock_never_removed() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    let lock = lab.root().join(".git/index.lock");
    fs::write(&lock, "another process's").expect("locked");
    let other = lock.clone();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::remove_file(other).expect("unlocked");
    });
    notebook.commit(&commit_of(&lab, "discard\n", &[(RESULT, "{}\n")])).expect("after it");
    holder.join().expect("ended");
    assert!(git_folder_is_clean(&lab));
}

#[test]
fn a_linked_work_tree_is_a_lab_too() {
    let main = TestLab::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let linked = folder.path().join("linked");
    main.git(&["worktree", "add", "-q", "-b", "side", linked.to_str().expect("UTF-8")]);
    let lab = Lab::open(&linked).expect("a lab");
    let mut notebook = Notebook::open(&lab).expect("opened");
    notebook.start(None, today(), now()).expect("begun");
    let main_root = fs::canonicalize(main.root()).expect("a path");
    assert!(notebook.git_folders().iter().all(|folder| folder.starts_with(&main_root)));
    fs::create_dir_all(linked.join("runs/000001")).expect("made");
    fs::write(linked.join(RESULT), "{}\n").expect("written");
    let files = vec![(PathBuf::from(RESULT), Some(b"{}\n".to_vec()))];
    notebook.commit(&TrialCommit { message: "discard\n".into(), files, when: now() }).expect("committed");
    let status = git_command(&linked).args(["status", "--porcelain"]).output().expect("git runs");
    assert_eq!(String::from_utf8_lossy(&status.stdout), "");
    assert!(main.status().is_empty());
    assert_eq!(main.git(&["log", "-1", "--format=%s", "autoresearch/2026-03-01"]), "discard\n");
    main.fsck();
}

#[test]
fn a_linked_work_tree_writes_over_no_branch() {
    for packed in [false, true] {
        let main = TestLab::new();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("linked");
        main.git(&["worktree", "add", "-q", "-b", "side", path.to_str().expect("UTF-8")]);
        main.write("notes.txt", "an earlier night's\n");
        main.git(&["switch", "-q", "-c", "autoresearch/2026-03-01"]);
        main.git(&["add", "notes.txt"]);
        main.git(&["commit", "-q", "-m", "an earlier night"]);
        if packed {
            main.git(&["pack-refs", "--all"]);
        }
        let before = main.git(&["rev-parse", "autoresearch/2026-03-01"]);
        // A branch without a commit, which only a HEAD tells of.
        main.git(&["symbolic-ref", "HEAD", "refs/heads/autoresearch/2026-03-01-2"]);
        let mut notebook = Notebook::open(&Lab::open(&path).expect("a lab")).expect("opened");
        assert_ne!(main.git(&["rev-parse", "side"]), before);
        assert_eq!(notebook.start(None, today(), now()).expect("begun"), "autoresearch/2026-03-01-3");
        assert_eq!(main.git(&["rev-parse", "autoresearch/2026-03-01"]), before);
        let own = main.git(&["rev-parse", "autoresearch/2026-03-01-3"]);
        assert_eq!(own, main.git(&["rev-parse", "side"]));

        // The first commit of a branch that came into being meanwhile.
        notebook.branch = "refs/heads/autoresearch/2026-03-01".into();
        let other = Oid::from_str(own.trim()).expect("a name");
        assert!(!notebook.move_branch(None, other, "lab: first commit").expect("looked"));
        assert_eq!(main.git(&["rev-parse", "autoresearch/2026-03-01"]), before);
        main.fsck();
    }
}

#[test]
fn the_history_reads_as_pages() {
    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    let message = "keep 000042: GELU (payout 0.0182)\n\nHypothesis.\nMore of it.\n\nTrial: 000042\nVerdict: keep\nP-Value: 0.002\n";
    let id = notebook.commit(&commit_of(&lab, message, &[(RESULT, "{}\n")])).expect("committed");
    let pages = notebook.log(10).expect("read");
    assert_eq!(pages.len(), 2);
    assert_eq!(
        (pages[0].commit.as_str(), pages[0].subject.as_str()),
        (id.as_str(), "keep 000042: GELU (payout 0.0182)")
    );
    assert!(pages[0].body.starts_with("Hypothesis.\nMore of it."));
    assert_eq!((pages[0].trial(), pages[0].trailer("p-value"), pages[0].when), (Some(42), Some("0.002"), now()));
    assert_eq!(pages[1].trial(), None);
    assert_eq!(notebook.log(1).expect("read").len(), 1);
    assert_eq!(notebook.page_of(42).expect("read").map(|page| page.commit), Some(id));
    assert_eq!(notebook.page_of(41).expect("read"), None);
    assert_eq!(notebook.file_at("HEAD", Path::new(RESULT)).expect("read").as_deref(), Some(&b"{}\n"[..]));
    assert_eq!(notebook.file_at("HEAD~1", Path::new(RESULT)).expect("read"), None);
    assert!(notebook.file_at("nonsense", Path::new(RESULT)).is_err());
    assert!(notebook.file_at("HEAD", Path::new("runs")).expect("read").is_none(), "a folder is no file");

    let error = notebook.head_records().expect_err("no record").to_string();
    assert!(error.contains("runs/000001/result.json"), "{error}");
}

#[test]
fn records_come_in_order_of_their_numbers() {
    use crate::lab::trial_files::{sample, trial_files};
    use crate::research::trial::Verdict;

    let lab = TestLab::new();
    let mut notebook = lab.notebook();
    assert!(notebook.head_records().expect("read").is_empty());
    for trial in [1_000_000, 2, 10] {
        let files = trial_files(&sample(trial, Verdict::Discard)).expect("files");
        let files = files.into_iter().map(|(path, bytes)| (path, Some(bytes))).collect();
        notebook.commit(&TrialCommit { message: "discard\n".into(), files, when: now() }).expect("committed");
    }
    let records = notebook.head_records().expect("read");
    assert_eq!(records.iter().map(|record| record.trial).collect::<Vec<_>>(), [2, 10, 1_000_000]);
    assert_eq!(records[0], sample(2, Verdict::Discard));
}

/// The loop's own identity, in a process that has no other: git's configuration is the process's, so this needs one of
/// its own, which the test starts from itself.
#[test]
fn without_an_identity_the_loop_commits_as_itself() {
    const FOLDER: &str = "AUTORESEARCH_TEST_LAB";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let lab = Lab::open(Path::new(&folder)).expect("a lab");
        let mut notebook = Notebook::open(&lab).expect("opened");
        notebook.start(None, today(), now()).expect("begun");
        let files = vec![(PathBuf::from(RESULT), Some(b"{}\n".to_vec()))];
        notebook.commit(&TrialCommit { message: "discard\n".into(), files, when: now() }).expect("committed");
        return;
    }
    let lab = TestLab::new();
    lab.git(&["config", "--unset", "user.name"]);
    lab.git(&["config", "--unset", "user.email"]);
    let empty = tempfile::tempdir().expect("a temporary folder");
    let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", "--nocapture", "lab::notebook::tests::without_an_identity_the_loop_commits_as_itself"]);
    child.env(FOLDER, lab.root()).env("HOME", empty.path()).env("XDG_CONFIG_HOME", empty.path());
    for variable in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"] {
        child.env_remove(variable);
    }
    let output = child.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let found = lab.git(&["log", "-1", "--format=%an <%ae> %cn <%ce>"]);
    // A system-wide configuration of the machine may name somebody all the same.
    let system = lab.try_git(&["config", "--system", "user.name"]);
    if !system.status.success() {
        assert_eq!(found, "autoresearch <autoresearch@localhost> autoresearch <autoresearch@localhost>\n");
    }
    lab.fsck();
}
