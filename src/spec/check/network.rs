//! Rules of the net.

use super::Refuse;
use crate::spec::language::{Block, Norm, Spec};

/// The most blocks of a net, nested ones included.
const MAX_BLOCKS: usize = 64;

/// Between the blocks.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let blocks = count(&spec.network);
    if blocks > MAX_BLOCKS {
        refuse("network", format!("{blocks} blocks; at most {MAX_BLOCKS}"));
    }
}

/// Between the net and its batches.
pub(super) fn data_rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let rows = spec.training.batch_rows;
    if has_batch_norm(&spec.network) && rows < 64 {
        refuse("training.batch_rows", format!("batch norm over {rows} rows is mostly noise; use 64 or more"));
    }
}

fn count(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| 1 + if let Block::Residual(inner) = block { count(inner) } else { 0 }).sum()
}

fn has_batch_norm(blocks: &[Block]) -> bool {
    blocks.iter().any(|block| match block {
        Block::Dense(dense) => dense.norm == Norm::Batch,
        Block::Residual(inner) => has_batch_norm(inner),
    })
}
