//! What training promises: the same numbers however it is grouped, no look at a test era, an error where numbers end.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use prepare::{CellId, all_cells};
use proptest::collection::btree_set;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::{Market, bits, protocol, spec};
use crate::train::TrainError;
use crate::train::backend::Precision;
use crate::train::batches::FoldData;
use crate::train::feed::Feed;
use crate::train::group::{Context, train_group};
use crate::train::kernels::buffers;
use crate::train::split::inner_split;
use crate::train::streams::Replica;

const EVERYTHING: &str = "network:\n  - dense: { width: 16, norm: batch, activation: gelu, dropout: 0.2, bias: false }\n  \
                          - residual: [{ dense: { width: 12, norm: layer, activation: silu, dropout: 0.1 } }]\n\
                          loss: [pearson, { output_l2: { weight: 1e-4 } }]\noptimizer: { adamw: { clip_norm: 1.0 } }\n\
                          targets: { weighting: learned }\ntraining: { epochs: 4, batch_rows: 256, patience: 2 }\n\
                          ensemble: { members: 2 }\n";

#[test]
fn a_net_trained_in_a_group_is_the_net_trained_alone() {
    let market = Market::small();
    let harness = market.harness();
    let stop = AtomicBool::new(false);
    let one_epoch = EVERYTHING.replace("epochs: 4", "epochs: 1");
    let spec = spec(&one_epoch);
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let replicas = [
        Replica { fold: 0, seed: 42, member: 0 },
        Replica { fold: 2, seed: 42, member: 1 },
        Replica { fold: 1, seed: 17, member: 0 },
    ];
    let feed = Feed::<Flex>::of(&context, Default::default());
    let together = train_group(&feed, &replicas, &|| {}).expect("it trains");
    for (replica, grouped) in replicas.iter().zip(&together) {
        let alone = train_group(&feed, std::slice::from_ref(replica), &|| {});
        let alone = alone.expect("it trains").remove(0);
        assert_eq!(alone.outputs.len(), grouped.outputs.len());
        assert_eq!(alone.rows_trained, grouped.rows_trained);
        let size = alone.outputs.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        for (a, b) in alone.outputs.iter().zip(&grouped.outputs) {
            // Batched and single matrix products may add up in another order: a few roundings, carried through an epoch.
            assert!((a - b).abs() <= 1e-5 * size, "{replica:?}: {a} alone, {b} in a group");
        }
        assert!(alone.weights.iter().zip(&grouped.weights).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn steps_use_the_buffers_of_earlier_ones_again() {
    let market = Market::small();
    let harness = market.harness();
    let stop = AtomicBool::new(false);
    let spec = spec(
        "network:\n  - dense: { width: 16, norm: batch, activation: gelu, dropout: 0.2 }\n  \
         - dense: { width: 12, norm: layer, activation: silu }\nloss: [pearson]\n\
         training: { epochs: 4, batch_rows: 256, patience: null }\n",
    );
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let feed = Feed::<Flex>::of(&context, Default::default());
    let asked = RefCell::new(Vec::new());
    let replica = [Replica { fold: 0, seed: 42, member: 0 }];
    train_group(&feed, &replica, &|| asked.borrow_mut().push(buffers::fresh())).expect("it trains");
    let asked = asked.into_inner();
    assert_eq!(asked.len(), 4, "once an epoch");
    assert!(asked[0] > 0, "the first epoch has to ask for buffers");
    assert_eq!(asked[0], asked[3], "the others need none: {asked:?}");
}

#[test]
fn the_same_bits_come_out_every_time_and_with_any_number_of_threads() {
    let market = Market::small();
    let spec = spec(EVERYTHING);
    let first = market.train(&spec, &[42, 17], 1).expect("it trains");
    assert_eq!(first.len(), 6, "three folds under two seeds");
    assert_eq!(bits(&market.train(&spec, &[42, 17], 1).expect("it trains")), bits(&first), "once more");
    assert_eq!(bits(&market.train(&spec, &[42, 17], 3).expect("it trains")), bits(&first), "on three threads");
    let alone = market.train(&spec, &[17], 2).expect("it trains");
    let within: Vec<_> = first.iter().filter(|cell| cell.score.seed == 17).cloned().collect();
    assert_eq!(bits(&alone), bits(&within), "a seed does not depend on which others are trained");
    let other: Vec<_> = first.iter().filter(|cell| cell.score.seed == 42).cloned().collect();
    assert_ne!(bits(&alone), bits(&other), "and seeds differ");
}

#[test]
fn a_cell_trained_alone_is_the_same_cell_of_a_whole_trial() {
    let market = Market::small();
    let spec = spec(EVERYTHING);
    let whole = market.train(&spec, &[42, 17], 2).expect("it trains");
    let trainer = super::Trainer::new(market.harness(), &super::on_cpu(1)).expect("a CPU");
    let train =
        |cells: &[CellId]| trainer.train(&spec, cells, false, &AtomicBool::new(false), &|_| {}).expect("it trains");
    for cell in &whole {
        let id = CellId { fold: cell.score.fold, seed: cell.score.seed };
        let alone = train(&[id]);
        assert_eq!((alone.len(), bits(&alone)), (1, bits(std::slice::from_ref(cell))), "{id:?}");
        assert_eq!((&alone[0].score, alone[0].rows_trained), (&cell.score, cell.rows_trained), "{id:?}");
    }
    // On one thread, cells come out in the order in which they were asked for.
    let asked = [CellId { fold: 2, seed: 17 }, CellId { fold: 0, seed: 42 }, CellId { fold: 1, seed: 17 }];
    let came: Vec<CellId> =
        train(&asked).iter().map(|cell| CellId { fold: cell.score.fold, seed: cell.score.seed }).collect();
    assert_eq!(came, asked);
    let refused = trainer.train(&spec, &[CellId { fold: 3, seed: 42 }], false, &AtomicBool::new(false), &|_| {});
    assert!(matches!(refused, Err(TrainError::Cells(_))));
}

#[test]
fn learned_watched_and_tested_eras_are_an_embargo_apart() {
    for (folds, embargo) in [(2, 16), (4, 16), (3, 24), (5, 16)] {
        let market = Market::new(&protocol(64, 20, folds, embargo));
        let harness = market.harness();
        let spec = spec("network: [{ dense: { width: 4 } }]\ntraining: { patience: 3 }\n");
        let era_at = |row: usize| {
            let span = harness.eras().iter().find(|span| span.rows.contains(&row)).expect("every row has an era");
            span.era
        };
        let apart = |a: &[u32], b: &[u32]| a.iter().all(|x| b.iter().all(|y| x.abs_diff(*y) > embargo));
        for fold in 0..folds {
            let data = FoldData::of(&spec, &harness, fold).expect("enough eras");
            let learn: Vec<u32> = data.learn.iter().map(|era| era_at(era.rows.start)).collect();
            let watch: Vec<u32> = data.watch.iter().map(|era| era_at(era.rows.start)).collect();
            let test: Vec<u32> = data.test.iter().map(|rows| era_at(rows.start)).collect();
            assert!(!learn.is_empty() && !watch.is_empty() && !test.is_empty());
            assert_eq!(test, harness.plan().folds[fold].test);
            assert!(apart(&learn, &watch), "fold {fold}: learned eras reach into watched ones");
            assert!(apart(&learn, &test), "fold {fold}: learned eras reach into the test");
            assert!(apart(&watch, &test), "fold {fold}: early stopping looks at the test");
            assert!(apart(&learn, &harness.plan().holdout) && apart(&watch, &harness.plan().holdout));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_inner_split_is_purged_for_any_eras(eras in btree_set(1_u32..600, 0..90), embargo in 0_u32..40) {
        let train: Vec<u32> = eras.into_iter().collect();
        match inner_split(&train, embargo) {
            Ok(split) => {
                prop_assert!(!split.learn.is_empty() && split.watch.len() >= 2);
                prop_assert_eq!(&split.watch[..], &train[train.len() - split.watch.len()..], "the last ones");
                prop_assert!(split.learn.iter().all(|era| train.contains(era)));
                for learn in &split.learn {
                    prop_assert!(split.watch.iter().all(|watch| learn.abs_diff(*watch) > embargo));
                }
            }
            Err(why) => prop_assert!(why.contains("patience"), "{why}"),
        }
    }
}

#[test]
fn numbers_that_run_away_are_an_error_with_its_place() {
    let market = Market::small();
    let wild = "network: [{ dense: { width: 32, activation: identity } }, { dense: { width: 32, activation: identity } }]\n\
                loss: [{ mse: { weight: 100 } }]\noptimizer: { sgd: { lr: 10, momentum: 0.9 } }\n\
                training: { epochs: 6, batch_rows: 128, patience: PATIENCE }\n";
    for patience in ["null", "2"] {
        let spec = spec(&wild.replace("PATIENCE", patience));
        match market.train(&spec, &[42], 2) {
            Err(TrainError::Diverged { fold, seed: 42, member: 0, epoch, what }) => {
                assert!(fold < 3 && (1..=6).contains(&epoch) && what.contains("not a number"), "{fold} {epoch} {what}");
            }
            Err(other) => panic!("patience {patience}: {other}"),
            Ok(_) => panic!("patience {patience}: it trained"),
        }
    }
}

#[test]
fn a_constant_prediction_is_an_error_of_the_training_with_its_era() {
    let market = Market::small();
    // The first step throws the only unit so far that it is 0 for every row from then on.
    let dead = "network: [{ dense: { width: 1 } }]\nloss: [{ mse: { weight: 100 } }]\n\
                optimizer: { sgd: { lr: 10, momentum: 0, clip_value: 1 } }\ntraining: { epochs: 2, batch_rows: 128, patience: null }\n";
    for members in [1, 2] {
        let spec = spec(&format!("{dead}ensemble: {{ members: {members} }}\n"));
        match market.train(&spec, &[42], 2) {
            Err(TrainError::Constant { fold, seed: 42, era, what }) => {
                assert!(market.harness().plan().folds[fold].test.contains(&era), "era {era} of fold {fold}");
                assert!(what.contains(if members == 1 { "a constant" } else { "constants" }), "{what}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it trained"),
        }
    }
}

#[test]
fn a_request_to_stop_ends_a_training() {
    let market = Market::small();
    let trainer = super::Trainer::new(market.harness(), &super::on_cpu(2)).expect("a CPU");
    let stop = AtomicBool::new(true);
    let ended = trainer.train(&spec(EVERYTHING), &all_cells(3, &[42]), false, &stop, &|_| {});
    assert!(matches!(ended, Err(TrainError::Stopped)));
}
