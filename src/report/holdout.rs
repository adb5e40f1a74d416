//! What people are told of the holdout: how often it was asked, and what it said.

use serde::Serialize;

use crate::lab::holdout::{Answer, Estimate, Estimates, queries};
use crate::research::event::Event;
use crate::research::words::count;

/// The holdout in `status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HoldoutFacts {
    /// Queries so far.
    pub queries: u32,
    /// How many are allowed.
    pub budget: u32,
    /// The last answer.
    pub last: Option<LastAnswer>,
}

/// An answer in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LastAnswer {
    /// The trial whose spec was scored.
    pub trial: u32,
    /// Its payout on the holdout.
    pub payout: f64,
    /// Standard error of the payout over eras; None where there are too few to tell.
    pub standard_error: Option<f64>,
}

impl HoldoutFacts {
    /// From the answers, the ledger's events and the configured budget.
    pub fn of<'e>(answers: &[Answer], events: impl IntoIterator<Item = &'e Event>, budget: u32) -> Self {
        let last = answers.last().map(|answer| {
            let Estimate { mean, standard_error } = answer.scores.payout;
            LastAnswer { trial: answer.trial, payout: mean, standard_error }
        });
        Self { queries: queries(answers, events), budget, last }
    }

    /// On one line.
    pub fn words(&self) -> String {
        let last = self.last.as_ref().map_or_else(String::new, |last| {
            let payout = Estimate { mean: last.payout, standard_error: last.standard_error };
            format!("; the last: trial {:06}, payout {}", last.trial, estimate(payout).trim_start())
        });
        format!("{} of {} queries{last}", self.queries, self.budget)
    }
}

/// A model's scores on the holdout beside those of cross-validation, each over so many eras.
pub fn scores_text((held, held_eras): (&Estimates, usize), (open, open_eras): (&Estimates, usize)) -> String {
    let mut out = format!(
        "        {:<24}{}\n",
        format!("holdout ({})", count(held_eras, "era")),
        format_args!("cross-validation ({})", count(open_eras, "era"))
    );
    for (name, held, open) in
        [("payout", held.payout, open.payout), ("CORR", held.corr, open.corr), ("BMC", held.bmc, open.bmc)]
    {
        out.push_str(format!("{name:<7} {:<24}{}", estimate(held), estimate(open)).trim_end());
        out.push('\n');
    }
    out
}

/// ` 0.01820 ± 0.00300`
fn estimate(found: Estimate) -> String {
    let error = found.standard_error.map_or_else(String::new, |error| format!(" ± {error:.5}"));
    format!("{:>8.5}{error}", found.mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_scores_are_laid_out() {
        let estimate = |mean, standard_error| Estimate { mean, standard_error };
        let held = Estimates {
            payout: estimate(0.0182, Some(0.003)),
            corr: estimate(0.012, Some(0.001)),
            bmc: estimate(-0.001, None),
        };
        let open = Estimates { payout: estimate(0.02, Some(0.0025)), ..held };
        let lines = [
            "        holdout (12 eras)       cross-validation (88 eras)",
            "payout   0.01820 ± 0.00300       0.02000 ± 0.00250",
            "CORR     0.01200 ± 0.00100       0.01200 ± 0.00100",
            "BMC     -0.00100                -0.00100",
            "",
        ];
        assert_eq!(scores_text((&held, 12), (&open, 88)), lines.join("\n"));
        let last = LastAnswer { trial: 7, payout: 0.0182, standard_error: Some(0.003) };
        let facts = HoldoutFacts { queries: 3, budget: 10, last: Some(last) };
        assert_eq!(facts.words(), "3 of 10 queries; the last: trial 000007, payout 0.01820 ± 0.00300");
        assert_eq!(HoldoutFacts::of(&[], &[], 4).words(), "0 of 4 queries");
    }
}
