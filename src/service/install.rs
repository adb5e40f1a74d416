//! Putting the unit where systemd looks for it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::unit::{Scope, ServiceFacts, unit_text};
use crate::lab::atomic;
use crate::lab::error::LabError;

/// How a unit of ours begins; the lab follows, so that two labs of one name are told apart.
pub(super) const HEADER: &str = "# Written by `autoresearch service install` for the lab ";

/// An error in installing the service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A path or a name that a unit file cannot hold.
    #[error("{message}")]
    Unit {
        /// Which, and why.
        message: String,
    },
    /// Another unit of that name is there.
    #[error(
        "{}: is there already, and is not this lab's; choose another name with --name, or remove it first",
        .path.display()
    )]
    NameTaken {
        /// The unit file.
        path: PathBuf,
    },
    /// Others can read the file that holds the key.
    #[error("{}: others can read this file (mode {mode:03o}), and it may hold a key; close it with `chmod 600 {}`", .path.display(), .path.display())]
    OpenKeyFile {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Lab(#[from] LabError),
}

/// What `install` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The unit file.
    pub path: PathBuf,
    /// Whether its text is new; false: it stood there already, to the byte.
    pub changed: bool,
    /// What is left to do, as commands and hints for people.
    pub next_steps: Vec<String>,
}

/// Writes the unit file into `folder` (`~/.config/systemd/user` or `/etc/systemd/system`). Nothing is started.
///
/// # Errors
/// [`ServiceError`]; nothing has then been written.
pub fn install(facts: &ServiceFacts, folder: &Path) -> Result<Installed, ServiceError> {
    let text = unit(facts).map_err(|message| ServiceError::Unit { message })?;
    let service = format!("autoresearch-{}.service", facts.name);
    let path = folder.join(&service);
    match fs::read_to_string(&path) {
        Ok(found) if found.lines().next() != text.lines().next() => return Err(ServiceError::NameTaken { path }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(LabError::io("read it", &path, error).into()),
    }
    let has_key_file = check_key_file(&facts.environment_file)?;
    let changed = atomic::replace_if_different(&path, text.as_bytes())?;
    Ok(Installed { path, changed, next_steps: next_steps(facts, &service, has_key_file) })
}

/// The text of the unit file for this machine's systemd.
///
/// # Errors
/// As [`unit_text`].
pub fn unit(facts: &ServiceFacts) -> Result<String, String> {
    unit_text(facts, systemd_version())
}

/// The version of this machine's systemd; None where there is none.
pub fn systemd_version() -> Option<u32> {
    let output = Command::new("systemctl").arg("--version").output().ok()?;
    // `systemd 257 (257.6-1)`
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1)?.parse().ok()
}

/// Whether the file of variables is there. Others must not be able to read it.
fn check_key_file(path: &Path) -> Result<bool, ServiceError> {
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Err(ServiceError::OpenKeyFile { path: path.to_path_buf(), mode: found.permissions().mode() & 0o777 })
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LabError::io("read it", path, error).into()),
    }
}

fn next_steps(facts: &ServiceFacts, service: &str, has_key_file: bool) -> Vec<String> {
    let (systemctl, journal) = match facts.scope {
        Scope::User => ("systemctl --user", "journalctl --user"),
        Scope::System { .. } => ("sudo systemctl", "journalctl"),
    };
    let mut steps = vec![
        format!("{systemctl} daemon-reload"),
        format!("{systemctl} enable --now {service}"),
        format!("{journal} -u {service} -f    # its log"),
    ];
    if facts.scope == Scope::User {
        steps.push("loginctl enable-linger    # so that it goes on after you log out".into());
    }
    if !has_key_file {
        steps.push(format!(
            "for an LLM's key: put a line such as OPENAI_API_KEY=… into {} and `chmod 600` it",
            facts.environment_file.display()
        ));
    }
    steps
}

#[cfg(test)]
mod tests;
