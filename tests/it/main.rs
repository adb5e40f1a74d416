//! The program from outside: real sessions in temporary labs, the git command line as the independent check.

mod agent;
mod architecture;
mod contract;
mod determinism;
mod endpoint;
mod errands;
mod gate;
mod help;
mod holdout;
mod kills;
mod lab;
mod lock;
mod openai;
mod person;
mod refusals;
mod researchers;
mod rounds;
mod session;
