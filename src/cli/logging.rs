//! Where logs go: to journald in structured form under systemd, else to standard error.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging. `quiet` is for commands that show their own progress: warnings only, unless asked for more.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (verbose, quiet) {
        (0, true) => "off",
        (0, false) => "autoresearch=info,prepare=info,warn",
        (1, _) => "autoresearch=info,prepare=info,warn",
        (2, _) => "autoresearch=debug,prepare=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let registry = tracing_subscriber::registry().with(filter);
    // systemd sets JOURNAL_STREAM when standard error is the journal.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let started = match journal {
        Some(journal) => registry.with(journal).try_init(),
        None => {
            let colours =
                std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false)).try_init()
        }
    };
    // Only a second start in one process can fail, and then the first one's settings are as good.
    let _ = started;
}
