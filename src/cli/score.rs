//! `autoresearch score`

use std::path::PathBuf;

use prepare::{Objective, Protocol, score_files};

use super::{Context, out};
use crate::error::Result;
use crate::lab::Lab;
use crate::research::words::count;

/// Score any predictions as Numerai does.
///
/// Scores any predictions as Numerai does: CORR, and the contribution beyond a benchmark (BMC), era by era.
///
/// The objective's weights are those of the lab's protocol; outside a lab, those of `numerai-2026-01` (0.75 CORR + 2.25 BMC).
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Parquet with the columns id, era, prediction.
    #[arg(long, value_name = "P.parquet")]
    predictions: PathBuf,
    /// Parquet with the columns id, era, target, benchmark.
    #[arg(long, value_name = "T.parquet")]
    truth: PathBuf,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let objective = match Lab::open(context.lab) {
        Ok(lab) => Protocol::read(&lab.protocol())?.objective,
        Err(_) => Objective { name: "numerai-2026-01".into(), corr: 0.75, bmc: 2.25 },
    };
    let found = score_files(&arguments.predictions, &arguments.truth, &objective)?;
    if context.json {
        return out::json(&found);
    }
    out::line(&format!(
        "payout {:.6} ({} x CORR + {} x BMC), correlation with the benchmark {:.4}",
        found.payout, objective.corr, objective.bmc, found.corr_with_benchmark
    ));
    for (name, summary) in [("CORR", &found.corr), ("BMC", &found.bmc)] {
        out::line(&format!(
            "{name:<5} mean {:.6}  std {:.6}  sharpe {:.4}  max drawdown {:.4}  eras > 0: {:.0} %",
            summary.mean,
            summary.std,
            summary.sharpe,
            summary.max_drawdown,
            summary.positive_share * 100.0
        ));
    }
    out::line(&format!("BMC over the last 200 eras: {:.6}; {} eras", found.bmc_last_200, found.eras.len()));
    if found.nan_eras.corr + found.nan_eras.bmc > 0 {
        out::note(&format!(
            "without a score (and in no mean): {} of CORR, {} of BMC",
            count(found.nan_eras.corr, "era"),
            count(found.nan_eras.bmc, "era")
        ));
    }
    Ok(())
}
