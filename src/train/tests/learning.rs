//! Nets learn what there is to learn: what is known to work beats the shipped baseline on a market with interactions.

use super::{Market, protocol, spec};
use crate::spec::Spec;

#[test]
fn the_known_good_recipe_beats_the_shipped_baseline() {
    let market = Market::new(&protocol(72, 200, 2, 16));
    let baseline =
        Spec::parse(include_str!("../../../model.yaml"), "model.yaml").expect("the shipped model.yaml is valid");
    let recipe = spec(
        "network:\n  - dense: { width: 64, norm: batch, activation: gelu, dropout: 0.2, bias: false }\n  \
         - dense: { width: 32, norm: batch, activation: gelu, dropout: 0.2, bias: false }\n\
         loss: [pearson]\ntraining: { epochs: 20, batch_rows: 1024, patience: 5 }\nensemble: { members: 4 }\n",
    );
    let (before, after) = (market.payout(&baseline), market.payout(&recipe));
    assert!(after > before, "baseline {before}, recipe {after}");
    assert!(after > 0.0, "{after}");
}

#[test]
fn every_kind_of_loss_weighting_and_aggregate_trains_to_finite_scores() {
    let market = Market::small();
    let names = "targets: { weighting: { fixed: { target_ender_20: 3, target_ender_60: 1 } } }";
    let cases = [
        "loss: [{ pearson: { within: era } }]\ntargets: { weighting: learned }",
        "loss: [{ pearson: { within: era } }, mse]\nensemble: { members: 2, aggregate: rank_mean }",
        names,
        "loss: [mae, weight_l2]\noptimizer: { sgd: { lr: 0.05, clip_norm: 1.0 } }\nfeatures: { sets: [wisdom] }",
        "targets: { train_on: [target_ender_20] }\nschedule: { one_cycle: {}, warmup_epochs: 0.5 }",
    ];
    for case in cases {
        let text = format!(
            "network: [{{ dense: {{ width: 16, norm: batch, activation: gelu }} }}]\n\
             training: {{ epochs: 3, batch_rows: 256, patience: 2 }}\n{case}\n"
        );
        let payout = market.payout(&spec(&text));
        assert!(payout.is_finite(), "{case}: {payout}");
    }
}

#[test]
fn learned_weights_leave_their_start_and_still_sum_to_one() {
    use std::sync::atomic::AtomicBool;

    use burn::backend::Flex;

    use crate::train::backend::Precision;
    use crate::train::feed::Feed;
    use crate::train::group::{Context, train_group};
    use crate::train::streams::Replica;

    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let spec = spec(
        "network: [{ dense: { width: 16, activation: gelu } }]\nloss: [{ pearson: { within: era } }]\n\
         targets: { weighting: { learned: { temperature: 0.5 } } }\noptimizer: { adamw: { lr: 0.01 } }\n\
         training: { epochs: 6, batch_rows: 256, patience: null }\n",
    );
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let replica = [Replica { fold: 0, seed: 42, member: 0 }];
    let trained = train_group(&Feed::<Flex>::of(&context, Default::default()), &replica, &|| {}).expect("it trains");
    let weights = &trained[0].weights;
    assert!(
        (weights.iter().sum::<f32>() - 1.0).abs() < 1e-6 && weights.iter().all(|weight| *weight > 0.0),
        "{weights:?}"
    );
    assert!(weights.iter().any(|weight| (weight - 0.5).abs() > 1e-3), "{weights:?}");
}
