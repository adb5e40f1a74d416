//! A new lab: the files embedded in the program, a git repository, and its first commit.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use git2::{Repository, RepositoryInitOptions};
use jiff::Timestamp;
use prepare::Preset;

use super::atomic;
use super::config;
use super::error::LabError;
use super::layout::{CONFIG, DO_NOT_RETRY, LEARNINGS, Lab, MODEL, PROGRAM, PROTOCOL};
use super::notebook::{Notebook, TrialCommit};

/// The research brief that a new lab begins with.
pub const PROGRAM_TEXT: &str = include_str!("../../program.md");
/// The baseline that a new lab begins with.
pub const MODEL_TEXT: &str = include_str!("../../model.yaml");
/// The knowledge that a new lab begins with.
pub const LEARNINGS_TEXT: &str = include_str!("../../learnings.md");
/// The rules that a new lab begins with: none, and how to write one.
pub const DO_NOT_RETRY_TEXT: &str = include_str!("../../do_not_retry.toml");

/// What git leaves alone in a lab.
const IGNORED: &str = "/.autoresearch/
/runs/ledger.jsonl
.autoresearch-*.tmp
*.parquet
";

/// What `create` did.
#[derive(Debug)]
pub struct Created {
    /// The new lab.
    pub lab: Lab,
    /// The files that were written, as paths in the lab.
    pub written: Vec<String>,
    /// The files of these names that were there already, and were left as they are.
    pub left: Vec<String>,
    /// The first commit.
    pub commit: String,
}

/// Makes a lab in `folder`, which may hold other things, but no lab. No file is overwritten. A git repository is made
/// if the folder is not one; the lab's files, and nothing else, become a commit.
///
/// # Errors
/// [`LabError::AlreadyALab`]; those of the file system and of git, as a repository in mid-merge.
pub fn create(folder: &Path, preset: Preset, now: Timestamp) -> Result<Created, LabError> {
    if folder.join(CONFIG).exists() {
        return Err(LabError::AlreadyALab { path: folder.to_path_buf() });
    }
    fs::create_dir_all(folder).map_err(|error| LabError::io("make the folder", folder, error))?;
    let repository = open_or_init(folder)?;

    // autoresearch.yaml comes last: without it there is no lab, and an interrupted `init` can be repeated.
    let files = [
        (".gitignore", IGNORED),
        (PROGRAM, PROGRAM_TEXT),
        (MODEL, MODEL_TEXT),
        (LEARNINGS, LEARNINGS_TEXT),
        (DO_NOT_RETRY, DO_NOT_RETRY_TEXT),
        (PROTOCOL, preset.yaml()),
        ("runs/.gitkeep", ""),
        (CONFIG, config::EMBEDDED),
    ];
    let (mut written, mut left) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let path = folder.join(name);
        // An earlier, interrupted `init` may have written it.
        let is_there = fs::symlink_metadata(&path).is_ok();
        if is_there && fs::read(&path).map_or(true, |found| found != text.as_bytes()) {
            left.push(name.to_owned());
            continue;
        }
        if !is_there {
            atomic::replace(&path, text.as_bytes())?;
        }
        written.push(name.to_owned());
    }
    if left.iter().any(|name| name == ".gitignore") {
        ignore_locally(&repository)?;
    }
    drop(repository);

    let lab = Lab::open(folder)?;
    lab.make_state()?;
    let mut notebook = Notebook::open(&lab)?;
    let mut files = Vec::new();
    for name in &written {
        let path = lab.root().join(name);
        let content = fs::read(&path).map_err(|error| LabError::io("read it", &path, error))?;
        files.push((PathBuf::from(name), Some(content)));
    }
    let message = format!("lab: new, with the {} protocol\n", preset.name());
    let commit = notebook.commit(&TrialCommit { message, files, when: now })?;
    Ok(Created { lab, written, left, commit })
}

fn open_or_init(folder: &Path) -> Result<Repository, LabError> {
    let failed = |error| LabError::git("make a repository there", folder, error);
    match Repository::open(folder) {
        Ok(repository) if repository.is_bare() => Err(LabError::BareRepository { path: folder.to_path_buf() }),
        Ok(repository) => Ok(repository),
        Err(error) if error.code() == git2::ErrorCode::NotFound => {
            let configured = git2::Config::open_default().and_then(|config| config.get_string("init.defaultBranch"));
            let mut options = RepositoryInitOptions::new();
            options.no_reinit(true).initial_head(configured.as_deref().unwrap_or("main"));
            Repository::init_opts(folder, &options).map_err(failed)
        }
        Err(error) => Err(LabError::git("open the repository", folder, error)),
    }
}

/// Adds what is not tracked to the repository's own list, where a person's .gitignore may not say it.
fn ignore_locally(repository: &Repository) -> Result<(), LabError> {
    let path = repository.commondir().join("info/exclude");
    let failed = |error| LabError::io("write it", &path, error);
    let known = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let missing: String =
        IGNORED.lines().filter(|line| !known.lines().any(|own| own == *line)).map(|line| format!("{line}\n")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let gap = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::File::options().append(true).create(true).open(&path).map_err(failed)?;
    file.write_all(format!("{gap}{missing}").as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests;
