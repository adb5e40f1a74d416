//! Numbers as words that cannot be misread, the same in learnings, prompts, commits and on the screen.

use jiff::{Timestamp, Unit};

use super::foreign::one_line;
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

/// A time to the second, for people: what is finer tells them nothing.
pub fn second(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}

/// A share that is under another, and that other, in per cent: with no decimals, or with as many as show that it is under.
/// `24 % and 30 %`, `29.8 % and 30.0 %`.
pub fn under(share: f64, limit: f64) -> (String, String) {
    const MOST: usize = 6;
    let shown = |share: f64, decimals: usize| format!("{:.decimals$}", share * 100.0);
    let decimals = (0..MOST).find(|decimals| shown(share, *decimals) != shown(limit, *decimals)).unwrap_or(MOST);
    (format!("{} %", shown(share, decimals)), format!("{} %", shown(limit, decimals)))
}

/// A number with its sign and so many decimals: `+0.0013`. What rounds to nothing is `+0.0000` whichever side it is on.
pub fn signed(value: f64, decimals: usize) -> String {
    format!("{:+.decimals$}", unsigned_zero(value, decimals))
}

/// What would be shown as -0.0000 with so many decimals is 0.
pub fn unsigned_zero(value: f64, decimals: usize) -> f64 {
    let least = 10f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    if value.abs() <= 0.5 * least { 0.0 } else { value }
}

/// What a trial's numbers are of: `3 seeds`, `1 seed and part of seed 17`, or `2 of 4 folds of seed 42` where it fell in its first seed. None where nothing
/// was measured.
pub fn over(record: &TrialRecord) -> Option<String> {
    let measured = record.measurement.as_ref()?;
    let Some(folds) = record.folds_of_no_whole_seed() else {
        let begun = measured.evaluation.seeds.iter().find(|own| !measured.scores.has(own.seed));
        let begun = begun.map_or_else(String::new, |own| format!(" and part of seed {}", own.seed));
        return Some(format!("{}{begun}", count(measured.scores.seeds.len(), "seed")));
    };
    let all = record.judgement.as_ref().and_then(|judged| judged.folds);
    let first =
        measured.evaluation.seeds.first().map_or_else(|| "its first seed".into(), |own| format!("seed {}", own.seed));
    Some(folds_of(folds, all, &first))
}

/// The phase of a trial and why the search had come to it: `combine (plateau: 15 discards in a row)`.
pub fn phase(record: &TrialRecord) -> String {
    let name = one_line(&record.phase, 60);
    match record.phase_why.as_deref().map(|why| one_line(why, 200)).filter(|why| !why.is_empty()) {
        Some(why) => format!("{name} ({why})"),
        None => name,
    }
}

/// The round that a trial came from, and whether it was put onto another incumbent than it was proposed against: `round 12 of
/// openai, candidate put onto trial 000042 (proposed against 000038)`. None for a proposal that was asked for alone.
pub fn round(record: &TrialRecord) -> Option<String> {
    let origin = record.origin.as_ref()?;
    let rebased =
        record.incumbent.filter(|incumbent| *incumbent != origin.against).map_or_else(String::new, |incumbent| {
            format!(", candidate put onto trial {incumbent:06} (proposed against {:06})", origin.against)
        });
    Some(format!("round {} of {}{rebased}", origin.round, one_line(&record.proposal.researcher, 60)))
}

/// Odds of a gain against none: `odds 2.5`, `odds over 99`.
pub fn odds(odds: f64) -> String {
    match odds {
        odds if odds > 99.0 => "odds over 99".into(),
        odds if odds >= 9.95 => format!("odds {odds:.0}"),
        odds => format!("odds {odds:.1}"),
    }
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
    use crate::research::trial::{Origin, Verdict};

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
    fn a_share_is_seen_to_be_under_its_limit() {
        let table = [
            (0.24, 0.3, "24 %", "30 %"),
            (0.298, 0.3, "29.8 %", "30.0 %"),
            (0.2999, 0.3, "29.99 %", "30.00 %"),
            (0.0, 0.01, "0 %", "1 %"),
            (0.3, 0.3, "30.000000 %", "30.000000 %"),
        ];
        for (share, limit, own, other) in table {
            assert_eq!(under(share, limit), (own.into(), other.into()), "{share}");
        }
    }

    #[test]
    fn a_time_for_people_has_no_fraction() {
        let time: Timestamp = "2026-11-22T03:58:42.579947903Z".parse().expect("a time");
        assert_eq!(second(time).to_string(), "2026-11-22T03:58:43Z");
    }

    #[test]
    fn no_zero_has_a_sign_of_its_own() {
        let table = [
            (-0.0, 5, "+0.00000"),
            (-0.000_004, 5, "+0.00000"),
            (-0.000_006, 5, "-0.00001"),
            (-0.5, 0, "+0"),
            (0.00126, 4, "+0.0013"),
            (-2.0, 1, "-2.0"),
        ];
        for (value, decimals, wanted) in table {
            assert_eq!(signed(value, decimals), wanted, "{value}");
        }
    }

    #[test]
    fn what_was_measured_is_said_in_seeds_or_folds() {
        assert_eq!(over(&judged(1, "loss", &[], (false, 0.0, 0.5))).as_deref(), Some("3 seeds"));
        let mut begun = judged(1, "loss", &[], (false, 0.0, 0.5));
        if let Some(measured) = &mut begun.measurement {
            measured.scores.seeds.truncate(1);
            measured.evaluation.seeds.truncate(2);
        }
        assert_eq!(over(&begun).as_deref(), Some("1 seed and part of seed 17"));
        assert_eq!(over(&trial(1, Verdict::Crash)), None);
        let mut early = fallen(1, 0.008, -0.001);
        assert_eq!(over(&early).as_deref(), Some("1 of 2 folds of seed 42"));
        if let Some(judged) = &mut early.judgement {
            judged.folds = None;
        }
        assert_eq!(over(&early).as_deref(), Some("1 fold of seed 42"));
    }

    #[test]
    fn where_a_trial_came_from() {
        let mut record = trial(43, Verdict::Discard);
        assert_eq!((phase(&record), round(&record)), ("explore".into(), None));
        record.phase_why = Some("plateau: 15 discards\nin a row".into());
        assert_eq!(phase(&record), "explore (plateau: 15 discards in a row)");
        record.proposal.researcher = "openai".into();
        record.incumbent = Some(42);
        record.origin = Some(Origin { round: 12, spec_hash: "h".into(), against: 42 });
        assert_eq!(round(&record).as_deref(), Some("round 12 of openai"));
        record.origin = Some(Origin { round: 12, spec_hash: "h".into(), against: 38 });
        let rebased = "round 12 of openai, candidate put onto trial 000042 (proposed against 000038)";
        assert_eq!(round(&record).as_deref(), Some(rebased));
    }

    #[test]
    fn odds_are_told_as_exactly_as_they_are_known() {
        assert_eq!(
            [odds(0.345), odds(2.54), odds(14.4), odds(1e6)],
            ["odds 0.3", "odds 2.5", "odds 14", "odds over 99"]
        );
    }

    #[test]
    fn noise_that_was_cut_is_not_none() {
        assert_eq!(
            [noise(0.0, 4), noise(1e-6, 4), noise(0.00123, 5)],
            ["too small to tell", "under 0.0001", "0.00123"]
        );
    }
}
