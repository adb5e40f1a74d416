//! The notebook: git history, one commit a trial.
//!
//! A commit is built from HEAD's tree plus exactly the paths that it is about. Everything else that a person has in the
//! index and in the work tree, staged or not, is left as it is, byte for byte. Hooks are not run, nothing is signed,
//! nothing is pushed, and no branch but the session's own is ever moved.

mod commit;
mod index;
mod person;
mod read;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository, RepositoryOpenFlags, RepositoryState};
use jiff::Timestamp;
use jiff::civil::Date;

use super::error::LabError;
use super::layout::{self, Lab};
pub use commit::{FileChange, TrialCommit};
pub use person::PersonCommit;
pub use read::Page;

/// Where the session's branches are.
const BRANCHES: &str = "refs/heads/autoresearch/";
/// Priority of an object store in memory: above those of libgit2's own, which are 1 and 2.
const BEFORE_THE_DISK: i32 = 100;

/// The git repository of a lab.
pub struct Notebook {
    repository: Repository,
    root: PathBuf,
    /// Full name of the branch that commits go to; HEAD must be on it.
    branch: String,
    repairs: Vec<String>,
}

impl Notebook {
    /// Opens the notebook for writing: for the process that holds the lab's lock. What a killed process of ours left
    /// in the git folder is put in order first.
    ///
    /// # Errors
    /// No repository, a bare one, one whose top is elsewhere; a merge or rebase under way, a detached HEAD, an index
    /// that another git process holds or that cannot be read: each with the way out.
    pub fn open(lab: &Lab) -> Result<Self, LabError> {
        let mut notebook = Self::with(open_repository(lab.root())?, lab);
        notebook.repairs.extend(index::put_in_order(&notebook.repository, &notebook.root)?);
        notebook.check()?;
        notebook.branch = notebook.head_branch()?;
        Ok(notebook)
    }

    /// Opens the notebook for those who only look, whatever state it is in. Nothing on the disk is changed, neither now
    /// nor by what is asked of it later: objects made for a comparison stay in memory.
    ///
    /// # Errors
    /// No repository, a bare one, one whose top is elsewhere.
    pub fn view(lab: &Lab) -> Result<Self, LabError> {
        let repository = open_repository(lab.root())?;
        repository
            .odb()
            .and_then(|objects| objects.add_new_mempack_backend(BEFORE_THE_DISK).map(drop))
            .map_err(|error| LabError::git("open the repository", lab.root(), error))?;
        Ok(Self::with(repository, lab))
    }

    /// Whether the loop could commit to it, as far as can be said without changing anything. What a killed process of
    /// ours left, or a live one has in hand, does not count: [`Notebook::open`] clears it away.
    ///
    /// # Errors
    /// A merge or rebase under way, a detached HEAD, an index that another git process holds or that cannot be read:
    /// each with the way out.
    pub fn check(&self) -> Result<(), LabError> {
        self.check_state()?;
        index::check_free(&self.repository)?;
        self.head_branch().map(drop)
    }

    fn with(repository: Repository, lab: &Lab) -> Self {
        let mut notebook =
            Self { repository, root: lab.root().to_path_buf(), branch: String::new(), repairs: Vec::new() };
        // Empty where HEAD is detached: then there is none.
        notebook.branch = notebook.head_branch().unwrap_or_default();
        notebook
    }

    /// Brings HEAD onto a branch `autoresearch/…`, and returns the branch's short name. One that HEAD is on already is
    /// kept. Else a new one is made where HEAD is: `autoresearch/TAG`, or today's date without a tag, or either with
    /// `-2`, `-3`, … if it is taken, or if another work tree of the repository is on it. Index and work tree are not touched. In a repository without any commit, the
    /// lab's own files become the first one.
    ///
    /// # Errors
    /// [`LabError::BadTag`], [`LabError::BranchInTheWay`], [`LabError::NothingToCommit`], and git's own.
    pub fn start(&mut self, tag: Option<&str>, today: Date, now: Timestamp) -> Result<String, LabError> {
        if self.head_commit()?.is_none() {
            self.commit_lab_files("lab: first commit", now)?;
        }
        if !self.branch.starts_with(BRANCHES) {
            self.branch = self.new_branch(tag, today)?;
        }
        Ok(self.branch().to_owned())
    }

    /// Whether HEAD is at a commit, and on a branch that is none of the sessions'; [`Notebook::start`] leaves it then.
    ///
    /// # Errors
    /// Git's.
    pub fn is_elsewhere(&self) -> Result<bool, LabError> {
        Ok(!self.branch.starts_with(BRANCHES) && self.head_commit()?.is_some())
    }

    /// Short name of the branch that commits go to; empty where one only looks and HEAD is on none.
    pub fn branch(&self) -> &str {
        self.branch.strip_prefix("refs/heads/").unwrap_or(&self.branch)
    }

    /// What opening it repaired, in sentences; empty the second time.
    pub fn take_repairs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.repairs)
    }

    /// The git folders that commits are written to: inside the lab as a rule, elsewhere for a linked work tree.
    pub fn git_folders(&self) -> Vec<PathBuf> {
        // A linked work tree's own folder is below the common one.
        vec![self.repository.commondir().to_path_buf()]
    }

    fn new_branch(&self, tag: Option<&str>, today: Date) -> Result<String, LabError> {
        let wanted = tag.map_or_else(|| today.to_string(), str::to_owned);
        if !super::config::is_tag(&wanted) {
            return Err(LabError::BadTag { tag: wanted });
        }
        let failed = |error| self.git("make the session's branch", error);
        if self.repository.find_reference(BRANCHES.trim_end_matches('/')).is_ok() {
            return Err(LabError::BranchInTheWay { path: self.root.clone() });
        }
        let head = self.repository.head().and_then(|head| head.peel_to_commit()).map_err(failed)?.id();
        let mut number = 1;
        let name = loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let name = format!("{BRANCHES}{wanted}{suffix}");
            if !self.is_checked_out(&name)
                && self.make_branch(&name, head, "autoresearch: session begins").map_err(failed)?
            {
                break name;
            }
            number += 1;
        };
        // Both names stand for the same commit, so that neither index nor work tree changes.
        self.repository.set_head(&name).map_err(failed)?;
        Ok(name)
    }

    /// Makes a branch; false if there is one of that name, which stays as it is.
    ///
    /// Not by `Repository::reference` without force: where libgit2 looks for an existing branch then, it does not see
    /// the loose ones of the common repository from a linked work tree, and would write over them. The comparison
    /// with the old value looks into the right folder, and under the branch's lock.
    fn make_branch(&self, name: &str, at: Oid, log: &str) -> Result<bool, git2::Error> {
        match self.repository.reference_matching(name, at, true, Oid::ZERO_SHA1, log) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether HEAD of any work tree of the repository is on this branch, which may have no commit yet.
    fn is_checked_out(&self, name: &str) -> bool {
        let common = self.repository.commondir();
        let linked = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten().map(|entry| entry.path());
        linked.chain([common.to_path_buf()]).any(|folder| {
            fs::read_to_string(folder.join("HEAD"))
                .is_ok_and(|head| head.strip_prefix("ref:").is_some_and(|found| found.trim() == name))
        })
    }

    /// Refuses a repository in which something else is half done.
    fn check_state(&self) -> Result<(), LabError> {
        let under_way =
            |operation, remedy| LabError::OperationInProgress { path: self.root.clone(), operation, remedy };
        match self.repository.state() {
            RepositoryState::Clean => {}
            RepositoryState::Merge => {
                return Err(under_way("a merge", "end it with `git commit` or `git merge --abort`"));
            }
            RepositoryState::Revert | RepositoryState::RevertSequence => {
                return Err(under_way("a revert", "end it with `git revert --continue` or `--abort`"));
            }
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => {
                return Err(under_way("a cherry-pick", "end it with `git cherry-pick --continue` or `--abort`"));
            }
            RepositoryState::Bisect => return Err(under_way("a bisection", "end it with `git bisect reset`")),
            RepositoryState::Rebase | RepositoryState::RebaseInteractive | RepositoryState::RebaseMerge => {
                return Err(under_way("a rebase", "end it with `git rebase --continue` or `--abort`"));
            }
            RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => {
                return Err(under_way("an `am`", "end it with `git am --continue` or `--abort`"));
            }
        }
        if index::has_conflicts(&self.repository)? {
            let remedy = "settle the files that `git status` names as unmerged, and `git add` them";
            return Err(under_way("the settling of a conflict", remedy));
        }
        Ok(())
    }

    /// Full name of the branch that HEAD is on, born or not.
    fn head_branch(&self) -> Result<String, LabError> {
        let failed = |error| self.git("read HEAD", error);
        let head = self.repository.find_reference("HEAD").map_err(failed)?;
        match head.symbolic_target_bytes() {
            Some(name) => Ok(String::from_utf8_lossy(name).into_owned()),
            None => {
                let commit = head.target().map_or_else(|| "an unknown commit".to_owned(), |id| short(&id));
                Err(LabError::DetachedHead { path: self.root.clone(), commit })
            }
        }
    }

    /// The commit that HEAD is at, or None on a branch without any.
    fn head_commit(&self) -> Result<Option<git2::Commit<'_>>, LabError> {
        match self.repository.head() {
            Ok(head) => head.peel_to_commit().map(Some).map_err(|error| self.git("read HEAD", error)),
            Err(error) if error.code() == ErrorCode::UnbornBranch => Ok(None),
            Err(error) => Err(self.git("read HEAD", error)),
        }
    }

    fn git(&self, action: &'static str, error: git2::Error) -> LabError {
        LabError::git(action, &self.root, error)
    }
}

/// The lab's own files that a first commit takes, where they are there.
const LAB_FILES: [&str; 9] = [
    ".gitignore",
    layout::CONFIG,
    layout::PROGRAM,
    layout::MODEL,
    layout::LEARNINGS,
    layout::DO_NOT_RETRY,
    layout::PROTOCOL,
    layout::PROTOCOL_LOCK,
    "runs/.gitkeep",
];

fn open_repository(root: &Path) -> Result<Repository, LabError> {
    let nowhere: [&Path; 0] = [];
    let repository = match Repository::open_ext(root, RepositoryOpenFlags::NO_SEARCH, nowhere) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(match Repository::discover(root).ok().as_ref().and_then(Repository::workdir) {
                Some(around) => {
                    LabError::NotRepositoryRoot { lab: root.to_path_buf(), repository: around.to_path_buf() }
                }
                None => LabError::NoRepository { path: root.to_path_buf() },
            });
        }
        Err(error) => return Err(LabError::git("open the repository", root, error)),
    };
    if repository.is_bare() {
        return Err(LabError::BareRepository { path: root.to_path_buf() });
    }
    match repository.workdir().map(|top| fs::canonicalize(top).unwrap_or_else(|_| top.to_path_buf())) {
        Some(top) if top == root => Ok(repository),
        Some(top) => Err(LabError::NotRepositoryRoot { lab: root.to_path_buf(), repository: top }),
        None => Err(LabError::BareRepository { path: root.to_path_buf() }),
    }
}

/// An object's name as people quote it.
fn short(id: &Oid) -> String {
    id.to_string().chars().take(10).collect()
}

#[cfg(test)]
pub(crate) mod support;
#[cfg(test)]
mod tests;
