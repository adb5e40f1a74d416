//! A measured trial in words: its scores, by fold and by seed, and how they run over the eras.

use std::fmt::Write as _;

use crate::research::trial::TrialRecord;
use crate::research::words;
use crate::researcher::briefing::Briefing;

/// Of folds, and of seeds, so many are listed.
const MOST: usize = 20;
/// A stretch of eras is this part of all of them.
const STRETCH: usize = 8;

/// Payout, both scores, folds and seeds.
pub fn result(record: &TrialRecord) -> String {
    let Some(measured) = &record.measurement else { return format!("Trial {}, not measured.", record.trial) };
    let scores = &measured.evaluation;
    let mut out = format!(
        "Trial {}, over {}: payout {:.4} (CORR {:.4} with Sharpe {:.2}, BMC {:.4} with Sharpe {:.2}, correlation with the \
         benchmark {:.2}); {:.0} s for {} parameters a net.",
        record.trial,
        words::over(record).unwrap_or_default(),
        scores.payout,
        scores.corr.mean,
        scores.corr.sharpe,
        scores.bmc.mean,
        scores.bmc.sharpe,
        scores.corr_with_benchmark,
        measured.wall_seconds,
        measured.params,
    );
    let list = |values: Vec<String>| values.join(", ");
    let folds = scores.folds.iter().take(MOST).map(|fold| format!("{:.4}", fold.payout)).collect();
    let seeds = scores.seeds.iter().take(MOST).map(|seed| format!("{} {:.4}", seed.seed, seed.payout)).collect();
    let _ = write!(out, " Payout by fold: {}. By seed: {}.", list(folds), list(seeds));
    out
}

/// The incumbent's result; its payout over all seeds, because the ones that it was kept by are luckier than others; and how
/// it runs over the eras.
pub fn whole(briefing: &Briefing<'_>) -> String {
    let Some(record) = briefing.incumbent_record else { return "It has not been measured.".into() };
    let kept_by = record.measurement.as_ref().map_or(0, |measured| measured.scores.seeds.len());
    let all = briefing.history.payout(record.trial).filter(|(_, seeds)| *seeds > kept_by);
    let all = all.map_or_else(String::new, |(payout, seeds)| {
        format!(" Over all {seeds} seeds that it was measured under since, its payout is {payout:.4}.")
    });
    format!("{}{all}\n{}", result(record), eras(record)).trim_end().to_owned()
}

/// How a trial runs over the eras.
fn eras(record: &TrialRecord) -> String {
    let rows = record.measurement.iter().flat_map(|measured| &measured.evaluation.eras);
    let eras: Vec<Era> = rows
        .map(|row| Era { number: row.era, scores: [row.payout, row.corr, row.bmc] })
        .filter(|era| era.scores.iter().all(|score| score.is_finite()))
        .collect();
    over_eras(&eras)
}

/// One era: payout, CORR, BMC.
struct Era {
    number: u32,
    scores: [f64; 3],
}

/// Share of good eras, worst and best stretch, and the two halves. Nothing for so few eras that the list would say as much.
fn over_eras(eras: &[Era]) -> String {
    if eras.len() < 4 {
        return String::new();
    }
    let shares = mean(eras, |score| if score > 0.0 { 100.0 } else { 0.0 });
    let length = (eras.len() / STRETCH).max(2);
    let stretches = || eras.windows(length).map(|stretch| (mean(stretch, |score| score), stretch));
    let by_payout = |a: &([f64; 3], &[Era]), b: &([f64; 3], &[Era])| a.0[0].total_cmp(&b.0[0]);
    let words = |found: Option<([f64; 3], &[Era])>| {
        found.map_or_else(String::new, |(scores, stretch)| {
            let (first, last) = (stretch[0].number, stretch[stretch.len() - 1].number);
            format!("eras {first} to {last} with {}", said(scores))
        })
    };
    let (early, late) = eras.split_at(eras.len() / 2);
    format!(
        "Over {} eras, payout (CORR, BMC): above zero in {:.0} % ({:.0} %, {:.0} %) of them. Of stretches of {length} eras \
         the worst is {}, the best {}. First half {}, second half {}.",
        eras.len(),
        shares[0],
        shares[1],
        shares[2],
        words(stretches().min_by(by_payout)),
        words(stretches().max_by(by_payout)),
        said(mean(early, |score| score)),
        said(mean(late, |score| score)),
    )
}

fn mean(eras: &[Era], of: impl Fn(f64) -> f64) -> [f64; 3] {
    let count = eras.len().max(1) as f64;
    [0, 1, 2].map(|index| eras.iter().map(|era| of(era.scores[index])).sum::<f64>() / count)
}

fn said([payout, corr, bmc]: [f64; 3]) -> String {
    format!("{payout:+.4} ({corr:+.4}, {bmc:+.4})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample;

    fn rows(payouts: &[f64]) -> Vec<Era> {
        let era = |(index, payout): (usize, &f64)| Era { number: 1 + 4 * index as u32, scores: [*payout, 0.01, -0.01] };
        payouts.iter().enumerate().map(era).collect()
    }

    #[test]
    fn the_worst_and_the_best_stretch_and_the_trend() {
        // Sixteen eras: stretches of two. The means of neighbours are lowest at 5 and 6, highest at 13 and 14.
        let payouts = [1.0, 1.0, 1.0, 1.0, -3.0, -2.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 5.0, 6.0, 2.0, -1.0];
        let text = over_eras(&rows(&payouts));
        let parts = [
            "Over 16 eras",
            "above zero in 81 % (100 %, 0 %)",
            "the worst is eras 17 to 21 with -2.5000 (+0.0100, -0.0100)",
            "the best eras 49 to 53 with +5.5000",
            "First half +0.1250 (+0.0100, -0.0100), second half +2.5000",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(over_eras(&rows(&[0.1, 0.2, 0.3])), "", "three eras are a list");
    }

    #[test]
    fn what_was_not_measured_says_so() {
        let crash = sample::trial(3, crate::research::trial::Verdict::Crash);
        assert_eq!((result(&crash).as_str(), eras(&crash).as_str()), ("Trial 3, not measured.", ""));
        let mut odd = sample::baseline(0.01);
        let measured = odd.measurement.as_mut().expect("a baseline is measured");
        measured.evaluation.eras[2].payout = f64::NAN;
        assert!(eras(&odd).contains("Over 7 eras"), "an era without a score is left out: {}", eras(&odd));
    }
}
