//! Everything that can be wrong with a lab, as errors that say what, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the lab. `Display` is written for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The folder holds no lab.
    #[error(
        "{}: not a lab (it has no autoresearch.yaml); make one with `autoresearch init {}`, or name one with --lab DIR",
        .path.display(), shell(.path)
    )]
    NotALab {
        /// The folder.
        path: PathBuf,
    },
    /// A new lab was asked for where there is one.
    #[error("{}: is a lab already; nothing was changed. Start its loop with `autoresearch --lab {} run`", .path.display(), shell(.path))]
    AlreadyALab {
        /// The folder.
        path: PathBuf,
    },
    /// autoresearch.yaml is wrong.
    #[error("{}{}: {message}", .path.display(), place(*.line, *.column))]
    Config {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 where it is not known.
        line: usize,
        /// Column, from 1; 0 where it is not known.
        column: usize,
        /// The field, what was found, what is allowed, the nearest valid name.
        message: String,
    },
    /// The holdout's answers cannot be read.
    #[error(
        "{}, line {line}: {message}. Queries stay counted in the ledger; move the file away to go on without its answers",
        .path.display()
    )]
    HoldoutUnreadable {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        message: String,
    },
    /// No further hint may wait.
    #[error("{}: {most} hints wait already, and the loop has not taken them in; it does so between trials, once `autoresearch run` runs", .path.display())]
    HintsFull {
        /// The file.
        path: PathBuf,
        /// How many may wait.
        most: usize,
    },
    /// The lab is in no git repository.
    #[error("{}: not a git repository, and the notebook is one; make it one with `git init` there", .path.display())]
    NoRepository {
        /// The lab.
        path: PathBuf,
    },
    /// The lab is a folder inside a larger repository.
    #[error(
        "{}: the lab must be the top of its git repository, which is {}; move the lab out, or make it a repository of its own with `git init` there",
        .lab.display(), .repository.display()
    )]
    NotRepositoryRoot {
        /// The lab.
        lab: PathBuf,
        /// The top of the repository around it.
        repository: PathBuf,
    },
    /// The repository has no work tree.
    #[error("{}: a bare git repository has no files to work on; clone it and use the clone as the lab", .path.display())]
    BareRepository {
        /// The repository.
        path: PathBuf,
    },
    /// A merge, a rebase or the like is under way.
    #[error("{}: {operation} is under way in this git repository; {remedy}, then start again", .path.display())]
    OperationInProgress {
        /// The lab.
        path: PathBuf,
        /// Which one.
        operation: &'static str,
        /// The commands that end it.
        remedy: &'static str,
    },
    /// HEAD is on no branch.
    #[error(
        "{}: HEAD is detached at {commit}, and a trial's commit needs a branch; go to one with `git switch BRANCH`, or make one here with `git switch -c autoresearch/NAME`",
        .path.display()
    )]
    DetachedHead {
        /// The lab.
        path: PathBuf,
        /// Where HEAD is, abbreviated.
        commit: String,
    },
    /// HEAD was moved to another branch while the loop ran.
    #[error(
        "{}: the notebook is on {expected}, but HEAD is now on {found}; nothing was committed and nothing is lost. Go back with `git switch {expected}` and start again: the trial's commit is then made up for",
        .path.display()
    )]
    HeadMoved {
        /// The lab.
        path: PathBuf,
        /// The branch of the session.
        expected: String,
        /// Where HEAD is.
        found: String,
    },
    /// The branch has no commit yet, and there is nothing of the lab's to make the first one of.
    #[error("{}: the git repository has no commit yet, and none of the lab's files is there to make the first one of; run `autoresearch init` in an empty folder", .path.display())]
    NothingToCommit {
        /// The lab.
        path: PathBuf,
    },
    /// Another git process works on the index, or one died.
    #[error(
        "{}: another git process holds the index; let it end. If none runs, one died: remove that file and start again",
        .lock.display()
    )]
    IndexLocked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The index has a form that is not understood here (split, sparse) or is damaged.
    #[error(
        "{}: the git index cannot be read: {message}. A split or sparse index is made a plain one with `git update-index --no-split-index` or `git sparse-checkout disable`",
        .path.display()
    )]
    IndexUnreadable {
        /// The index.
        path: PathBuf,
        /// What git says.
        message: String,
    },
    /// A name that git does not take for a branch.
    #[error("tag `{tag}` does not make a branch name; use letters, digits, `-`, `_` and `.`, as in `first-night`")]
    BadTag {
        /// The tag.
        tag: String,
    },
    /// A branch `autoresearch` stands in the way of branches below that name.
    #[error(
        "{}: a branch named `autoresearch` exists, and git cannot have branches below it; rename it with `git branch -m autoresearch OTHER-NAME`",
        .path.display()
    )]
    BranchInTheWay {
        /// The lab.
        path: PathBuf,
    },
    /// model.yaml has changes that are not committed.
    #[error(
        "{}: has changes that are not committed, and the loop would have to guess which model is the incumbent. Keep them with `git add model.yaml && git commit -m \"edit: model.yaml\" model.yaml`, drop them with `git checkout HEAD -- model.yaml`, or lay them aside with `git stash push model.yaml`",
        .path.display()
    )]
    DirtyModel {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the lab.
    #[error("{}: {}; end it (Ctrl-C where it runs, or SIGTERM), or wait for it", .path.display(), held(.pid.as_ref(), .since.as_ref()))]
    Held {
        /// The lab.
        path: PathBuf,
        /// Its process, if the lock says so.
        pid: Option<u32>,
        /// Since when, RFC 3339, if the lock says so.
        since: Option<String>,
    },
    /// A file could not be read or written.
    #[error("{}: cannot {action}: {source}{}", .path.display(), remedy(.source))]
    Io {
        /// What was to be done: `read it`, `write it`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The event log is damaged somewhere other than at its end.
    #[error(
        "{}: damaged at byte {offset} (line {line}): {message}. It is left as it is; move it away (`mv runs/ledger.jsonl runs/ledger.damaged`), and the next start rebuilds it from git",
        .path.display()
    )]
    LedgerDamaged {
        /// The ledger.
        path: PathBuf,
        /// Where the damaged line begins.
        offset: u64,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The event log was written by a newer program.
    #[error("{}: line {line} has version {version}, and this program reads version 1; use the program that wrote it, or a newer one", .path.display())]
    LedgerNewer {
        /// The ledger.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// Its version.
        version: u64,
    },
    /// An event that could not be read back is not written.
    #[error("{}: event refused, because it could not be read again: {message}; this is a mistake in the program, please report it", .path.display())]
    EventRefused {
        /// The ledger.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A trial's record in git cannot be read.
    #[error(
        "{path} in commit {commit}: cannot be read: {message}; if someone edited it, put it back with `git revert`"
    )]
    RecordUnreadable {
        /// Path in the lab.
        path: String,
        /// The commit, abbreviated.
        commit: String,
        /// What is wrong with it.
        message: String,
    },
    /// A path that must not go into a commit.
    #[error("`{path}` is not a path inside the lab that can be committed")]
    BadPath {
        /// The path.
        path: String,
    },
    /// Git refused.
    #[error("{}: git cannot {action}: {}{}", .path.display(), .source.message(), git_remedy(.source, .path))]
    Git {
        /// What was to be done: `read HEAD`, `write a commit`, …
        action: &'static str,
        /// The lab.
        path: PathBuf,
        /// What libgit2 says.
        source: git2::Error,
    },
}

impl LabError {
    /// Wraps an IO error with what was to be done, and to which file.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// Wraps a git error with what was to be done, and in which lab.
    pub fn git(action: &'static str, path: &Path, source: git2::Error) -> Self {
        Self::Git { action, path: path.to_path_buf(), source }
    }

    /// Whether the disk (or the quota) is full: the loop cannot go on, and nothing is lost.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Git { source, .. } => says_full(source),
            _ => false,
        }
    }
}

/// A path as a person can paste it into a shell's command: in quotes where it needs them.
pub fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    // It would be taken for an option, in quotes too.
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,@:%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

fn held(pid: Option<&u32>, since: Option<&String>) -> String {
    match (pid, since) {
        (Some(pid), Some(since)) => format!("process {pid} has held this lab since {since}"),
        (Some(pid), None) => format!("process {pid} holds this lab"),
        _ => "another process holds this lab".into(),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn says_full(error: &git2::Error) -> bool {
    let words = error.message();
    words.contains("No space left") || words.contains("quota exceeded") || words.contains("Disk quota")
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; the disk is full: free some space and start again, nothing is lost",
        io::ErrorKind::QuotaExceeded => "; your quota is used up: free some space and start again, nothing is lost",
        io::ErrorKind::PermissionDenied => "; give this user the right to it (see `ls -l`)",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only: mount it for writing, or use a lab elsewhere"
        }
        _ => "",
    }
}

fn git_remedy(error: &git2::Error, path: &Path) -> String {
    if error.code() == git2::ErrorCode::Owner {
        return format!("; if you trust it, say so with `git config --global --add safe.directory {}`", shell(path));
    }
    if says_full(error) {
        return "; free some space and start again, nothing is lost".into();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_and_said() {
        let error =
            LabError::io("write it", Path::new("/lab/runs/ledger.jsonl"), io::Error::from(io::ErrorKind::StorageFull));
        assert!(error.is_disk_full());
        let words = error.to_string();
        assert!(words.starts_with("/lab/runs/ledger.jsonl: cannot write it"), "{words}");
        assert!(words.contains("free some space"), "{words}");
        assert!(!LabError::NotALab { path: "/x".into() }.is_disk_full());
    }

    #[test]
    fn commands_can_be_pasted() {
        for (path, pasted) in [
            ("/data/my-lab_2/é", "/data/my-lab_2/é"),
            ("/data/my lab", "'/data/my lab'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("~/lab", "'~/lab'"),
            ("-lab", "./-lab"),
            ("", "''"),
        ] {
            assert_eq!(shell(Path::new(path)), pasted);
        }
        let error = LabError::AlreadyALab { path: "/my lab".into() };
        assert!(error.to_string().ends_with("`autoresearch --lab '/my lab' run`"), "{error}");
    }

    #[test]
    fn a_held_lab_says_by_whom() {
        let error = LabError::Held { path: "/lab".into(), pid: Some(7), since: Some("2026-03-01T22:00:00Z".into()) };
        assert_eq!(
            error.to_string(),
            "/lab: process 7 has held this lab since 2026-03-01T22:00:00Z; end it (Ctrl-C where it runs, or SIGTERM), or wait for it"
        );
    }
}
