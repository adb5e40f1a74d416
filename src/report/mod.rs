//! What people read: facts derived from the ledger, and their layout as text. Nothing here reads or writes a file.

pub mod errands;
pub mod holdout;
mod researchers;
mod statistics;
pub mod status;
pub mod text;
pub mod wrap;
