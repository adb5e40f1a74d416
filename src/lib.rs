//! autoresearch: a daemon that does model research overnight, for the Numerai tournament.
//!
//! ARCHITECTURE.md is the map. Dependencies point one way: `cli` → `daemon` → `researcher` → `research` → `spec`;
//! `lab` and `report` stand on `research`; `worker` on `train`; only `train` knows Burn. `stats` knows arrays only.

pub mod cli;
pub mod daemon;
pub mod error;
pub mod lab;
pub mod report;
pub mod research;
pub mod researcher;
pub mod service;
pub mod spec;
pub mod stats;
pub mod train;
pub mod worker;
