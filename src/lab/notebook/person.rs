//! A person's changes: which of the files that are theirs they edited, and whether model.yaml is as the loop left it.

use std::fs;
use std::path::{Path, PathBuf};

use git2::Oid;
use jiff::Timestamp;

use super::{Notebook, index};
use crate::lab::error::LabError;
use crate::lab::layout;

/// The files that a person may edit while the loop runs.
const EDITABLE: [&str; 4] = [layout::PROGRAM, layout::DO_NOT_RETRY, layout::CONFIG, layout::PROTOCOL];

/// A person's edits, committed as theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonCommit {
    /// The files, as paths in the lab.
    pub files: Vec<String>,
    /// The commit.
    pub commit: String,
}

impl Notebook {
    /// Which of program.md, do_not_retry.toml, autoresearch.yaml and prepare/protocol.yaml differ from HEAD. One that is not there is none:
    /// an editor may be just replacing it.
    ///
    /// # Errors
    /// Git's and the file system's.
    pub fn person_edits(&self) -> Result<Vec<PathBuf>, LabError> {
        let mut edited = Vec::new();
        for name in EDITABLE {
            let path = Path::new(name);
            if let Some(found) = self.changed_blob(path)? {
                edited.extend(found.map(|_| path.to_path_buf()));
            }
        }
        Ok(edited)
    }

    /// Commits those edits alone, as the configured identity; None if there are none.
    ///
    /// # Errors
    /// As [`Notebook::commit`].
    pub fn commit_person_edits(&mut self, when: Timestamp) -> Result<Option<PersonCommit>, LabError> {
        let mut blobs = Vec::new();
        for path in self.person_edits()? {
            if let Some(blob) = self.blob_of_work_tree(&path)? {
                blobs.push((path, Some(blob)));
            }
        }
        if blobs.is_empty() {
            return Ok(None);
        }
        let files: Vec<String> = blobs.iter().map(|(path, _)| path.display().to_string()).collect();
        let commit = self.commit_blobs(&blobs, &format!("edit: {}\n", files.join(", ")), when)?;
        Ok(Some(PersonCommit { files, commit: commit.to_string() }))
    }

    /// Whether model.yaml differs from HEAD, in the work tree or in the index.
    ///
    /// # Errors
    /// Git's and the file system's.
    pub fn model_is_dirty(&self) -> Result<bool, LabError> {
        let path = Path::new(layout::MODEL);
        let committed = self.blob_in_head(path)?;
        let staged = index::read(&self.repository)?.get_path(path, 0).map(|entry| entry.id);
        Ok(staged != committed || self.changed_blob(path)?.is_some())
    }

    /// Refuses a model.yaml with changes that are not committed.
    ///
    /// # Errors
    /// [`LabError::DirtyModel`], and git's and the file system's.
    pub fn refuse_dirty_model(&self) -> Result<(), LabError> {
        if self.model_is_dirty()? {
            return Err(LabError::DirtyModel { path: self.root.join(layout::MODEL) });
        }
        Ok(())
    }

    /// How a file in the work tree differs from HEAD: None: not at all; Some(None): it is not there; else its blob.
    fn changed_blob(&self, path: &Path) -> Result<Option<Option<Oid>>, LabError> {
        let committed = self.blob_in_head(path)?;
        if let Some(id) = committed {
            let blob = self.repository.find_blob(id).map_err(|error| self.git("read a blob", error))?;
            // Most of the time it is the same to the byte, and nothing need be hashed.
            if fs::read(self.root.join(path)).is_ok_and(|found| found == blob.content()) {
                return Ok(None);
            }
        }
        let found = self.blob_of_work_tree(path)?;
        Ok((found != committed).then_some(found))
    }

    fn blob_in_head(&self, path: &Path) -> Result<Option<Oid>, LabError> {
        let Some(head) = self.head_commit()? else { return Ok(None) };
        let tree = head.tree().map_err(|error| self.git("read HEAD", error))?;
        Ok(index::blob(&tree, path).map(|(id, _)| id))
    }
}
