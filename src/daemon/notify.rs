//! Word to systemd: ready, what is going on, and the watchdog, which is fed by the loop's own progress and nothing else.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The most often that systemd is told anything.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The line to systemd. Without systemd it says nothing to nobody.
#[derive(Debug, Default)]
pub(super) struct Notify {
    fed: Option<Instant>,
}

impl Notify {
    /// The session is up.
    pub(super) fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// The session is ending.
    pub(super) fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }

    /// Something got done.
    pub(super) fn progress(&mut self) {
        if self.fed.is_none_or(|fed| fed.elapsed() >= AT_MOST_EVERY) {
            self.fed = Some(Instant::now());
            send(&[NotifyState::Watchdog]);
        }
    }

    /// One line for `systemctl status`.
    pub(super) fn status(&self, line: &str) {
        send(&[NotifyState::Status(line)]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    // A systemd that does not listen is no reason to stop researching.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd did not take a message");
    }
}
