//! `autoresearch run`

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::screen::Screen;
use super::session::with_session;
use super::{Context, logging, out};
use crate::daemon::{Ending, Options};
use crate::error::Result;
use crate::researcher::settings::Kind;

/// Run the research loop.
///
/// Runs the loop: propose, check, train, judge, keep or revert, one commit a trial, on a branch of its own.
///
/// On first use it prepares the data and measures model.yaml as the baseline (trial 0). Ctrl-C or SIGTERM ends it
/// cleanly; a kill loses at most the trial in training. Candidates of a round that it did not come to are tried first by the
/// next session.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// End after so many trained trials (the baseline is not counted).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    trials: Option<u32>,
    /// End at this time: `07:30`, or an RFC 3339 time such as `2026-03-02T07:30:00Z`. A trial that is in training then is
    /// given up, as by Ctrl-C; whole seeds of the incumbent are kept.
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
    let stopped = |reason| Ending { reason, trained: 0, seconds: 0.0 };
    let ending = with_session(lab.clone(), &options, &mut screen, async |session| session.run().await, stopped)?;
    let (mut status, _) = super::view::status(&lab)?;
    // What a session prints may end up in a log; the holdout's answers are for those who ask for them.
    status.holdout.last = None;
    if context.json {
        return out::json(&status);
    }
    out::line_fitted(&format!(
        "session over: {} ({} trained in {})",
        ending.reason,
        ending.trained,
        crate::report::text::duration(ending.seconds)
    ));
    out::print_wrapped(&crate::report::text::status_text(&status));
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
