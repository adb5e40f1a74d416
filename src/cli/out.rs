//! Printing. A reader that has gone (`autoresearch log | head`) ends the program quietly.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::{Error, Result, exit};
use crate::report::wrap::{WIDTH, wrap};

/// Prints text to standard output; colours are dropped where they are not wanted (NO_COLOR, no terminal).
pub(super) fn print(text: &str) {
    write_to(&mut anstream::stdout(), text);
}

/// Prints text to standard output, its long lines broken at the terminal's width; where that is none, at that which is
/// laid out for.
pub(super) fn print_wrapped(text: &str) {
    print(&wrap(text, if io::stdout().is_terminal() { width() } else { WIDTH }));
}

/// Prints text to standard output, its long lines broken on a terminal, and left whole for whatever else reads them.
pub(super) fn print_fitted(text: &str) {
    if io::stdout().is_terminal() {
        print_wrapped(text);
    } else {
        print(text);
    }
}

/// Prints a line to standard output, broken on a terminal.
pub(super) fn line_fitted(text: &str) {
    print_fitted(&format!("{text}\n"));
}

/// Prints a line to standard error, which is a terminal, broken there.
pub(super) fn note_fitted(text: &str) {
    note(&wrap(text, width()));
}

/// The columns of the terminal.
fn width() -> usize {
    /// No terminal is narrower for us than its tables can be read in.
    const NARROWEST: usize = 60;
    // clap knows, and breaks a help text there that could be broken anywhere.
    let rule = "x ".repeat(1_000);
    let ruled = clap::Command::new("width").max_term_width(0).help_template("{about}").about(rule).render_help();
    let widest = ruled.to_string().lines().map(|line| line.trim_end().len()).max();
    widest.map_or(WIDTH, |widest| (widest + 1).max(NARROWEST))
}

/// Prints a line to standard output.
pub(super) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a line to standard error.
pub(super) fn note(text: &str) {
    write_to(&mut anstream::stderr(), &format!("{text}\n"));
}

/// Prints an error to standard error.
pub(super) fn error(text: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    note(&format!("{style}error:{style:#} {text}"));
}

/// Prints facts as JSON.
pub(super) fn json<T: Serialize>(facts: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(facts).map_err(|error| Error::Internal(error.to_string()))?;
    line(&text);
    Ok(())
}

fn write_to(out: &mut impl Write, text: &str) {
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { exit::INTERNAL };
        std::process::exit(i32::from(code));
    }
}

/// No panic message ever reaches a user: a bug ends the program with an error of its own and the documented code.
pub(super) fn turn_panics_into_errors() {
    std::panic::set_hook(Box::new(|info| {
        let what = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        error(&format!(
            "internal error: {what}{place}. This is a bug of autoresearch; nothing that was committed is lost"
        ));
        std::process::exit(i32::from(exit::INTERNAL));
    }));
}
