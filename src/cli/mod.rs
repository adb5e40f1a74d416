//! The command line: one command a file. Arguments in, facts to standard output, status and errors to standard error,
//! an exit code.

mod audit;
mod calibrate;
mod check;
mod diff;
mod doctor;
mod errand;
mod folds;
mod hint;
mod holdout;
mod init;
mod log;
mod logging;
mod out;
mod prepare;
mod remeasure;
mod run;
mod score;
mod screen;
mod service;
mod session;
mod show;
mod status;
mod trial;
mod view;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Result, exit};
use crate::lab::Lab;

const AFTER_HELP: &str = "\
Exit codes: 0 fine, 1 internal error, 2 usage, 3 lab or configuration, 4 data, 5 researcher, 6 training, 7 another process holds the lab.

Begin with:  autoresearch init my-lab && cd my-lab && autoresearch run --trials 12";

/// A daemon that does model research overnight, for the Numerai tournament.
#[derive(Debug, Parser)]
#[command(name = "autoresearch", version, after_help = AFTER_HELP, propagate_version = true)]
struct Cli {
    /// The lab: a folder with an autoresearch.yaml.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    lab: PathBuf,
    /// Print facts as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Say more on standard error (-v: what happens, -vv: everything). RUST_LOG overrides it.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

// What each does stands at its arguments: a line for the list of commands, then what `--help` teaches.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
    Prepare(prepare::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Log(log::Arguments),
    Show(show::Arguments),
    Diff(diff::Arguments),
    Hint(hint::Arguments),
    Trial(trial::Arguments),
    Check(check::Arguments),
    Schema(check::SchemaArguments),
    Folds(folds::Arguments),
    Score(score::Arguments),
    Holdout(holdout::Arguments),
    Calibrate(calibrate::Arguments),
    Remeasure(remeasure::Arguments),
    Audit(audit::Arguments),
    Doctor(doctor::Arguments),
    Service(service::Arguments),
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// What every command gets.
struct Context<'a> {
    lab: &'a Path,
    json: bool,
    verbose: u8,
}

impl Context<'_> {
    /// The lab, which must be one.
    fn open(&self) -> Result<Lab> {
        Ok(Lab::open(self.lab)?)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { 0 };
            // A closed pipe is no reason to complain about help that nobody reads.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    out::turn_panics_into_errors();
    let context = Context { lab: &cli.lab, json: cli.json, verbose: cli.verbose };
    let done = match &cli.command {
        Command::Init(arguments) => init::run(&context, arguments),
        Command::Prepare(arguments) => prepare::run(&context, arguments),
        Command::Run(arguments) => run::run(&context, arguments),
        Command::Status(arguments) => status::run(&context, arguments),
        Command::Log(arguments) => log::run(&context, arguments),
        Command::Show(arguments) => show::run(&context, arguments),
        Command::Diff(arguments) => diff::run(&context, arguments),
        Command::Hint(arguments) => hint::run(&context, arguments),
        Command::Trial(arguments) => trial::run(&context, arguments),
        Command::Check(arguments) => check::run(&context, arguments),
        Command::Schema(arguments) => check::schema(&context, arguments),
        Command::Folds(arguments) => folds::run(&context, arguments),
        Command::Score(arguments) => score::run(&context, arguments),
        Command::Holdout(arguments) => holdout::run(&context, arguments),
        Command::Calibrate(arguments) => calibrate::run(&context, arguments),
        Command::Remeasure(arguments) => remeasure::run(&context, arguments),
        Command::Audit(arguments) => audit::run(&context, arguments),
        Command::Doctor(arguments) => doctor::run(&context, arguments),
        Command::Service(arguments) => service::run(&context, arguments),
        Command::Worker(arguments) => worker::run(&context, arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
