//! Ensembles whose members differ, and what happens to predictions afterwards.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use prepare::all_cells;

use super::{Market, Trainer, bits, on_cpu, spec};
use crate::spec::Spec;
use crate::spec::members::member;
use crate::train::backend::Precision;
use crate::train::batches::Columns;
use crate::train::group::Context;
use crate::train::together::{Crew, Wanted, run};
use crate::train::trial::{Kinds, Progress, Trial};

fn with(text: &str) -> Spec {
    spec(&format!(
        "network:\n  - dense: {{ width: 16, norm: batch, activation: gelu, dropout: 0.1 }}\n\
         training: {{ epochs: 2, batch_rows: 256, patience: null }}\n{text}\n"
    ))
}

const DIFFERENT: &str = "ensemble: { members: 3, aggregate: median, diversity: { rate: 2, width: 1.5, dropout: 0.1, features: 0.6, \
                         schedules: [cosine, constant] } }";

#[test]
fn members_that_differ_train_to_the_same_bits_on_any_number_of_threads() {
    let market = Market::small();
    let spec = with(DIFFERENT);
    let first = market.train(&spec, &[42, 17], 1).expect("it trains");
    assert_eq!(bits(&market.train(&spec, &[42, 17], 3).expect("it trains")), bits(&first), "on three threads");
    let alone: Vec<_> = first.iter().filter(|cell| cell.score.seed == 17).cloned().collect();
    assert_eq!(bits(&market.train(&spec, &[17], 2).expect("it trains")), bits(&alone), "one seed by itself");
    let plain = market.train(&with("ensemble: { members: 3, aggregate: median }"), &[42, 17], 2).expect("it trains");
    assert_ne!(bits(&plain), bits(&first));
}

#[test]
fn members_that_differ_train_in_groups_of_their_kind_as_alone() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let schedules = "ensemble: { members: 3, diversity: { schedules: [cosine, constant] } }";
    for text in [DIFFERENT, schedules] {
        let mut spec = with(text);
        spec.training.epochs = 1;
        let kinds = Kinds::of(&spec).expect("valid members");
        let trial = Trial::of(&spec, &kinds, &harness, Precision::Fp32, &stop, None).expect("it can be laid out");
        let here = std::thread::current().id();
        // Groups as on a GPU, whose memory belongs to the thread that uses it: by the one that asks, and no other.
        let in_groups_of = |most: usize| {
            let wanted = Wanted { trial: &trial, cells: &all_cells(3, &[42]), most };
            let crew = Crew { threads: 1, helpers: usize::from(most == 1) };
            let report = |_, progress: Progress<'_>| {
                let own = std::thread::current().id() == here;
                assert!(most == 1 || own || !matches!(progress, Progress::Epoch));
            };
            let mut cells = run::<Flex>(&[wanted], &Default::default(), crew, &report).remove(0).expect("it trains");
            cells.sort_by_key(|cell| cell.score.fold);
            cells
        };
        let (alone, grouped) = (in_groups_of(1), in_groups_of(4));
        assert_eq!(alone.len(), grouped.len());
        for (alone, grouped) in alone.iter().zip(&grouped) {
            for (a, b) in alone.predictions.iter().zip(&grouped.predictions) {
                // Standardized predictions; products may add up in another order, as in `promises`.
                assert!((a - b).abs() < 1e-3, "{text}: {a} alone, {b} in a group");
            }
        }
    }
}

#[test]
fn each_member_sees_a_part_of_the_features_of_its_own() {
    let market = Market::small();
    let harness = market.harness();
    let spec = with("features: { benchmark: true }\nensemble: { members: 4, diversity: { features: 0.25 } }");
    let rows: Vec<usize> = (0..50).collect();
    let stop = AtomicBool::new(false);
    let seen: Vec<Vec<f32>> = (0..4)
        .map(|member| {
            let context = Context::of_member(&spec, &harness, Precision::Fp32, &stop, member, None).expect("laid out");
            assert_eq!(
                (context.columns.features(), context.columns.inputs()),
                (6, 7),
                "a quarter of 24, and the benchmark"
            );
            let mut out = vec![0.0; 7 * rows.len()];
            rows.iter().zip(out.chunks_exact_mut(7)).for_each(|(row, out)| {
                context.columns.write_features(harness.features(), *row, out);
            });
            out
        })
        .collect();
    for (index, one) in seen.iter().enumerate() {
        assert!(seen[..index].iter().all(|other| other != one), "members {index} and an earlier one see the same");
    }
    let whole = Columns::of(&with(""), &harness, 3).expect("laid out");
    assert_eq!(whole.inputs(), 24, "without diversity all features are seen");
}

#[test]
fn the_largest_members_parameters_are_reported() {
    let market = Market::small();
    let trainer = Trainer::new(market.harness(), &on_cpu(1)).expect("a CPU");
    let params = |text: &str| trainer.params(&with(text)).expect("laid out");
    // 24 inputs, 2 targets: in·w + w (bias) + 2·w (norm) + w·2 + 2.
    let size = |width: u64| 24 * width + width + 2 * width + 2 * width + 2;
    assert_eq!(params(""), size(16));
    assert_eq!(params("ensemble: { members: 3, diversity: { width: 2 } }"), size(32));
    assert_eq!(params("ensemble: { members: 2, diversity: { features: 0.5 } }"), size(16) - 12 * 16);
}

#[test]
fn predictions_are_processed_before_they_are_scored() {
    let market = Market::small();
    let train = |post: &str| market.train(&with(&format!("post: {post}")), &[42], 2).expect("it trains");
    let plain = train("{}");
    let benchmark = |cells: &[crate::train::CellResult]| -> f64 {
        cells.iter().flat_map(|cell| &cell.score.corr_with_benchmark).map(|value| value.abs()).sum()
    };
    let neutral = train("{ neutralize: { proportion: 1.0 }, gaussianize: true }");
    assert!(benchmark(&neutral) < 0.5 * benchmark(&plain), "{} of {}", benchmark(&neutral), benchmark(&plain));
    let features = train("{ neutralize: { to: features, proportion: 0.5 } }");
    assert_ne!(bits(&features), bits(&plain));
    assert!(features.iter().flat_map(|cell| &cell.predictions).all(|prediction| prediction.is_finite()));
    // Ranks are what is scored, and a rank becomes a score of the same order.
    let normal = train("{ gaussianize: true }");
    for (normal, plain) in normal.iter().zip(&plain) {
        for (a, b) in normal.score.eras.iter().zip(&plain.score.eras) {
            assert!((a.corr - b.corr).abs() < 1e-6, "{} and {}", a.corr, b.corr);
        }
    }
}

#[test]
fn members_share_what_they_learn_as_far_as_it_is_the_same() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let text = |features: &str| {
        format!(
            "network: [{{ dense: {{ width: 8 }} }}]\nloss: [mse, bmc]\nfeatures: {{ benchmark: true }}\n\
             targets: {{ transform: gaussian, residual: 0.5 }}\n\
             training: {{ epochs: 2, batch_rows: 256, patience: 2, era_weighting: volatility }}\n\
             ensemble: {{ members: 2, diversity: {{ width: 2, features: {features} }} }}\n"
        )
    };
    for (text, same_features) in [(text("1.0"), true), (text("0.5"), false)] {
        let members = [0, 1].map(|index| member(&spec(&text), index).expect("a member"));
        let context = |index: usize, other| {
            Context::of_member(&members[index], &harness, Precision::Fp32, &stop, index as u32, other)
                .expect("laid out")
        };
        let first = context(0, None);
        let (second, alone) = (context(1, Some(&first)), context(1, None));
        let eras = |of: &Context<'_>| -> Vec<*const f32> {
            of.folds
                .iter()
                .flat_map(|fold| fold.learn.iter().chain(&fold.watch))
                .map(|era| era.labels.as_ptr())
                .collect()
        };
        assert_eq!(eras(&first), eras(&second), "the same memory");
        for (found, wanted) in second.folds.iter().zip(&alone.folds) {
            let labels = found.learn.iter().chain(&found.watch).zip(wanted.learn.iter().chain(&wanted.watch));
            for (found, wanted) in labels {
                assert_eq!(found.rows, wanted.rows);
                assert!(found.labels.iter().zip(wanted.labels.iter()).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
            assert_eq!(found.era_weights, wanted.era_weights);
        }
        let weights = |of: &Context<'_>| of.folds.iter().flat_map(|fold| fold.era_weights.clone()).collect::<Vec<_>>();
        assert_eq!(
            weights(&first) == weights(&second),
            same_features,
            "volatility is of the features that a member sees"
        );
        assert_eq!(first.columns.benchmark().map(<[f32]>::as_ptr), second.columns.benchmark().map(<[f32]>::as_ptr));
        let ranks = |of: &Context<'_>| of.benchmark.as_ref().map(Arc::as_ptr);
        assert!(ranks(&first).is_some() && ranks(&first) == ranks(&second));
    }
}
