//! Which rows batches hold and what is done to them: by era, by weight, with the benchmark beside the features, mixed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;

use super::{Market, bits, same_alone_and_in_a_group, spec};
use crate::spec::Spec;
use crate::train::backend::Precision;
use crate::train::batches::{EraRows, Sampler};
use crate::train::feed::Feed;
use crate::train::group::Context;
use crate::train::streams::{Purpose, Replica};

fn with(text: &str) -> Spec {
    spec(&format!("network: [{{ dense: {{ width: 8 }} }}]\n{text}\n"))
}

/// The eras of each batch's rows in one epoch of fold 0, in their order; era by its place among the learned ones.
fn epoch(context: &Context<'_>, sampler: &mut Sampler) -> Vec<Vec<usize>> {
    let (fold, plan) = (&context.folds[0], &context.plan);
    let starts: Vec<u32> = fold.learn.iter().map(|era| era.rows.start as u32).collect();
    sampler.shuffle(fold, plan);
    let era_of = |row: &i32| {
        fold.learn.iter().position(|era| era.rows.contains(&(*row as usize))).expect("a row of a learned era")
    };
    let places = sampler.places(&starts, plan.steps * plan.rows);
    places.chunks_exact(plan.rows).map(|batch| batch.iter().map(era_of).collect()).collect()
}

fn sampler() -> Sampler {
    Sampler::new(Replica { fold: 0, seed: 42, member: 0 }.stream(Purpose::Order))
}

#[test]
fn batches_by_era_hold_one_era_and_batches_by_eras_hold_each_once() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    for (batches, rows, parts) in
        [("era", 48, 1), ("era", 4096, 1), ("{ eras: { count: 4 } }", 160, 4), ("{ eras: { count: 64 } }", 4096, 64)]
    {
        let text = format!("training: {{ batches: {batches}, batch_rows: {rows}, patience: null }}");
        let spec = with(&text);
        let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
        let fewest = context.folds.iter().map(|fold| fold.learn.len()).min().expect("there are folds");
        let plan = context.plan;
        let parts = parts.min(fewest);
        assert_eq!(plan.parts, parts);
        let smallest = context.folds.iter().flat_map(|fold| &fold.learn).map(|era| era.rows.len()).min();
        assert_eq!(plan.rows / parts, smallest.expect("there are eras").min(rows as usize / parts), "{text}");
        let mut sampler = sampler();
        for _ in 0..3 {
            let mut seen = BTreeMap::new();
            for batch in epoch(&context, &mut sampler) {
                let runs: Vec<&[usize]> = batch.chunks_exact(plan.rows / parts).collect();
                assert!(runs.iter().all(|run| run.iter().all(|era| *era == run[0])), "a run is of one era");
                let mut eras: Vec<usize> = runs.iter().map(|run| run[0]).collect();
                eras.iter().for_each(|era| *seen.entry(*era).or_insert(0) += 1);
                eras.sort_unstable();
                eras.dedup();
                assert_eq!(eras.len(), parts, "{text}: eras stand together once");
            }
            // An epoch leaves out less than one batch of the smallest fold's runs.
            assert!(seen.len() + parts > fewest, "{text}: {} of {} eras", seen.len(), context.folds[0].learn.len());
        }
    }
}

#[test]
fn eras_are_drawn_by_their_weights() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    for batches in ["rows", "era"] {
        let spec = with(&format!(
            "training: {{ batches: {batches}, batch_rows: 32, patience: null, era_weighting: {{ recency: {{ half_life: 20 }} }} }}"
        ));
        let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
        let fold = &context.folds[0];
        let last = fold.learn.last().expect("there are eras").era;
        for (era, weight) in fold.learn.iter().zip(&fold.era_weights) {
            assert!((weight.log2() + f64::from(last - era.era) / 20.0).abs() < 1e-12, "halves every 20 eras");
        }
        let unit = if batches == "rows" { 1 } else { context.plan.rows };
        let there: Vec<f64> = fold.learn.iter().map(|era| (era.rows.len() / unit) as f64).collect();
        let total: f64 = there.iter().sum();
        let sum: f64 = there.iter().zip(&fold.era_weights).map(|(count, weight)| count * weight).sum();
        let (mut sampler, epochs) = (sampler(), 40);
        let mut counts = vec![0.0; fold.learn.len()];
        for _ in 0..epochs {
            for era in epoch(&context, &mut sampler).iter().flatten() {
                counts[*era] += 1.0 / f64::from(epochs) / unit as f64;
            }
        }
        // The plan is the smallest fold's, so an epoch may be a random part of what this fold draws.
        let share = (context.plan.steps * context.plan.rows / unit) as f64 / total;
        for (era, found) in counts.iter().enumerate() {
            let wanted = share * total * there[era] * fold.era_weights[era] / sum;
            // A count is within one of its expectation; what the end of an epoch cuts off is random.
            assert!((found - wanted).abs() < 1.0 + 0.1 * wanted, "{batches}, era {era}: {found}, wanted {wanted}");
        }
    }
}

#[test]
fn calm_eras_weigh_more_by_the_strength_of_their_correlations() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let spec =
        with("features: { sets: [wisdom] }\ntraining: { patience: null, era_weighting: { volatility: { power: 2 } } }");
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let columns = harness.feature_set("wisdom").expect("it is there").to_vec();
    let fold = &context.folds[1];
    let volatility = |era: &EraRows<'_>| {
        let correlation = |column: &usize| {
            let labels = era.labels.chunks_exact(2).map(|row| f64::from(row[0]));
            let feature = |row| f64::from(harness.features().row(row)[*column]);
            let pairs: Vec<(f64, f64)> =
                era.rows.clone().map(feature).zip(labels).filter(|(_, y)| !y.is_nan()).collect();
            let count = pairs.len() as f64;
            let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
            let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.0 - x, pair.1 - y)).sum::<f64>();
            let spread = sum(&|x, _| x * x) * sum(&|_, y| y * y);
            (spread > 1e-9).then(|| sum(&|x, y| x * y).powi(2) / spread)
        };
        let squares: Vec<f64> = columns.iter().filter_map(correlation).collect();
        (!squares.is_empty()).then(|| (squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
    };
    let found: Vec<Option<f64>> = fold.learn.iter().map(volatility).collect();
    let known = found.iter().flatten().count();
    assert!(known > 5, "{known} eras in which features vary");
    let mean = found.iter().flatten().sum::<f64>() / known as f64;
    for (weight, found) in fold.era_weights.iter().zip(&found) {
        let wanted = found.map_or(1.0, |found| (found / mean).max(0.1).powi(-2));
        assert!((weight / wanted - 1.0).abs() < 1e-9, "{weight}, wanted {wanted}");
    }
}

#[test]
fn the_benchmark_is_a_rank_beside_the_features() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let spec = with("features: { sets: [wisdom], benchmark: true }");
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    assert_eq!(context.columns.inputs(), 9);
    let era = &harness.eras()[3];
    let rows: Vec<usize> = era.rows.clone().collect();
    let features: Vec<f32> =
        Feed::<Flex>::of(&context, Default::default()).features(&rows).into_data().iter().collect();
    let benchmark = &harness.benchmark()[era.rows.clone()];
    let there: Vec<f32> = benchmark.iter().copied().filter(|value| !value.is_nan()).collect();
    for (row, value) in features.chunks_exact(9).zip(benchmark) {
        let lower = there.iter().filter(|other| *other < value).count() as f32;
        let ties = there.iter().filter(|other| *other == value).count() as f32;
        let wanted =
            if value.is_nan() { 0.0 } else { (lower + (ties - 1.0) / 2.0) / (there.len() as f32 - 1.0) * 2.0 - 1.0 };
        assert!((row[8] - wanted).abs() < 1e-6, "{} for {value}, wanted {wanted}", row[8]);
        assert!(row[..8].iter().all(|value| [-1.0, -0.5, 0.0, 0.5, 1.0].contains(value)));
    }
}

/// Every option of the data and every augmentation in some of these.
const OPTIONS: [&str; 6] = [
    "features: { noise: 0.1, mask: 0.2, benchmark: true }\naugment: [mixup, { label_smoothing: { amount: 0.2 } }]\nloss: [pearson, mse]",
    "augment: [manifold_mixup]\ntraining: { epochs: 3, batch_rows: 256, patience: 2, era_weighting: recency }",
    "augment: [cutmix]\ntraining: { epochs: 3, batch_rows: 64, patience: 2, batches: era }",
    "augment: [manifold_mixup]\nloss: [{ pearson: { within: era } }]\n\
     training: { epochs: 3, batch_rows: 120, patience: null, batches: { eras: { count: 3 } }, era_weighting: volatility }",
    "augment: [mixup]\nloss: [{ pearson: { within: era } }]\nfeatures: { sets: [wisdom], mask: 0.1 }",
    "augment: [cutmix]\nfeatures: { noise: 0.3, benchmark: true }\nloss: [mae]",
];

fn option(text: &str) -> Spec {
    let training =
        if text.contains("training:") { "" } else { "training: { epochs: 3, batch_rows: 256, patience: 2 }\n" };
    spec(&format!(
        "network:\n  - dense: {{ width: 16, norm: batch, activation: gelu, dropout: 0.2, bias: false }}\n  \
         - residual: [{{ dense: {{ width: 12, norm: layer, activation: silu, dropout: 0.1 }} }}]\n{training}{text}\n"
    ))
}

#[test]
fn every_option_trains_to_finite_scores_and_to_the_same_bits_every_time() {
    let market = Market::small();
    let plain = bits(&market.train(&option(""), &[42], 2).expect("it trains"));
    for text in OPTIONS {
        let spec = option(text);
        let cells = market.train(&spec, &[42], 2).expect("it trains");
        assert!(cells.iter().flat_map(|cell| &cell.predictions).all(|prediction| prediction.is_finite()), "{text}");
        assert_eq!(bits(&cells), bits(&market.train(&spec, &[42], 1).expect("it trains")), "{text}");
        assert_ne!(bits(&cells), plain, "{text}");
    }
}

#[test]
fn with_every_option_a_net_trained_in_a_group_is_the_net_trained_alone() {
    let market = Market::small();
    for text in OPTIONS {
        let mut spec = option(text);
        spec.training.epochs = 1;
        // Batched and single matrix products may add up in another order, as in `promises`.
        same_alone_and_in_a_group(&spec, &market, 2e-5);
    }
}
