//! The made-up market leaks where it should, and does not where it must not.

use prepare::{FoldRules, Harness, HoldoutRules, Summary, numerai_corr, plan};

use crate::packing::simulated;
use crate::support::Lab;

/// 60-day targets, short test blocks: most test eras have a neighbour that shares returns with them.
const LEAKY: &str = "\
version: 1
data:
  synthetic:
    seed: 3
    sizes:
      eras: 64
      rows: 150
      sets: [{name: serenity, features: 20}, {name: wisdom, features: 20}]
      targets: [target_ender_60]
      benchmark: [v52_lgbm_ender60]
features: {sets: [serenity, wisdom]}
targets: {train_on: [target_ender_60], score_on: target_ender_60}
benchmark: {columns: [v52_lgbm_ender60]}
folds: {count: 16, embargo: 16}
seeds: [1, 2, 3]
holdout: {eras: 1}
objective: {corr: 1, bmc: 0}
";

#[test]
fn a_memorizing_model_profits_from_a_short_embargo_and_from_nothing_else() {
    let lab = Lab::new(LEAKY);
    let harness = lab.harness();
    let leaking = memorizer(&lab, &harness, 0);
    let honest = memorizer(&lab, &harness, lab.protocol.folds.embargo);
    // Standard error of a mean over 59 overlapping eras of 150 rows: 1 / √150 · √(3 / 59) ≈ 0.018.
    assert!(leaking > 0.2, "with embargo 0, memory pays: {leaking}");
    assert!(honest.abs() < 0.06, "with the right embargo it does not: {honest}");
}

/// Mean CORR of a model that looks up the most similar row of the nearest train era and repeats its target.
fn memorizer(lab: &Lab, harness: &Harness, embargo: u32) -> f64 {
    let market = simulated(lab);
    let eras: Vec<u32> = harness.eras().iter().map(|span| span.era).collect();
    let folds = FoldRules { count: lab.protocol.folds.count, embargo };
    let plan = plan(&eras, &folds, &HoldoutRules { eras: 0, embargo: 0 }).expect("a plan");
    let features = |era: u32| {
        let span = harness.eras().iter().find(|span| span.era == era).expect("a known era");
        span.rows.clone().map(|row| harness.features().row(row))
    };
    let mut scores = Vec::new();
    for fold in &plan.folds {
        for &era in &fold.test {
            let nearest = *fold.train.iter().min_by_key(|train| train.abs_diff(era)).expect("train eras");
            let known = &market[&nearest].targets[0];
            let predictions: Vec<f64> = features(era)
                .map(|row| {
                    let distance =
                        |other: &[u8]| -> u32 { row.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b))).sum() };
                    let (twin, _) =
                        features(nearest).enumerate().min_by_key(|(_, other)| distance(other)).expect("rows");
                    f64::from(known[twin])
                })
                .collect();
            let target: Vec<f64> = market[&era].targets[0].iter().map(|&value| f64::from(value)).collect();
            scores.push(numerai_corr(&predictions, &target).expect("a score"));
        }
    }
    Summary::of(&scores).mean
}

#[test]
fn targets_and_features_have_the_shares_of_numerai() {
    let lab = Lab::new(LEAKY);
    let market = simulated(&lab);
    for era in market.values() {
        for target in &era.targets {
            let share = |bin: f32| target.iter().filter(|value| **value == bin).count() as f64 / target.len() as f64;
            for (bin, expected) in [(0.0, 0.05), (0.25, 0.2), (0.5, 0.5), (0.75, 0.2), (1.0, 0.05)] {
                assert!((share(bin) - expected).abs() < 0.015, "era {}: {bin} has {}", era.era, share(bin));
            }
        }
        assert!(era.benchmark.iter().flatten().all(|value| *value > 0.0 && *value < 1.0));
        let mut ids = era.ids.clone();
        ids.dedup();
        assert_eq!(ids.len(), 150);
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 17 && id.starts_with('n')));
    }
    let late = market[&1].features.iter().filter(|column| column.iter().all(|bin| *bin == 2)).count();
    assert!(late > 0, "some feature is missing in the first era");
}

#[test]
fn interactions_are_worth_finding() {
    let lab = Lab::small();
    let harness = lab.harness();
    let best = harness.manifest().achievable(&lab.protocol.objective).expect("a best");
    assert!(best.bmc > 0.02 && best.corr > 0.04, "{best:?}");
}
