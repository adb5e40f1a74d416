//! Rules of the net: whatever cannot be laid out.

use super::{DataFacts, Refuse};
use crate::spec::language::{Block, Norm, Spec};
use crate::spec::names::Names;
use crate::spec::net::{Inputs, Net};

/// The most blocks of a net, nested ones included and each repetition counted.
const MAX_BLOCKS: usize = 128;

/// Features of each set, and targets, where a spec is checked without data.
const NOMINAL: usize = 8;

/// Between the blocks.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let blocks = count(&spec.network);
    if blocks > MAX_BLOCKS {
        refuse("network", format!("{blocks} blocks; at most {MAX_BLOCKS}"));
        return;
    }
    lay_out(spec, &nominal(spec), refuse);
}

/// Between the net, the data and its batches.
pub(super) fn data_rules(spec: &Spec, facts: &DataFacts, refuse: &mut Refuse<'_>) {
    let rows = spec.training.batch_rows;
    if has_batch_norm(&spec.network) && rows < 64 {
        refuse("training.batch_rows", format!("batch norm over {rows} rows is mostly noise; use 64 or more"));
    }
    lay_out(spec, &facts.inputs(spec), refuse);
}

fn lay_out(spec: &Spec, inputs: &Inputs, refuse: &mut Refuse<'_>) {
    for fault in Net::of(spec, inputs).err().into_iter().flatten() {
        refuse(&fault.path, fault.message);
    }
}

/// Sets of a few features each: those that the spec reads, or, where it reads all, those that its blocks name.
fn nominal(spec: &Spec) -> Inputs {
    let mut names = match &spec.features.sets {
        Names::Only(names) => names.clone(),
        Names::All => Vec::new(),
    };
    if names.is_empty() {
        named_sets(&spec.network, &mut names);
        names.push("others".into());
    }
    let set = |(index, name): (usize, String)| (name, (index * NOMINAL..(index + 1) * NOMINAL).collect());
    let features = names.len() * NOMINAL;
    Inputs { features, sets: names.into_iter().enumerate().map(set).collect(), targets: NOMINAL }
}

fn named_sets(blocks: &[Block], names: &mut Vec<String>) {
    for block in blocks {
        if let Block::Inputs(inputs) = block
            && let Names::Only(only) = &inputs.sets
        {
            names.extend(only.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        }
        for inner in block.inside() {
            named_sets(inner, names);
        }
    }
}

fn count(blocks: &[Block]) -> usize {
    blocks
        .iter()
        .map(|block| {
            let inside: usize = block.inside().into_iter().map(count).sum();
            let times = match block {
                Block::Repeat(repeat) => repeat.times as usize,
                Block::MixtureOfExperts(mixture) => mixture.experts as usize,
                _ => 1,
            };
            1 + inside.saturating_mul(times)
        })
        .sum()
}

fn has_batch_norm(blocks: &[Block]) -> bool {
    blocks.iter().any(|block| match block {
        Block::Dense(dense) => dense.norm == Norm::Batch,
        Block::Norm(kind) => *kind == Norm::Batch,
        Block::Tabnet(_) => true,
        other => other.inside().into_iter().any(has_batch_norm),
    })
}
