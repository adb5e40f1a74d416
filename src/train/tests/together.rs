//! Trials trained together come out as each by itself, and one that fails leaves the others alone.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use prepare::all_cells;
use prepare::evaluate::CellId;

use super::{Market, Trainer, bits, on_cpu, spec};
use crate::spec::Spec;
use crate::train::{CellResult, Failed, Job, Progress, TrainError};

/// Specs that share labels that are made and the benchmark's ranks, that share their members' kinds with nobody, and that
/// share nothing.
fn specs() -> Vec<Spec> {
    let made = "network: [{ dense: { width: WIDTH, norm: batch, dropout: 0.1 } }]\nloss: [mse, bmc]\n\
                features: { benchmark: true }\ntargets: { transform: gaussian, residual: 0.5 }\n\
                training: { epochs: 3, batch_rows: 256, patience: 2, era_weighting: volatility }\n";
    let plain = "network: [{ dense: { width: 12, activation: gelu } }]\nloss: [pearson]\n\
                 training: { epochs: 2, batch_rows: 128, patience: null }\n\
                 ensemble: { members: 3, aggregate: median, diversity: { rate: 2, width: 1.5, features: 0.6 } }\n";
    vec![
        spec(&made.replace("WIDTH", "16")),
        spec(plain),
        spec(&made.replace("WIDTH", "9")),
        spec(&plain.replace("loss: [pearson]", "loss: [pearson]\ntargets: { transform: rank }")),
    ]
}

fn wild() -> Spec {
    spec(
        "network: [{ dense: { width: 32, activation: identity } }, { dense: { width: 32, activation: identity } }]\n\
         loss: [{ mse: { weight: 100 } }]\noptimizer: { sgd: { lr: 10, momentum: 0.9 } }\n\
         training: { epochs: 6, batch_rows: 128, patience: null }\n",
    )
}

fn cells(ids: &[(usize, u64)]) -> Vec<CellId> {
    ids.iter().map(|(fold, seed)| CellId { fold: *fold, seed: *seed }).collect()
}

fn sorted(mut cells: Vec<CellResult>) -> Vec<CellResult> {
    cells.sort_by_key(|cell| (cell.score.seed, cell.score.fold));
    cells
}

/// Everything of a cell but the clock, to the last bit.
fn facts(cells: &[CellResult]) -> (Vec<u32>, String, Vec<u64>) {
    let scores: Vec<_> = cells.iter().map(|cell| (&cell.score, &cell.exposure)).collect();
    (bits(cells), format!("{scores:?}"), cells.iter().map(|cell| cell.rows_trained).collect())
}

#[test]
fn a_cell_is_the_same_whoever_trains_beside() {
    let market = Market::small();
    let specs = specs();
    let asked =
        [cells(&[(1, 42), (0, 17)]), all_cells(3, &[42]), cells(&[(2, 17), (1, 42), (0, 42)]), cells(&[(0, 42)])];
    let stop = AtomicBool::new(false);
    let trainer = Trainer::new(market.harness(), &on_cpu(1)).expect("a CPU");
    let alone: Vec<_> = specs
        .iter()
        .zip(&asked)
        .map(|(spec, cells)| facts(&sorted(trainer.train(spec, cells, true, &stop, &|_| {}).expect("it trains"))))
        .collect();
    for (threads, order) in [(1, [0, 1, 2, 3]), (3, [0, 1, 2, 3]), (2, [3, 2, 1, 0]), (2, [2, 0, 3, 1])] {
        let trainer = Trainer::new(market.harness(), &on_cpu(threads)).expect("a CPU");
        let jobs: Vec<Job<'_>> = order.iter().map(|job| Job { spec: &specs[*job], cells: &asked[*job] }).collect();
        let told: Vec<Mutex<(usize, usize)>> = jobs.iter().map(|_| Mutex::new((0, 0))).collect();
        let report = |job: usize, progress: Progress<'_>| {
            let mut told = told[job].lock().expect("no holder panics");
            match progress {
                Progress::Replica { done, total } => {
                    assert_eq!(done, told.0 + 1, "nets are counted for each job");
                    assert_eq!(total, jobs[job].cells.len() * jobs[job].spec.ensemble.members as usize);
                    told.0 = done;
                }
                Progress::Cell(cell) => {
                    let of = CellId { fold: cell.score.fold, seed: cell.score.seed };
                    assert!(jobs[job].cells.contains(&of), "{of:?} is of another job");
                    told.1 += 1;
                }
                Progress::Epoch => {}
            }
        };
        let together = trainer.train_together(&jobs, true, &stop, &report);
        for ((place, found), told) in order.iter().zip(together).zip(&told) {
            let found = facts(&sorted(found.expect("it trains")));
            assert_eq!(found, alone[*place], "spec {place} of {order:?} on {threads} threads");
            let told = *told.lock().expect("no holder panics");
            let members = specs[*place].ensemble.members as usize;
            assert_eq!(told, (asked[*place].len() * members, asked[*place].len()), "all was told");
        }
    }
}

#[test]
fn a_job_that_fails_leaves_the_others_alone() {
    let market = Market::small();
    let stop = AtomicBool::new(false);
    let (good, wild) = (specs().remove(0), wild());
    let wanted = all_cells(3, &[42]);
    let nowhere = cells(&[(9, 42)]);
    let job = |spec, cells| Job { spec, cells };
    let alone = facts(&market.train(&good, &[42], 1).expect("it trains"));
    for threads in [1, 2] {
        let trainer = Trainer::new(market.harness(), &on_cpu(threads)).expect("a CPU");
        let jobs = [job(&wild, wanted.as_slice()), job(&good, &nowhere), job(&good, &wanted)];
        let mut found = trainer.train_together(&jobs, false, &stop, &|_, _| {});
        let good = found.pop().expect("three").expect("it trains");
        assert_eq!(facts(&sorted(good)), alone, "on {threads} threads");
        assert!(matches!(found.pop(), Some(Err(Failed { cell: None, error: TrainError::Cells(_) }))));
        match found.pop() {
            Some(Err(Failed { cell: Some(cell), error: TrainError::Diverged { fold, seed, .. } })) => {
                assert_eq!(cell, CellId { fold, seed }, "the cell that it failed in");
            }
            other => panic!("it diverges: {other:?}"),
        }
    }
}
