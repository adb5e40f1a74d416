//! How fast a device trains, measured: steps of small nets whose cost is known, timed while all lanes are busy.

use std::time::Instant;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backend::Precision;
use super::blocks::forward;
use super::forward::Learning;
use super::kernels::{Dropout, Kernels, Truth};
use super::loss::{LossInputs, loss};
use super::noise::Keys;
use super::optimizer::{Stepper, parts};
use super::post::neutralize_to_features;
use super::start::start;
use super::streams::Replica;
use crate::spec::net::{Inputs, Net};
use crate::spec::rates::DeviceRates;
use crate::spec::{Spec, cost};

/// Columns of the made-up data, and its targets.
const COLUMNS: usize = 128;
const TARGETS: usize = 2;

/// Nothing but the beginnings of operations counts in it.
const SMALL: &str = "network: [{ repeat: { times: 6, blocks: [{ dense: { width: 8, norm: batch, dropout: 0.1 } }] } }]\n\
                     training: { batch_rows: 64, epochs: 1, patience: null }\n";

/// Element-wise operations, for the most part.
const NARROW: &str = "network: [{ repeat: { times: 4, blocks: [{ dense: { width: 32, activation: identity } }, \
                      { norm: batch }, { activation: gelu }, { dropout: 0.1 }] } }]\n\
                      training: { batch_rows: 2048, epochs: 1, patience: null }\n";

/// Matrix products, for the most part.
const WIDE: &str = "network: [{ repeat: { times: 2, blocks: [{ dense: { width: 256, norm: batch } }] } }]\n\
                    training: { batch_rows: 2048, epochs: 1, patience: null }\n";

/// Steps of a net that are not timed: buffers are new, kernels are compiled.
const UNTIMED: usize = 2;

/// Of the others the fastest counts: so many at least, and so many seconds, in which other programs hardly take every moment.
const TIMED: usize = 8;
const SECONDS: f64 = 0.1;

/// How often all nets are timed; the fastest round of each counts, so that a program that ends meanwhile does not.
const ROUNDS: usize = 3;

/// Rows and features of the made-up era to which predictions are neutralized: its products are larger than a core's own cache,
/// as those of real features are.
const ERA: (usize, usize) = (1000, 512);

/// Measures. `lanes` train side by side; `threads` do what the host does beside.
pub(super) fn measure<B: Kernels>(
    device: &B::Device,
    precision: Precision,
    (lanes, threads): (usize, usize),
    group_bytes: Option<u64>,
) -> DeviceRates
where
    B::Device: Sync,
{
    let nets = [SMALL, NARROW, WIDE].map(|text| {
        let spec = Spec::parse(text, "measurement").expect("a valid spec: a test reads it");
        let net = Net::of(&spec, &inputs()).expect("it can be laid out");
        (spec, net)
    });
    let mut fastest = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        for ((spec, net), fastest) in nets.iter().zip(&mut fastest) {
            let step = || step_seconds::<B>(spec, net, device, precision);
            // On a GPU by the thread that trains, which then has the memory for it (see `together`).
            let seconds = if group_bytes.is_some() { step() } else { side_by_side(lanes, step) };
            *fastest = fastest.min(seconds);
        }
    }
    let [small, narrow, wide] = std::array::from_fn(|index| {
        let (spec, net) = &nets[index];
        (fastest[index], cost::of_step(spec, net, TARGETS, f64::from(spec.training.batch_rows)))
    });
    // Each net is mostly one of the three, and what the two others take of it is little: two rounds settle it.
    let mut rates = DeviceRates {
        lanes: lanes as u64,
        group_bytes,
        flops: wide.1.flops / wide.0,
        numbers: narrow.1.numbers / narrow.0,
        seconds_an_operation: small.0 / small.1.operations,
        host: host(threads),
    };
    for _ in 0..2 {
        let rest = |seconds: f64, others: f64| (seconds - others).max(seconds / 4.0);
        let (products, numbers) = (small.1.flops / rates.flops, small.1.numbers / rates.numbers);
        rates.seconds_an_operation = rest(small.0, products + numbers) / small.1.operations;
        let (products, begun) = (narrow.1.flops / rates.flops, narrow.1.operations * rates.seconds_an_operation);
        rates.numbers = narrow.1.numbers / rest(narrow.0, products + begun);
        let (numbers, begun) = (wide.1.numbers / rates.numbers, wide.1.operations * rates.seconds_an_operation);
        rates.flops = wide.1.flops / rest(wide.0, numbers + begun);
    }
    rates
}

/// What the threads of the host do beside the training, all together.
fn host(threads: usize) -> f64 {
    let (rows, features) = ERA;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let x: Vec<f32> = (0..rows * features).map(|_| f32::from(random.random_range(0_u8..5)) - 2.0).collect();
    let predictions: Vec<f64> = (0..rows).map(|_| random.random::<f64>()).collect();
    let seconds = side_by_side(threads, || {
        let times = (0..2).map(|_| {
            let begun = Instant::now();
            neutralize_to_features(&mut predictions.clone(), &x, 1.0);
            begun.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    });
    threads.max(1) as f64 * cost::neutralizing(rows as f64, features as f64) / seconds
}

fn inputs() -> Inputs {
    Inputs { features: COLUMNS, sets: vec![("all".into(), (0..COLUMNS).collect())], targets: TARGETS }
}

/// The mean over lanes of what each measures while the others do, too.
fn side_by_side(lanes: usize, work: impl Fn() -> f64 + Sync) -> f64 {
    let times: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..lanes.max(1))
            .map(|_| {
                scope.spawn(|| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => pool.install(&work),
                    Err(_) => work(),
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

/// Seconds of the fastest step.
fn step_seconds<B: Kernels>(spec: &Spec, net: &Net, device: &B::Device, precision: Precision) -> f64 {
    let rows = spec.training.batch_rows as usize;
    let replica = Replica { fold: 0, seed: 0, member: 0 };
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut tensor = |columns: usize| {
        let values: Vec<f32> = (0..rows * columns).map(|_| random.random::<f32>() - 0.5).collect();
        Tensor::<B, 3>::from_data(TensorData::new(values, [1, rows, columns]), device)
    };
    let (x, targets) = (tensor(COLUMNS), tensor(TARGETS));
    let mut params: Vec<Tensor<B, 3>> = (net.params.iter().zip(start(net, &replica)))
        .map(|(shape, values)| Tensor::from_data(TensorData::new(values, [1, shape.rows, shape.cols]), device))
        .collect();
    let mut stepper = Stepper::new(&spec.optimizer, parts(net), &[replica]);
    let mut fastest = f64::INFINITY;
    let (mut step, mut timed) = (0, 0.0);
    while step < UNTIMED + TIMED || timed < SECONDS {
        let begun = Instant::now();
        let tracked: Vec<Tensor<Autodiff<B>, 3>> =
            std::mem::take(&mut params).into_iter().map(|param| Tensor::from_inner(param).require_grad()).collect();
        let mut dropout = |rate: f64| Dropout::new(rate, vec![[step as u32, 1]]);
        let mut noise = || vec![Keys::draw(&mut ChaCha8Rng::seed_from_u64(step as u64))];
        let mut pass = Learning::new(&mut dropout, &mut noise, net.running.len(), precision);
        let outputs = forward(net, &tracked, Tensor::from_inner(x.clone()), &mut pass);
        let truth = Truth { targets: Tensor::from_inner(targets.clone()), mask: None, parts: 1, benchmark: None };
        let weights = Tensor::from_data(TensorData::new(vec![0.5_f32; TARGETS], [1, 1, TARGETS]), device);
        let loss = loss(&LossInputs {
            spec,
            net,
            params: &tracked,
            outputs: &outputs,
            features: None,
            truth: &truth,
            weights: &weights,
            auxiliary: &[],
            members: net.members,
        });
        let mut gradients = loss.clone().sum().backward();
        let (plain, found): (Vec<_>, Vec<_>) = tracked
            .into_iter()
            .map(|param| {
                let gradient = param.grad_remove(&mut gradients);
                (param.inner(), gradient)
            })
            .unzip();
        params = plain;
        stepper.step(&mut params, found, 1.0);
        B::release(outputs.inner());
        // A device that works behind the host's back is done when a number of each parameter is here.
        for param in &params {
            let _ = param.clone().slice([0..1, 0..1, 0..1]).into_data();
        }
        let _ = loss.into_data();
        if step >= UNTIMED {
            let seconds = begun.elapsed().as_secs_f64();
            timed += seconds;
            fastest = fastest.min(seconds);
        }
        step += 1;
    }
    fastest
}
