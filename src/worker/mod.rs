//! The worker: a process of its own that trains, so that a crash, an out-of-memory kill, a NaN or a hang ends a trial
//! and not the night. Both sides speak JSON lines over its standard input and output.

pub mod child;
mod limits;
pub mod supervisor;
pub mod wire;
