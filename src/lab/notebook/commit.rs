//! Making a commit: of a trial, or of the lab's own files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Signature};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::index::{self, EntryChange, LockedIndex};
use super::tree::Changes;
use super::{LAB_FILES, Notebook};
use crate::lab::error::LabError;

/// How often a commit is made anew because a person's commit came in between.
const ATTEMPTS: usize = 5;

/// A path in the lab, and what becomes of it: this content, or None to remove it.
pub type FileChange = (PathBuf, Option<Vec<u8>>);

/// One commit of the loop's.
#[derive(Clone, Debug)]
pub struct TrialCommit {
    /// Subject, body and trailers.
    pub message: String,
    /// The files that it changes. What stands in the work tree does not matter.
    pub files: Vec<FileChange>,
    /// When it is said to be made.
    pub when: Timestamp,
}

impl Notebook {
    /// Commits exactly these paths on top of HEAD, and returns the commit's name. Nothing in the work tree is written,
    /// no other path of the index is touched.
    ///
    /// # Errors
    /// [`LabError::HeadMoved`] if HEAD is no longer on the session's branch, [`LabError::OperationInProgress`],
    /// [`LabError::IndexLocked`], and git's own; nothing has then been committed.
    pub fn commit(&mut self, commit: &TrialCommit) -> Result<String, LabError> {
        let mut blobs = Vec::new();
        for (path, content) in &commit.files {
            let blob = content
                .as_ref()
                .map(|bytes| self.repository.blob(bytes))
                .transpose()
                .map_err(|error| self.git("write a blob", error))?;
            blobs.push((path.clone(), blob));
        }
        self.commit_blobs(&blobs, &commit.message, commit.when).map(|id| id.to_string())
    }

    /// Commits the lab's own files as they are in the work tree: the first commit of a new repository.
    pub(super) fn commit_lab_files(&mut self, subject: &str, when: Timestamp) -> Result<Oid, LabError> {
        let mut blobs = Vec::new();
        for name in LAB_FILES {
            if let Some(blob) = self.blob_of_work_tree(Path::new(name))? {
                blobs.push((PathBuf::from(name), Some(blob)));
            }
        }
        if blobs.is_empty() {
            return Err(LabError::NothingToCommit { path: self.root.clone() });
        }
        self.commit_blobs(&blobs, subject, when)
    }

    /// A blob of a file in the work tree, as `git add` would make it; None if it is not there.
    pub(super) fn blob_of_work_tree(&self, path: &Path) -> Result<Option<Oid>, LabError> {
        let file = self.root.join(path);
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_file() => {
                self.repository.blob_path(&file).map(Some).map_err(|error| self.git("write a blob", error))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LabError::io("read it", &file, error)),
        }
    }

    /// Commits these blobs on top of HEAD.
    pub(super) fn commit_blobs(
        &mut self,
        blobs: &[(PathBuf, Option<Oid>)],
        message: &str,
        when: Timestamp,
    ) -> Result<Oid, LabError> {
        for _ in 1..ATTEMPTS {
            if let Some(id) = self.try_commit(blobs, message, when)? {
                return Ok(id);
            }
        }
        self.try_commit(blobs, message, when)?.ok_or_else(|| {
            let words = "the branch is moved by another process again and again";
            self.git("commit", git2::Error::new(ErrorCode::Modified, git2::ErrorClass::Reference, words))
        })
    }

    /// None: HEAD moved along the branch meanwhile, and nothing was committed.
    fn try_commit(
        &self,
        blobs: &[(PathBuf, Option<Oid>)],
        message: &str,
        when: Timestamp,
    ) -> Result<Option<Oid>, LabError> {
        self.check_state()?;
        self.check_branch()?;
        let parent = self.head_commit()?;
        let mut objects: Vec<Oid> = blobs.iter().filter_map(|(_, blob)| *blob).collect();

        let mut changes = Changes::default();
        for (path, blob) in blobs {
            changes.add(path, *blob)?;
        }
        let failed = |error| self.git("write a commit", error);
        let base = parent.as_ref().map(git2::Commit::tree).transpose().map_err(failed)?;
        let tree = match changes.write(&self.repository, base.as_ref(), &mut objects).map_err(failed)? {
            Some(tree) => tree,
            None => self.repository.treebuilder(None).and_then(|empty| empty.write()).map_err(failed)?,
        };
        let tree = self.repository.find_tree(tree).map_err(failed)?;
        let identity = self.identity(when)?;
        let parents: Vec<_> = parent.iter().collect();
        let message = message.replace('\0', "");
        let id = self.repository.commit(None, &identity, &identity, &message, &tree, &parents).map_err(failed)?;
        objects.push(id);
        self.sync_objects(&objects)?;

        let mut locked = LockedIndex::take(&self.repository, id)?;
        let entries: Vec<EntryChange> =
            blobs.iter().map(|(path, _)| (path.clone(), index::blob(&tree, path))).collect();
        locked.prepare(&self.root, &entries)?;
        self.check_branch()?;
        if !self.move_branch(parent.as_ref().map(git2::Commit::id), id, &message)? {
            return Ok(None);
        }
        locked.finish()?;
        Ok(Some(id))
    }

    /// Moves the branch from `old` to `new`; false if it is not at `old` any more.
    pub(super) fn move_branch(&self, old: Option<Oid>, new: Oid, message: &str) -> Result<bool, LabError> {
        let subject = message.lines().next().unwrap_or_default();
        let moved = match old {
            Some(old) => {
                let log = format!("commit: {subject}");
                match self.repository.reference_matching(&self.branch, new, true, old, &log) {
                    Ok(_) => Ok(true),
                    Err(error) if error.code() == ErrorCode::Modified => Ok(false),
                    Err(error) => Err(error),
                }
            }
            None => self.make_branch(&self.branch, new, &format!("commit (initial): {subject}")),
        };
        if !moved.map_err(|error| self.git("move the branch", error))? {
            return Ok(false);
        }
        // Without this, a power cut can leave a branch that names nothing.
        let file = self.repository.commondir().join(&self.branch);
        if let Ok(opened) = File::open(&file) {
            opened.sync_all().map_err(|error| LabError::io("sync it", &file, error))?;
        }
        Ok(true)
    }

    fn check_branch(&self) -> Result<(), LabError> {
        let short = |name: &str| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned();
        let moved = |found| LabError::HeadMoved { path: self.root.clone(), expected: short(&self.branch), found };
        match self.head_branch() {
            Ok(found) if found == self.branch => Ok(()),
            Ok(found) => Err(moved(short(&found))),
            Err(LabError::DetachedHead { commit, .. }) => Err(moved(format!("no branch (detached at {commit})"))),
            Err(other) => Err(other),
        }
    }

    /// Makes new objects durable before anything names them; libgit2 leaves that to the system.
    fn sync_objects(&self, ids: &[Oid]) -> Result<(), LabError> {
        let objects = self.repository.commondir().join("objects");
        for id in ids {
            let name = id.to_string();
            let (folder, rest) = name.split_at(2);
            let folder = objects.join(folder);
            let file = folder.join(rest);
            // An object that existed before may be in a pack, and is durable.
            if let Ok(opened) = File::open(&file) {
                opened.sync_all().map_err(|error| LabError::io("sync it", &file, error))?;
                crate::lab::atomic::sync_folder(&folder)?;
            }
        }
        Ok(())
    }

    /// The configured identity, or the loop's own.
    fn identity(&self, when: Timestamp) -> Result<Signature<'static>, LabError> {
        let offset = TimeZone::system().to_offset(when).seconds() / 60;
        let time = git2::Time::new(when.as_second(), offset);
        let configured = self.repository.author_from_env().ok();
        let stamped = configured.and_then(|found| {
            let (name, email) = (found.name().ok()?, found.email().ok()?);
            Signature::new(name, email, &time).ok()
        });
        match stamped {
            Some(signature) => Ok(signature),
            None => Signature::new("autoresearch", "autoresearch@localhost", &time)
                .map_err(|error| self.git("sign a commit", error)),
        }
    }
}
