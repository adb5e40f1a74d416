//! What a spec will cost, before anything is trained: parameters, memory, arithmetic; and the budget that refuses it.

use super::check::DataFacts;
use super::language::{Block, Dense, LossTerm, Norm, Spec, Weighting};
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
    let units = (outputs * spec.bins().unwrap_or(1)) as u64;
    tally.params += width * units + units;
    if let Weighting::Learned(_) = spec.targets.weighting {
        tally.params += outputs as u64;
    }
    tally.products += width * units;
    tally.activations += units + compared(spec) * outputs as u64;
    let batch = u64::from(spec.training.batch_rows).min(facts.rows.max(1));
    let nets = (facts.folds * facts.seeds) as f64 * f64::from(spec.ensemble.members);
    // Forward 2, backward 4 operations a weight and row.
    let train_rows = facts.rows as f64 * (facts.folds.saturating_sub(1).max(1) as f64 / facts.folds.max(1) as f64);
    Cost {
        params: tally.params,
        // Weights, gradients, two moments, a copy of the best; the batch's inputs and about four arrays a unit.
        replica_bytes: 4 * (5 * tally.params + batch * (inputs as u64 + 4 * tally.activations)),
        flops: 6.0 * tally.products as f64 * train_rows * f64::from(spec.training.epochs) * nets,
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
