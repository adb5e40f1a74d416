//! What a spec will cost, before anything is trained: parameters, memory, arithmetic; and the budget that refuses it.

use super::check::DataFacts;
use super::language::{LossTerm, Optimizer, Spec};
use super::members;
use super::net::Net;

/// The estimated cost of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Trainable parameters of one net.
    pub params: u64,
    /// Bytes that one net needs while it trains: weights, gradients, optimizer state and the batch's activations.
    pub replica_bytes: u64,
    /// Floating point operations of the whole trial: every fold, seed, member and epoch.
    pub flops: f64,
}

/// The most that a trial may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Parameters of one net.
    pub params: u64,
    /// Bytes of one net in training.
    pub replica_bytes: u64,
    /// Floating point operations of a trial.
    pub flops: f64,
}

/// Estimates a spec's cost on the data. Where members differ, one net's numbers are those of the largest. A net that cannot be
/// laid out on the data costs more than any budget has; `Spec::check_data` says what is wrong with it.
pub fn estimate(spec: &Spec, facts: &DataFacts) -> Cost {
    let members: Vec<Cost> = (0..spec.ensemble.members)
        .map(|index| net(&members::member(spec, index).unwrap_or_else(|_| spec.clone()), facts))
        .collect();
    Cost {
        params: members.iter().map(|cost| cost.params).max().unwrap_or(0),
        replica_bytes: members.iter().map(|cost| cost.replica_bytes).max().unwrap_or(0),
        flops: members.iter().map(|cost| cost.flops).sum(),
    }
}

/// One member's cost; its operations under every fold and seed.
fn net(spec: &Spec, facts: &DataFacts) -> Cost {
    let inputs = facts.inputs(spec);
    let Ok(net) = Net::of(spec, &inputs) else {
        return Cost { params: u64::MAX, replica_bytes: u64::MAX, flops: f64::INFINITY };
    };
    let outputs = inputs.targets as u64;
    // What a rank loss compares each row with is kept, too.
    let activations = net.activations + compared(spec) * outputs;
    let batch = u64::from(spec.training.batch_rows).min(facts.rows.max(1));
    let nets = (facts.folds * facts.seeds) as f64;
    // Forward 2, backward 4 operations a weight and row.
    let train_rows = facts.rows as f64 * (facts.folds.saturating_sub(1).max(1) as f64 / facts.folds.max(1) as f64);
    Cost {
        params: net.size(),
        // The batch's inputs and what is kept of them on the way.
        replica_bytes: 4 * (copies(spec) * net.size() + batch * (net.columns as u64 + 2 * activations)),
        flops: passes(spec) * 6.0 * net.products as f64 * train_rows * f64::from(spec.training.epochs) * nets,
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

/// How many arrays of the weights' size one net keeps: weights, gradients, a copy of the best, the optimizer's state, and
/// what its wrappers keep.
fn copies(spec: &Spec) -> u64 {
    let extras = &spec.optimizer.beside;
    let state = match &spec.optimizer.kind {
        Optimizer::Adamw(_) | Optimizer::Adam(_) | Optimizer::Lamb(_) | Optimizer::Muon(_) => 2,
        Optimizer::Sgd(_) | Optimizer::Lion(_) => 1,
        Optimizer::Rmsprop(fields) => 1 + u64::from(fields.centered) + u64::from(fields.momentum > 0.0),
        Optimizer::Adan(_) => 4,
    };
    let wrappers = [extras.lookahead.is_some(), extras.sam.is_some(), extras.ema.is_some() || extras.swa.is_some()];
    3 + state + wrappers.iter().map(|on| u64::from(*on)).sum::<u64>()
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
    if cost.replica_bytes > budget.replica_bytes {
        over.push(format!("{} MiB a net (at most {})", cost.replica_bytes >> 20, budget.replica_bytes >> 20));
    }
    if cost.flops > budget.flops {
        over.push(format!("{:.2e} floating point operations (at most {:.2e})", cost.flops, budget.flops));
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the budget: {}", over.join("; "))) }
}
