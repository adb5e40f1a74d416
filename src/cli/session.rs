//! What commands that hold a session share: opening it, signals that end it, and a runtime to run it in.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::screen::Screen;
use crate::daemon::{Options, Session, open};
use crate::error::{Error, Result};
use crate::lab::Lab;

/// Opens a session on a lab and does its `work`. Where somebody asks to stop while there is none yet, `stopped` says
/// what that comes to.
pub(super) fn with_session<T>(
    lab: Lab,
    options: &Options,
    screen: &mut Screen,
    work: impl AsyncFnOnce(Session<'_>) -> Result<T>,
    stopped: impl FnOnce(String) -> T,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime did not start: {error}")))?;
    let done = runtime.block_on(async {
        let (asked, stop) = watch::channel(false);
        hear_signals(asked)?;
        let mut say = |update| screen.show(&update);
        match open(lab, options, &mut say, stop).await {
            Ok(session) => work(session).await,
            // Asked to stop before there was a session: an end in order.
            Err(Error::Harness(prepare::Error::Stopped)) => {
                Ok(stopped("asked to stop while the data was prepared; nothing was changed".into()))
            }
            Err(error) => Err(error),
        }
    });
    screen.clear();
    done
}

/// Hears SIGTERM and Ctrl-C on a thread of its own, so that they are heard while the session is busy with git or data.
fn hear_signals(asked: watch::Sender<bool>) -> Result<()> {
    let failed = |error: std::io::Error| Error::Internal(format!("signals cannot be handled: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    drop(_inside);
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let heard = tokio::select! { heard = terminate.recv() => heard, heard = interrupt.recv() => heard };
                if heard.is_none() {
                    return;
                }
                asked.send_replace(true);
            }
        });
    });
    Ok(())
}
