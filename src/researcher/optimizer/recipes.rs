//! Changes that are known to matter, each as one move. They are candidates like any other: what is known only sets
//! where the belief about them starts (see `prior`), and the ledger moves it.

use super::tree::{blocks, dense_blocks, loss_terms, map, set, set_in_blocks, tagged, word};
use crate::spec::{DataFacts, Value};

/// A named change.
pub(super) struct Recipe {
    /// As it stands in a title.
    pub(super) title: &'static str,
    /// Why it may help.
    pub(super) why: &'static str,
    /// Its category.
    pub(super) category: &'static str,
    /// Makes it; whether it changed anything.
    pub(super) apply: fn(&mut Value, &DataFacts) -> bool,
}

fn text(word: &str) -> Value {
    Value::Text(word.into())
}

/// Every recipe.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        title: "GELU in every block",
        why: "A smooth activation passes gradients where ReLU has none, which matters at the signal-to-noise of returns",
        category: "activation",
        apply: |tree, _| set_in_blocks(tree, "activation", &text("gelu")),
    },
    Recipe {
        title: "batch norm in every block",
        why: "Normalized layers keep the scale of a correlation loss, which ignores scale, from drifting",
        category: "normalization",
        apply: |tree, _| {
            if !set_in_blocks(tree, "norm", &text("batch")) {
                return false;
            }
            // The norm has a shift of its own.
            set_in_blocks(tree, "bias", &Value::Bool(false));
            true
        },
    },
    Recipe {
        title: "layer norm in every block",
        why: "It normalizes as batch norm does, but alike in training and prediction",
        category: "normalization",
        apply: |tree, _| set_in_blocks(tree, "norm", &text("layer")),
    },
    Recipe {
        title: "dropout 0.2 in every block",
        why: "Noisy targets reward nets that do not lean on single units",
        category: "regularization",
        apply: |tree, _| set_in_blocks(tree, "dropout", &Value::Float(0.2)),
    },
    Recipe {
        title: "pure Pearson loss",
        why: "Payout is a correlation; an error in absolute terms spends capacity on a level that ranks do not have",
        category: "loss",
        apply: |tree, _| {
            let pearson = tagged("pearson", vec![("weight", Value::Float(1.0)), ("within", text("batch"))]);
            replace_targets_terms(tree, pearson)
        },
    },
    Recipe {
        title: "Pearson loss within each era",
        why: "The score is taken era by era; a correlation over mixed eras also rewards telling eras apart",
        category: "loss",
        apply: |tree, _| {
            let pearson = tagged("pearson", vec![("weight", Value::Float(1.0)), ("within", text("era"))]);
            replace_targets_terms(tree, pearson)
        },
    },
    Recipe {
        title: "weight decay 1.2e-4",
        why: "Shrinking weights was worth most of all single knobs in the session that this project starts from",
        category: "regularization",
        apply: |tree, _| set(tree, "optimizer.adamw.weight_decay", Value::Float(1.2e-4)),
    },
    Recipe {
        title: "output penalty 2.5e-5",
        why: "A correlation loss leaves the scale of the outputs free; a small penalty pins it",
        category: "regularization",
        apply: |tree, _| match loss_terms(tree) {
            Some(terms) if !terms.iter().any(|term| word(term) == "output_l2") => {
                terms.push(tagged("output_l2", vec![("weight", Value::Float(2.5e-5))]));
                true
            }
            _ => false,
        },
    },
    Recipe {
        title: "gradient clipping at norm 1",
        why: "Eras of turmoil give large gradients that undo many calm ones",
        category: "optimizer",
        apply: |tree, _| set(tree, "optimizer.adamw.clip_norm", Value::Float(1.0)),
    },
    Recipe {
        title: "learning rate 0.001",
        why: "The usual rate of AdamW for nets of this size",
        category: "optimizer",
        apply: |tree, _| set(tree, "optimizer.adamw.lr", Value::Float(1e-3)),
    },
    Recipe {
        title: "an ensemble of two",
        why: "Nets that differ in their seed alone make partly independent errors, and averaging removes those",
        category: "ensemble",
        apply: |tree, _| set(tree, "ensemble.members", Value::Int(2)),
    },
    Recipe {
        title: "an ensemble of four",
        why: "Nets that differ in their seed alone make partly independent errors, and averaging removes those",
        category: "ensemble",
        apply: |tree, _| set(tree, "ensemble.members", Value::Int(4)),
    },
    Recipe {
        title: "learned target weights",
        why: "Some targets carry more signal than others; the net can find out which",
        category: "targets",
        apply: |tree, _| {
            let learned = tagged("learned", vec![("temperature", Value::Float(2.0))]);
            set(tree, "targets.weighting", learned)
        },
    },
    Recipe {
        title: "polynomial decay of the rate",
        why: "Late small steps average out the noise of single batches",
        category: "schedule",
        apply: |tree, _| {
            let epochs = epochs(tree);
            let decay = map(vec![("epochs", Value::Int((epochs * 3 / 4).max(1))), ("end_factor", Value::Float(0.1))]);
            replace_curve(tree, "polynomial", decay)
        },
    },
    Recipe {
        title: "cosine decay of the rate",
        why: "Late small steps average out the noise of single batches",
        category: "schedule",
        apply: |tree, _| replace_curve(tree, "cosine", map(Vec::new())),
    },
    Recipe {
        title: "twice the epochs and polynomial decay",
        why: "A rate that falls can use more passes without overfitting",
        category: "schedule",
        apply: |tree, _| {
            let epochs = epochs(tree);
            let decay = map(vec![("epochs", Value::Int((epochs * 3 / 2).max(1))), ("end_factor", Value::Float(0.1))]);
            replace_curve(tree, "polynomial", decay) && set(tree, "training.epochs", Value::Int(epochs * 2))
        },
    },
    Recipe {
        title: "every width ×2",
        why: "More units find more of the interactions that the benchmark misses",
        category: "architecture",
        apply: |tree, _| scale_widths(tree, |width| width * 2),
    },
    Recipe {
        title: "every width ÷2",
        why: "Fewer units fit less of the noise",
        category: "architecture",
        apply: |tree, _| scale_widths(tree, |width| (width / 2).max(4)),
    },
    Recipe {
        title: "one more block, half as wide",
        why: "Interactions of interactions need depth; a taper keeps the number of weights down",
        category: "architecture",
        apply: |tree, _| {
            let Some(blocks) = blocks(tree) else { return false };
            let Some(mut next) = blocks.iter().rev().find(|block| word(block) == "dense").cloned() else {
                return false;
            };
            let Some(Value::Int(width)) = next.get_mut("dense").and_then(|dense| dense.get_mut("width")) else {
                return false;
            };
            *width = (*width / 2).max(4);
            blocks.push(next);
            true
        },
    },
    Recipe {
        title: "one block less",
        why: "A shallower net fits less of the noise, and is faster",
        category: "architecture",
        apply: |tree, _| match blocks(tree) {
            Some(blocks) if blocks.len() > 1 => {
                blocks.pop();
                true
            }
            _ => false,
        },
    },
    Recipe {
        title: "the last block made residual",
        why: "What is linear passes by, and the block learns what is left",
        category: "architecture",
        apply: |tree, _| match blocks(tree).and_then(|blocks| blocks.last_mut()) {
            Some(last) if word(last) == "dense" => {
                *last = Value::Map(vec![("residual".into(), Value::List(vec![last.clone()]))]);
                true
            }
            _ => false,
        },
    },
    Recipe {
        title: "a net of three tapering blocks",
        why: "Wide first, narrow last: the shape that won the session that this project starts from",
        category: "architecture",
        apply: |tree, _| {
            let mut dense: Vec<Value> = dense_blocks(tree).into_iter().map(|fields| fields.clone()).collect();
            let Some(first) = dense.first_mut() else { return false };
            let Some(Value::Int(width)) = first.get("width").cloned() else { return false };
            let made: Vec<Value> = [width, width / 2, width / 4]
                .into_iter()
                .map(|width| {
                    let mut fields = first.clone();
                    if let Some(place) = fields.get_mut("width") {
                        *place = Value::Int(width.max(4));
                    }
                    Value::Map(vec![("dense".into(), fields)])
                })
                .collect();
            match blocks(tree) {
                Some(blocks) if *blocks != made => {
                    *blocks = made;
                    true
                }
                _ => false,
            }
        },
    },
    Recipe {
        title: "larger batches",
        why: "A correlation over few rows is mostly noise, and so is its gradient",
        category: "training",
        apply: |tree, facts| scale_batch(tree, facts, |rows| rows * 4),
    },
    Recipe {
        title: "smaller batches",
        why: "More steps an epoch, and noisier ones, find flatter minima",
        category: "training",
        apply: |tree, facts| scale_batch(tree, facts, |rows| (rows / 2).max(64)),
    },
    Recipe {
        title: "targets of the short horizon only",
        why: "Their labels overlap less, so that the same eras say more",
        category: "targets",
        apply: |tree, facts| one_horizon(tree, facts, "_20"),
    },
    Recipe {
        title: "targets of the long horizon only",
        why: "One task less to share the net with",
        category: "targets",
        apply: |tree, facts| one_horizon(tree, facts, "_60"),
    },
];

fn replace_targets_terms(tree: &mut Value, term: Value) -> bool {
    let Some(terms) = loss_terms(tree) else { return false };
    let before = terms.clone();
    terms.retain(|term| matches!(word(term), "output_l2" | "weight_l1" | "weight_l2" | "exposure"));
    terms.insert(0, term);
    *terms != before
}

/// Replaces the curve of the schedule and leaves what stands beside it.
fn replace_curve(tree: &mut Value, kind: &str, fields: Value) -> bool {
    let Some(Value::Map(entries)) = tree.get_mut("schedule") else { return false };
    match entries.iter_mut().find(|(key, _)| key != "warmup_epochs") {
        Some(entry) if entry.0 != kind => {
            *entry = (kind.to_owned(), fields);
            true
        }
        _ => false,
    }
}

fn epochs(tree: &Value) -> i64 {
    match tree.get("training").and_then(|training| training.get("epochs")) {
        Some(Value::Int(epochs)) => *epochs,
        _ => 1,
    }
}

fn scale_widths(tree: &mut Value, scale: impl Fn(i64) -> i64) -> bool {
    let mut changed = false;
    for block in dense_blocks(tree) {
        if let Some(Value::Int(width)) = block.get_mut("width") {
            let new = scale(*width);
            changed |= new != *width;
            *width = new;
        }
    }
    changed
}

/// Batches larger than an eighth of the rows leave too few steps.
fn scale_batch(tree: &mut Value, facts: &DataFacts, scale: impl Fn(i64) -> i64) -> bool {
    let most = i64::try_from(facts.rows / 8).unwrap_or(i64::MAX).clamp(64, 65_536);
    let most = 1_i64 << most.ilog2();
    match super::tree::at(tree, "training.batch_rows") {
        Some(Value::Int(rows)) => {
            let new = scale(*rows).min(most.max(*rows));
            let changed = new != *rows;
            *rows = new;
            changed
        }
        _ => false,
    }
}

fn one_horizon(tree: &mut Value, facts: &DataFacts, ending: &str) -> bool {
    let names: Vec<Value> =
        facts.targets.iter().filter(|name| name.ends_with(ending)).cloned().map(Value::Text).collect();
    if names.is_empty() || names.len() == facts.targets.len() {
        return false;
    }
    set(tree, "targets.train_on", Value::List(names))
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts;
    use super::*;
    use crate::researcher::categories;
    use crate::spec::Spec;

    #[test]
    fn every_recipe_changes_a_plain_spec_into_a_valid_one() {
        let base = "network: [ { dense: { width: 32 } }, { dense: { width: 32 } } ]\nloss: [ mse ]\n\
                    optimizer: { adamw: { lr: 0.01, weight_decay: 0.0 } }\n";
        let base = Spec::parse(base, "test").expect("a valid spec");
        for recipe in RECIPES {
            let mut tree = base.canonical();
            assert!((recipe.apply)(&mut tree, &facts()), "{} changes this spec", recipe.title);
            let spec = Spec::from_value(&tree).unwrap_or_else(|error| panic!("{}: {error}", recipe.title));
            spec.check_data(&facts()).unwrap_or_else(|error| panic!("{}: {error}", recipe.title));
            assert_ne!(spec.hash(), base.hash(), "{}", recipe.title);
            assert!(categories::ALL.iter().any(|(name, _)| *name == recipe.category), "{}", recipe.title);
        }
    }
}
