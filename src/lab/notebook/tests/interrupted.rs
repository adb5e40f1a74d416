//! A process of ours that was killed between locking the index and unlocking it.

use super::*;
use crate::lab::notebook::index::LockedIndex;

/// A lab in which a commit was made and its index written, up to a point.
fn killed(branch_moved: bool) -> (TestLab, String) {
    let lab = TestLab::new();
    let notebook = lab.notebook();
    lab.write(RESULT, "{}\n");
    lab.write("model.yaml", "version: 1\n# kept\n");
    // Git's own program makes the commit object, so that nothing here is checked against itself.
    let index = lab.root().join(".git/scratch-index");
    let git = |arguments: &[&str]| {
        let output = git_command(lab.root()).env("GIT_INDEX_FILE", &index).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["read-tree", "HEAD"]);
    git(&["add", RESULT, "model.yaml"]);
    let tree = git(&["write-tree"]);
    let id = git(&["commit-tree", &tree, "-p", "HEAD", "-m", "keep"]);
    fs::remove_file(&index).expect("removed");
    let locked = LockedIndex::take(&notebook.repository, git2::Oid::from_str(&id).expect("a name")).expect("locked");
    std::mem::forget(locked);
    if branch_moved {
        lab.git(&["update-ref", "HEAD", &id]);
    }
    assert!(!lab.try_git(&["add", "program.md"]).status.success(), "git stumbles over the lock");
    (lab, id)
}

#[test]
fn before_the_branch_moved_only_the_lock_is_removed() {
    let (lab, _) = killed(false);
    let mut notebook = Notebook::open(&lab.lab()).expect("put in order");
    assert!(notebook.take_repairs().iter().any(|said| said.contains("lock was removed")));
    assert_eq!(lab.status(), [" M model.yaml".to_owned(), format!("?? {RESULT}")]);
    assert!(git_folder_is_clean(&lab));
    lab.fsck();
}

#[test]
fn a_kill_while_the_branch_was_moving_leaves_no_lock_on_it() {
    let (lab, _) = killed(false);
    let branch = lab.git(&["symbolic-ref", "HEAD"]);
    let lock = lab.root().join(".git").join(format!("{}.lock", branch.trim()));
    fs::write(&lock, "").expect("locked as git does it");
    assert!(!lab.try_git(&["update-ref", branch.trim(), "HEAD^0"]).status.success(), "git stumbles over it");
    let mut notebook = Notebook::open(&lab.lab()).expect("put in order");
    assert!(notebook.take_repairs().iter().any(|said| said.contains("branch was still locked")));
    assert!(!lock.exists());
    // Without a commit of ours under way it is somebody else's.
    fs::write(&lock, "").expect("locked by another");
    Notebook::open(&lab.lab()).expect("opened");
    assert!(lock.exists(), "a lock that is not ours stays");
}

#[test]
fn after_the_branch_moved_the_index_is_brought_along() {
    let (lab, id) = killed(true);
    lab.write("staged.txt", "mine\n");
    let mut notebook = Notebook::open(&lab.lab()).expect("put in order");
    assert_eq!(notebook.take_repairs().len(), 2);
    assert_eq!(lab.status(), ["?? staged.txt"], "nothing of ours is left over");
    assert_eq!(lab.git(&["rev-parse", "HEAD"]).trim(), id);
    assert!(git_folder_is_clean(&lab));
    assert!(!notebook.model_is_dirty().expect("looked"));
    let mut again = Notebook::open(&lab.lab()).expect("opened");
    assert!(again.take_repairs().is_empty(), "twice does nothing");
    lab.fsck();
}

#[test]
fn the_lock_of_somebody_else_stays() {
    let (lab, _) = killed(false);
    let lock = lab.root().join(".git/index.lock");
    fs::remove_file(&lock).expect("a person removed it");
    fs::write(&lock, "somebody else's").expect("and another process locked");
    let notebook = Notebook::view(&lab.lab()).expect("viewed");
    crate::lab::notebook::index::put_in_order(&notebook.repository, lab.root()).expect("put in order");
    assert_eq!(fs::read_to_string(&lock).expect("read"), "somebody else's");
}

/// Every file of the git folder, and its bytes.
fn git_files(lab: &TestLab) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![lab.root().join(".git")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).expect("read")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn who_only_looks_changes_nothing() {
    for branch_moved in [false, true] {
        let (lab, _) = killed(branch_moved);
        lab.write("model.yaml", "version: 1\n# a person's\n");
        lab.write("program.md", "# A person's\n");
        let before = git_files(&lab);
        let notebook = Notebook::view(&lab.lab()).expect("viewed");
        notebook.check().expect("a lock of ours is none");
        assert!(notebook.model_is_dirty().expect("looked"));
        assert_eq!(notebook.person_edits().expect("looked"), [PathBuf::from("program.md")]);
        notebook.log(10).expect("read");
        assert_eq!(git_files(&lab), before);
    }
}
