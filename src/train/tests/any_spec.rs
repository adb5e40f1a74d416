//! Whatever the language can say trains: random valid specs, and every example of the reference.

use std::sync::atomic::AtomicBool;

use burn::backend::Flex;

use super::Market;
use crate::spec::members::member;
use crate::spec::tests::{examples, random};
use crate::spec::{Spec, cost};
use crate::train::backend::Precision;
use crate::train::feed::Feed;
use crate::train::group::{Context, train_group};
use crate::train::streams::Replica;
use crate::train::{TrainError, facts};

/// Random specs that are trained.
const SPECS: u64 = 300;

/// Trains two nets of the first member, together and alone: two steps, or one an epoch where there are more epochs.
///
/// # Errors
/// What was wrong.
fn two_steps(spec: &Spec, market: &Market) -> Result<(), String> {
    let harness = market.harness();
    let stop = AtomicBool::new(false);
    let own = member(spec, 0).map_err(|errors| errors.to_string())?;
    let mut context = Context::of_member(&own, &harness, Precision::Fp32, &stop, 0, None)
        .map_err(|error| format!("laid out: {error}"))?;
    context.plan.steps = context.plan.steps.min(if spec.training.epochs == 1 { 2 } else { 1 });
    let replicas = [Replica { fold: 0, seed: 42, member: 0 }, Replica { fold: 2, seed: 17, member: 0 }];
    let feed = Feed::<Flex>::of(&context, Default::default());
    let run =
        |replicas: &[Replica]| train_group(&feed, replicas, &|| {}).map_err(|error: TrainError| error.to_string());
    let together = run(&replicas)?;
    for (replica, grouped) in replicas.iter().zip(&together) {
        let alone = run(std::slice::from_ref(replica))?.remove(0);
        let size = alone.outputs.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
        for (a, b) in alone.outputs.iter().zip(&grouped.outputs).chain(alone.weights.iter().zip(&grouped.weights)) {
            if !a.is_finite() || (a - b).abs() > 1e-5 * size {
                return Err(format!("{replica:?}: {a} alone, {b} in a group"));
            }
        }
    }
    Ok(())
}

fn all_train(specs: impl Iterator<Item = (String, Spec)>, market: &Market) {
    let mut wrong = Vec::new();
    for (name, spec) in specs {
        if let Err(why) = two_steps(&spec, market) {
            wrong.push(format!("{name}: {why}\n{}", spec.to_yaml()));
        }
    }
    assert!(wrong.is_empty(), "{} specs do not train:\n{}", wrong.len(), wrong.join("\n"));
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
    all_train(drawn.into_iter(), &market);
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
    all_train(specs, &market);
}
