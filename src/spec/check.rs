//! The rules between fields, and between a spec and the data that it is to be trained on.

use super::error::{SpecError, SpecErrors, nearest};
use super::language::{Block, Curve, LossTerm, Norm, Spec, Weighting, Within};
use super::names::Names;
use super::node::{Kind, Node};
use super::value::Value;

/// The most blocks of a net, nested ones included.
const MAX_BLOCKS: usize = 64;

/// What the data offers a spec.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataFacts {
    /// Feature sets: name and number of features. Their features may overlap.
    pub feature_sets: Vec<(String, usize)>,
    /// Features of all sets together.
    pub features: usize,
    /// Training targets.
    pub targets: Vec<String>,
    /// Rows that cross-validation uses.
    pub rows: u64,
    /// Folds.
    pub folds: usize,
    /// Seeds of the protocol.
    pub seeds: usize,
}

/// Checks a spec by itself. `node` is what it was read from, for places.
pub(super) fn whole(spec: &Spec, node: &Node, errors: &mut Vec<SpecError>) {
    let mut refuse = |path: &str, message: String| {
        let (line, column) = place(node, path);
        errors.push(SpecError { line, column, path: path.to_owned(), message });
    };
    let blocks = count(&spec.network);
    if blocks > MAX_BLOCKS {
        refuse("network", format!("{blocks} blocks; at most {MAX_BLOCKS}"));
    }
    let learns = |term: &LossTerm| matches!(term, LossTerm::Pearson(_) | LossTerm::Mse(_) | LossTerm::Mae(_));
    if !spec.loss.iter().any(learns) {
        refuse("loss", "no term looks at a target; add pearson, mse or mae".into());
    }
    for (index, term) in spec.loss.iter().enumerate() {
        let same = |other: &LossTerm| {
            std::mem::discriminant(other) == std::mem::discriminant(term) && within(other) == within(term)
        };
        if spec.loss[..index].iter().any(same) {
            refuse(&format!("loss[{index}]"), "the same term stands twice; add the weights up".into());
        }
    }
    if f64::from(spec.training.epochs) <= spec.schedule.beside.warmup_epochs {
        refuse(
            "schedule.warmup_epochs",
            format!(
                "the warm-up of {} epochs never ends: training.epochs is {}",
                spec.schedule.beside.warmup_epochs, spec.training.epochs
            ),
        );
    }
    if let Curve::Polynomial(decay) = &spec.schedule.kind
        && decay.epochs > spec.training.epochs.saturating_mul(10)
    {
        refuse(
            "schedule.polynomial.epochs",
            format!("{} is over ten times training.epochs ({})", decay.epochs, spec.training.epochs),
        );
    }
    if let (Weighting::Fixed(weights), Names::Only(names)) = (&spec.targets.weighting, &spec.targets.train_on) {
        fixed_weights(&weights.0, names, &mut refuse);
    }
}

fn fixed_weights(weights: &[(String, f64)], targets: &[String], refuse: &mut impl FnMut(&str, String)) {
    for target in targets {
        if !weights.iter().any(|(name, _)| name == target) {
            refuse("targets.weighting.fixed", format!("no weight for `{target}`, which is trained on"));
        }
    }
    for (name, _) in weights {
        if !targets.contains(name) {
            let all: Vec<&str> = targets.iter().map(String::as_str).collect();
            refuse("targets.weighting.fixed", format!("`{name}` is not trained on.{}", nearest(name, &all)));
        }
    }
}

fn within(term: &LossTerm) -> Option<Within> {
    match term {
        LossTerm::Pearson(term) => Some(term.within),
        _ => None,
    }
}

fn count(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| 1 + if let Block::Residual(inner) = block { count(inner) } else { 0 }).sum()
}

/// Checks a spec against the data: the names in it exist.
///
/// # Errors
/// Every name that does not, with the nearest that does.
pub(super) fn against_data(spec: &Spec, facts: &DataFacts) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    let sets: Vec<&str> = facts.feature_sets.iter().map(|(name, _)| name.as_str()).collect();
    let targets: Vec<&str> = facts.targets.iter().map(String::as_str).collect();
    for (path, names, allowed, what) in [
        ("features.sets", &spec.features.sets, &sets, "feature set"),
        ("targets.train_on", &spec.targets.train_on, &targets, "training target"),
    ] {
        let Names::Only(names) = names else { continue };
        for name in names {
            if !allowed.contains(&name.as_str()) {
                let near = nearest(name, allowed);
                let message = format!("the protocol has no {what} `{name}`; it has {}.{near}", allowed.join(", "));
                errors.push(SpecError { line: 0, column: 0, path: path.into(), message });
            }
        }
    }
    if let (Weighting::Fixed(weights), Names::All) = (&spec.targets.weighting, &spec.targets.train_on) {
        fixed_weights(&weights.0, &facts.targets, &mut |path, message| {
            errors.push(SpecError { line: 0, column: 0, path: path.into(), message });
        });
    }
    if has_batch_norm(&spec.network) && spec.training.batch_rows < 64 {
        let message = format!("batch norm over {} rows is mostly noise; use 64 or more", spec.training.batch_rows);
        errors.push(SpecError { line: 0, column: 0, path: "training.batch_rows".into(), message });
    }
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors { origin: "spec".into(), errors }) }
}

fn has_batch_norm(blocks: &[Block]) -> bool {
    blocks.iter().any(|block| match block {
        Block::Dense(dense) => dense.norm == Norm::Batch,
        Block::Residual(inner) => has_batch_norm(inner),
    })
}

/// The place of a path in the text, or of the nearest part of it that was written.
pub(super) fn place(node: &Node, path: &str) -> (usize, usize) {
    let mut at = (node.line, node.column);
    let mut here = node;
    for part in path.split('.').flat_map(|part| part.split('[')) {
        let next = match &here.kind {
            Kind::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.text() == Some(part))
                .map(|(key, value)| ((key.line, key.column), value)),
            Kind::List(items) => part
                .trim_end_matches(']')
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| ((item.line, item.column), item)),
            Kind::Scalar(Value::Text(_) | Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_))
            | Kind::Scalar(_) => None,
        };
        let Some((place, value)) = next else { break };
        at = place;
        here = value;
    }
    at
}
