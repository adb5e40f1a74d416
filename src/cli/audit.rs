//! `autoresearch audit`

use super::{Context, errand, out};
use crate::daemon::{Errand, Outcome};
use crate::error::{Error, Result};
use crate::report::errands::audit_text;
use crate::research::audit::Planted;

/// Put the gate to the test with proposals whose truth is known.
///
/// Sends proposals through the whole gate that are the incumbent itself under other seeds: each keep among them is false.
/// With planted gains, a known payout is added to every score of a proposal: each discard among them is a gain that was
/// missed. Says how many were kept, between which bounds the true rate lies, what the rule "the mean of three seeds is above
/// the incumbent's" would have kept, and what a proposal costs.
///
/// Nothing is kept and no error is spent, whatever the gate says; what was found goes into the ledger. A null proposal costs
/// about a seed's training. The interval from a few proposals is wide: to see a rate of 1 in 2000 takes thousands, for which
/// benchmarks/gate.sh puts the same gate to simulated scores. It holds the lab while it trains.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["null", "planted"]).required(true).multiple(true)))]
pub(super) struct Arguments {
    /// So many proposals that change nothing but the seeds.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    null: Option<u32>,
    /// Plant gains of these sizes, in payout (above 0, at most 1), as `0.002,0.005`; without sizes: 0.5, 1, 1.5, 2 and 3
    /// standard deviations between seeds of the incumbent.
    #[arg(long, value_name = "SIZES", allow_negative_numbers = true, value_parser = sizes)]
    planted: Option<Option<Sizes>>,
    /// So many proposals of each planted size; else as many as --null, or 20.
    #[arg(
        long,
        value_name = "N",
        requires = "planted",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    proposals: Option<u32>,
}

/// Planted gains in payout.
#[derive(Clone, Debug, PartialEq)]
struct Sizes(Vec<f64>);

/// What is planted where nothing is said, in standard deviations between seeds.
const MULTIPLES: [f64; 5] = [0.5, 1.0, 1.5, 2.0, 3.0];
/// Proposals of a size where nothing is said.
const PROPOSALS: u32 = 20;

fn sizes(text: &str) -> Result<Sizes, String> {
    // A payout is a sum of correlations: larger gains there are none, and they would say nothing of the gate.
    const ALLOWED: &str =
        "write payouts above 0 and at most 1, with one comma between each two, as 0.002,0.005 (--null plants none)";
    let one = |size: &str| match (size.trim(), size.trim().parse::<f64>()) {
        (_, Ok(payout)) if payout > 0.0 && payout <= 1.0 => Ok(payout),
        ("", _) => Err(format!("a size is missing before or behind a comma: {ALLOWED}")),
        (size, _) => Err(format!("`{size}` is no gain: {ALLOWED}")),
    };
    text.split(',').map(one).collect::<Result<_, _>>().map(Sizes)
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let report = match errand::carry_out(context, &Errand::Audit { planted: plan(arguments) })? {
        Outcome::Audit(report) => report,
        Outcome::GivenUp(reason) => return errand::given_up(context, reason),
        other => return Err(Error::Internal(format!("an audit came to {other:?}"))),
    };
    if context.json {
        return out::json(&report);
    }
    out::print_wrapped(&audit_text(&report));
    Ok(())
}

/// What is planted, the null first, and how many proposals of each.
fn plan(arguments: &Arguments) -> Vec<(Planted, u32)> {
    let mut plan: Vec<(Planted, u32)> = arguments.null.map(|count| (Planted::Payout(0.0), count)).into_iter().collect();
    if let Some(sizes) = &arguments.planted {
        let count = arguments.proposals.or(arguments.null).unwrap_or(PROPOSALS);
        let planted: Vec<Planted> = match sizes {
            Some(Sizes(payouts)) => payouts.iter().copied().map(Planted::Payout).collect(),
            None => MULTIPLES.into_iter().map(Planted::Deviations).collect(),
        };
        plan.extend(planted.into_iter().map(|gain| (gain, count)));
    }
    plan
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn planned(line: &str) -> Result<Vec<(Planted, u32)>, String> {
        let command = Arguments::augment_args(clap::Command::new("audit"));
        let words = std::iter::once("audit").chain(line.split_whitespace());
        let matches = command.try_get_matches_from(words).map_err(|error| error.to_string())?;
        Arguments::from_arg_matches(&matches).map(|arguments| plan(&arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_for_is_planned() {
        let null = (Planted::Payout(0.0), 7);
        assert_eq!(planned("--null 7"), Ok(vec![null]));
        let two = [0.002, 0.005].map(Planted::Payout);
        assert_eq!(planned("--planted 0.002,0.005"), Ok(two.map(|gain| (gain, 20)).to_vec()));
        assert_eq!(planned("--planted 0.002 --null 7"), Ok(vec![null, (two[0], 7)]));
        assert_eq!(planned("--planted --null 7 --proposals 3").map(|plan| plan.len()), Ok(6));
        assert_eq!(planned("--planted --proposals 3").map(|plan| plan[4]), Ok((Planted::Deviations(3.0), 3)));
        for (line, words) in [
            ("", "--null <N>|--planted"),
            ("--null 0", "0 is not in"),
            ("--planted 0", "`0` is no gain"),
            ("--null -3", "-3 is not in 1..=100000"),
            ("--null some", "invalid digit"),
            ("--planted --proposals -2", "-2 is not in 1..=100000"),
            ("--planted 0.1,,0.2", "a size is missing"),
            ("--planted 0.01,", "a size is missing"),
            ("--planted -0.01", "`-0.01` is no gain: write payouts above 0 and at most 1"),
            ("--planted 1e9", "`1e9` is no gain: write payouts above 0 and at most 1"),
            ("--planted inf", "`inf` is no gain"),
            ("--planted nan", "is no gain"),
            ("--null 3 --proposals 3", "--planted"),
        ] {
            let error = planned(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
