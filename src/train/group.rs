//! The training loop: a group of replicas, trained together as one set of tensors.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::Autodiff;
use burn::tensor::{Bool, Tensor, TensorData, backend::Backend};
use prepare::data::Harness;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::TrainError;
use super::augment::{Augmented, Augmenter, Inside};
use super::backend::Precision;
use super::batches::{BatchPlan, Columns, EraRows, FoldData};
use super::blocks::{forward, forward_between};
use super::feed::{Feed, Rows};
use super::forward::{Learning, Predicting, Running};
use super::kernels::{Dropout, Kernels, Moments, Truth};
use super::labels::{self, BenchmarkRanks, Learned};
use super::loss::{LossInputs, loss, needs_features, predictions, target_weights};
use super::noise::Keys;
use super::optimizer::{Average, Stepper, parts, perturbed};
use super::schedule::factor;
use super::start::start;
use super::streams::{Purpose, Replica};
use crate::spec::net::{Fault, Net};
use crate::spec::{Names, Spec, Weighting};

/// Everything that the replicas of a trial share.
pub(super) struct Context<'h> {
    pub(super) spec: &'h Spec,
    pub(super) harness: &'h Harness,
    pub(super) net: Net,
    pub(super) columns: Columns,
    pub(super) folds: Vec<FoldData<'h>>,
    pub(super) plan: BatchPlan,
    /// Where a term of the loss looks at it.
    pub(super) benchmark: Option<Arc<BenchmarkRanks>>,
    /// Of matrix products.
    pub(super) precision: Precision,
    /// Set from outside to end the training.
    pub(super) stop: &'h AtomicBool,
}

impl<'h> Context<'h> {
    /// Lays out a trial whose members are all alike.
    ///
    /// # Errors
    /// As [`Context::of_member`].
    #[cfg(test)]
    pub(super) fn new(
        spec: &'h Spec,
        harness: &'h Harness,
        precision: Precision,
        stop: &'h AtomicBool,
    ) -> Result<Self, TrainError> {
        Self::of_member(spec, harness, precision, stop, 0, None)
    }

    /// Lays out a trial's nets of one member, and of those like it. The spec is the member's. What nets of `other` members
    /// learn is shared with them as far as it is the same.
    ///
    /// # Errors
    /// Names that the data does not have; too few eras for early stopping.
    pub(super) fn of_member(
        spec: &'h Spec,
        harness: &'h Harness,
        precision: Precision,
        stop: &'h AtomicBool,
        member: u32,
        other: Option<&Self>,
    ) -> Result<Self, TrainError> {
        let columns = Columns::of(spec, harness, member)?.with_benchmark(harness, other.map(|other| &other.columns));
        let net = Net::of(spec, &columns.layout(spec, harness)).map_err(|faults| layout_error(&faults))?;
        let Learned { folds, benchmark } = labels::learned(spec, harness, &columns, other)?;
        let plan = BatchPlan::of(spec, &folds);
        Ok(Self { spec, harness, net, columns, folds, plan, benchmark, precision, stop })
    }

    /// The weights of targets that are not learned, in the order of the trained targets; they sum to 1.
    fn fixed_weights(&self) -> Vec<f32> {
        let names: Vec<&String> = match &self.spec.targets.train_on {
            Names::All => self.harness.target_names().iter().collect(),
            Names::Only(names) => names.iter().collect(),
        };
        let raw: Vec<f64> = match &self.spec.targets.weighting {
            Weighting::Fixed(weights) => names
                .iter()
                .map(|name| weights.0.iter().find(|(known, _)| known == *name).map_or(0.0, |(_, weight)| *weight))
                .collect(),
            Weighting::Uniform(_) | Weighting::Learned(_) => vec![1.0; names.len()],
        };
        let total: f64 = raw.iter().sum();
        raw.iter().map(|weight| (weight / total) as f32).collect()
    }
}

/// Why a net cannot be laid out on the data; `Spec::check_data` says so before anything is trained.
pub(super) fn layout_error(faults: &[Fault]) -> TrainError {
    let words: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
    TrainError::Data(words.join("; "))
}

/// What one replica predicts for its fold's test rows.
pub(super) struct Prediction {
    /// `[test row, target]`, in the order of the test ranges.
    pub(super) outputs: Vec<f32>,
    /// What each target counts.
    pub(super) weights: Vec<f32>,
    /// Rows that gradients were taken of.
    pub(super) rows_trained: u64,
}

/// Trains the replicas and predicts their folds' test rows. `alive` is called after every epoch.
///
/// # Errors
/// A loss or a prediction that is not a number; a request to stop.
pub(super) fn train_group<B: Kernels>(
    feed: &Feed<'_, B>,
    replicas: &[Replica],
    alive: &dyn Fn(),
) -> Result<Vec<Prediction>, TrainError> {
    let context = feed.context;
    let mut group = Group::<B>::new(feed, replicas);
    let epochs = context.spec.training.epochs;
    for epoch in 1..=epochs {
        group.epoch(epoch)?;
        alive();
        if context.spec.training.patience.is_some_and(|patience| group.watch(epoch, patience)) {
            break;
        }
    }
    group.predict(epochs)
}

/// Parameters and running statistics.
#[derive(Clone)]
pub(super) struct Weights<B: Backend> {
    pub(super) params: Vec<Tensor<B, 3>>,
    pub(super) running: Vec<Running<B>>,
}

impl<B: Backend> Weights<B> {
    /// Old and new weights brought together, tensor by tensor.
    pub(super) fn blended(self, new: Self, mix: impl Fn(Tensor<B, 3>, Tensor<B, 3>) -> Tensor<B, 3>) -> Self {
        let running = self.running.into_iter().zip(new.running);
        Self {
            params: self.params.into_iter().zip(new.params).map(|(old, new)| mix(old, new)).collect(),
            running: running
                .map(|(old, new)| Running { mean: mix(old.mean, new.mean), variance: mix(old.variance, new.variance) })
                .collect(),
        }
    }
}

/// What a forward and backward pass gives.
struct Passed<B: Backend> {
    /// `[replica, 1, 1]`
    loss: Tensor<B, 3>,
    gradients: Vec<Option<Tensor<B, 3>>>,
    /// The batch's moments and the rows that they are of, by number of the running statistics.
    seen: Vec<Option<(Moments<B>, usize)>>,
}

struct Group<'c, B: Backend> {
    feed: &'c Feed<'c, B>,
    context: &'c Context<'c>,
    replicas: &'c [Replica],
    rows: Rows<'c, B>,
    weights: Weights<B>,
    best: Option<Weights<B>>,
    /// Each replica's best score on the watched eras, and the epoch of it.
    scores: Vec<(f64, u32)>,
    stopped: Vec<bool>,
    stepper: Stepper<B>,
    /// What is watched and predicts instead of the weights, if the spec asks for it.
    average: Option<Average<B>>,
    dropout: Vec<ChaCha8Rng>,
    noise: Vec<ChaCha8Rng>,
    augmenter: Augmenter<'c>,
    /// The weights of targets that are not learned, `[1, 1, target]`.
    fixed: Tensor<B, 3>,
    rows_trained: Vec<u64>,
}

impl<'c, B: Kernels> Group<'c, B> {
    fn new(feed: &'c Feed<'c, B>, replicas: &'c [Replica]) -> Self {
        let (context, device) = (feed.context, &feed.device);
        let starts: Vec<Vec<Vec<f32>>> = replicas.par_iter().map(|replica| start(&context.net, replica)).collect();
        let params = context.net.params.iter().enumerate().map(|(index, shape)| {
            let values: Vec<f32> = starts.iter().flat_map(|start| start[index].iter().copied()).collect();
            Tensor::from_data(TensorData::new(values, [replicas.len(), shape.rows, shape.cols]), device)
        });
        let running = context.net.running.iter().map(|width| Running::new(replicas.len(), *width, device));
        let fixed = TensorData::new(context.fixed_weights(), [1, 1, context.columns.targets.len()]);
        Self {
            feed,
            context,
            replicas,
            rows: Rows::new(feed, replicas),
            weights: Weights { params: params.collect(), running: running.collect() },
            best: None,
            scores: vec![(f64::NEG_INFINITY, 0); replicas.len()],
            stopped: vec![false; replicas.len()],
            stepper: Stepper::new(&context.spec.optimizer, parts(&context.net), replicas),
            average: Average::of(context.spec),
            dropout: replicas.iter().map(|replica| replica.stream(Purpose::Dropout)).collect(),
            noise: replicas.iter().map(|replica| replica.stream(Purpose::BlockNoise)).collect(),
            augmenter: Augmenter::new(&context.spec.augment, replicas),
            fixed: Tensor::from_data(fixed, device),
            rows_trained: vec![0; replicas.len()],
        }
    }

    fn epoch(&mut self, epoch: u32) -> Result<(), TrainError> {
        let Context { spec, plan, .. } = self.context;
        self.rows.shuffle();
        let mut total: Option<Tensor<B, 3>> = None;
        for step in 0..plan.steps {
            if self.context.stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped);
            }
            let at = (epoch as usize - 1) * plan.steps + step;
            let loss = self.step(step, at, factor(&spec.schedule, at, plan.steps, spec.training.epochs));
            total = Some(match total {
                Some(total) => total + loss,
                None => loss,
            });
        }
        self.stepper.end_epoch(&mut self.weights.params);
        if let Some(average) = &mut self.average {
            average.after_epoch(&self.weights, epoch);
        }
        for (replica, rows) in self.rows_trained.iter_mut().enumerate() {
            if !self.stopped[replica] {
                *rows += (plan.steps * plan.rows) as u64;
            }
        }
        let losses = total.map(to_host).unwrap_or_default();
        // What a replica does once it has stopped is nobody's: alone it would have ended.
        let mut learning = losses.iter().zip(&self.stopped);
        match learning.position(|(loss, stopped)| !stopped && !loss.is_finite()) {
            Some(index) => Err(self.diverged(index, epoch, "the loss is not a number")),
            None => Ok(()),
        }
    }

    fn diverged(&self, index: usize, epoch: u32, what: &str) -> TrainError {
        let Replica { fold, seed, member } = self.replicas[index];
        TrainError::Diverged { fold, seed, member, epoch, what: what.into() }
    }

    /// One batch, `at` steps after the first; the loss of each replica, `[replica, 1, 1]`.
    fn step(&mut self, step: usize, at: usize, factor: f64) -> Tensor<B, 3> {
        let Context { spec, net, .. } = self.context;
        let (x, truth) = self.rows.batch(step);
        let Augmented { x, truth, inside } = self.augmenter.augment(at, net.layers.len(), x, truth);
        let mix = inside.as_ref();
        let again =
            spec.optimizer.beside.sam.as_ref().map(|sam| (sam, x.clone(), self.dropout.clone(), self.noise.clone()));
        let Passed { loss, mut gradients, seen } = self.pass(self.weights.params.clone(), x, &truth, mix);
        if let Some((sam, x, dropout, noise)) = again {
            // The same masks and noise, so that nothing but the weights differs between the passes.
            self.dropout = dropout;
            self.noise = noise;
            let nearby = perturbed(&self.weights.params, gradients, sam);
            gradients = self.pass(nearby, x, &truth, mix).gradients;
        }
        self.stepper.step(&mut self.weights.params, gradients, factor);
        for tensor in [Some(truth.targets), truth.mask].into_iter().flatten() {
            B::release(tensor.inner());
        }
        for (running, seen) in self.weights.running.iter_mut().zip(seen) {
            if let Some((moments, rows)) = seen {
                running.follow(moments, rows);
            }
        }
        if let Some(average) = &mut self.average {
            average.after_step(&self.weights);
        }
        loss
    }

    /// Forward and backward over a batch, with these parameters.
    fn pass(
        &mut self,
        params: Vec<Tensor<B, 3>>,
        x: Tensor<Autodiff<B>, 3>,
        truth: &Truth<Autodiff<B>>,
        inside: Option<&Inside<Autodiff<B>>>,
    ) -> Passed<B> {
        let Context { spec, net, columns, precision, .. } = self.context;
        let params: Vec<Tensor<Autodiff<B>, 3>> =
            params.into_iter().map(|param| Tensor::from_inner(param).require_grad()).collect();
        let streams = &mut self.dropout;
        let mut dropout = |rate: f64| {
            Dropout::new(rate, streams.iter_mut().map(|stream| [stream.next_u32(), stream.next_u32()]).collect())
        };
        let streams = &mut self.noise;
        let mut noise = || streams.iter_mut().map(Keys::draw).collect();
        let mut pass = Learning::new(&mut dropout, &mut noise, self.weights.running.len(), *precision);
        let features = needs_features(spec).then(|| x.clone().narrow(2, 0, columns.features()));
        let outputs = match inside {
            None => forward(net, &params, x, &mut pass),
            Some(mix) => forward_between(net, &params, x, &mut pass, &|block, x| mix.before(block, x)),
        };
        let Learning { seen, auxiliary, .. } = pass;
        let fixed = Tensor::from_inner(self.fixed.clone());
        let weights = target_weights(spec, net, &params, &fixed);
        let loss = loss(&LossInputs {
            spec,
            net,
            params: &params,
            outputs: &outputs,
            features: features.as_ref(),
            truth,
            weights: &weights,
            auxiliary: &auxiliary,
            members: net.members,
        });
        // Replicas share no parameter, so the gradient of the sum is each one's own.
        let mut gradients = loss.clone().sum().backward();
        // The graph's parameters go with the iteration: a step in place needs to be their only holder.
        let gradients = params.into_iter().map(|param| param.grad_remove(&mut gradients)).collect();
        B::release(outputs.inner());
        Passed { loss: loss.inner(), gradients, seen }
    }

    /// Scores the watched eras and remembers the best weights. True when every replica has lost its patience.
    fn watch(&mut self, epoch: u32, patience: u32) -> bool {
        if self.average.as_ref().is_some_and(|average| average.weights().is_none()) {
            return false;
        }
        let weights = self.target_weights(self.shown());
        let mut better = vec![false; self.replicas.len()];
        // All are asked for before the first is waited for.
        let outputs: Vec<Option<Vec<Tensor<B, 3>>>> = (self.replicas.iter().enumerate())
            .map(|(index, replica)| {
                let ranges = self.context.folds[replica.fold].watch.iter().map(|era| era.rows.clone());
                (!self.stopped[index]).then(|| self.outputs(index, self.shown(), ranges))
            })
            .collect();
        for (index, outputs) in outputs.into_iter().enumerate() {
            let Some(outputs) = outputs else { continue };
            let watch = &self.context.folds[self.replicas[index].fold].watch;
            let score = watched_score(&self.context.columns.targets, watch, &joined(outputs), &weights[index]);
            if score > self.scores[index].0 {
                self.scores[index] = (score, epoch);
                better[index] = true;
            } else if epoch - self.scores[index].1 >= patience {
                self.stopped[index] = true;
            }
        }
        self.remember(&better);
        self.stopped.iter().all(|stopped| *stopped)
    }

    /// What is watched and predicts: the average of the weights, or the weights themselves.
    fn shown(&self) -> &Weights<B> {
        self.average.as_ref().and_then(Average::weights).unwrap_or(&self.weights)
    }

    fn remember(&mut self, better: &[bool]) {
        if !better.contains(&true) {
            return;
        }
        let now = self.shown().clone();
        let Some(best) = self.best.take().filter(|_| better.contains(&false)) else {
            self.best = Some(now);
            return;
        };
        let flags = TensorData::new(better.to_vec(), [better.len(), 1, 1]);
        let flags = Tensor::<B, 3, Bool>::from_data(flags, &self.feed.device);
        // Taken whole, not mixed: what another replica has become must not touch it, be it no number.
        self.best = Some(best.blended(now, |old, new| {
            let shape = old.dims();
            old.mask_where(flags.clone().expand(shape), new)
        }));
    }

    /// What each target counts, by replica.
    fn target_weights(&self, weights: &Weights<B>) -> Vec<Vec<f32>> {
        let all = to_host(target_weights(self.context.spec, &self.context.net, &weights.params, &self.fixed));
        let each = self.context.columns.targets.len();
        (0..self.replicas.len()).map(|index| all[(index * each) % all.len()..][..each].to_vec()).collect()
    }

    fn predict(mut self, epochs: u32) -> Result<Vec<Prediction>, TrainError> {
        let best = self.best.take().unwrap_or_else(|| self.shown().clone());
        let weights = self.target_weights(&best);
        let outputs: Vec<Vec<Tensor<B, 3>>> = (self.replicas.iter().enumerate())
            .map(|(index, replica)| self.outputs(index, &best, self.context.folds[replica.fold].test.iter().cloned()))
            .collect();
        let mut predictions = Vec::new();
        for (index, (outputs, weights)) in outputs.into_iter().zip(weights).enumerate() {
            let outputs = joined(outputs);
            if outputs.iter().chain(&weights).any(|value| !value.is_finite()) {
                return Err(self.diverged(index, epochs, "a prediction is not a number"));
            }
            predictions.push(Prediction { outputs, weights, rows_trained: self.rows_trained[index] });
        }
        Ok(predictions)
    }

    /// One replica's outputs for ranges of rows, `[1, row, target]` in pieces, still on the device.
    fn outputs(
        &self,
        index: usize,
        weights: &Weights<B>,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> Vec<Tensor<B, 3>> {
        let Context { spec, net, precision, .. } = self.context;
        let own = |tensor: &Tensor<B, 3>| {
            if self.replicas.len() == 1 { tensor.clone() } else { tensor.clone().narrow(0, index, 1) }
        };
        let params: Vec<Tensor<B, 3>> = weights.params.iter().map(own).collect();
        let running: Vec<Running<B>> = weights
            .running
            .iter()
            .map(|stats| Running { mean: own(&stats.mean), variance: own(&stats.variance) })
            .collect();
        let rows: Vec<usize> = ranges.flatten().collect();
        let mut pass = Predicting { running: &running, precision: *precision };
        rows.chunks(B::PREDICT_ROWS)
            .map(|rows| predictions(spec, forward(net, &params, self.feed.features(rows), &mut pass), net.members))
            .collect()
    }
}

/// Mean over eras of the weighted mean over targets of the correlation of output and target. `targets` are columns of the
/// labels, `outputs` is `[row, target]`.
fn watched_score(targets: &[usize], watch: &[EraRows<'_>], outputs: &[f32], weights: &[f32]) -> f64 {
    let mut start = 0;
    let eras: Vec<(&EraRows<'_>, &[f32])> = watch
        .iter()
        .map(|era| {
            let outputs = &outputs[start * targets.len()..][..era.rows.len() * targets.len()];
            start += era.rows.len();
            (era, outputs)
        })
        .collect();
    let scores = eras.par_iter().flat_map_iter(|(era, outputs)| {
        let all = (era.labels.len() / era.rows.len().max(1)).max(1);
        targets.iter().zip(weights).enumerate().map(move |(position, (column, weight))| {
            let pairs = outputs.chunks_exact(targets.len()).zip(era.labels.chunks_exact(all));
            let pairs = pairs.map(|(outputs, labels)| (f64::from(outputs[position]), f64::from(labels[*column])));
            f64::from(*weight) * pearson(pairs)
        })
    });
    let scores: Vec<f64> = scores.collect();
    scores.iter().sum::<f64>() / watch.len().max(1) as f64
}

/// Pieces of outputs as numbers.
fn joined<B: Backend>(pieces: Vec<Tensor<B, 3>>) -> Vec<f32> {
    pieces.into_iter().flat_map(to_host).collect()
}

/// A tensor's numbers. Every tensor here is f32 by construction, so the conversion has nothing to refuse.
fn to_host<B: Backend>(tensor: Tensor<B, 3>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Pearson correlation of pairs, those with a NaN left out; 0 where a side is constant.
fn pearson(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut n, mut sx, mut sy, mut sxx, mut syy, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in pairs.filter(|(x, y)| !x.is_nan() && !y.is_nan()) {
        n += 1.0;
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    let (covariance, spread) = (n * sxy - sx * sy, (n * sxx - sx * sx) * (n * syy - sy * sy));
    if spread > 0.0 { covariance / spread.sqrt() } else { 0.0 }
}
