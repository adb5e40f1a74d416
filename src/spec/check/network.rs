//! Rules of the net: whatever cannot be laid out.

use super::{DataFacts, Refuse};
use crate::spec::language::{Block, Combine, Norm, Spec, TokenPer};
use crate::spec::names::Names;
use crate::spec::net::{Fault, Inputs, Net};

/// The most blocks of a net, nested ones included and each repetition counted.
pub(super) const MAX_BLOCKS: usize = 128;

/// Features of each set, and targets, where a spec is checked without data.
const NOMINAL: usize = 8;

/// The most widths that are tried as a number of features.
const MAX_ATTEMPTS: usize = 16;

/// The most sets, beside those that a spec names, that are tried as what the data has.
const MAX_OTHERS: usize = 32;

/// Between the blocks, and between the net and the data.
pub(super) fn rules(spec: &Spec, facts: Option<&DataFacts>, refuse: &mut Refuse<'_>) {
    let blocks = blocks(spec);
    if blocks > MAX_BLOCKS {
        refuse("network", format!("{blocks} blocks; at most {MAX_BLOCKS}"));
        return;
    }
    let rows = spec.training.batch_rows;
    if has_batch_norm(&spec.network) && rows < 64 {
        refuse("training.batch_rows", format!("batch norm over {rows} rows is mostly noise; use 64 or more"));
    }
    let on_data = facts.map(|facts| faults(spec, &facts.inputs(spec))).filter(|faults| !faults.is_empty());
    for fault in on_data.unwrap_or_else(|| whatever_the_data(spec)) {
        refuse(&fault.path, fault.message);
    }
}

/// What a member's net cannot be laid out for on the data.
pub(super) fn member_faults(own: &Spec, facts: &DataFacts) -> Vec<Fault> {
    if blocks(own) > MAX_BLOCKS { Vec::new() } else { faults(own, &facts.inputs(own)) }
}

/// The blocks of its net, nested ones included and each repetition counted.
pub(super) fn blocks(spec: &Spec) -> usize {
    count(&spec.network)
}

fn faults(spec: &Spec, inputs: &Inputs) -> Vec<Fault> {
    Net::of(spec, inputs).err().unwrap_or_default()
}

/// What is at fault whatever the data has.
fn whatever_the_data(spec: &Spec) -> Vec<Fault> {
    let faults = |features, others| faults(spec, &nominal(spec, features, others));
    let mut found: Vec<Fault> = faults(NOMINAL, 0);
    if found.is_empty() {
        return found;
    }
    // A branch that adds up with the features themselves must be as wide as they are many, and one that makes tokens of sets
    // has as many as there are sets, which the data knows. What is right for one of the widths in the spec, or for some number
    // of sets, is left to the data.
    let mut widths = Vec::new();
    named_widths(&spec.network, false, &mut widths);
    widths.truncate(MAX_ATTEMPTS);
    let sets = nominal(spec, 1, 0).sets.len();
    let attempts = widths.iter().flat_map(|width| [*width, width / sets]).filter(|features| *features > 0);
    let most_others = if spec.network.iter().any(|block| has(block, &groups_features)) { MAX_OTHERS } else { 0 };
    for features in attempts.chain([NOMINAL, NOMINAL + 1]) {
        for others in 0..=most_others {
            let faults = faults(features, others);
            found.retain_mut(|fault| {
                let Some(other) = faults.iter().find(|other| other.path == fault.path) else { return false };
                fault.message = common_words(&fault.message, &other.message);
                true
            });
        }
    }
    found
}

/// The words that two messages share: a number that depends on the data is left out where the data is not known.
fn common_words(one: &str, other: &str) -> String {
    if one == other {
        return one.to_owned();
    }
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    // Numbers that were left out already are not there to be compared.
    let words: Vec<&str> = other.split(' ').collect();
    let mut at = 0;
    let mut kept = Vec::new();
    for word in one.split(' ') {
        while words.get(at).is_some_and(|other| is_number(other) && *other != word) {
            at += 1;
        }
        if words.get(at) == Some(&word) || !is_number(word) {
            kept.push(word);
            at += 1;
        }
    }
    kept.join(" ")
}

/// Whether it is so of a block, or of one inside it.
pub(super) fn has(block: &Block, what: &dyn Fn(&Block) -> bool) -> bool {
    what(block) || block.inside().into_iter().flatten().any(|inner| has(inner, what))
}

/// Whether it makes a token of each feature set.
pub(super) fn groups_features(block: &Block) -> bool {
    matches!(block, Block::Tokenize(tokenize) if tokenize.per == TokenPer::Group)
}

/// The widths of layers in branches that are added up, each once.
fn named_widths(blocks: &[Block], added: bool, widths: &mut Vec<usize>) {
    for block in blocks {
        let width = match block {
            Block::Dense(dense) => dense.width as usize,
            Block::Gate(gate) => gate.width as usize,
            _ => 0,
        };
        if added && width > 0 && !widths.contains(&width) {
            widths.push(width);
        }
        let adds = matches!(block, Block::Parallel(parallel) if parallel.combine != Combine::Concat);
        for inner in block.inside() {
            named_widths(inner, added || adds, widths);
        }
    }
}

/// Sets of so many features each: those that the spec reads, or, where it reads all, those that its blocks name and one more;
/// and so many `others` that share every feature with them.
fn nominal(spec: &Spec, features_each: usize, others: usize) -> Inputs {
    let mut names = match &spec.features.sets {
        Names::Only(names) => names.clone(),
        Names::All => Vec::new(),
    };
    if names.is_empty() {
        named_sets(&spec.network, &mut names);
        names.push("others".into());
    }
    let set = |(index, name): (usize, String)| (name, (index * features_each..(index + 1) * features_each).collect());
    let features = names.len() * features_each;
    let mut sets: Vec<(String, Vec<usize>)> = names.into_iter().enumerate().map(set).collect();
    sets.extend((0..others).map(|number| (format!("other {number}"), (0..features).collect())));
    Inputs { features, sets, targets: NOMINAL }
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
    let normalizes = |block: &Block| match block {
        Block::Dense(dense) => dense.norm == Norm::Batch,
        Block::Norm(kind) => *kind == Norm::Batch,
        Block::Tabnet(_) => true,
        _ => false,
    };
    blocks.iter().any(|block| has(block, &normalizes))
}
