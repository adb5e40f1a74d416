//! The session's statistics in `status`: what is promised, and how much of what was found may be luck.

use anstyle::Style;

use super::errands::{last_errands, p_value};
use super::status::Status;
use crate::research::foreign::one_line;
use crate::research::session_statistics::{
    CategoryEffect, ErrorControl, FEWEST_TRIALS, KeptGain, Overfitting, SessionStatistics,
};
use crate::research::trial::JudgementKind;
use crate::research::words::{count, signed};

/// Kept gains that are listed.
const KEEPS: usize = 4;
/// Categories that are listed.
const CATEGORIES: usize = 4;

/// Named rows, for the top of the status.
pub(super) fn rows(status: &Status) -> Vec<(&'static str, String)> {
    of_statistics(&status.statistics, status.incumbent.is_some())
}

fn of_statistics(found: &SessionStatistics, has_incumbent: bool) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(ErrorControl { promise, next_level, .. }) = &found.error_control {
        // Before there is an incumbent nothing is tested.
        let next = next_level.filter(|_| has_incumbent);
        let level = next.map_or_else(String::new, |level| format!("; the next trial's level is {}", p_value(level)));
        rows.push(("gate", format!("{promise}{level}")));
    }
    if let Some(text) = score(found) {
        rows.push(("fresh", text));
    }
    let (floor, null, planted) = (&found.noise_floor, &found.null_audit, &found.planted_audit);
    rows.extend(last_errands(floor.as_ref(), null.as_ref(), planted.as_ref()));
    if let Some(best) = &found.best_of_null {
        rows.push((
            "luck",
            format!(
                "the best of {} is {:.1} standard errors ahead ({:06}); the best of as many without any effect: {:.1} on average, {:.1} with a chance of {}",
                count(best.trials as usize, "trial"),
                best.observed,
                best.best,
                best.expected,
                best.observed,
                p_value(best.by_chance)
            ),
        ));
        rows.push(("overfit", overfitting(&found.overfitting)));
    }
    rows
}

fn score(found: &SessionStatistics) -> Option<String> {
    let fresh = found.fresh.as_ref();
    let mut text = fresh.map_or_else(String::new, |fresh| {
        let error = fresh.standard_error.map_or_else(String::new, |error| format!(" ± {error:.5}"));
        format!(
            "the incumbent's payout is {:.5}{error} on {} measured since it was kept, {:.5} on the {} it was kept by",
            fresh.payout,
            count(fresh.seeds, "seed"),
            fresh.selected,
            fresh.selected_seeds
        )
    });
    if let Some(last) = &found.last_remeasurement {
        let stands = match (last.demoted_to, last.predecessor) {
            (Some(_), _) => "did not stand, and was demoted",
            (None, Some(_)) => "stands",
            (None, None) => "has no predecessor that it could be compared with",
        };
        let joint = if text.is_empty() { "" } else { "; " };
        text.push_str(&format!("{joint}re-measured after trial {:06}: {:06} {stands}", last.after_trial, last.trial));
    }
    (!text.is_empty()).then_some(text)
}

fn overfitting(found: &Overfitting) -> String {
    let Overfitting { trials, measured, splits, .. } = found;
    match found.probability {
        Some(probability) => format!(
            "the best trial of one half of the eras is below the median on the other half in {:.0} % of {splits} splits, over the {trials} of {measured} measured trials with the protocol's seeds whole{}",
            probability * 100.0,
            match measured.saturating_sub(*trials) {
                0 => String::new(),
                fell => format!(
                    "; the {fell} that fell before are not in it, though the best was picked from among them too"
                ),
            }
        ),
        None => format!(
            "too few to tell: {trials} of {measured} measured trials have the protocol's seeds whole (most fall before), and it takes {FEWEST_TRIALS}"
        ),
    }
}

/// Tables, for below the trials.
pub(super) fn tables(status: &Status) -> String {
    tables_of(&status.statistics)
}

fn tables_of(found: &SessionStatistics) -> String {
    let bold = Style::new().bold();
    let mut out = String::new();
    if !found.keeps.is_empty() {
        out.push_str(&format!(
            "\n{bold}kept      gain measured        likely true (95 %)             fresh seeds{bold:#}\n"
        ));
        for kept in found.keeps.iter().rev().take(KEEPS).rev() {
            out.push_str(&format!("  {}\n", kept_line(kept)));
        }
    }
    if !found.effects.is_empty() {
        out.push_str(&format!("\n{bold}category         trials  kept  mean gain (95 %){bold:#}\n"));
        for effect in found.effects.iter().take(CATEGORIES) {
            out.push_str(&format!("  {}\n", effect_line(effect)));
        }
        if found.effects.len() > CATEGORIES {
            out.push_str(&format!("  … and {} more (--json)\n", found.effects.len() - CATEGORIES));
        }
    }
    out
}

fn kept_line(kept: &KeptGain) -> String {
    let measured = format!("{} ± {:.5}", signed(kept.delta, 5), kept.standard_error);
    let likely = match (kept.shrunk, kept.interval) {
        (Some(shrunk), Some((low, high))) => {
            format!("{} ({} to {})", signed(shrunk, 5), signed(low, 4), signed(high, 4))
        }
        _ if kept.kind == JudgementKind::Simpler => "kept as simpler".into(),
        _ => "-".into(),
    };
    let fresh = match (kept.fresh_gain, kept.fresh_gain_error) {
        (Some(gain), Some(error)) => format!("{} ± {error:.5}", signed(gain, 5)),
        _ => "-".into(),
    };
    let demoted = if kept.demoted { "  demoted" } else { "" };
    format!("{:06}  {measured:<20} {likely:<30} {fresh}{demoted}", kept.trial)
}

fn effect_line(effect: &CategoryEffect) -> String {
    let (low, high) = effect.interval;
    format!(
        "{:<14} {:>6} {:>5}  {} ({} to {})",
        one_line(&effect.category, 14),
        effect.trials,
        effect.keeps,
        signed(effect.effect, 5),
        signed(low, 4),
        signed(high, 4)
    )
}

#[cfg(test)]
mod tests;
