//! Those who proposed, beside each other: shown once there is somebody to compare, or something was paid.

use anstyle::Style;

use crate::research::foreign::one_line;
use crate::research::proposers::Proposer;
use crate::research::words::signed;

/// What the columns count.
const LEGEND: &str = "a keep that stands gains what is likely true of it, every other trained trial 0; per trial and per \
                      dollar the budget is the same for all. Tokens and dollars are of all calls, failed ones and \
                      learnings.md among them.";

/// Tables that fit into 80 columns; empty while one proposer alone has trials and nothing was paid.
pub(super) fn table(all: &[Proposer]) -> String {
    let with_trials = all.iter().filter(|proposer| proposer.trials > 0).count();
    let paid: Vec<&Proposer> = all.iter().filter(|proposer| is_paid(proposer)).collect();
    if with_trials < 2 && paid.is_empty() {
        return String::new();
    }
    let bold = Style::new().bold();
    let mut out = format!("\n{bold}researcher       trials  kept  gain per trial (95 %){bold:#}\n");
    for proposer in all {
        let gain = gain(proposer, proposer.gain_per_trial, proposer.interval);
        let name = one_line(&proposer.researcher, 14);
        out.push_str(&format!("  {name:<14} {:>6} {:>5}  {gain}\n", proposer.trials, proposer.keeps));
    }
    for proposer in all {
        if let Some(ahead) = &proposer.ahead {
            let (low, high) = ahead.interval;
            out.push_str(&format!(
                "  {} against {}: {} per trial ({} to {})\n",
                one_line(&proposer.researcher, 20),
                one_line(&ahead.of, 20),
                signed(ahead.difference, 5),
                signed(low, 5),
                signed(high, 5)
            ));
        }
    }
    if !paid.is_empty() {
        out.push_str(&format!("{bold}paid             tokens      cost  gain per dollar (95 %){bold:#}\n"));
    }
    for proposer in paid {
        let tokens = proposer.input_tokens + proposer.output_tokens;
        let cost = if proposer.cost_usd > 0.0 { format!("${:.2}", proposer.cost_usd) } else { "-".to_owned() };
        let gain = gain(proposer, proposer.gain_per_dollar, proposer.dollar_interval);
        out.push_str(&format!("  {:<14} {tokens:>6} {cost:>9}  {gain}\n", one_line(&proposer.researcher, 14)));
    }
    out.push_str(&format!("  {LEGEND}\n"));
    out
}

fn is_paid(proposer: &Proposer) -> bool {
    proposer.cost_usd > 0.0 || proposer.input_tokens + proposer.output_tokens > 0
}

/// A mean gain with its interval. Of somebody who kept nothing only the upper end says anything: that no gain was seen is
/// known, how large one may have gone unseen is not.
fn gain(proposer: &Proposer, value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    match (value, interval) {
        (None, _) => "-".to_owned(),
        (Some(_), Some((_, high))) if proposer.keeps == 0 => format!("none seen; up to {}", signed(high, 5)),
        (Some(_), None) if proposer.keeps == 0 => "none seen".to_owned(),
        (Some(value), Some((low, high))) => {
            format!("{} ({} to {})", signed(value, 5), at_least_nothing(low), signed(high, 5))
        }
        (Some(value), None) => signed(value, 5),
    }
}

/// The lower end of a gain that is 0 at the least.
fn at_least_nothing(low: f64) -> String {
    if low < 0.5e-5 { "0".to_owned() } else { signed(low, 5) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::proposers::Ahead;

    fn proposer(researcher: &str, trials: u32, keeps: u32) -> Proposer {
        Proposer {
            researcher: researcher.into(),
            trials,
            keeps,
            gain_per_trial: Some(0.0004),
            interval: Some((0.0001, 0.0009)),
            ahead: None,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: 0.0,
            gain_per_dollar: None,
            dollar_interval: None,
        }
    }

    #[test]
    fn one_alone_that_costs_nothing_is_no_comparison() {
        assert_eq!(table(&[]), "");
        assert_eq!(table(&[proposer("optimizer", 12, 1)]), "");
    }

    #[test]
    fn two_are_laid_out_beside_each_other() {
        let mut model = proposer("openai", 20, 2);
        model.input_tokens = 81_000;
        model.output_tokens = 9_000;
        model.cost_usd = 1.5;
        model.gain_per_dollar = Some(0.0053);
        model.dollar_interval = Some((0.0013, 0.012));
        model.ahead = Some(Ahead { of: "optimizer".into(), difference: -0.000_001, interval: (-0.0003, 0.0006) });
        let text = anstream::adapter::strip_str(&table(&[model, proposer("optimizer", 18, 1)])).to_string();
        let lines: Vec<&str> = text.trim().lines().collect();
        assert_eq!(
            lines[..6],
            [
                "researcher       trials  kept  gain per trial (95 %)",
                "  openai             20     2  +0.00040 (+0.00010 to +0.00090)",
                "  optimizer          18     1  +0.00040 (+0.00010 to +0.00090)",
                "  openai against optimizer: +0.00000 per trial (-0.00030 to +0.00060)",
                "paid             tokens      cost  gain per dollar (95 %)",
                "  openai          90000     $1.50  +0.00530 (+0.00130 to +0.01200)",
            ]
        );
        assert_eq!(lines[6].trim(), LEGEND, "only who was paid stands under what was paid");
        assert_eq!(lines.len(), 7);
        assert!(lines[..6].iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn no_gain_seen_is_no_certainty_of_none() {
        let mut nothing = proposer("random", 10, 0);
        nothing.gain_per_trial = Some(0.0);
        nothing.interval = Some((0.0, 0.0012));
        assert_eq!(gain(&nothing, nothing.gain_per_trial, nothing.interval), "none seen; up to +0.00120");
        assert_eq!(gain(&nothing, Some(0.0), None), "none seen");
        assert_eq!(gain(&nothing, None, None), "-", "without a trial, or a dollar, there is no mean");
        let little = proposer("optimizer", 10, 1);
        assert_eq!(gain(&little, Some(0.0004), Some((1e-6, 0.002))), "+0.00040 (0 to +0.00200)");
    }
}
