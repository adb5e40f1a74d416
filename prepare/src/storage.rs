//! Files of packed data: written once with a running hash, then mapped into memory; small files replaced whole.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::manifest::FileHash;

/// A file that is written from front to back and hashed on the way.
pub(crate) struct HashedFile {
    path: PathBuf,
    name: String,
    writer: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl HashedFile {
    pub(crate) fn create(folder: &Path, name: &str) -> Result<HashedFile> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io(&path, "create"))?;
        Ok(HashedFile {
            name: name.to_owned(),
            writer: BufWriter::with_capacity(1 << 20, file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            path,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(Error::io(&self.path, "write"))
    }

    /// Flushes and syncs.
    pub(crate) fn finish(self) -> Result<FileHash> {
        let file = self.writer.into_inner().map_err(|error| Error::io(&self.path, "write")(error.into_error()))?;
        file.sync_all().map_err(Error::io(&self.path, "sync"))?;
        Ok(FileHash { name: self.name, bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

/// Size and hash of a file, read through. Calls `bytes_done`, whose error ends it, with the bytes of each piece read.
pub(crate) fn hash_file(folder: &Path, name: &str, bytes_done: &mut dyn FnMut(u64) -> Result<()>) -> Result<FileHash> {
    let path = folder.join(name);
    let mut file = File::open(&path).map_err(Error::io(&path, "open"))?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    let mut piece = vec![0; 4 << 20];
    loop {
        let length = file.read(&mut piece).map_err(Error::io(&path, "read"))?;
        if length == 0 {
            return Ok(FileHash { name: name.to_owned(), bytes, blake3: hasher.finalize().to_hex().to_string() });
        }
        hasher.update(&piece[..length]);
        bytes += length as u64;
        bytes_done(length as u64)?;
    }
}

/// A file of packed data, mapped read-only.
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    /// Maps a file that must have exactly the recorded size, which must not be 0.
    pub(crate) fn open(folder: &Path, expected: &FileHash) -> Result<MappedFile> {
        let path = folder.join(&expected.name);
        let file = File::open(&path).map_err(Error::io(&path, "open"))?;
        let bytes = file.metadata().map_err(Error::io(&path, "read"))?.len();
        if bytes != expected.bytes {
            return Err(Error::NotPrepared {
                path,
                message: format!("has {bytes} bytes, and the manifest says {}", expected.bytes),
            });
        }
        #[expect(unsafe_code, reason = "a memory map is the point of the packed format")]
        // SAFETY: the map is read-only, and packed files are never changed in place: a rebuild writes a new folder
        // and renames it, which leaves this map on the old files. Someone who truncates the file by hand while it is
        // mapped ends the process by a bus error; that is outside of what the harness can prevent.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path, "map"))?;
        Ok(MappedFile { path, map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes as little-endian f32, which is how every supported machine stores them.
    pub(crate) fn floats(&self) -> &[f32] {
        bytemuck::try_cast_slice(&self.map)
            .expect("maps start at page boundaries, and the size was checked against a count of f32")
    }

    /// Hashes the content anew and compares.
    pub(crate) fn verify(&self, expected: &FileHash) -> Result<()> {
        let found = blake3::Hasher::new().update(&self.map).finalize().to_hex();
        if found.as_str() == expected.blake3 {
            return Ok(());
        }
        Err(Error::NotPrepared {
            path: self.path.clone(),
            message: format!("its content has changed: blake3 {found}, and the manifest says {}", expected.blake3),
        })
    }
}

/// Reads a small JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(Error::io(path, "read"))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::data(path, format!("line {}, column {}", error.line(), error.column()), error.to_string(), "")
    })
}

/// Replaces a small JSON file whole.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| Error::io(path, "write")(std::io::Error::other(error)))?;
    text.push(b'\n');
    replace_file(path, &text)
}

/// Replaces a file: temporary file, sync, rename, sync of the folder. It is never seen half-written.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    let mut file =
        tempfile::Builder::new().prefix(".prepare-").tempfile_in(folder).map_err(Error::io(folder, "write into"))?;
    file.write_all(content).map_err(Error::io(path, "write"))?;
    persist(file, path)
}

/// Puts a finished temporary file, made in the folder of `path`, into its place.
pub(crate) fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(Error::io(path, "sync"))?;
    readable(file.path())?;
    file.persist(path).map_err(|error| Error::io(path, "replace")(error.error))?;
    sync_folder(folder_of(path))
}

/// Replaces a folder by a finished one beside it. A crash in between leaves no folder of that name, never half of one.
pub(crate) fn replace_folder(finished: tempfile::TempDir, path: &Path) -> Result<()> {
    sync_folder(finished.path())?;
    let old = path.with_extension("old");
    if path.exists() {
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(Error::io(&old, "remove"))?;
        }
        std::fs::rename(path, &old).map_err(Error::io(path, "rename"))?;
    }
    let finished = finished.keep();
    std::fs::rename(&finished, path).map_err(Error::io(path, "create"))?;
    sync_folder(folder_of(path))?;
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(Error::io(&old, "remove"))?;
    }
    Ok(())
}

/// A new folder beside `path`, to be filled and then put in its place. Leftovers of earlier crashes are removed.
pub(crate) fn folder_beside(path: &Path) -> Result<tempfile::TempDir> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let prefix = format!(".{name}.partial-");
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let entry = entry.map_err(Error::io(folder, "read"))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            std::fs::remove_dir_all(entry.path()).map_err(Error::io(&entry.path(), "remove"))?;
        }
    }
    tempfile::Builder::new().prefix(&prefix).tempdir_in(folder).map_err(Error::io(folder, "write into"))
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder, "sync"))
}

/// Temporary files are private to their owner; what they become should be as readable as any other file.
#[cfg(unix)]
fn readable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(Error::io(path, "write"))
}

#[cfg(not(unix))]
fn readable(_: &Path) -> Result<()> {
    Ok(())
}
