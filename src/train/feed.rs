//! Where batches come from: gathered on the host (the CPU's way), or on a device that holds the trial's data (a GPU's).
//!
//! A device holds one byte a feature. Of labels it holds what the folds learn from, fold by fold, and an order points only
//! into its own fold's: no label of a test era is there to be pointed at.

use burn::backend::Autodiff;
use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator};

use super::batches::{Batch, Sampler};
use super::group::Context;
use super::kernels::{Benchmark, Kernels, Truth, buffers};
use super::labels::BenchmarkRanks;
use super::noise::{Keys, Noise};
use super::streams::{Purpose, Replica};

/// A trial's data, for replicas on one device.
pub(super) struct Feed<'c, B: Backend> {
    pub(super) context: &'c Context<'c>,
    pub(super) device: B::Device,
    resident: Option<Resident<B>>,
}

impl<'c, B: Kernels> Feed<'c, B> {
    /// The way that suits the device.
    pub(super) fn of(context: &'c Context<'c>, device: B::Device) -> Self {
        if B::RESIDENT { Self::resident(context, device) } else { Self::host(context, device) }
    }

    /// Batches are gathered on the host.
    pub(super) fn host(context: &'c Context<'c>, device: B::Device) -> Self {
        Self { context, device, resident: None }
    }

    /// Batches are gathered on the device, which is given everything now.
    pub(super) fn resident(context: &'c Context<'c>, device: B::Device) -> Self {
        let resident = Some(Resident::of(context, &device));
        Self { context, device, resident }
    }

    /// The features of some rows of the packed matrix, `[1, row, feature]`.
    pub(super) fn features(&self, rows: &[usize]) -> Tensor<B, 3> {
        let Context { harness, columns, .. } = self.context;
        let shape = [1, rows.len(), columns.inputs()];
        if let Some(resident) = &self.resident {
            let rows = integers(rows.iter().map(|row| *row as i32).collect(), [rows.len()], &self.device);
            return resident.features(rows, shape, |features| features);
        }
        let mut features = buffers::take(rows.len() * columns.inputs());
        for (row, out) in rows.iter().zip(features.chunks_exact_mut(columns.inputs())) {
            columns.write_features(harness.features(), *row, out);
        }
        Tensor::from_data(TensorData::new(features, shape), &self.device)
    }
}

/// What a group of replicas sees, epoch by epoch and step by step.
pub(super) struct Rows<'c, B: Backend> {
    feed: &'c Feed<'c, B>,
    replicas: &'c [Replica],
    samplers: Vec<Sampler>,
    /// This epoch's learning rows, `[replica, place]`, where the device gathers.
    order: Option<Tensor<B, 2, Int>>,
    /// What is done to features, with a stream for each replica.
    noise: Option<(Noise, Vec<ChaCha8Rng>)>,
    /// This epoch's keys of it, step by step, one for each replica.
    keys: Vec<Vec<Keys>>,
}

impl<'c, B: Kernels> Rows<'c, B> {
    /// Nothing is drawn yet.
    pub(super) fn new(feed: &'c Feed<'c, B>, replicas: &'c [Replica]) -> Self {
        let samplers = replicas.iter().map(|replica| Sampler::new(replica.stream(Purpose::Order))).collect();
        let streams = || replicas.iter().map(|replica| replica.stream(Purpose::Noise)).collect();
        let noise = Noise::of(feed.context.spec).map(|noise| (noise, streams()));
        Self { feed, replicas, samplers, order: None, noise, keys: Vec::new() }
    }

    /// Draws the next epoch.
    pub(super) fn shuffle(&mut self) {
        let Feed { context: Context { folds, plan, .. }, device, resident } = self.feed;
        let pairs = self.samplers.par_iter_mut().zip(self.replicas.par_iter());
        pairs.for_each(|(sampler, replica)| sampler.shuffle(&folds[replica.fold], plan));
        if let Some((_, streams)) = &mut self.noise {
            self.keys = (0..plan.steps).map(|_| streams.iter_mut().map(Keys::draw).collect()).collect();
        }
        if let Some(resident) = resident {
            let each = plan.steps * plan.rows;
            let orders: Vec<Vec<i32>> = self
                .samplers
                .par_iter()
                .zip(self.replicas.par_iter())
                .map(|(sampler, replica)| sampler.places(&resident.starts[replica.fold], each))
                .collect();
            self.order = Some(integers(orders.concat(), [self.replicas.len(), each], device));
        }
    }

    /// Batch `step` of the epoch: features `[replica, row, feature]`, targets `[replica, row, target]`.
    pub(super) fn batch(&self, step: usize) -> (Tensor<Autodiff<B>, 3>, Truth<Autodiff<B>>) {
        let Context { columns, plan, .. } = self.feed.context;
        let (count, targets) = (self.replicas.len(), columns.targets.len());
        let (inputs, targets) = ([count, plan.rows, columns.inputs()], [count, plan.rows, targets]);
        match (&self.feed.resident, &self.order) {
            (Some(resident), Some(order)) => {
                let places = order.clone().narrow(1, step * plan.rows, plan.rows).reshape([count * plan.rows]);
                let rows = resident.rows.clone().select(0, places.clone());
                let label = |of: &Tensor<B, 2>| {
                    Tensor::from_inner(of.clone().select(0, places.clone()).reshape::<3, _>(targets))
                };
                let truth = Truth {
                    targets: label(&resident.targets),
                    mask: resident.mask.as_ref().map(label),
                    parts: plan.parts,
                    benchmark: resident.benchmark.as_ref().map(|held| held.of(&rows, [count, plan.rows, 1])),
                };
                let features = resident.features(rows, inputs, |features| match &self.noise {
                    Some((noise, _)) => noise.changed(&self.keys[step], features),
                    None => features,
                });
                (Tensor::from_inner(features), truth)
            }
            _ => self.host_batch(step, inputs, targets),
        }
    }

    fn host_batch(
        &self,
        step: usize,
        inputs: [usize; 3],
        targets: [usize; 3],
    ) -> (Tensor<Autodiff<B>, 3>, Truth<Autodiff<B>>) {
        let Feed { context: Context { harness, columns, folds, plan, .. }, device, .. } = self.feed;
        let mut batch = Batch::new(self.replicas.len(), plan, columns);
        for (index, (sampler, replica)) in self.samplers.iter().zip(self.replicas).enumerate() {
            sampler.fill(step, plan, &folds[replica.fold], columns, harness.features(), (&mut batch, index));
        }
        if let Some((noise, _)) = &self.noise {
            let rows = batch.features.chunks_exact_mut(columns.inputs()).enumerate();
            rows.for_each(|(row, numbers)| {
                let (replica, row) = (row / plan.rows, row % plan.rows);
                noise.change(&self.keys[step][replica], row, &mut numbers[..columns.features()]);
            });
        }
        let lift = |values: Vec<f32>, shape: [usize; 3]| {
            Tensor::<Autodiff<B>, 3>::from_data(TensorData::new(values, shape), device)
        };
        let mask = if batch.missing {
            Some(lift(batch.mask, targets))
        } else {
            buffers::give(batch.mask);
            None
        };
        let benchmark = self.feed.context.benchmark.as_ref().map(|ranks| {
            let pairs = self.samplers.iter().zip(self.replicas);
            let rows = pairs.flat_map(|(sampler, replica)| sampler.packed_rows(step, plan, &folds[replica.fold]));
            let (scores, mask) = rows.map(|row| ranks.at(row)).unzip();
            let shape = [targets[0], targets[1], 1];
            Benchmark { scores: lift(scores, shape), mask: ranks.missing().then(|| lift(mask, shape)) }
        });
        let truth = Truth { targets: lift(batch.targets, targets), mask, parts: plan.parts, benchmark };
        (lift(batch.features, inputs), truth)
    }
}

/// The benchmark of every row of the packed matrix, on a device.
struct HeldBenchmark<B: Backend> {
    /// `[row, 1]`, 0 where there is none.
    scores: Tensor<B, 2>,
    /// The same shape: 1 where there is one; None where all rows have one.
    mask: Option<Tensor<B, 2>>,
}

impl<B: Backend> HeldBenchmark<B> {
    fn of_ranks(ranks: &BenchmarkRanks, device: &B::Device) -> Self {
        let (scores, mask): (Vec<f32>, Vec<f32>) = (0..ranks.rows()).map(|row| ranks.at(row)).unzip();
        let shape = [ranks.rows(), 1];
        let lift = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), device);
        Self { scores: lift(scores), mask: ranks.missing().then(|| lift(mask)) }
    }

    fn of(&self, rows: &Tensor<B, 1, Int>, shape: [usize; 3]) -> Benchmark<Autodiff<B>> {
        let pick = |of: &Tensor<B, 2>| Tensor::from_inner(of.clone().select(0, rows.clone()).reshape::<3, _>(shape));
        Benchmark { scores: pick(&self.scores), mask: self.mask.as_ref().map(pick) }
    }
}

/// A trial's data on a device.
struct Resident<B: Backend> {
    /// The used columns of the packed matrix, `[row, feature]`, u8.
    features: Tensor<B, 2, Int>,
    /// What follows them, `[row, 1]`.
    after: Option<Tensor<B, 2>>,
    /// The packed matrix's row of each learning row. Learning rows are those of fold 0, era by era, then those of fold 1, …
    rows: Tensor<B, 1, Int>,
    /// `[learning row, target]`: target - 0.5, or 0 where it is missing.
    targets: Tensor<B, 2>,
    /// The same shape: 1 where there is a target; None where all are there.
    mask: Option<Tensor<B, 2>>,
    /// Each fold's eras' first learning rows.
    starts: Vec<Vec<u32>>,
    /// Where a term looks at it.
    benchmark: Option<HeldBenchmark<B>>,
}

impl<B: Backend> Resident<B> {
    fn of(context: &Context<'_>, device: &B::Device) -> Self {
        let Context { harness, columns, folds, .. } = context;
        let width = columns.targets.len();
        let mut rows: Vec<i32> = Vec::new();
        let starts = folds.iter().map(|fold| {
            let eras = fold.learn.iter().map(|era| {
                let start = rows.len() as u32;
                rows.extend(era.rows.clone().map(|row| row as i32));
                start
            });
            eras.collect()
        });
        let starts: Vec<Vec<u32>> = starts.collect();
        let (mut targets, mut mask) = (vec![0.0; rows.len() * width], vec![0.0; rows.len() * width]);
        let places = targets.chunks_exact_mut(width).zip(mask.chunks_exact_mut(width));
        let labels =
            folds.iter().flat_map(|fold| &fold.learn).flat_map(|era| (0..era.rows.len()).map(|row| (&era.labels, row)));
        let missing = places.zip(labels).fold(false, |missing, ((target, mask), (labels, row))| {
            columns.write_targets(labels, row, target, mask) || missing
        });
        let used = columns.used(harness.features());
        let shape = [used.len() / columns.features().max(1), columns.features()];
        let after = columns.benchmark().map(|ranks| TensorData::new(ranks.to_vec(), [ranks.len(), 1]));
        let learning = [rows.len(), width];
        Self {
            features: Tensor::from_data(TensorData::new(used, shape), (device, DType::U8)),
            after: after.map(|ranks| Tensor::from_data(ranks, device)),
            rows: integers(rows, [learning[0]], device),
            targets: Tensor::from_data(TensorData::new(targets, learning), device),
            mask: missing.then(|| Tensor::from_data(TensorData::new(mask, learning), device)),
            starts,
            benchmark: context.benchmark.as_ref().map(|ranks| HeldBenchmark::of_ranks(ranks, device)),
        }
    }

    /// Rows of the packed matrix as numbers from -1 to 1, `change` done to them, and what follows them.
    fn features(
        &self,
        rows: Tensor<B, 1, Int>,
        shape: [usize; 3],
        change: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let [replicas, count, inputs] = shape;
        let Some(after) = &self.after else {
            let packed = self.features.clone().select(0, rows).reshape::<3, _>(shape);
            return change((packed.float() - 2.0) * 0.5);
        };
        let packed = self.features.clone().select(0, rows.clone()).reshape::<3, _>([replicas, count, inputs - 1]);
        let after = after.clone().select(0, rows).reshape::<3, _>([replicas, count, 1]);
        Tensor::cat(vec![change((packed.float() - 2.0) * 0.5), after], 2)
    }
}

fn integers<B: Backend, const D: usize>(values: Vec<i32>, shape: [usize; D], device: &B::Device) -> Tensor<B, D, Int> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::I32))
}
