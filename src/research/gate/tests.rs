//! The gate against numbers of another implementation, against simulated markets, and against itself.

mod contrast;
mod errors;
mod levels;
mod nulls;
mod properties;
mod race;
mod settings;
pub(crate) mod support;
