//! The layout of facts as text for a terminal.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::errands::p_value;
use super::researchers;
use super::statistics;
use super::status::{Line, State, Status};
use crate::research::foreign::one_line;
use crate::research::history::History;
use crate::research::remeasure::Remeasurement;
use crate::research::trial::{Judgement, JudgementKind, TrialRecord, Verdict};
use crate::research::words::{self, count, noise, over, signed};

/// Trials an hour are told of a session that trained for so long; of a shorter one the number says nothing of a night.
const LEAST_SECONDS: f64 = 60.0;

/// The colour of a verdict.
pub fn verdict_style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Keep => AnsiColor::Green,
        Verdict::Discard => AnsiColor::BrightBlack,
        Verdict::Crash | Verdict::Timeout => AnsiColor::Red,
        Verdict::Invalid | Verdict::Duplicate | Verdict::Blocked => AnsiColor::Yellow,
    };
    colour.on_default()
}

/// Seconds as people say them: `47 s`, `12 min`, `3 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..100 => format!("{whole} s"),
        100..3_600 => format!("{} min", (whole + 30) / 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A trial on one line: `000042 keep  0.01820 +0.00130  3  24 s  GELU in every block`. The 3 are whole seeds; `2/4`
/// are two of the four folds of a first seed.
pub fn trial_line(line: &Line) -> String {
    let style = verdict_style(line.verdict);
    let payout = line.payout.map_or_else(|| format!("{:>9}", "-"), |payout| format!("{payout:>9.5}"));
    let delta = line.delta.map_or_else(|| format!("{:>9}", ""), |delta| format!("{:>9}", signed(delta, 5)));
    let seeds = match (line.cells, line.seeds) {
        (Some(cells), _) => format!("{cells}/{}", line.folds.map_or_else(|| "?".into(), |folds| folds.to_string())),
        (None, 0) => String::new(),
        (None, seeds) => seeds.to_string(),
    };
    let demoted = match (line.demoted, line.fresh_delta) {
        (true, Some(fresh)) => format!(" (demoted: {} when measured again)", signed(fresh, 5)),
        (true, None) => " (demoted)".into(),
        (false, _) => String::new(),
    };
    format!(
        "{:06} {style}{:<9}{style:#} {payout} {delta} {seeds:>5} {:>9}  {}{demoted}",
        line.trial,
        line.verdict.word(),
        duration(line.wall_seconds),
        one_line(&line.title, 70)
    )
}

/// A re-measurement on one line, in the columns of a trial: its payout, gain and seeds are the fresh ones.
pub fn remeasured_line(found: &Remeasurement) -> String {
    let (word, style) = match (found.demoted_to, found.predecessor) {
        (Some(_), _) => ("demoted", AnsiColor::Red.on_default()),
        (None, Some(_)) => ("stands", AnsiColor::Green.on_default()),
        (None, None) => ("measured", Style::new()),
    };
    let gain = found.gain.map_or_else(|| format!("{:>9}", ""), |gain| format!("{:>9}", signed(gain, 5)));
    let reason = one_line(&found.reason, 160);
    let seeds = found.seeds.len();
    format!("{:06} {style}{word:<9}{style:#} {:>9.5} {gain} {seeds:>5} {:>9}  {reason}", found.trial, found.fresh, "")
}

/// The status for people, with what is wrong at the top.
pub fn status_text(status: &Status) -> String {
    let bold = Style::new().bold();
    let mut out = String::new();
    if !status.warnings.is_empty() {
        let warn = AnsiColor::Yellow.on_default();
        out.push_str(&format!("{warn}warnings{warn:#}\n"));
        for warning in &status.warnings {
            out.push_str(&format!("  {}\n", one_line(warning, 400)));
        }
        out.push('\n');
    }
    let mut row = |name: &str, text: String| out.push_str(&format!("{bold}{name:<10}{bold:#} {text}\n"));
    row("state", state_text(status));
    if let Some(branch) = &status.branch {
        row("notebook", branch.clone());
    }
    if let Some(phase) = &status.phase {
        row("phase", format!("{phase} ({} trained)", status.trained_in_phase));
    }
    match (&status.incumbent, &status.baseline) {
        (Some(best), baseline) => {
            let error = best.standard_error.map_or_else(String::new, |error| format!(" ± {error:.5}"));
            let over = count(best.seeds, "seed");
            let title = one_line(&best.title, 60);
            row(
                "incumbent",
                format!(
                    "{:06} {title}: payout {:.5}{error} over all its {over}",
                    best.trial, best.payout_over_all_seeds
                ),
            );
            if let Some(base) = baseline {
                let (theirs, over) = (base.payout_over_all_seeds, count(base.seeds, "seed"));
                let incumbent = if base.trial == best.trial {
                    "it is the incumbent".to_owned()
                } else {
                    format!("the incumbent is {} above", signed(best.payout_over_all_seeds - theirs, 5))
                };
                row("baseline", format!("payout {theirs:.5} over all its {over}; {incumbent}"));
            }
        }
        (None, _) => row("incumbent", "none yet; `autoresearch run` measures the baseline first".into()),
    }
    if status.trials > 0 {
        let counts: Vec<String> = status
            .verdicts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        let rate = status.keep_rate.map_or_else(String::new, |rate| format!("; keep rate {:.0} %", rate * 100.0));
        let demoted = match status.statistics.demotions {
            0 => String::new(),
            demoted => format!(" ({demoted} of the keeps demoted since)"),
        };
        let counts = if counts.is_empty() { "the baseline alone".to_owned() } else { counts.join(", ") + &demoted };
        // Without a configuration that can be read there is none.
        let plateau = if status.plateau > 0 { format!(" (plateau at {})", status.plateau) } else { String::new() };
        row("trials", format!("{counts}{rate}; {} without a keep{plateau}", status.discards_in_a_row));
    }
    if let Some(rate) = status.trials_per_hour.filter(|_| status.seconds_of_rate >= LEAST_SECONDS) {
        row("speed", format!("{rate:.0} trials an hour"));
    }
    if status.tokens.input + status.tokens.output > 0 {
        let cost = if status.cost_usd > 0.0 { format!(", ${:.2}", status.cost_usd) } else { String::new() };
        row("tokens", format!("{} in, {} out{cost}", status.tokens.input, status.tokens.output));
    }
    if status.holdout.queries > 0 {
        row("holdout", status.holdout.words());
    }
    for (name, text) in statistics::rows(status) {
        row(name, text);
    }
    if !status.last_trials.is_empty() {
        out.push_str(&format!(
            "\n{bold}trial    verdict      payout      gain seeds      time  what was tried{bold:#}\n"
        ));
        for line in &status.last_trials {
            out.push_str(&format!("  {}\n", trial_line(line)));
        }
    }
    if !status.best_near_misses.is_empty() {
        out.push_str(&format!("\n{bold}near misses{bold:#}\n"));
        for near in &status.best_near_misses {
            out.push_str(&format!(
                "  {:06}  {} {:+.5} ({}, {})  {}{}\n",
                near.trial,
                words::odds(near.odds),
                near.delta,
                words::p_value(near.p_value),
                near.over,
                one_line(&near.title, 70),
                if near.demoted { " (kept once, and demoted)" } else { "" }
            ));
        }
    }
    out.push_str(&statistics::tables(status));
    out.push_str(&researchers::table(&status.researchers));
    if !status.hints.is_empty() {
        out.push_str(&format!("\n{bold}hints{bold:#}\n"));
        for hint in &status.hints {
            let since = match (hint.waiting, hint.after_trial) {
                (true, _) => "not taken in yet".to_owned(),
                (false, Some(trial)) => format!("since trial {trial:06}"),
                (false, None) => "from the start".to_owned(),
            };
            out.push_str(&format!("  {} ({since})\n", one_line(&hint.text, 600)));
        }
        if status.past_hints > 0 {
            out.push_str(&format!("  … and {}, no longer passed on\n", count(status.past_hints, "older hint")));
        }
    }
    out
}

fn state_text(status: &Status) -> String {
    let pid = status.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    match status.state {
        State::Running | State::Paused => {
            let word = if status.state == State::Paused { "paused" } else { "running" };
            let Some(live) = &status.live else { return format!("{word}{pid}") };
            let trial = match (live.trial, &live.title) {
                (Some(trial), Some(title)) => format!(", trial {trial:06}: {}", one_line(title, 60)),
                _ => String::new(),
            };
            let nets = if live.nets_total > 0 {
                format!(" ({} of {} nets)", live.nets_done, live.nets_total)
            } else {
                String::new()
            };
            let left = match (live.trials, live.seconds_a_trial) {
                (Some(wanted), Some(seconds)) => {
                    let left = wanted.saturating_sub(live.trained);
                    format!(
                        "; {} of {wanted} trained, about {} left",
                        live.trained,
                        duration(f64::from(left) * seconds)
                    )
                }
                (Some(wanted), None) => format!("; {} of {wanted} trained", live.trained),
                (None, _) => format!("; {} trained", live.trained),
            };
            format!("{word}{pid}: {}{trial}{nets}{left}", live.doing)
        }
        State::Stopped => match &status.last_ending {
            Some(reason) => format!("stopped: {}", one_line(reason, 200)),
            None => "stopped".into(),
        },
        State::Stale => "stale: the last session died".into(),
    }
}

/// A recorded time to the second.
fn second(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |time: Timestamp| words::second(time).to_string())
}

/// A trial whole, for people.
pub fn trial_text(record: &TrialRecord, history: &History) -> String {
    let bold = Style::new().bold();
    let style = verdict_style(record.verdict);
    let mut out = format!(
        "{bold}{:06}{bold:#} {style}{}{style:#}: {}\n",
        record.trial,
        record.verdict,
        one_line(&record.proposal.title, 200)
    );
    let mut row = |name: &str, text: String| out.push_str(&format!("{bold}{name:<11}{bold:#} {text}\n"));
    row("why", one_line(&record.reason, 600));
    if let Some(again) = history.remeasurement(record.trial) {
        let word = if again.demoted_to.is_some() { "demoted" } else { "stands" };
        row(word, format!("measured again {}: {}", second(&again.ended), one_line(&again.reason, 400)));
    }
    row("hypothesis", one_line(&record.proposal.hypothesis, 1200));
    row(
        "proposed by",
        format!("{}, category {}", one_line(&record.proposal.researcher, 60), one_line(&record.proposal.category, 60)),
    );
    row("phase", words::phase(record));
    if let Some(round) = words::round(record) {
        row("from", round);
    }
    row(
        "time",
        format!("{} from {} to {}", duration(record.wall_seconds), second(&record.started), second(&record.ended)),
    );
    if let Some(hash) = &record.spec_hash {
        row("spec", format!("{hash} (runs/{}/spec.yaml)", record.folder()));
    }
    if !record.changes.is_empty() {
        let against = record.incumbent.map_or_else(String::new, |trial| format!(" against {trial:06}"));
        out.push_str(&format!("\n{bold}changes{against}{bold:#}\n"));
        for change in &record.changes {
            out.push_str(&format!("  {}\n", one_line(&change.to_string(), 300)));
        }
    }
    if let Some(measured) = &record.measurement {
        out.push_str(&format!("\n{}", evaluation_text(&measured.evaluation)));
        let over = over(record).unwrap_or_default();
        out.push_str(&match record.compared_with() {
            Some(theirs) => format!("all of it over {over}; the incumbent's payout over the same eras {theirs:.5}\n"),
            None => format!("all of it over {over}\n"),
        });
        out.push_str(&format!(
            "\n{} parameters a net, {:.0} rows/s on {}\n",
            measured.params, measured.rows_per_second, measured.device
        ));
    }
    if let Some(judged) = &record.judgement {
        out.push_str(&judgement_text(judged, &over(record).unwrap_or_default()));
    }
    out
}

/// The gate's judgement, whole.
fn judgement_text(judged: &Judgement, over: &str) -> String {
    let bold = Style::new().bold();
    let kind = match judged.kind {
        JudgementKind::Better if judged.keep => "kept as better",
        JudgementKind::Simpler if judged.keep => "kept to simplify: as good within the margin, with fewer parameters",
        JudgementKind::Constrained => "proven, and not kept, for it breaks a constraint",
        JudgementKind::Undecided => "ahead to the last, and not proven better",
        JudgementKind::Better | JudgementKind::Simpler | JudgementKind::NotBetter => "not kept",
    };
    let mut out = format!("\n{bold}gate{bold:#}         {kind}\n");
    let mut row = |name: &str, text: String| out.push_str(&format!("  {name:<10} {text}\n"));
    row("gain", format!("{} ± {:.5} over {over}", signed(judged.delta, 5), judged.standard_error));
    if let (Some(seeds), Some(eras)) = (judged.between_seeds, judged.between_eras) {
        row("noise", format!("of seeds {}, of eras {}", noise(seeds, 5), noise(eras, 5)));
    }
    let freedom = judged
        .degrees_of_freedom
        .map_or_else(String::new, |freedom| format!(" by Student's t with {freedom:.1} degrees of freedom"));
    row("p-value", format!("{}{freedom}, one-sided, of this look alone", p_value(judged.p_value)));
    if let Some(level) = judged.level {
        let bound = match judged.bound {
            Some(bound) => format!("the p-value had to be below {} at this look", p_value(bound)),
            None => "none: it ended between looks, where nothing is kept".into(),
        };
        row("bound", bound);
        row("level", format!("{} for the whole trial, shared among its looks", p_value(level)));
    }
    out
}

/// Scores for people.
pub fn evaluation_text(found: &prepare::Evaluation) -> String {
    let bold = Style::new().bold();
    let mut out = format!(
        "{bold}payout {:.5}{bold:#}  (correlation with the benchmark {:.4})\n",
        found.payout, found.corr_with_benchmark
    );
    out.push_str(&format!("{bold}          mean      std   sharpe  drawdown  eras > 0  autocorr{bold:#}\n"));
    for (name, summary) in [("CORR", &found.corr), ("BMC", &found.bmc)] {
        out.push_str(&format!(
            "{name:<5} {:>8.5} {:>8.5} {:>8.3} {:>9.4} {:>8.0} % {:>9.3}\n",
            summary.mean,
            summary.std,
            summary.sharpe,
            summary.max_drawdown,
            summary.positive_share * 100.0,
            summary.autocorrelation
        ));
    }
    for seed in &found.seeds {
        out.push_str(&format!(
            "seed {:<6} payout {:>8.5}  CORR {:>8.5}  BMC {:>8.5}\n",
            seed.seed, seed.payout, seed.corr, seed.bmc
        ));
    }
    let folds: Vec<String> = found.folds.iter().map(|fold| format!("{}: {:.5}", fold.fold, fold.payout)).collect();
    out.push_str(&format!("folds       {}\n", folds.join(", ")));
    out
}

#[cfg(test)]
mod tests;
