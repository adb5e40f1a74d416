//! A tree with some paths changed: HEAD's tree plus exactly those.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use git2::{ObjectType, Oid, Repository, Tree};

use crate::lab::error::LabError;

/// Mode of a regular file.
pub(super) const FILE: i32 = 0o100_644;
/// Mode of a program.
const PROGRAM: i32 = 0o100_755;
/// Mode of a folder.
const FOLDER: i32 = 0o040_000;

/// What becomes of the paths of one folder: a file (its blob, or None to remove it), or a folder with changes below.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<Vec<u8>, Change>);

enum Change {
    File(Option<Oid>),
    Folder(Changes),
}

impl Changes {
    /// Adds a file's change. The later of two for one path counts.
    ///
    /// # Errors
    /// [`LabError::BadPath`] for a path that is not inside the lab, or passes through a file of another change.
    pub(super) fn add(&mut self, path: &Path, blob: Option<Oid>) -> Result<(), LabError> {
        let refuse = || LabError::BadPath { path: path.display().to_string() };
        let names = names(path).ok_or_else(refuse)?;
        let (last, folders) = names.split_last().ok_or_else(refuse)?;
        let mut here = self;
        for folder in folders {
            match here.0.entry(folder.clone()).or_insert_with(|| Change::Folder(Self::default())) {
                Change::Folder(below) => here = below,
                Change::File(_) => return Err(refuse()),
            }
        }
        match here.0.insert(last.clone(), Change::File(blob)) {
            Some(Change::Folder(_)) => Err(refuse()),
            _ => Ok(()),
        }
    }

    /// Writes the changed tree, and adds the trees that were written to `written`. A folder that is left empty goes;
    /// None: the whole tree is empty.
    pub(super) fn write(
        &self,
        repository: &Repository,
        base: Option<&Tree<'_>>,
        written: &mut Vec<Oid>,
    ) -> Result<Option<Oid>, git2::Error> {
        let mut builder = repository.treebuilder(base)?;
        for (name, change) in &self.0 {
            let old = base.and_then(|tree| tree.get_name_bytes(name));
            match change {
                Change::File(Some(blob)) => {
                    let was_program = old.as_ref().is_some_and(|entry| entry.filemode() == PROGRAM);
                    builder.insert(name.as_slice(), *blob, if was_program { PROGRAM } else { FILE })?;
                }
                Change::File(None) => {
                    if old.is_some() {
                        builder.remove(name.as_slice())?;
                    }
                }
                Change::Folder(below) => {
                    let subtree = old
                        .filter(|entry| entry.kind() == Some(ObjectType::Tree))
                        .map(|entry| repository.find_tree(entry.id()))
                        .transpose()?;
                    match below.write(repository, subtree.as_ref(), written)? {
                        Some(tree) => {
                            builder.insert(name.as_slice(), tree, FOLDER)?;
                        }
                        None if subtree.is_some() => builder.remove(name.as_slice())?,
                        None => {}
                    }
                }
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        let tree = builder.write()?;
        written.push(tree);
        Ok(Some(tree))
    }
}

/// The names of a path inside the lab, or None for any other path, and for one into a git folder.
fn names(path: &Path) -> Option<Vec<Vec<u8>>> {
    path.components()
        .map(|component| match component {
            Component::Normal(name) if !name.as_bytes().contains(&0) && !name.eq_ignore_ascii_case(".git") => {
                Some(name.as_bytes().to_vec())
            }
            _ => None,
        })
        .collect()
}
