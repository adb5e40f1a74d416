//! Whatever the language can say trains to finite numbers: random valid specs, and every example of the reference.

use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use prepare::all_cells;

use super::Market;
use crate::spec::tests::{examples, random};
use crate::spec::{Spec, cost};
use crate::train::backend::Precision;
use crate::train::feed::Feed;
use crate::train::group::train_group;
use crate::train::streams::Replica;
use crate::train::together::{Crew, Wanted, run};
use crate::train::trial::{Failed, Kinds, Trial};
use crate::train::{TrainError, facts};

/// Random specs that are trained.
const SPECS: u64 = 260;

/// Trains all members of a cell, each kind in a group of its own, and makes one prediction of theirs; then two nets of the first
/// member together, and one of them alone. Two steps, or one an epoch where there are more epochs. Whether the prediction tells
/// rows apart.
///
/// # Errors
/// What was wrong.
fn two_steps(spec: &Spec, market: &Market) -> Result<bool, String> {
    let harness = market.harness();
    let stop = AtomicBool::new(false);
    let said = |error: TrainError| error.to_string();
    let kinds = Kinds::of(spec).map_err(said)?;
    let mut trial = Trial::of(spec, &kinds, &harness, Precision::Fp32, &stop, None).map_err(said)?;
    for context in &mut trial.contexts {
        context.plan.steps = context.plan.steps.min(if spec.training.epochs == 1 { 2 } else { 1 });
    }
    let context = &trial.contexts[0];
    let feed = Feed::<Flex>::of(context, Default::default());
    let train = |replicas: &[Replica]| train_group(&feed, replicas, &|| {}).map_err(said);
    let replicas = [Replica { fold: 0, seed: 42, member: 0 }, Replica { fold: 2, seed: 17, member: 0 }];
    let together = train(&replicas)?;
    // One is enough to see that they do not touch each other; which one changes from spec to spec.
    let chosen = usize::from(spec.hash().ends_with(|digit: char| digit > '7'));
    let (alone, grouped) = (train(&replicas[chosen..=chosen])?.remove(0), &together[chosen]);
    let size = alone.outputs.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
    for (a, b) in alone.outputs.iter().zip(&grouped.outputs).chain(alone.weights.iter().zip(&grouped.weights)) {
        if !a.is_finite() || (a - b).abs() > 1e-5 * size {
            return Err(format!("{:?}: {a} alone, {b} in a group", replicas[chosen]));
        }
    }
    // The plan is that of all folds; one of them is a cell.
    drop(feed);
    trial.contexts.iter_mut().for_each(|context| context.folds.truncate(1));
    let wanted = Wanted { trial: &trial, cells: &all_cells(1, &[42]), most: usize::MAX };
    let trained = run::<Flex>(&[wanted], &Default::default(), Crew { threads: 1, helpers: 1 }, &|_, _| {}).remove(0);
    match trained.as_deref() {
        Ok([cell]) if cell.predictions.iter().all(|value| value.is_finite()) => Ok(true),
        Ok([_]) => Err("a prediction is not a number".into()),
        Ok(cells) => Err(format!("{} cells", cells.len())),
        Err(Failed { error: TrainError::Constant { .. }, .. }) => Ok(false),
        Err(failed) => Err(failed.error.to_string()),
    }
}

/// Trains each, and gives those whose predictions are constants.
fn all_train(specs: impl Iterator<Item = (String, Spec)>, market: &Market) -> Vec<String> {
    let (mut wrong, mut constant) = (Vec::new(), Vec::new());
    for (name, spec) in specs {
        let named = |why: &str| format!("{name}: {why}\n{}", spec.to_yaml());
        match two_steps(&spec, market) {
            Ok(true) => {}
            Ok(false) => constant.push(named("predicts a constant")),
            Err(why) => wrong.push(named(&why)),
        }
    }
    assert!(wrong.is_empty(), "{} specs do not train:\n{}", wrong.len(), wrong.join("\n"));
    constant
}

#[test]
fn random_specs_train_two_steps_to_finite_numbers_and_alone_as_in_a_group() {
    let market = Market::small();
    let known = facts(&market.harness());
    let drawn = (0..SPECS).filter_map(|seed| {
        let spec = random::draw(seed, random::LARGEST, Some(&known))?;
        Some((format!("seed {seed}"), spec))
    });
    // Blocks that double what they are given make large nets out of small numbers.
    let light = |spec: &Spec| {
        let cost = cost::estimate(spec, &known);
        cost.replica_bytes < 16 << 20 && cost.flops < 2e12
    };
    let drawn: Vec<_> = drawn.filter(|(_, spec)| light(spec)).collect();
    assert!(drawn.len() as u64 > SPECS * 3 / 4, "{} of {SPECS} could be drawn and are light", drawn.len());
    let count = drawn.len();
    let constant = all_train(drawn.into_iter(), &market);
    // Units that start dead, a dozen narrow layers in a row, an era without the only input: chance draws them now and then, and
    // a trial of them ends with an error that says so. More would be a fault of the language.
    assert!(constant.len() * 50 <= count, "{} of {count}:\n{}", constant.len(), constant.join("\n"));
}

#[test]
fn every_example_of_the_reference_trains() {
    let market = Market::of_examples();
    let specs = examples::examples().into_iter().map(|example| {
        let mut spec = Spec::parse(&example.yaml, &example.what).unwrap_or_else(|errors| panic!("{errors}"));
        spec.training.epochs = spec.training.epochs.min(3);
        spec.training.patience = None;
        (example.what, spec)
    });
    let constant = all_train(specs, &market);
    assert!(constant.is_empty(), "{}", constant.join("\n"));
}
