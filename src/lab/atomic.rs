//! Replacing a whole file so that, whenever the power fails, either the old content or the new one is there.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::LabError;

/// How temporary files begin; recovery removes what is left of them.
pub const TEMPORARY_PREFIX: &str = ".autoresearch-";
/// How temporary files end.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Replaces the file at `path`: a temporary file in the same folder, written, synced, renamed, folder synced. Folders
/// on the way are made. The old file's permissions are kept.
///
/// # Errors
/// [`LabError::Io`]; the old content is then still there.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), LabError> {
    let permissions = fs::metadata(path).map_or_else(|_| Permissions::from_mode(0o666), |found| found.permissions());
    replace_as(path, content, permissions)
}

/// Like [`replace`], but nobody but the owner may read it.
///
/// # Errors
/// [`LabError::Io`].
pub fn replace_private(path: &Path, content: &[u8]) -> Result<(), LabError> {
    replace_as(path, content, Permissions::from_mode(0o600))
}

fn replace_as(path: &Path, content: &[u8], permissions: Permissions) -> Result<(), LabError> {
    let failed = |error| LabError::io("write it", path, error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| LabError::io("make the folder", folder, error))?;
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .suffix(TEMPORARY_SUFFIX)
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(failed)?;
    temporary.write_all(content).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder)
}

/// Like [`replace`], but leaves a file that already has that content alone. Returns whether it wrote.
///
/// # Errors
/// [`LabError::Io`].
pub fn replace_if_different(path: &Path, content: &[u8]) -> Result<bool, LabError> {
    if fs::read(path).is_ok_and(|found| found == content) {
        return Ok(false);
    }
    replace(path, content)?;
    Ok(true)
}

/// Makes a folder's entries durable.
///
/// # Errors
/// [`LabError::Io`].
pub fn sync_folder(folder: &Path) -> Result<(), LabError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| LabError::io("sync the folder", folder, error))
}

/// Whether a file name is that of one of our temporary files.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/learnings.md");
        replace(&path, b"one").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("permissions set");
        replace(&path, b"two").expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o640);
        let names: Vec<_> = fs::read_dir(folder.path().join("deep"))
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["learnings.md"]);
        assert!(!replace_if_different(&path, b"two").expect("compared"));
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_names_the_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a-folder");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("inside"), "x").expect("written");
        let error = replace(&path, b"text").expect_err("a folder cannot be replaced by a file");
        assert!(error.to_string().contains("a-folder"), "{error}");
        assert_eq!(fs::read_to_string(path.join("inside")).expect("read"), "x");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
