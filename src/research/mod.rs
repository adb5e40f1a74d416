//! The research itself, as pure decisions over the ledger's facts: verdicts, the gate, phases and plateaus, near
//! misses, do-not-retry rules, evidence. Nothing here reads a file, a clock or a network.

pub mod assumptions;
pub mod audit;
pub mod calibration;
pub mod commit;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod foreign;
pub mod gate;
pub mod history;
pub mod knob_path;
pub mod learned;
pub mod learnings;
pub mod measurement;
pub mod near_duplicate;
pub mod near_miss;
pub mod odds;
pub mod phases;
pub mod proposers;
pub mod remeasure;
pub mod round;
pub mod rules;
pub mod session_statistics;
pub mod settings;
pub mod trial;
pub mod words;

#[cfg(test)]
pub(crate) mod sample;
