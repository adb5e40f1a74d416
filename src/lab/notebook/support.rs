//! Labs in temporary folders, and git's own program as the independent witness.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Notebook, TrialCommit};
use crate::lab::layout::Lab;

/// A lab that goes away with the test.
pub(crate) struct TestLab {
    folder: tempfile::TempDir,
}

impl TestLab {
    /// A git repository with a lab's files, not committed, and an identity.
    pub(crate) fn unborn() -> Self {
        let lab = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        lab.git(&["init", "-q", "-b", "main"]);
        lab.git(&["config", "user.name", "Ada"]);
        lab.git(&["config", "user.email", "ada@example.org"]);
        lab.git(&["config", "core.autocrlf", "false"]);
        for (name, text) in [
            ("autoresearch.yaml", "version: 1\n"),
            ("program.md", "# Brief\n"),
            ("model.yaml", "version: 1\nnetwork: []\n"),
            ("learnings.md", "# Learnings\n"),
            ("do_not_retry.toml", "# no rules\n"),
            ("prepare/protocol.yaml", "version: 1\n"),
            ("runs/.gitkeep", ""),
            (".gitignore", "/.autoresearch/\n/runs/ledger.jsonl\n.autoresearch-*.tmp\n"),
        ] {
            lab.write(name, text);
        }
        lab
    }

    /// The same, with everything committed on `main`.
    pub(crate) fn new() -> Self {
        let lab = Self::unborn();
        lab.git(&["add", "."]);
        lab.git(&["commit", "-q", "-m", "the lab"]);
        lab
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn lab(&self) -> Lab {
        Lab::open(self.root()).expect("a lab")
    }

    /// The notebook, on a branch of its own.
    pub(crate) fn notebook(&self) -> Notebook {
        let mut notebook = Notebook::open(&self.lab()).expect("a notebook");
        notebook.start(Some("test"), today(), now()).expect("a branch");
        notebook
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).expect("read")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.root().join(name).exists()
    }

    /// What git prints; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn try_git(&self, arguments: &[&str]) -> Output {
        git_command(self.root()).args(arguments).output().expect("git runs")
    }

    /// Nothing is damaged, and no object is missing.
    pub(crate) fn fsck(&self) {
        let output = self.try_git(&["fsck", "--full", "--strict", "--no-dangling"]);
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `git status`, one line a path.
    pub(crate) fn status(&self) -> Vec<String> {
        self.git(&["status", "--porcelain", "--untracked-files=all"]).lines().map(str::to_owned).collect()
    }
}

/// Git without the configuration of whoever runs the tests.
pub(crate) fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("HOME", folder);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"] {
        command.env_remove(variable);
    }
    command
}

pub(crate) fn now() -> Timestamp {
    "2026-03-01T22:00:00Z".parse().expect("a time")
}

pub(crate) fn today() -> Date {
    "2026-03-01".parse().expect("a date")
}

/// A commit of these files, which are also written to the work tree, as the loop does.
pub(crate) fn commit_of(lab: &TestLab, message: &str, files: &[(&str, &str)]) -> TrialCommit {
    for (name, text) in files {
        lab.write(name, text);
    }
    let files = files.iter().map(|(name, text)| (PathBuf::from(name), Some(text.as_bytes().to_vec()))).collect();
    TrialCommit { message: message.to_owned(), files, when: now() }
}
