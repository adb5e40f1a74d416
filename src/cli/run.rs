//! `autoresearch run`

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::screen::Screen;
use super::{Context, logging, out};
use crate::daemon::{Ending, Options, open};
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::researcher::settings::Kind;

/// Run the research loop.
///
/// Runs the loop: propose, check, train, judge, keep or revert, one commit a trial, on a branch of its own.
///
/// On first use it prepares the data and measures model.yaml as the baseline (trial 0). Ctrl-C or SIGTERM ends it
/// cleanly; a kill loses at most the trial in training.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// End after so many trained trials (the baseline is not counted).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    trials: Option<u32>,
    /// End at this time: `07:30`, or an RFC 3339 time such as `2026-03-02T07:30:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Who proposes, in place of autoresearch.yaml's researcher.kind.
    #[arg(long, value_enum, value_name = "KIND")]
    researcher: Option<Kind>,
}

/// The next moment at which a clock here shows `HH:MM`, or a full time.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(exact) = text.parse::<Timestamp>() {
        return if exact > Timestamp::now() { Ok(exact) } else { Err(format!("{exact} is over already")) };
    }
    let time: Time = text.parse().map_err(|_| "write it as 07:30, or as 2026-03-02T07:30:00Z".to_owned())?;
    let now = Timestamp::now().to_zoned(TimeZone::system());
    let on = |day: &Zoned| day.date().to_datetime(time).to_zoned(TimeZone::system()).map(|zoned| zoned.timestamp());
    let today = on(&now).map_err(|error| error.to_string())?;
    if today > now.timestamp() {
        return Ok(today);
    }
    let tomorrow = now.tomorrow().map_err(|error| error.to_string())?;
    on(&tomorrow).map_err(|error| error.to_string())
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    let mut screen = Screen::new();
    logging::start(context.verbose, screen.is_live());
    let options = Options { trials: arguments.trials, until: arguments.until, researcher: arguments.researcher };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime did not start: {error}")))?;
    let ending = runtime.block_on(session(lab.clone(), &options, &mut screen));
    screen.clear();
    let ending = ending?;
    let mut status = super::view::status(&lab)?;
    // What a session prints may end up in a log; the holdout's answers are for those who ask for them.
    status.holdout.last = None;
    if context.json {
        return out::json(&status);
    }
    out::line(&format!(
        "session over: {} ({} trained in {})",
        ending.reason,
        ending.trained,
        crate::report::text::duration(ending.seconds)
    ));
    out::print(&crate::report::text::status_text(&status));
    Ok(())
}

async fn session(lab: Lab, options: &Options, screen: &mut Screen) -> Result<Ending> {
    let (asked, stop) = watch::channel(false);
    hear_signals(asked)?;
    let mut say = |update| screen.show(&update);
    match open(lab, options, &mut say, stop).await {
        Ok(session) => session.run().await,
        // Asked to stop before there was a session: an end in order.
        Err(Error::Harness(prepare::Error::Stopped)) => {
            let reason = "asked to stop while the data was prepared; nothing was changed".into();
            Ok(Ending { reason, trained: 0, seconds: 0.0 })
        }
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::moment;

    #[test]
    fn a_clock_time_is_the_next_one() {
        for text in ["00:00", "07:30", "23:59"] {
            let ahead = moment(text).expect("a time").duration_since(Timestamp::now());
            assert!(ahead > SignedDuration::ZERO && ahead <= SignedDuration::from_hours(25), "{text}: {ahead}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_form() {
        assert!(moment("tomorrow").expect_err("no time").contains("07:30"));
        assert!(moment("2001-01-01T00:00:00Z").expect_err("over").contains("over already"));
    }
}
