//! What a spec will cost, before anything is trained: parameters, memory, arithmetic; and the budget that refuses it.

use super::check::DataFacts;
use super::language::{Block, Dense, Norm, Optimizer, Spec, Weighting};
use super::names::Names;

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

/// Estimates a spec's cost on the data.
pub fn estimate(spec: &Spec, facts: &DataFacts) -> Cost {
    let inputs = match &spec.features.sets {
        Names::All => facts.features,
        Names::Only(names) => {
            let total: usize =
                facts.feature_sets.iter().filter(|(name, _)| names.contains(name)).map(|(_, size)| size).sum();
            total.min(facts.features)
        }
    };
    let outputs = match &spec.targets.train_on {
        Names::All => facts.targets.len(),
        Names::Only(names) => names.len(),
    };
    let mut tally = Tally::default();
    let width = tally.blocks(&spec.network, inputs as u64);
    tally.params += width * outputs as u64 + outputs as u64;
    if let Weighting::Learned(_) = spec.targets.weighting {
        tally.params += outputs as u64;
    }
    tally.products += width * outputs as u64;
    tally.activations += outputs as u64;
    let batch = u64::from(spec.training.batch_rows).min(facts.rows.max(1));
    let nets = (facts.folds * facts.seeds) as f64 * f64::from(spec.ensemble.members);
    // Forward 2, backward 4 operations a weight and row.
    let train_rows = facts.rows as f64 * (facts.folds.saturating_sub(1).max(1) as f64 / facts.folds.max(1) as f64);
    Cost {
        params: tally.params,
        // The batch's inputs and about four arrays a unit.
        replica_bytes: 4 * (copies(spec) * tally.params + batch * (inputs as u64 + 4 * tally.activations)),
        flops: passes(spec) * 6.0 * tally.products as f64 * train_rows * f64::from(spec.training.epochs) * nets,
    }
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

#[derive(Default)]
struct Tally {
    params: u64,
    products: u64,
    activations: u64,
}

impl Tally {
    fn blocks(&mut self, blocks: &[Block], inputs: u64) -> u64 {
        blocks.iter().fold(inputs, |width, block| match block {
            Block::Dense(dense) => self.dense(dense, width),
            Block::Residual(inner) => {
                let out = self.blocks(inner, width);
                if out != width {
                    self.params += width * out;
                    self.products += width * out;
                }
                self.activations += out;
                out
            }
        })
    }

    fn dense(&mut self, dense: &Dense, inputs: u64) -> u64 {
        let width = u64::from(dense.width);
        self.params += inputs * width;
        self.products += inputs * width;
        self.params += if dense.bias { width } else { 0 };
        self.params += if dense.norm == Norm::None { 0 } else { 2 * width };
        self.activations += width;
        width
    }
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
