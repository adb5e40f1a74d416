//! Numbers as words that cannot be misread, the same in learnings, prompts, commits and on the screen.

use super::trial::TrialRecord;

/// A probability to three decimals; what would read as an impossible 0 or 1 is a bound instead.
pub fn probability(p: f64) -> String {
    match p {
        p if p.is_nan() => "-".into(),
        p if p < 0.001 => "< 0.001".into(),
        p if p > 0.999 => "> 0.999".into(),
        p => format!("{p:.3}"),
    }
}

/// `p 0.012`, or `p < 0.001`.
pub fn p_value(p: f64) -> String {
    format!("p {}", probability(p))
}

/// `1 seed`, `3 seeds`
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// What a trial's numbers are of: `3 seeds`, or `2 of 4 folds of seed 42` where it fell in its first seed. None where nothing
/// was measured.
pub fn over(record: &TrialRecord) -> Option<String> {
    let measured = record.measurement.as_ref()?;
    let Some(folds) = record.folds_of_no_whole_seed() else {
        return Some(count(measured.scores.seeds.len(), "seed"));
    };
    let all = record.judgement.as_ref().and_then(|judged| judged.folds);
    let first =
        measured.evaluation.seeds.first().map_or_else(|| "its first seed".into(), |own| format!("seed {}", own.seed));
    Some(folds_of(folds, all, &first))
}

/// `2 of 4 folds of seed 42`; without their number in all, `2 folds of seed 42`.
pub(super) fn folds_of(folds: usize, all: Option<usize>, seed: &str) -> String {
    match all {
        Some(all) => format!("{folds} of {all} folds of {seed}"),
        None => format!("{} of {seed}", count(folds, "fold")),
    }
}

/// A part of a standard error; an estimate that was cut at 0 is not the absence of noise.
pub fn noise(error: f64, decimals: usize) -> String {
    let least = 10f64.powi(-i32::try_from(decimals).unwrap_or(4));
    match error {
        0.0 => "too small to tell".into(),
        error if error < least / 2.0 => format!("under {least:.decimals$}"),
        error => format!("{error:.decimals$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::{fallen, judged, trial};
    use crate::research::trial::Verdict;

    #[test]
    fn no_probability_reads_as_impossible() {
        let table = [
            (0.0, "p < 0.001"),
            (0.00099, "p < 0.001"),
            (0.001, "p 0.001"),
            (0.25, "p 0.250"),
            (1.0, "p > 0.999"),
            (f64::NAN, "p -"),
        ];
        for (p, wanted) in table {
            assert_eq!(p_value(p), wanted);
        }
    }

    #[test]
    fn what_was_measured_is_said_in_seeds_or_folds() {
        assert_eq!(over(&judged(1, "loss", &[], (false, 0.0, 0.5))).as_deref(), Some("3 seeds"));
        assert_eq!(over(&trial(1, Verdict::Crash)), None);
        let mut early = fallen(1, 0.008, -0.001);
        assert_eq!(over(&early).as_deref(), Some("1 of 2 folds of seed 42"));
        if let Some(judged) = &mut early.judgement {
            judged.folds = None;
        }
        assert_eq!(over(&early).as_deref(), Some("1 fold of seed 42"));
    }

    #[test]
    fn noise_that_was_cut_is_not_none() {
        assert_eq!(
            [noise(0.0, 4), noise(1e-6, 4), noise(0.00123, 5)],
            ["too small to tell", "under 0.0001", "0.00123"]
        );
    }
}
