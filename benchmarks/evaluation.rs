//! Times the harness's evaluation of out-of-fold predictions: `benchmarks/evaluation.sh` runs it.
//!
//!     cargo bench --bench evaluation -- LAB PREDICTIONS.parquet
//!
//! Opening the lab and reading the predictions is not counted. Every cell is scored era by era, as a trial does, and the
//! cells become one evaluation. One JSON line: the median seconds of several repeats, and the payout.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use polars::prelude::{DataType, ParquetReader, SerReader};
use prepare::{Evaluation, Harness, Protocol};

const REPEATS: usize = 15;

/// Fold, seed, and a prediction for each of the fold's test rows.
type Cell = (usize, u64, Vec<f32>);

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [lab, predictions] = paths.as_slice() else {
        // As a bare `cargo bench` starts it.
        writeln!(
            std::io::stderr(),
            "nothing measured: give the folder of a lab, and predictions of `autoresearch trial`"
        )?;
        return Ok(());
    };
    let lab = Path::new(lab);
    let protocol = Protocol::read(&lab.join("prepare/protocol.yaml"))?;
    let harness = Harness::open(&protocol, &lab.join(".autoresearch/data/packed"))?;
    let cells = read(predictions)?;
    let mut seconds = Vec::new();
    let mut payout = 0.0;
    for _ in 0..REPEATS {
        let started = Instant::now();
        let scores = cells
            .iter()
            .map(|(fold, seed, predictions)| harness.score_cell(*fold, *seed, predictions))
            .collect::<Result<Vec<_>, _>>()?;
        payout = Evaluation::from_cells(&scores, &protocol.objective)?.payout;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let facts = serde_json::json!({ "seconds": seconds[REPEATS / 2], "cells": cells.len(), "payout": payout });
    writeln!(std::io::stdout(), "{facts}")?;
    Ok(())
}

/// The cells of a file of predictions, which has them one after another.
fn read(path: &str) -> Result<Vec<Cell>, Box<dyn Error>> {
    let columns = ["fold", "seed", "prediction"].map(str::to_owned);
    let frame = ParquetReader::new(File::open(path)?).with_columns(Some(columns.to_vec())).finish()?;
    let numbers = |name: &str| frame.column(name)?.cast(&DataType::UInt64);
    let (folds, seeds) = (numbers("fold")?, numbers("seed")?);
    let predictions = frame.column("prediction")?;
    let mut cells: Vec<Cell> = Vec::new();
    for ((fold, seed), prediction) in folds.u64()?.iter().zip(seeds.u64()?.iter()).zip(predictions.f32()?.iter()) {
        let (Some(fold), Some(seed), Some(prediction)) = (fold, seed, prediction) else {
            return Err(format!("{path} has gaps").into());
        };
        match cells.last_mut() {
            Some((same, known, values)) if *same as u64 == fold && *known == seed => values.push(prediction),
            _ => cells.push((usize::try_from(fold)?, seed, vec![prediction])),
        }
    }
    Ok(cells)
}
