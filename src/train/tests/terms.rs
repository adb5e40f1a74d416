//! Every term of the loss and every transform of labels in a training: finite, and the same alone and in a group.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::{Market, same_alone_and_in_a_group, spec};
use crate::train::backend::Precision;
use crate::train::group::Context;
use crate::train::labels::{Labels, gaussianized};

const LOSSES: [&str; 9] = [
    "loss: [{ rank: { anchors: 40 } }]",
    "loss: [{ rank: { within: era, temperature: 0.5 } }]",
    "loss: [{ huber: { delta: 0.2 } }]",
    "loss: [bmc]\ntargets: { transform: gaussian }",
    "loss: [{ bmc: { within: era } }, pearson]",
    "loss: [cross_entropy, { output_l2: {} }]\ntargets: { transform: rank, weighting: learned }",
    "loss: [{ cross_entropy: { bins: 7 } }, pearson, { weight_l1: {} }]",
    "loss: [pearson, exposure]\ntargets: { residual: 0.5 }",
    "loss: [pearson, rank, mse, mae, huber, bmc, cross_entropy, exposure, output_l2, weight_l1, weight_l2]",
];

#[test]
fn nets_of_every_loss_train_and_are_the_same_alone_and_in_a_group() {
    let market = Market::small();
    for loss in LOSSES {
        let text = "network: [{ dense: { width: 12, norm: batch, activation: gelu } }]\n\
                    training: { epochs: 1, batch_rows: 256, patience: 1 }\n";
        let spec = spec(&format!("{text}{loss}\n"));
        // Sums may be taken in another order: a few roundings, carried through an epoch.
        same_alone_and_in_a_group(&spec, &market, 5e-5);
    }
}

#[test]
fn labels_are_made_for_learned_and_watched_eras_once_for_all_folds() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let spec = spec(
        "network: [{ dense: { width: 4 } }]\ntraining: { patience: 2 }\n\
         targets: { train_on: [target_ender_20], transform: gaussian, residual: 1 }\n",
    );
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let [column] = context.columns.targets[..] else { panic!("one target") };
    let width = harness.target_names().len();
    let mut seen = BTreeMap::new();
    for (number, fold) in context.folds.iter().enumerate() {
        let set = harness.training(number);
        for era in fold.learn.iter().chain(&fold.watch) {
            let Labels::Made(labels) = &era.labels else { panic!("the harness's own labels are left") };
            let first = seen.entry(era.rows.start).or_insert_with(|| labels.clone());
            assert!(std::sync::Arc::ptr_eq(first, labels), "folds share an era's labels");

            let index = set.eras().iter().position(|span| span.rows == era.rows).expect("a training era of this fold");
            let benchmark = gaussianized(&harness.benchmark()[era.rows.clone()]);
            let column = |of: &[f32]| of.iter().skip(column).step_by(width).copied().collect::<Vec<f32>>();
            let (made, raw) = (column(labels), column(set.targets(index)));
            assert!(made.iter().zip(&raw).all(|(made, raw)| made.is_nan() == raw.is_nan()));
            let pairs: Vec<(f64, f64)> = (made.iter().zip(&benchmark))
                .filter(|(made, score)| !made.is_nan() && !score.is_nan())
                .map(|(made, score)| (f64::from(*made) - 0.5, f64::from(*score)))
                .collect();
            let mean = pairs.iter().map(|(_, score)| score).sum::<f64>() / pairs.len() as f64;
            let product: f64 = pairs.iter().map(|(label, score)| label * (score - mean)).sum();
            assert!(product.abs() < 1e-5 * pairs.len() as f64, "the benchmark still explains {product}");
            assert!(pairs.iter().any(|(label, _)| label.abs() > 0.1), "labels of the usual size are left");
        }
    }
    assert!(seen.len() > 10);
}
