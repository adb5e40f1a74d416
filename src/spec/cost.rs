//! What a spec will cost, before anything is trained: parameters, memory, arithmetic; and the budget that refuses it.

use super::check::DataFacts;
use super::language::{Block, Dense, Norm, Spec, Weighting};
use super::members;
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

/// Estimates a spec's cost on the data. Where members differ, one net's numbers are those of the largest.
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
    let inputs = match &spec.features.sets {
        Names::All => facts.features,
        Names::Only(names) => {
            let total: usize =
                facts.feature_sets.iter().filter(|(name, _)| names.contains(name)).map(|(_, size)| size).sum();
            total.min(facts.features)
        }
    };
    let inputs = members::seen_features(spec, inputs) + usize::from(spec.features.benchmark);
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
    let nets = (facts.folds * facts.seeds) as f64;
    // Forward 2, backward 4 operations a weight and row.
    let train_rows = facts.rows as f64 * (facts.folds.saturating_sub(1).max(1) as f64 / facts.folds.max(1) as f64);
    Cost {
        params: tally.params,
        // Weights, gradients, two moments, a copy of the best; the batch's inputs and about four arrays a unit.
        replica_bytes: 4 * (5 * tally.params + batch * (inputs as u64 + 4 * tally.activations)),
        flops: 6.0 * tally.products as f64 * train_rows * f64::from(spec.training.epochs) * nets,
    }
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
