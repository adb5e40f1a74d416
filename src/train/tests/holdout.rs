//! Training for the holdout: on every era of cross-validation, by the same code.

use std::sync::atomic::AtomicBool;

use prepare::{Evaluation, Holdout};

use super::{Market, Trainer, bits, on_cpu, protocol, spec};
use crate::train::backend::Precision;
use crate::train::batches::EraRows;
use crate::train::group::Context;
use crate::train::{CellResult, Progress, TrainError};

const MODEL: &str = "network:\n  - dense: { width: 16, norm: batch, activation: gelu, dropout: 0.1 }\n\
                     features: { sets: [wisdom, serenity] }\nloss: [pearson, { bmc: { weight: 0.5 } }]\n\
                     training: { epochs: 12, batch_rows: 256, patience: 6, era_weighting: { volatility: { power: 1 } } }\n\
                     ensemble: { members: 2 }\npost: { neutralize: { to: features, proportion: 0.2 }, gaussianize: true }\n";

fn scored(market: &Market, text: &str, seeds: &[u64], threads: usize) -> Result<Vec<CellResult>, TrainError> {
    let holdout = Holdout::open(&market.protocol, &market.folder.path().join("packed")).expect("it opens");
    let trainer = Trainer::new(market.harness(), &on_cpu(threads)).expect("a CPU");
    let mut cells =
        trainer.holdout(&holdout, &spec(text), seeds, &AtomicBool::new(false), &|progress: Progress<'_>| {
            if let Progress::Replica { total, .. } = progress {
                assert_eq!(total, 2 * seeds.len(), "one fold");
            }
        })?;
    cells.sort_by_key(|cell| cell.score.seed);
    Ok(cells)
}

#[test]
fn a_model_is_scored_on_the_holdout_as_on_a_fold() {
    // A market whose scores are far from zero.
    let strong = "      benchmark: [v52_lgbm_ender20]\n      factors: 2\n      linear: 0.5\nfeatures:";
    let market =
        Market::new(&protocol(60, 60, 3, 16).replacen("      benchmark: [v52_lgbm_ender20]\nfeatures:", strong, 1));
    let cells = scored(&market, MODEL, &[42, 17], 2).expect("it trains");
    assert_eq!(cells.len(), 2);
    let plan = market.harness().plan().clone();
    for cell in &cells {
        let eras: Vec<u32> = cell.score.eras.iter().map(|era| era.era).collect();
        assert_eq!(eras, plan.holdout);
    }
    let scores: Vec<_> = cells.iter().map(|cell| cell.score.clone()).collect();
    let evaluation = Evaluation::from_cells(&scores, &market.protocol.objective).expect("it is scored");
    assert!(evaluation.corr.mean > 0.02, "the market can be learned: {}", evaluation.corr.mean);
    assert_eq!(bits(&scored(&market, MODEL, &[42, 17], 3).expect("it trains")), bits(&cells), "on three threads");
    assert_eq!(bits(&scored(&market, MODEL, &[42], 1).expect("it trains")), bits(&cells[1..]), "one seed alone");
    assert!(matches!(scored(&market, MODEL, &[], 1), Err(TrainError::Cells(_))));
    assert!(matches!(scored(&market, MODEL, &[42, 42], 1), Err(TrainError::Cells(_))));
}

#[test]
fn what_is_learned_and_watched_are_eras_of_cross_validation() {
    let market = Market::small();
    let holdout = Holdout::open(&market.protocol, &market.folder.path().join("packed")).expect("it opens");
    let (spec, stop) = (spec(MODEL), AtomicBool::new(false));
    let context = Context::new(&spec, holdout.harness(), Precision::Fp32, &stop).expect("it can be laid out");
    let [fold] = context.folds.as_slice() else { panic!("one fold") };
    let plan = market.harness().plan().clone();
    let (open, embargo) = (plan.cross_validated(), market.protocol.holdout.embargo);
    let numbers = |eras: &[EraRows<'_>]| eras.iter().map(|era| era.era).collect::<Vec<u32>>();
    let (learn, watch) = (numbers(&fold.learn), numbers(&fold.watch));
    for era in learn.iter().chain(&watch) {
        assert!(open.contains(era) && plan.holdout.iter().all(|held| held.abs_diff(*era) > embargo), "era {era}");
    }
    assert_eq!(watch.last(), open.last(), "the last eras are watched");
    let tested: Vec<usize> = fold.test.iter().cloned().flatten().collect();
    assert_eq!(tested, (market.harness().rows()..holdout.harness().rows()).collect::<Vec<_>>());
}
