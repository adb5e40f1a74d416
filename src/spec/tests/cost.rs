//! What is over the budget is refused with the numbers.

use super::examples::facts;
use crate::spec::Spec;
use crate::spec::cost::{Budget, Cost, estimate};
use crate::spec::facts::side_by_side;
use crate::spec::rates::{CLOSE, DeviceRates, seconds};

const RATES: DeviceRates =
    DeviceRates { lanes: 2, group_bytes: None, flops: 1e9, numbers: 1e8, seconds_an_operation: 1e-6, host: 1e8 };

fn a_spec() -> (Spec, Cost) {
    let spec = Spec::parse("network: [{ dense: { width: 256 } }]\n", "test").expect("valid");
    let cost = estimate(&spec, &facts());
    (spec, cost)
}

/// A budget that has all of what a spec costs, and no more.
fn just_enough(cost: &Cost) -> Budget {
    Budget {
        params: cost.params,
        replica_bytes: cost.replica_bytes,
        at_once: 2,
        flops: cost.flops,
        seconds: seconds(cost, &RATES),
        rates: Some(RATES),
    }
}

#[test]
fn a_budget_is_kept_to_the_number_but_for_seconds_which_are_estimated() {
    let (spec, cost) = a_spec();
    let enough = just_enough(&cost);
    assert_eq!(spec.check_cost(&facts(), &enough), Ok(cost));
    let takes = seconds(&cost, &RATES);
    let seconds = |limit: f64| Budget { seconds: limit, ..enough };
    assert_eq!(spec.check_cost(&facts(), &seconds(1.001 * takes / CLOSE)), Ok(cost), "it may be that fast");
    let mib = cost.replica_bytes >> 20;
    let cases = [
        (
            seconds(0.999 * takes / CLOSE),
            format!(
                "about {takes:.0} s a trial (at most {:.0}, and the estimate is right to a factor of 2)",
                takes / 2.0
            ),
        ),
        (
            Budget { replica_bytes: cost.replica_bytes - 1, ..enough },
            format!("{mib} MiB a net (at most {})", (cost.replica_bytes - 1) >> 20),
        ),
        (
            Budget { params: cost.params - 1, ..enough },
            format!("{} parameters (at most {})", cost.params, cost.params - 1),
        ),
        (Budget { flops: 1e6, ..enough }, format!("{:.2e} floating point operations (at most 1.00e6)", cost.flops)),
    ];
    for (budget, words) in cases {
        let refused = spec.check_cost(&facts(), &budget).expect_err("over the budget").to_string();
        assert_eq!(refused, format!("spec: network: over the budget: {words}"));
        let to_people = Spec::check(&spec.to_yaml(), "spec", &facts(), &budget)
            .accepted()
            .expect_err("over the budget")
            .to_string();
        let refused = refused.replace("spec: ", "spec:2:1: ");
        assert_eq!(to_people, format!("{refused}; make the model smaller, or raise `budget` in autoresearch.yaml"));
    }
}

#[test]
fn what_cannot_be_laid_out_is_not_said_to_be_too_expensive_as_well() {
    let text = "network: [{ parallel: { combine: sum, branches: [[], [{ dense: { width: 9 } }]] } }]\n";
    let spec = Spec::parse(text, "test").expect("right for nine features");
    let found = Spec::check(&spec.to_yaml(), "spec", &facts(), &just_enough(&a_spec().1))
        .accepted()
        .expect_err("there are sixteen");
    assert_eq!(found.errors.len(), 1, "{found}");
}

/// The cost of a small net with more to its spec.
fn cost_of(text: &str) -> Cost {
    let spec = Spec::parse(&format!("network: [{{ dense: {{ width: 8 }} }}]\n{text}\n"), "test").expect("valid");
    estimate(&spec, &facts())
}

#[test]
fn what_the_host_does_beside_the_training_is_counted_by_hand() {
    let plain = cost_of("");
    // 4000 rows in 80 eras, 16 features, 4 targets, 3 seeds; 250 for a value that is ranked, 4 for one that is correlated.
    let era = 16_f64.powi(3) / 6.0 + 50.0 * 256.0 / 6.0;
    let cases = [
        ("", 0.0, 0, 0),
        ("post: { neutralize: { to: benchmark } }", 0.0, 0, 0),
        ("post: { neutralize: { to: features } }", 240.0 * era, 0, 4 * 50 * 16 + 12 * 256),
        ("post: { gaussianize: true }", 12_000.0 * 250.0, 0, 0),
        ("targets: { transform: rank }", 4_000.0 * 5.0 * 250.0, 4 * 4_000 * 4, 0),
        ("targets: { residual: 0.5, train_on: [target_ender_20] }", 4_000.0 * 250.0, 4 * 4_000 * 4, 0),
        ("loss: [bmc]\nfeatures: { benchmark: true }", 4_000.0 * 2.0 * 250.0, 2 * 4 * 4_000, 0),
        ("training: { era_weighting: volatility }", 4_000.0 * 16.0 * 4.0, 0, 0),
        (
            "training: { era_weighting: volatility }\nensemble: { members: 3, diversity: { features: 0.5 } }",
            4_000.0 * 8.0 * 3.0 * 4.0,
            0,
            0,
        ),
    ];
    for (text, host, shared_bytes, era_bytes) in cases {
        let cost = cost_of(text);
        assert!((cost.host - host).abs() <= 1e-9 * host, "{text}: {}, by hand {host}", cost.host);
        assert_eq!((cost.shared_bytes, cost.era_bytes), (shared_bytes, era_bytes), "{text}");
        let more = seconds(&Cost { host, ..plain }, &RATES) - seconds(&plain, &RATES);
        assert!((more - host / RATES.host).abs() < 1e-9, "{text}");
    }
}

#[test]
fn what_the_optimizer_does_with_the_weights_is_counted_by_hand_however_small_the_batch_is() {
    let of = |optimizer: &str| {
        cost_of(&format!("optimizer: {optimizer}\ntraining: {{ epochs: 3, batch_rows: 64, patience: null }}"))
    };
    // 46 batches of 64 in 3000 rows, 3 epochs, 4 folds, 3 seeds; 16·8 + 8 + 8·4 + 4 weights.
    let (steps, weights) = (46.0 * 3.0 * 12.0, 172.0);
    let plain = of("{ adamw: {} }");
    for (optimizer, numbers) in [
        ("{ adam: {} }", 0.0),
        ("{ adamw: { clip_norm: 1 } }", 60.0),
        ("{ adamw: {}, gradient_noise: {} }", 500.0),
        ("{ lamb: {} }", 140.0),
        ("{ adan: {} }", 32.0),
    ] {
        let cost = of(optimizer);
        assert!((cost.numbers - plain.numbers - numbers * weights * steps).abs() < 1.0, "{optimizer}");
        assert!((cost.flops - plain.flops).abs() < 1.0, "{optimizer}");
    }
    // The hidden matrix is 16 by 8: two products of 8·8·16 and one of 8·8·8 multiplications an iteration.
    let more = of("{ muon: { iterations: 12 } }").flops - of("{ muon: { iterations: 5 } }").flops;
    assert!((more - 7.0 * 2.0 * (2.0 * 1024.0 + 512.0) * steps).abs() < 1.0, "{more}");
}

#[test]
fn memory_of_the_host_counts_against_the_budget() {
    let text = "network: [{ dense: { width: 8 } }]\npost: { neutralize: { to: features } }\n";
    let spec = Spec::parse(text, "test").expect("valid");
    let mut large = facts();
    large.feature_sets = side_by_side([("serenity", 2_000), ("wisdom", 500), ("sunshine", 200)]);
    large.features = 2_700;
    let cost = estimate(&spec, &large);
    let enough = Budget { replica_bytes: cost.replica_bytes + cost.era_bytes, ..just_enough(&cost) };
    assert_eq!(spec.check_cost(&large, &enough), Ok(cost));
    let refused = spec.check_cost(&large, &just_enough(&cost)).expect_err("over the budget").to_string();
    let mib = (cost.replica_bytes + cost.era_bytes) >> 20;
    let words = format!("{mib} MiB a net, labels and post-processing included (at most ");
    assert!(mib > 80 && refused.contains(&words), "{refused}");
}
