//! Edits of the lists of a spec: blocks of the net, terms of the loss, augmentations.

use rand::{Rng, RngExt};

use super::draw::{Drawn, Edit};
use super::tree::{self, tagged, word};
use crate::spec::knobs::scale::rounded;
use crate::spec::knobs::{Items, slots};
use crate::spec::{Spec, Value};

/// Adds, removes, duplicates, wraps, unwraps or replaces a block, or puts one of another kind beside it.
pub(super) fn structure(drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
    let blocks = tree::blocks(&mut drawn.tree)?;
    let count = blocks.len();
    let index = rng.random_range(0..count.max(1));
    let block = blocks.get(index)?.clone();
    let number = index + 1;
    let text = match (rng.random_range(0..8), word(&block)) {
        (0, _) if count > 1 => {
            blocks.remove(index);
            format!("block {number} of {count} removed")
        }
        (1, _) => {
            blocks.insert(index, block);
            format!("block {number} doubled")
        }
        (2, "dense") => {
            blocks[index] = Value::Map(vec![("residual".into(), Value::List(vec![block]))]);
            format!("block {number} made residual")
        }
        (2, "residual") => {
            let Value::Map(entries) = block else { return None };
            let (_, Value::List(inner)) = entries.into_iter().next()? else { return None };
            blocks.splice(index..=index, inner);
            format!("block {number} no longer residual")
        }
        (3, "dense") => {
            // A bottleneck before it: a quarter of its width.
            let mut narrow = block;
            let place = narrow.get_mut("dense")?.get_mut("width")?;
            let Value::Int(width) = *place else { return None };
            *place = Value::Int((width / 4).max(2));
            blocks.insert(index, narrow);
            format!("a bottleneck before block {number}")
        }
        (4, "dense") => {
            // As many numbers in its two matrices as there were in one.
            let fields = vec![("width", half(&block)?), ("dropout", block.get("dense")?.get("dropout")?.clone())];
            blocks[index] = tagged("gate", fields);
            format!("block {number} gated")
        }
        (5, _) => {
            blocks.insert(index, tagged("cross", vec![("layers", Value::Int(1)), ("rank", Value::Int(16))]));
            format!("a crossing before block {number}")
        }
        (6, "dense") => {
            blocks.insert(index + 1, tagged("squeeze_excitation", Vec::new()));
            format!("squeeze and excitation behind block {number}")
        }
        (7, "dense") => {
            // Two halves that read the same, one of them through another curve.
            let (mut one, mut other) = (block.clone(), block.clone());
            for part in [&mut one, &mut other] {
                let width = half(part)?;
                *part.get_mut("dense")?.get_mut("width")? = width;
            }
            let curve = other.get_mut("dense")?.get_mut("activation")?;
            *curve = Value::Text(if *curve == Value::Text("tanh".into()) { "gelu" } else { "tanh" }.into());
            let branches = Value::List(vec![Value::List(vec![one]), Value::List(vec![other])]);
            blocks[index] = tagged("parallel", vec![("branches", branches)]);
            format!("block {number} as two branches of different curves")
        }
        _ => return None,
    };
    drawn.edits.push(Edit { text, why: None, category: "architecture".into() });
    Some(())
}

/// Half of a dense block's width.
fn half(block: &Value) -> Option<Value> {
    match block.get("dense")?.get("width")? {
        Value::Int(width) => Some(Value::Int((width / 2).max(2))),
        _ => None,
    }
}

/// Adds a term of the loss or an augmentation, with its defaults, or takes an augmentation away.
pub(super) fn item(drawn: &mut Drawn, incumbent: &Spec, rng: &mut impl Rng) -> Option<()> {
    let path = if rng.random() { "loss" } else { "augment" };
    let slot = slots(incumbent).into_iter().find(|slot| slot.path == path)?;
    let Items::Kinds(kinds) = slot.items else { return None };
    let Some(Value::List(there)) = drawn.tree.get_mut(path) else { return None };
    let text = if path == "augment" && !there.is_empty() && rng.random::<f64>() < 0.5 {
        let gone = there.remove(rng.random_range(0..there.len()));
        format!("no {}", word(&gone).replace('_', " "))
    } else {
        let free: Vec<_> =
            kinds.into_iter().filter(|kind| kind.bare && !there.iter().any(|item| word(item) == kind.word)).collect();
        let kind = free.get(rng.random_range(0..free.len().max(1)))?;
        there.push(tagged(&kind.word, Vec::new()));
        format!("{}{}", kind.word.replace('_', " "), if path == "loss" { " in the loss" } else { "" })
    };
    let category = if path == "loss" { "loss" } else { "regularization" };
    drawn.edits.push(Edit { text, why: None, category: category.into() });
    Some(())
}

/// Adds or removes a term of the loss.
pub(super) fn loss(drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
    let terms = tree::loss_terms(&mut drawn.tree)?;
    let weight = |weight: f64| vec![("weight", Value::Float(weight))];
    let (text, category) = if terms.len() > 1 && rng.random::<f64>() < 0.5 {
        let gone = terms.remove(rng.random_range(0..terms.len()));
        (format!("no {} in the loss", name(&gone)), category(&gone))
    } else {
        let size = rounded(10_f64.powf(-2.5 + 2.5 * rng.random::<f64>()), 1);
        let term = match rng.random_range(0..4) {
            0 => tagged("mse", weight(size)),
            1 => tagged("mae", weight(size)),
            2 => tagged("output_l2", weight(2.5e-5)),
            _ => tagged("weight_l2", weight(1e-5)),
        };
        (!terms.iter().any(|known| word(known) == word(&term))).then_some(())?;
        let said = (format!("{} added to the loss", name(&term)), category(&term));
        terms.push(term);
        said
    };
    drawn.edits.push(Edit { text, why: None, category: category.into() });
    Some(())
}

fn name(term: &Value) -> &'static str {
    match word(term) {
        "pearson" => "correlation",
        "mse" => "squared error",
        "mae" => "absolute error",
        "output_l2" => "output penalty",
        "weight_l1" | "weight_l2" => "weight penalty",
        "rank" => "rank correlation",
        "huber" => "Huber's error",
        "bmc" => "contribution beyond the benchmark",
        "cross_entropy" => "cross-entropy",
        "exposure" => "feature exposure",
        _ => "term",
    }
}

fn category(term: &Value) -> &'static str {
    if word(term).ends_with("_l2") || word(term) == "weight_l1" { "regularization" } else { "loss" }
}
