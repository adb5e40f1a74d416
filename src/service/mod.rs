//! The loop as a systemd service: the unit's text as a pure function of facts ([`unit_text`]), and where it is put.

mod escape;
mod install;
mod unit;

pub use install::{Installed, ServiceError, install, systemd_version, unit};
pub use unit::{Scope, ServiceFacts, default_name, unit_text};
