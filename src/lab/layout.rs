//! Where everything in a lab is. Every path of the layout is a method here, and stands nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::LabError;

/// How the loop runs.
pub const CONFIG: &str = "autoresearch.yaml";
/// The research brief.
pub const PROGRAM: &str = "program.md";
/// The incumbent's spec.
pub const MODEL: &str = "model.yaml";
/// What was learned, synthesized.
pub const LEARNINGS: &str = "learnings.md";
/// Regions that are ruled out.
pub const DO_NOT_RETRY: &str = "do_not_retry.toml";
/// The locked protocol.
pub const PROTOCOL: &str = "prepare/protocol.yaml";
/// The hashes that pin protocol, data and harness.
pub const PROTOCOL_LOCK: &str = "prepare/protocol.lock";
/// The folder of the trials.
pub const RUNS: &str = "runs";
/// The event log.
pub const LEDGER: &str = "runs/ledger.jsonl";
/// The folder of everything that is not tracked.
pub const STATE: &str = ".autoresearch";

/// A lab: a folder with an autoresearch.yaml, the top of a git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lab {
    root: PathBuf,
}

impl Lab {
    /// Opens the lab in `folder`. Nothing but the presence of autoresearch.yaml is checked.
    ///
    /// # Errors
    /// [`LabError::NotALab`], or [`LabError::Io`] where the folder cannot be read.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let root = match fs::canonicalize(folder) {
            Ok(root) => root,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LabError::NotALab { path: folder.to_path_buf() });
            }
            Err(error) => return Err(LabError::io("open it", folder, error)),
        };
        let config = root.join(CONFIG);
        match fs::metadata(&config) {
            Ok(found) if found.is_file() => Ok(Self { root }),
            Ok(_) => Err(LabError::NotALab { path: root }),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Err(LabError::NotALab { path: root })
            }
            Err(error) => Err(LabError::io("read it", &config, error)),
        }
    }

    /// The lab's folder, absolute, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// autoresearch.yaml
    pub fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// program.md
    pub fn program(&self) -> PathBuf {
        self.root.join(PROGRAM)
    }

    /// model.yaml
    pub fn model(&self) -> PathBuf {
        self.root.join(MODEL)
    }

    /// learnings.md
    pub fn learnings(&self) -> PathBuf {
        self.root.join(LEARNINGS)
    }

    /// do_not_retry.toml
    pub fn do_not_retry(&self) -> PathBuf {
        self.root.join(DO_NOT_RETRY)
    }

    /// prepare/protocol.yaml
    pub fn protocol(&self) -> PathBuf {
        self.root.join(PROTOCOL)
    }

    /// prepare/protocol.lock
    pub fn protocol_lock(&self) -> PathBuf {
        self.root.join(PROTOCOL_LOCK)
    }

    /// prompts/: templates of a person's own, which take the place of the embedded ones.
    pub fn prompts(&self) -> PathBuf {
        self.root.join("prompts")
    }

    /// runs/
    pub fn runs(&self) -> PathBuf {
        self.root.join(RUNS)
    }

    /// runs/NNNNNN/
    pub fn trial(&self, trial: u32) -> PathBuf {
        self.root.join(trial_folder(trial))
    }

    /// runs/ledger.jsonl
    pub fn ledger(&self) -> PathBuf {
        self.root.join(LEDGER)
    }

    /// .autoresearch/
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }

    /// .autoresearch/data/raw: parquet files as Numerai names them.
    pub fn raw_data(&self) -> PathBuf {
        self.state().join("data/raw")
    }

    /// .autoresearch/data/packed: what `prepare` built of them.
    pub fn packed_data(&self) -> PathBuf {
        self.state().join("data/packed")
    }

    /// .autoresearch/weights
    pub fn weights(&self) -> PathBuf {
        self.state().join("weights")
    }

    /// .autoresearch/predictions
    pub fn predictions(&self) -> PathBuf {
        self.state().join("predictions")
    }

    /// .autoresearch/logs
    pub fn logs(&self) -> PathBuf {
        self.state().join("logs")
    }

    /// .autoresearch/socket: how `pause`, `resume`, `stop` and `hint` reach the loop.
    pub fn socket(&self) -> PathBuf {
        self.state().join("socket")
    }

    /// .autoresearch/live.json: what a running session is doing.
    pub fn live(&self) -> PathBuf {
        self.state().join("live.json")
    }

    /// .autoresearch/rates.json: how fast the device trains.
    pub fn rates(&self) -> PathBuf {
        self.state().join("rates.json")
    }

    /// .autoresearch/holdout.jsonl: what the holdout has answered. For people only.
    pub fn holdout(&self) -> PathBuf {
        self.state().join("holdout.jsonl")
    }

    /// .autoresearch/hints: what a person tells the researchers, until the loop has taken it in.
    pub fn hints(&self) -> PathBuf {
        self.state().join("hints")
    }

    /// .autoresearch/lock: held by the one process that runs the loop.
    pub fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// Makes .autoresearch, and keeps git from looking into it whatever the lab's .gitignore says.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn make_state(&self) -> Result<PathBuf, LabError> {
        let folder = self.state();
        fs::create_dir_all(&folder).map_err(|error| LabError::io("make the folder", &folder, error))?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(|error| LabError::io("write it", &ignore, error))?;
        }
        Ok(folder)
    }
}

/// `runs/NNNNNN`, relative to the lab.
pub fn trial_folder(trial: u32) -> PathBuf {
    Path::new(RUNS).join(format!("{trial:06}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_configuration_is_no_lab() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = Lab::open(folder.path()).expect_err("an empty folder is no lab");
        assert!(matches!(error, LabError::NotALab { .. }), "{error}");
        assert!(error.to_string().contains("autoresearch init"), "{error}");
        let error = Lab::open(&folder.path().join("none")).expect_err("no folder is no lab");
        assert!(matches!(error, LabError::NotALab { .. }), "{error}");
    }

    #[test]
    fn the_state_folder_ignores_itself() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(CONFIG), "version: 1\n").expect("written");
        let lab = Lab::open(folder.path()).expect("a lab");
        lab.make_state().expect("made");
        lab.make_state().expect("made again");
        assert_eq!(fs::read_to_string(lab.state().join(".gitignore")).expect("read"), "*\n");
        assert!(lab.trial(42).ends_with("runs/000042"));
    }
}
