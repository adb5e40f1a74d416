//! Git's index: bringing the entries of a commit's own paths up to date, and leaving all others as they are.
//!
//! The order is git's: the index is locked (`index.lock`), the new one is written beside it, the branch moves, the new
//! index takes the old one's place. If the process is killed in between, the lock would stay, and every git command
//! would stumble over it; so the lock is a hard link to a file of ours that names the commit. By that file the next
//! start knows the lock as ours, removes it, and brings the index to the commit if the branch had moved already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree};

use super::tree::FILE;
use crate::lab::error::LabError;

/// How our files in the git folder begin; the commit's name follows.
const JOURNAL: &str = "autoresearch-index-";
/// How the file ends in which a new index is put together.
const SCRATCH: &str = ".scratch";
/// How long another git process may hold the index before we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an entry becomes: a blob and its mode, or gone.
pub(super) type EntryChange = (PathBuf, Option<(Oid, i32)>);

/// The index, locked against other git processes. Dropping it gives it back unchanged.
pub(super) struct LockedIndex {
    index: PathBuf,
    lock: PathBuf,
    journal: PathBuf,
    scratch: PathBuf,
    file: File,
}

impl LockedIndex {
    /// Locks the index for the commit `id`, waiting a while for another git process to end.
    pub(super) fn take(repository: &Repository, id: Oid) -> Result<Self, LabError> {
        let folder = repository.path();
        let (index, lock) = (folder.join("index"), folder.join("index.lock"));
        let journal = folder.join(format!("{JOURNAL}{id}"));
        let scratch = folder.join(format!("{JOURNAL}{id}{SCRATCH}"));
        remove(&journal)?;
        let mut file = create_new(&journal).map_err(|error| LabError::io("write it", &journal, error))?;
        let begun = Instant::now();
        loop {
            let taken = match fs::hard_link(&journal, &lock) {
                // A file system without hard links. After a kill, the lock is then not known as ours.
                Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
                    create_new(&lock).map(|created| file = created)
                }
                other => other,
            };
            match taken {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if begun.elapsed() > PATIENCE {
                        remove(&journal)?;
                        return Err(LabError::IndexLocked { lock });
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                Err(error) => {
                    remove(&journal)?;
                    return Err(LabError::io("lock it", &lock, error));
                }
            }
        }
        Ok(Self { index, lock, journal, scratch, file })
    }

    /// Writes the new index beside the old one: the old one's entries, with those of `changes` replaced.
    pub(super) fn prepare(&mut self, root: &Path, changes: &[EntryChange]) -> Result<(), LabError> {
        remove(&self.scratch)?;
        let old = match fs::metadata(&self.index) {
            Ok(found) => {
                fs::copy(&self.index, &self.scratch).map_err(|error| LabError::io("write it", &self.scratch, error))?;
                Some(found)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(LabError::io("read it", &self.index, error)),
        };
        let unreadable = |error: git2::Error| unreadable(&self.index, &error);
        let mut index = Index::open(&self.scratch).map_err(unreadable)?;
        if let Some(found) = &old {
            keep_racy_entries_suspect(&mut index, found.mtime()).map_err(unreadable)?;
        }
        for (path, change) in changes {
            match change {
                Some((id, mode)) => index.add(&entry(root, path, *id, *mode)).map_err(unreadable)?,
                None if index.get_path(path, 0).is_some() => index.remove(path, 0).map_err(unreadable)?,
                None => {}
            }
        }
        index.write().map_err(unreadable)?;
        let bytes = fs::read(&self.scratch).map_err(|error| LabError::io("read it", &self.scratch, error))?;
        let failed = |error| LabError::io("write it", &self.lock, error);
        self.file.set_len(0).and_then(|()| self.file.write_all(&bytes)).map_err(failed)?;
        if let Some(found) = old {
            self.file.set_permissions(found.permissions()).map_err(failed)?;
        }
        self.file.sync_all().map_err(failed)
    }

    /// Puts the new index into the old one's place, which also unlocks it.
    pub(super) fn finish(self) -> Result<(), LabError> {
        if let Err(error) = fs::rename(&self.lock, &self.index) {
            let failure = LabError::io("replace it", &self.index, error);
            // The branch has moved. What tells the next start to bring the index along must stay.
            std::mem::forget(self);
            return Err(failure);
        }
        Ok(())
    }
}

impl Drop for LockedIndex {
    fn drop(&mut self) {
        // A failure here leaves what `put_in_order` clears away at the next start.
        if let (Ok(own), Ok(found)) = (self.file.metadata(), fs::metadata(&self.lock))
            && same_file(&own, &found)
        {
            let _ = fs::remove_file(&self.lock);
        }
        let _ = fs::remove_file(&self.scratch);
        let _ = fs::remove_file(&self.journal);
    }
}

/// Clears away what a killed process of ours left: its lock, and the entries that it had no time to bring to the
/// commit it had just made. Says in a sentence what was done. The caller holds the lab's lock.
pub(super) fn put_in_order(repository: &Repository, root: &Path) -> Result<Vec<String>, LabError> {
    let folder = repository.path().to_path_buf();
    let mut repairs = Vec::new();
    for (name, path) in ours(&folder)? {
        let lock = folder.join("index.lock");
        if is_same(&path, &lock) {
            // While the index is locked nobody else commits, so this one can only be ours, too.
            if let Some(lock) = branch_lock(repository, &path) {
                remove(&lock)?;
                repairs.push(
                    "the branch was still locked by the commit that was interrupted; the lock was removed".into(),
                );
            }
            remove(&lock)?;
            repairs
                .push("git's index was still locked by the commit that was interrupted; the lock was removed".into());
        }
        if let Ok(id) = Oid::from_str(&name) {
            let stale =
                stale_entries(repository, id).map_err(|error| LabError::git("read the last commit", root, error))?;
            if !stale.is_empty() {
                let mut locked = LockedIndex::take(repository, id)?;
                locked.prepare(root, &stale)?;
                locked.finish()?;
                repairs.push("git's index was behind the last trial's commit; it was brought up to it".into());
            }
        }
        remove(&path)?;
    }
    Ok(repairs)
}

/// The lock of HEAD's branch, where it was made after `journal` was last written, as a commit of ours does it.
fn branch_lock(repository: &Repository, journal: &Path) -> Option<PathBuf> {
    let head = repository.find_reference("HEAD").ok()?;
    let branch = head.symbolic_target().ok()??;
    let lock = repository.commondir().join(format!("{branch}.lock"));
    let (noted, locked) = (fs::metadata(journal).ok()?, fs::metadata(&lock).ok()?);
    let when = |file: &fs::Metadata| (file.mtime(), file.mtime_nsec());
    (locked.is_file() && when(&locked) >= when(&noted)).then_some(lock)
}

/// Waits a while until no other git process holds the index. A lock of ours is none: it goes with the commit that it
/// was taken for, or at the next start.
pub(super) fn check_free(repository: &Repository) -> Result<(), LabError> {
    let folder = repository.path();
    let lock = folder.join("index.lock");
    let begun = Instant::now();
    while lock.exists() && !ours(folder)?.iter().any(|(_, path)| is_same(path, &lock)) {
        if begun.elapsed() > PATIENCE {
            return Err(LabError::IndexLocked { lock });
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Whether any entry of the index is unmerged.
pub(super) fn has_conflicts(repository: &Repository) -> Result<bool, LabError> {
    read(repository).map(|index| index.has_conflicts())
}

/// The index as it is on the disk now.
pub(super) fn read(repository: &Repository) -> Result<Index, LabError> {
    let path = repository.path().join("index");
    let mut index = repository.index().map_err(|error| unreadable(&path, &error))?;
    index.read(false).map_err(|error| unreadable(&path, &error))?;
    Ok(index)
}

/// The entries that still stand as they did before the commit `id`, if that is where HEAD is.
fn stale_entries(repository: &Repository, id: Oid) -> Result<Vec<EntryChange>, git2::Error> {
    let Ok(head) = repository.head().and_then(|head| head.peel_to_commit()) else { return Ok(Vec::new()) };
    if head.id() != id {
        return Ok(Vec::new());
    }
    let (new, old) = (head.tree()?, head.parent(0).and_then(|parent| parent.tree()).ok());
    let index = repository.index()?;
    let difference = repository.diff_tree_to_tree(old.as_ref(), Some(&new), None)?;
    let mut stale = Vec::new();
    for delta in difference.deltas() {
        let Some(path) = delta.new_file().path().or_else(|| delta.old_file().path()) else { continue };
        let before = old.as_ref().and_then(|tree| blob(tree, path)).map(|(id, _)| id);
        let after = blob(&new, path);
        let found = index.get_path(path, 0).map(|entry| entry.id);
        if found == before && found != after.map(|(id, _)| id) {
            stale.push((path.to_path_buf(), after));
        }
    }
    Ok(stale)
}

/// Blob and mode of a file in a tree.
pub(super) fn blob(tree: &Tree<'_>, path: &Path) -> Option<(Oid, i32)> {
    let entry = tree.get_path(path).ok()?;
    (entry.kind() == Some(ObjectType::Blob)).then(|| (entry.id(), entry.filemode()))
}

/// Git trusts an entry whose file has the noted size and time, unless the time is not before that of the index itself:
/// such a file may have been changed within the same tick. A new index has a newer time, so those entries would become
/// trusted without having been looked at. A size of 0 makes git look.
fn keep_racy_entries_suspect(index: &mut Index, written: i64) -> Result<(), git2::Error> {
    let racy: Vec<IndexEntry> = index
        .iter()
        .filter(|entry| i64::from(entry.mtime.seconds()) >= written && entry.flags >> 12 & 3 == 0)
        .collect();
    for mut entry in racy {
        entry.file_size = 0;
        index.add(&entry)?;
    }
    Ok(())
}

/// An entry for a blob. Size and times are noted if the file in the work tree holds just that, so that git need not
/// look into it again; else they are left at 0, and git looks.
fn entry(root: &Path, path: &Path, id: Oid, mode: i32) -> IndexEntry {
    let noted = noted(&root.join(path), id);
    let number = |value: u64| (value & u64::from(u32::MAX)) as u32;
    let time = |seconds: i64, nanoseconds: i64| {
        IndexTime::new(i32::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
    };
    let zero = IndexTime::new(0, 0);
    IndexEntry {
        ctime: noted.as_ref().map_or(zero, |found| time(found.ctime(), found.ctime_nsec())),
        mtime: noted.as_ref().map_or(zero, |found| time(found.mtime(), found.mtime_nsec())),
        dev: noted.as_ref().map_or(0, |found| number(found.dev())),
        ino: noted.as_ref().map_or(0, |found| number(found.ino())),
        mode: u32::try_from(mode).unwrap_or(FILE as u32),
        uid: noted.as_ref().map_or(0, MetadataExt::uid),
        gid: noted.as_ref().map_or(0, MetadataExt::gid),
        file_size: noted.as_ref().map_or(0, |found| number(found.size())),
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}

/// Size and times of a regular file that holds exactly the blob `id`, and did before and after it was read.
fn noted(file: &Path, id: Oid) -> Option<fs::Metadata> {
    let before = fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file)?;
    let bytes = fs::read(file).ok()?;
    let after = fs::symlink_metadata(file).ok()?;
    let unchanged =
        before.mtime() == after.mtime() && before.mtime_nsec() == after.mtime_nsec() && same_file(&before, &after);
    (unchanged && Oid::hash_object(ObjectType::Blob, &bytes).ok()? == id).then_some(after)
}

/// Our files in the git folder: the commit's name (nonsense for a scratch file), and the path.
fn ours(folder: &Path) -> Result<Vec<(String, PathBuf)>, LabError> {
    let failed = |error| LabError::io("list it", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(rest) = entry.file_name().to_str().and_then(|name| name.strip_prefix(JOURNAL)) {
            found.push((rest.to_owned(), entry.path()));
        }
    }
    Ok(found)
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn remove(path: &Path) -> Result<(), LabError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LabError::io("remove it", path, error)),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::metadata(one), fs::metadata(other)), (Ok(one), Ok(other)) if same_file(&one, &other))
}

fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn unreadable(path: &Path, error: &git2::Error) -> LabError {
    LabError::IndexUnreadable { path: path.to_path_buf(), message: error.message().to_owned() }
}
