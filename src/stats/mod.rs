//! Statistics of plain arrays: how sure a mean is, when a sequence of looks may stop, at which level the next test may be
//! made, and what the best of many is worth.
//!
//! Every function is pure, and says its formula and where it comes from. Wrong input is a [`StatsError`] that names what
//! is wrong, never a NaN and never a panic. Deliberately absent: any word of the loop (trial, seed, incumbent), any file,
//! and any generator that is not seeded by the caller.

pub mod bootstrap;
pub mod deflated;
mod error;
pub mod interval;
pub mod long_run;
pub mod moderated;
mod normal;
pub mod online;
pub mod overfitting;
pub mod posterior;
pub mod random_effects;
pub mod rare;
pub mod shrinkage;
pub mod spending;

pub use deflated::Deflated;
pub use error::{Result, StatsError};
pub use interval::Interval;
pub use long_run::{MeanError, Overlap};
pub use moderated::Prior;
pub use overfitting::Overfitting;
