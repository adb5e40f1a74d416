//! Tests of the harness from outside: what a lab, a trainer and a user see.

mod bad_input;
mod golden;
mod holdout;
mod market;
mod packing;
mod protocol;
mod score_files;
mod support;
