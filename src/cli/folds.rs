//! `autoresearch folds`

use prepare::{Harness, Protocol};

use super::{Context, out};
use crate::error::Result;

/// Print the folds: train, embargoed and test eras.
///
/// Prints the folds: for each, the eras that are trained on, those that are embargoed, and those that are tested.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context<'_>, _: &Arguments) -> Result<()> {
    let lab = context.open()?;
    let protocol = Protocol::read(&lab.protocol())?;
    let harness = Harness::open(&protocol, &lab.packed_data())?;
    let plan = harness.plan();
    if context.json {
        return out::json(plan);
    }
    for fold in &plan.folds {
        out::line(&format!("fold {}", fold.fold));
        for (name, eras) in [("train", &fold.train), ("embargoed", &fold.embargoed), ("test", &fold.test)] {
            out::line(&format!("  {name:<10} {:>4}  {}", eras.len(), runs(eras, protocol.eras.stride)));
        }
    }
    out::line(&format!("holdout      {:>4}  {}", plan.holdout.len(), runs(&plan.holdout, protocol.eras.stride)));
    out::line(&format!(
        "embargo {} era numbers; every {} era is retained",
        protocol.folds.embargo,
        match protocol.eras.stride {
            1 => "single".to_owned(),
            stride => format!("{stride}th"),
        }
    ));
    Ok(())
}

/// Era numbers as runs: `1-97, 157-380`.
fn runs(eras: &[u32], stride: u32) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for era in eras {
        match parts.last_mut() {
            Some((_, end)) if era - *end <= stride => *end = *era,
            _ => parts.push((*era, *era)),
        }
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs_break_where_eras_are_missing() {
        assert_eq!(super::runs(&[1, 5, 9, 21, 25, 40], 4), "1-9, 21-25, 40");
    }
}
