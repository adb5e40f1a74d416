//! What a spec will cost, before anything is trained: parameters, memory, arithmetic; and the budget that refuses it.

mod host;
mod optimizer;

pub(crate) use host::neutralizing;

use super::facts::DataFacts;
use super::language::{Augment, Batches, LossTerm, Spec};
use super::members;
use super::net::Net;
use super::rates::{CLOSE, DeviceRates, seconds};
use optimizer::{copies, stepping};

/// The estimated cost of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Trainable parameters of one net.
    pub params: u64,
    /// Bytes of one net's weights, gradients and optimizer state.
    pub weight_bytes: u64,
    /// Bytes of a batch on its way through one net: inputs, and what is kept until the backward pass.
    pub activation_bytes: u64,
    /// Bytes that one net needs while it trains: both.
    pub replica_bytes: u64,
    /// Floating point operations of the whole trial: every fold, seed, member and epoch.
    pub flops: f64,
    /// Numbers that element-wise operations go over in the whole trial, the optimizer's included.
    pub numbers: f64,
    /// Operations that are begun in the whole trial, small ones and large ones.
    pub operations: f64,
    /// Nets of the whole trial.
    pub nets: u64,
    /// Multiplications of what the host does beside the training: labels, weights of eras, processed predictions.
    pub host: f64,
    /// Bytes of what all nets share: labels that are made, ranks of the benchmark.
    pub shared_bytes: u64,
    /// Bytes of an era whose predictions are processed; each thread has one.
    pub era_bytes: u64,
}

/// The most that a trial may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Parameters of one net.
    pub params: u64,
    /// Bytes of one net in training, with its part of what the host needs beside.
    pub replica_bytes: u64,
    /// Nets that share what the host needs beside.
    pub at_once: u64,
    /// Floating point operations of a trial.
    pub flops: f64,
    /// Seconds of a trial.
    pub seconds: f64,
    /// The device that they are estimated for; None where it has not been measured.
    pub rates: Option<DeviceRates>,
}

/// Estimates a spec's cost on the data. Where members differ, one net's numbers are those of the largest. A net that cannot be
/// laid out on the data costs more than any budget has; `Spec::check_data` says what is wrong with it.
pub fn estimate(spec: &Spec, facts: &DataFacts) -> Cost {
    let members: Vec<Cost> = (0..spec.ensemble.members)
        .map(|index| net(&members::member(spec, index).unwrap_or_else(|_| spec.clone()), facts))
        .collect();
    let most = |of: fn(&Cost) -> u64| members.iter().map(of).max().unwrap_or(0);
    let sum = |of: fn(&Cost) -> f64| members.iter().map(of).sum();
    let host = host::host(spec, facts);
    Cost {
        params: most(|cost| cost.params),
        weight_bytes: most(|cost| cost.weight_bytes),
        activation_bytes: most(|cost| cost.activation_bytes),
        replica_bytes: most(|cost| cost.replica_bytes),
        flops: sum(|cost| cost.flops),
        numbers: sum(|cost| cost.numbers),
        operations: sum(|cost| cost.operations),
        nets: members.iter().map(|cost| cost.nets).sum(),
        host: host.work,
        shared_bytes: host.shared_bytes,
        era_bytes: host.era_bytes,
    }
}

/// One member's cost; its work under every fold and seed.
fn net(spec: &Spec, facts: &DataFacts) -> Cost {
    let inputs = facts.inputs(spec);
    let Ok(net) = Net::of(spec, &inputs) else {
        return Cost {
            params: u64::MAX,
            weight_bytes: u64::MAX,
            activation_bytes: u64::MAX,
            replica_bytes: u64::MAX,
            flops: f64::INFINITY,
            numbers: f64::INFINITY,
            operations: f64::INFINITY,
            nets: 1,
            host: 0.0,
            shared_bytes: 0,
            era_bytes: 0,
        };
    };
    // What a rank loss compares each row with is kept, too.
    let activations = net.activations + compared(spec) * (inputs.targets * net.members) as u64;
    let folds = facts.folds.len().max(1) as f64;
    let train_rows = facts.rows as f64 * (folds - 1.0).max(1.0) / folds;
    let batch = batch_rows(spec, facts).min(train_rows).max(1.0);
    let weight_bytes = 4 * copies(spec) * net.size();
    // Buffers of the training stay while its rows are predicted.
    let training = batch as u64 * (net.columns as u64 + 2 * activations);
    let predicting =
        PREDICTED.min(facts.rows / facts.folds.len().max(1) as u64) * (2 * net.columns as u64 + net.widest / 2);
    let activation_bytes = 4 * (training + predicting);
    let epochs = f64::from(spec.training.epochs);
    let steps = (train_rows / batch).floor().max(1.0) * epochs;
    // Rows that are predicted alone: the test eras, and those that early stopping watches.
    let watched = if spec.training.patience.is_some() { WATCHED * train_rows * epochs } else { 0.0 };
    let predicted = facts.rows as f64 / folds + watched;
    let step = of_step(spec, &net, inputs.targets, batch);
    let nets = (facts.folds.len() * facts.seeds) as u64;
    // A forward pass is a third of the products, and about a third of the element-wise work.
    let passed = steps + predicted / batch / 3.0;
    Cost {
        params: net.size(),
        weight_bytes,
        activation_bytes,
        replica_bytes: weight_bytes + activation_bytes,
        flops: (step.flops * passed + step.weight_flops * steps) * nets as f64,
        numbers: (step.numbers * passed + step.weights * steps) * nets as f64,
        operations: step.operations * steps * nets as f64,
        nets,
        host: 0.0,
        shared_bytes: 0,
        era_bytes: 0,
    }
}

/// Rows of a batch: no more than the eras have that make it.
fn batch_rows(spec: &Spec, facts: &DataFacts) -> f64 {
    let most = f64::from(spec.training.batch_rows);
    let of_era = facts.rows as f64 / facts.eras.max(1) as f64;
    match &spec.training.batches {
        Batches::Rows(_) => most,
        Batches::Era(_) => most.min(of_era),
        Batches::Eras(eras) => most.min(of_era * f64::from(eras.count)),
    }
}

/// The work of one step of one net.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepCost {
    /// Floating point operations of matrix products on a batch's way there and back.
    pub(crate) flops: f64,
    /// Those of the optimizer.
    pub(crate) weight_flops: f64,
    /// Numbers that element-wise operations go over on a batch's way there and back.
    pub(crate) numbers: f64,
    /// Those that the optimizer goes over.
    pub(crate) weights: f64,
    /// Operations that are begun.
    pub(crate) operations: f64,
}

/// What a step over a batch of so many rows costs.
pub(crate) fn of_step(spec: &Spec, net: &Net, targets: usize, batch: f64) -> StepCost {
    let outputs = (targets * net.members) as u64;
    let columns = net.columns as u64;
    let around = loss_numbers(spec, columns, outputs) + augment_numbers(spec, columns);
    let stepping = stepping(spec, net);
    let a_row = READ_A_ROW + columns * READ_A_COLUMN + net.passed + around;
    StepCost {
        // Forward 2, backward 4 operations a weight and row; 2 where nothing before it learns.
        flops: passes(spec) * batch * (6 * net.products - 2 * net.first_products) as f64,
        numbers: passes(spec) * batch * a_row as f64,
        weight_flops: stepping.flops,
        weights: stepping.numbers,
        operations: passes(spec) * (net.operations + loss_operations(spec)) as f64 + stepping.operations,
    }
}

/// Rows that a rank loss compares each row with.
fn compared(spec: &Spec) -> u64 {
    let anchors = spec.loss.iter().map(|term| match term {
        LossTerm::Rank(rank) => u64::from(rank.anchors.min(spec.training.batch_rows)),
        _ => 0,
    });
    anchors.sum()
}

/// Rows that the CPU predicts at once. A GPU predicts more of them, but one net after another, not all of a group.
const PREDICTED: u64 = 4096;

/// The share of the training rows that early stopping watches.
const WATCHED: f64 = 0.15;

/// What a row of the inputs costs, as so many numbers, which is gathered from anywhere in memory.
const READ_A_ROW: u64 = 200;

/// What each of its columns costs, which becomes a float.
const READ_A_COLUMN: u64 = 3;

/// Element-wise work of the loss on a row of so many columns and outputs. Terms that no kernel fuses are chains of operations
/// over what they look at, each of which goes through memory; their lengths are measured (benchmarks/cost.sh).
fn loss_numbers(spec: &Spec, columns: u64, outputs: u64) -> u64 {
    let terms = spec.loss.iter().map(|term| match term {
        LossTerm::Pearson(_) | LossTerm::Mse(_) | LossTerm::Mae(_) => 8 * outputs,
        LossTerm::WeightL1(_) | LossTerm::WeightL2(_) => 0,
        LossTerm::OutputL2(_) | LossTerm::Huber(_) => 80 * outputs,
        LossTerm::Bmc(_) | LossTerm::NegativeCorrelation(_) => 700 * outputs,
        LossTerm::Rank(rank) => 290 * u64::from(rank.anchors.min(spec.training.batch_rows)) * outputs,
        LossTerm::CrossEntropy(term) => 500 * u64::from(term.bins) * outputs,
        LossTerm::Exposure(_) => 125 * columns,
    });
    terms.sum()
}

/// Element-wise work of the augmentations on a row's columns.
fn augment_numbers(spec: &Spec, columns: u64) -> u64 {
    let each = spec.augment.iter().map(|augment| match augment {
        Augment::Mixup(_) => 110,
        Augment::ManifoldMixup(_) => 65,
        Augment::Cutmix(_) => 240,
        Augment::LabelSmoothing(_) => 0,
    });
    each.sum::<u64>() * columns
}

/// Operations of the loss, forward.
fn loss_operations(spec: &Spec) -> u64 {
    spec.loss.len() as u64 * 4
}

/// Forward and backward passes a step.
fn passes(spec: &Spec) -> f64 {
    if spec.optimizer.beside.sam.is_some() { 2.0 } else { 1.0 }
}

/// Refuses what is over the budget.
///
/// # Errors
/// The numbers, in words.
pub fn check(cost: &Cost, budget: &Budget) -> Result<(), String> {
    let mut over = Vec::new();
    if cost.params > budget.params {
        over.push(format!("{} parameters (at most {})", cost.params, budget.params));
    }
    let bytes = cost.replica_bytes.saturating_add(cost.era_bytes + cost.shared_bytes / budget.at_once.max(1));
    if bytes > budget.replica_bytes {
        let words = if bytes > cost.replica_bytes { ", labels and post-processing included" } else { "" };
        over.push(format!("{} MiB a net{words} (at most {})", bytes >> 20, budget.replica_bytes >> 20));
    }
    if cost.flops > budget.flops {
        over.push(format!("{:.2e} floating point operations (at most {:.2e})", cost.flops, budget.flops));
    }
    // The estimate is of all epochs, though early stopping may end a training before, and as good as it claims to be.
    if let Some(rates) = &budget.rates {
        let estimate = seconds(cost, rates);
        if estimate > CLOSE * budget.seconds {
            over.push(format!(
                "about {estimate:.0} s a trial (at most {:.0}, and the estimate is right to a factor of {CLOSE})",
                budget.seconds
            ));
        }
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the budget: {}", over.join("; "))) }
}
