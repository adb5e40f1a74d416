//! The lab on disk: where every file is, how it is configured, its event log, its lock, and its notebook in git.
//!
//! This is an edge: files, the clock of files, and git live here. What the loop decides lives in `research`.

pub mod atomic;
pub mod config;
pub mod error;
pub mod hints;
pub mod holdout;
pub mod init;
pub mod layout;
pub mod ledger;
pub mod live;
pub mod lock;
pub mod measured;
pub mod notebook;
pub mod recover;
pub mod trial_files;

pub use config::Config;
pub use error::LabError;
pub use layout::Lab;
pub use ledger::Ledger;
pub use lock::{Holder, LabLock};
pub use notebook::Notebook;
