//! The loop: a short list of named steps over the rooms that do the work.
//!
//! recover → refresh lab → choose phase → propose → check → train (racing) → gate → verdict into the ledger →
//! learnings → one commit → housekeep. Each step can be repeated or recovered: a kill at any point loses at most the
//! trial in training. No tensor is ever loaded here; training happens in a worker process.

mod ask_holdout;
mod baseline;
mod beside;
mod brief;
mod check;
mod company;
mod conclude;
mod desk;
mod errand;
pub(crate) mod holdout;
mod incumbent;
mod learn;
mod notify;
mod open;
mod propose;
mod race;
mod rates;
mod refresh;
mod remeasure;
mod round;
mod session;
mod stock;
mod train;
pub mod update;
mod waiting;

pub use errand::{Errand, Outcome};
pub use open::{Options, open};
pub(crate) use open::{budget, overlap, prompt_overrides, worker_settings};
pub(crate) use rates::{known as known_rates, known_or_measured as known_or_measured_rates, measure as measure_rates};
pub use session::{Ending, Session};
pub use update::Update;
