//! Those who proposed, beside each other: shown once there is somebody to compare, or something was paid.

use anstyle::Style;

use crate::research::foreign::one_line;
use crate::research::proposers::Proposer;

/// A table; empty while one proposer alone has trials and nothing was paid.
pub(super) fn table(all: &[Proposer]) -> String {
    let with_trials = all.iter().filter(|proposer| proposer.trials > 0).count();
    let paid = |proposer: &Proposer| proposer.cost_usd > 0.0 || proposer.input_tokens + proposer.output_tokens > 0;
    if with_trials < 2 && !all.iter().any(paid) {
        return String::new();
    }
    let bold = Style::new().bold();
    let mut out = format!(
        "\n{bold}researcher       trials  kept  gain a trial (95 %)              gain a dollar (95 %)        tokens      cost{bold:#}\n"
    );
    for proposer in all {
        out.push_str(&format!("  {}\n", line(proposer)));
    }
    for proposer in all {
        if let Some(ahead) = &proposer.ahead {
            let (low, high) = ahead.interval;
            out.push_str(&format!(
                "  {} against {}: {:+.5} a trial ({low:+.5} to {high:+.5})\n",
                one_line(&proposer.researcher, 20),
                one_line(&ahead.of, 20),
                ahead.difference
            ));
        }
    }
    out
}

fn line(proposer: &Proposer) -> String {
    let with_interval = |value: Option<f64>, interval: Option<(f64, f64)>| match (value, interval) {
        (Some(value), Some((low, high))) => format!("{value:+.5} ({low:+.5} to {high:+.5})"),
        (Some(value), None) => format!("{value:+.5}"),
        _ => "-".to_owned(),
    };
    let tokens = match proposer.input_tokens + proposer.output_tokens {
        0 => "-".to_owned(),
        tokens => tokens.to_string(),
    };
    let cost = if proposer.cost_usd > 0.0 { format!("${:.2}", proposer.cost_usd) } else { "-".to_owned() };
    format!(
        "{:<14} {:>6} {:>5}  {:<32} {:<22} {tokens:>11} {cost:>9}",
        one_line(&proposer.researcher, 14),
        proposer.trials,
        proposer.keeps,
        with_interval(proposer.gain_per_trial, proposer.interval),
        with_interval(proposer.gain_per_dollar, proposer.dollar_interval),
    )
    .trim_end()
    .to_owned()
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
        model.ahead = Some(Ahead { of: "optimizer".into(), difference: 0.0001, interval: (-0.0003, 0.0006) });
        let text = anstream::adapter::strip_str(&table(&[model, proposer("optimizer", 18, 1)])).to_string();
        let lines: Vec<&str> = text.trim().lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("openai             20     2  +0.00040 (+0.00010 to +0.00090)"), "{text}");
        assert!(
            lines[1].contains("+0.00530 (+0.00130 to +0.01200)") && lines[1].ends_with("90000     $1.50"),
            "{text}"
        );
        assert!(lines[2].ends_with('-'), "{text}");
        assert_eq!(lines[3], "  openai against optimizer: +0.00010 a trial (-0.00030 to +0.00060)");
    }
}
