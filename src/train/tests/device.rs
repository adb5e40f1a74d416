//! What a GPU does differently, on the CPU backend: batches gathered on the device, groups, precision.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use super::{Market, on_cpu, spec};
use crate::train::backend::{Device, Precision};
use crate::train::feed::{Feed, Rows};
use crate::train::group::{Context, train_group};
use crate::train::kernels::Benchmark;
use crate::train::labels::{BenchmarkRanks, Labels};
use crate::train::streams::Replica;
use crate::train::{Choice, DeviceSettings};

fn bits(tensor: Tensor<Autodiff<Flex>, 3>) -> Vec<u32> {
    tensor.into_data().iter::<f32>().map(f32::to_bits).collect()
}

const REPLICAS: [Replica; 3] = [
    Replica { fold: 2, seed: 42, member: 0 },
    Replica { fold: 0, seed: 42, member: 1 },
    Replica { fold: 2, seed: 17, member: 0 },
];

/// Specs whose batches are mixed, per era, of fewer columns, with and without watched eras, with the benchmark.
const SPECS: [&str; 9] = [
    "training: { epochs: 2, batch_rows: 200, patience: 2 }",
    "training: { epochs: 2, batch_rows: 100, patience: null }\nloss: [{ pearson: { within: era } }]",
    "training: { epochs: 2, batch_rows: 64, patience: null }\nfeatures: { sets: [wisdom] }",
    "training: { epochs: 2, batch_rows: 256, patience: 2 }\ntargets: { train_on: [target_ender_20] }",
    "training: { epochs: 2, batch_rows: 256, patience: 2 }\nloss: [bmc]\ntargets: { transform: rank, residual: 0.5 }",
    "training: { epochs: 2, batch_rows: 100, patience: null }\nloss: [{ bmc: { within: era } }]",
    "training: { epochs: 2, batch_rows: 64, patience: null, batches: era, era_weighting: recency }\n\
     features: { noise: 0.1, benchmark: true }",
    "training: { epochs: 2, batch_rows: 90, patience: null, batches: { eras: { count: 3 } } }\n\
     features: { sets: [wisdom], mask: 0.2, noise: 0.3 }",
    "training: { epochs: 2, batch_rows: 90, patience: null, era_weighting: volatility }\nfeatures: { benchmark: true }",
];

/// Takes every third label of the learned eras away, and every fifth row's benchmark.
fn with_gaps<'h>(context: &mut Context<'h>, labels: &'h mut Vec<Vec<f32>>) {
    let eras = || context.folds.iter().flat_map(|fold| &fold.learn);
    let gaps = |(place, value): (usize, &f32)| if place % 3 == 0 { f32::NAN } else { *value };
    labels.extend(eras().map(|era| era.labels.iter().enumerate().map(gaps).collect()));
    let mut labels = labels.iter();
    for era in context.folds.iter_mut().flat_map(|fold| &mut fold.learn) {
        era.labels = Labels::Harness(labels.next().expect("one for each era"));
    }
    if let Some(benchmark) = &context.benchmark {
        let score = |row: usize| if row.is_multiple_of(5) { f32::NAN } else { benchmark.at(row).0 };
        context.benchmark = Some(Arc::new(BenchmarkRanks::new((0..benchmark.rows()).map(score).collect())));
    }
}

#[test]
fn batches_gathered_on_the_device_are_those_gathered_on_the_host() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    for text in SPECS {
        for gaps in [false, true] {
            let spec = spec(&format!("network: [{{ dense: {{ width: 4 }} }}]\n{text}\n"));
            let mut labels = Vec::new();
            let mut context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
            if gaps {
                with_gaps(&mut context, &mut labels);
            }
            let host = Feed::<Flex>::host(&context, Default::default());
            let device = Feed::<Flex>::resident(&context, Default::default());
            let (mut here, mut there) = (Rows::new(&host, &REPLICAS), Rows::new(&device, &REPLICAS));
            for epoch in 0..2 {
                here.shuffle();
                there.shuffle();
                for step in 0..context.plan.steps {
                    let ((x, truth), (found, found_truth)) = (here.batch(step), there.batch(step));
                    let what = format!("{text}, gaps {gaps}, epoch {epoch}, step {step}");
                    assert_eq!(found.dims(), x.dims(), "{what}");
                    assert_eq!(bits(found), bits(x), "features: {what}");
                    assert_eq!(found_truth.parts, truth.parts);
                    assert!(found_truth.mask.is_some() || !gaps && truth.mask.is_none(), "{what}");
                    // A batch that happens to miss nothing has no mask on the host.
                    let ones = vec![1.0_f32.to_bits(); truth.targets.dims().iter().product()];
                    assert_eq!(
                        found_truth.mask.map_or(ones.clone(), bits),
                        truth.mask.map_or(ones, bits),
                        "mask: {what}"
                    );
                    assert_eq!(bits(found_truth.targets), bits(truth.targets), "targets: {what}");
                    assert_eq!(truth.benchmark.is_some(), text.contains("bmc"));
                    let benchmark = |truth: Option<Benchmark<Autodiff<Flex>>>| {
                        truth.map(|benchmark| (bits(benchmark.scores), benchmark.mask.map(bits)))
                    };
                    let (found, wanted) = (benchmark(found_truth.benchmark), benchmark(truth.benchmark));
                    assert_eq!(found, wanted, "benchmark: {what}");
                    assert!(!gaps || wanted.is_none_or(|(_, mask)| mask.is_some()), "{what}");
                }
            }
            let rows: Vec<usize> = context.folds[1].test.iter().cloned().flatten().collect();
            assert_eq!(
                bits(Tensor::from_inner(device.features(&rows))),
                bits(Tensor::from_inner(host.features(&rows))),
                "{text}"
            );
        }
    }
}

#[test]
fn nets_fed_by_the_device_are_the_nets_fed_by_the_host() {
    let market = Market::small();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let spec = spec(
        "network: [{ dense: { width: 16, norm: batch, activation: gelu, dropout: 0.2 } }]\n\
         training: { epochs: 3, batch_rows: 256, patience: 1 }\n",
    );
    let context = Context::new(&spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let trained = |feed: Feed<'_, Flex>| train_group(&feed, &REPLICAS, &|| {}).expect("it trains");
    let here = trained(Feed::host(&context, Default::default()));
    let there = trained(Feed::resident(&context, Default::default()));
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(there.outputs, here.outputs);
        assert_eq!(there.rows_trained, here.rows_trained);
    }
}

#[test]
fn the_cpu_takes_its_own_precision_alone() {
    let settings = |precision| DeviceSettings { precision, ..on_cpu(1) };
    assert!(Device::find(&settings(None)).is_ok());
    assert!(Device::find(&settings(Some(Precision::Fp32))).is_ok());
    for precision in [Precision::Tf32, Precision::Bf16] {
        let refusal = Device::find(&settings(Some(precision))).expect_err("the CPU has fp32 alone").to_string();
        assert!(refusal.contains(&format!("{precision:?}").to_lowercase()) && refusal.contains("GPU"), "{refusal}");
    }
}

#[test]
fn settings_reach_a_worker_as_its_arguments() {
    #[derive(clap::Parser)]
    struct Worker {
        #[command(flatten)]
        device: DeviceSettings,
    }
    let settings = [
        DeviceSettings::default(),
        on_cpu(3),
        DeviceSettings {
            device: Choice::Cuda,
            threads: None,
            precision: Some(Precision::Bf16),
            gpu_memory_mb: Some(40_000),
        },
    ];
    for wanted in settings {
        let arguments = [vec!["worker".to_owned()], wanted.arguments()].concat();
        let found = <Worker as clap::Parser>::try_parse_from(arguments).expect("arguments that it takes");
        assert_eq!(found.device, wanted);
    }
}
