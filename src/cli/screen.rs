//! Live progress on a terminal: what is being tried, how each trial ended and why, and how long is left. Without a
//! terminal it shows nothing; the log then tells the same.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::out;
use crate::daemon::Update;
use crate::report::status::line_of;
use crate::report::text::{duration, trial_line};
use crate::research::foreign::one_line;
use crate::research::trial::TrialRecord;
use crate::research::words::count;

/// The display.
pub(super) struct Screen {
    bar: ProgressBar,
    live: bool,
    trials: Option<u32>,
    trained: u32,
    seconds: f64,
    started: Instant,
    what: String,
    /// Whether trials are what it is about.
    of_trials: bool,
}

impl Screen {
    /// Live if standard error is a terminal.
    pub(super) fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if live {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bar,
            live,
            trials: None,
            trained: 0,
            seconds: 0.0,
            started: Instant::now(),
            what: String::new(),
            of_trials: true,
        }
    }

    /// Of a session that tries no proposal of a researcher's.
    pub(super) fn of_an_errand() -> Self {
        Self { of_trials: false, ..Self::new() }
    }

    /// Whether it shows anything.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows a piece of news.
    pub(super) fn show(&mut self, update: &Update) {
        if !self.live {
            return;
        }
        match update {
            Update::Note(text) => self.line(&format!("       {}", one_line(text, 300))),
            Update::Preparing { step, rows } => {
                self.bar.set_style(style("{spinner} preparing: {msg} {wide_bar} {percent:>3} % "));
                self.bar.set_message(step.clone());
                if let Some((done, total)) = rows {
                    self.bar.set_length(*total);
                    self.bar.set_position(*done);
                }
            }
            Update::Session { branch, device, researcher, trials } => {
                self.trials = *trials;
                self.wait("starting");
                if !self.of_trials {
                    self.line(&format!("notebook {branch}; training on {device}"));
                    return;
                }
                self.line(&format!("notebook {branch}; training on {device}; {researcher} proposes"));
                self.line("trial  verdict      payout      gain seeds      time  what was tried, and why");
            }
            Update::Phase { name, why } => self.line(&format!("       phase {name}: {why}")),
            Update::Proposing { trial } => self.wait(&format!("{trial:06} asking the researcher")),
            Update::Training { trial, title, .. } => {
                self.what = format!("{trial:06} {}", one_line(title, 60));
                self.started = Instant::now();
                let what = self.what.clone();
                self.wait(&what);
            }
            Update::Nets { done, total, stage } => {
                self.bar.set_message(format!("{} ({stage})", self.what));
                self.bar.set_prefix(self.left());
                self.bar.set_length(*total as u64);
                self.bar.set_position(*done as u64);
                // Last, so that the bar is not drawn with numbers of what was before.
                self.bar.set_style(style("{spinner} {msg} {bar:20} {pos}/{len} nets{prefix}"));
            }
            Update::Measuring { trial, seeds, why } => {
                self.what = format!("{trial:06} under {}, for {why}", count(*seeds, "more seed"));
                let what = self.what.clone();
                self.wait(&what);
            }
            Update::Auditing { number, of, planted } => {
                self.what = format!("proposal {number} of {of}, planted {planted:+.4}");
                let what = self.what.clone();
                self.wait(&what);
            }
            Update::Ended(record) => self.ended(record),
            Update::Finished { reason } => self.line(&format!("       session over: {}", one_line(reason, 300))),
        }
    }

    fn ended(&mut self, record: &TrialRecord) {
        if record.incumbent.is_some() && record.verdict.was_trained() {
            self.trained += 1;
            self.seconds += record.wall_seconds;
        }
        self.line(&trial_line(&line_of(record)));
        self.line(&format!("       {}", one_line(&record.reason, 160)));
    }

    fn wait(&self, message: &str) {
        self.bar.set_style(style("{spinner} {msg}{prefix}"));
        self.bar.set_message(message.to_owned());
        self.bar.set_prefix(self.left());
    }

    /// How long is left, from the mean of the trials so far.
    fn left(&self) -> String {
        let Some(trials) = self.trials else { return String::new() };
        let done = format!("  {} of {trials}", self.trained);
        if self.trained == 0 {
            return done;
        }
        let each = self.seconds / f64::from(self.trained);
        let ahead =
            each * f64::from(trials.saturating_sub(self.trained)) - self.started.elapsed().as_secs_f64().min(each);
        format!("{done}, about {} left", duration(ahead))
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| out::note_fitted(text));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
