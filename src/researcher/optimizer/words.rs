//! How the optimizer speaks of its changes: words that read well in `git log`.

use super::profile::general_path;
use crate::spec::Value;

/// What people call a knob.
fn name(path: &str) -> String {
    let general = general_path(path);
    let last = general.rsplit('.').next().unwrap_or(&general);
    match general.as_str() {
        "loss.pearson.weight" => return "weight of the Pearson loss".into(),
        "loss.mse.weight" => return "weight of the squared error".into(),
        "loss.mae.weight" => return "weight of the absolute error".into(),
        "loss.output_l2.weight" => return "output penalty".into(),
        "loss.weight_l2.weight" => return "weight penalty".into(),
        "loss.pearson.within" => return "correlation within each".into(),
        "targets.weighting" => return "target weights".into(),
        "targets.weighting.learned.temperature" => return "temperature of the target weights".into(),
        _ => {}
    }
    match last {
        "lr" => "learning rate".into(),
        "clip_norm" => "gradient clipping at norm".into(),
        "clip_value" => "gradient clipping at value".into(),
        "batch_rows" => "batch rows".into(),
        "members" => "ensemble members".into(),
        "power" => "power of the decay".into(),
        "end_factor" => "last share of the rate".into(),
        "beta1" => "β₁".into(),
        "beta2" => "β₂".into(),
        "beta3" => "β₃".into(),
        "epsilon" => "ε".into(),
        "sam" => "sharpness-aware minimization".into(),
        "ema" => "moving average of the weights".into(),
        "swa" => "stochastic weight averaging".into(),
        other => other.replace('_', " "),
    }
}

/// A word of the language as people write it.
fn word(word: &str) -> String {
    match word {
        "relu" => "ReLU".into(),
        "gelu" => "GELU".into(),
        "silu" => "SiLU".into(),
        "mish" => "Mish".into(),
        "selu" => "SELU".into(),
        "elu" => "ELU".into(),
        "leaky_relu" => "leaky ReLU".into(),
        "adamw" => "AdamW".into(),
        "adam" => "Adam".into(),
        "sgd" => "SGD".into(),
        "rmsprop" => "RMSprop".into(),
        "lion" => "Lion".into(),
        "muon" => "Muon".into(),
        "adan" => "Adan".into(),
        "lamb" => "LAMB".into(),
        other => other.replace('_', " "),
    }
}

/// A number or word in a title.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => word(text),
        Value::Float(number) if *number != 0.0 && !(1e-3..1e4).contains(&number.abs()) => format!("{number:e}"),
        Value::Float(number) => format!("{number}"),
        Value::Null => "off".into(),
        other => other.to_string(),
    }
}

/// Where in the net a change is: in all blocks that have the knob, or in one of several.
pub(super) enum Where {
    /// The knob is no block's, or there is only one block.
    Only,
    /// In every block.
    Every,
    /// In the block with this number, counted from 1.
    Block(usize),
}

impl Where {
    fn phrase(&self) -> String {
        match self {
            Self::Only => String::new(),
            Self::Every => " in every block".into(),
            Self::Block(number) => format!(" in block {number}"),
        }
    }
}

/// One knob turned: `learning rate 0.001 → 0.002`, `GELU in every block`, `every width ×2`.
pub(super) fn turned(path: &str, from: &Value, to: &Value, place: &Where) -> String {
    let general = general_path(path);
    let at = place.phrase();
    match (general.as_str(), to) {
        ("network.dense.activation", to) => format!("{}{at}", value(to)),
        ("network.dense.norm", Value::Text(kind)) if kind == "none" => format!("no norm{at}"),
        ("network.dense.norm", Value::Text(kind)) => format!("{kind} norm{at}"),
        ("network.dense.init", to) => format!("{} initialization{at}", value(to)),
        ("network.dense.bias", Value::Bool(on)) => format!("{}{at}", if *on { "a bias" } else { "no bias" }),
        ("schedule", to) => format!("{} schedule of the rate", value(to)),
        ("ensemble.aggregate", to) => format!("ensemble by {}", value(to)),
        ("optimizer" | "loss", to) => format!("{} in place of {}", value(to), value(from)),
        ("training.patience", Value::Null) => "no early stopping".into(),
        ("training.patience", to) if *from == Value::Null => format!("early stopping after {} epochs", value(to)),
        (_, Value::Bool(on)) => format!("{} {}{at}", if *on { "with" } else { "no" }, name(path)),
        (_, Value::Null) => format!("no {}{at}", name(path).trim_end_matches(" at norm")),
        (_, to) if *from == Value::Null => format!("{} {}{at}", name(path), value(to)),
        (_, to) => format!("{} {} → {}{at}", name(path), value(from), value(to)),
    }
}

/// A number scaled in blocks that differ: `every width ×2`.
pub(super) fn scaled(path: &str, ratio: f64) -> String {
    let ratio = crate::spec::knobs::scale::rounded(ratio, 2);
    if ratio >= 1.0 {
        format!("every {} ×{ratio}", name(path))
    } else {
        format!("every {} ÷{}", name(path), crate::spec::knobs::scale::rounded(1.0 / ratio, 2))
    }
}

/// A dimension of a profile, as evidence speaks of it, and whether a rise reads as `raised`.
pub(super) fn evidence(dimension: &str, sign: i8) -> String {
    if let Some((path, chosen)) = dimension.split_once('=') {
        let verb = if sign > 0 { "brought in" } else { "took out" };
        let what = match path {
            "features.sets" => format!("the feature set {chosen}"),
            "targets.train_on" => format!("the target {chosen}"),
            _ if chosen == "off" => {
                return format!(
                    "switched {} {}",
                    name(path).trim_end_matches(" at norm"),
                    if sign > 0 { "off" } else { "on" }
                );
            }
            "network.dense.norm" if chosen == "none" => {
                return format!("{} norms", if sign > 0 { "took out" } else { "brought in" });
            }
            "network.dense.norm" => format!("{chosen} norm"),
            _ => word(chosen),
        };
        return format!("{verb} {what}");
    }
    let verb = if sign > 0 { "raised" } else { "lowered" };
    match dimension {
        "network.dense.bias" => format!("switched the bias {}", if sign > 0 { "on" } else { "off" }),
        "network.depth" => format!("{} blocks", if sign > 0 { "added" } else { "removed" }),
        "network.residual" => format!("made the net {} residual", if sign > 0 { "more" } else { "less" }),
        "network.taper" => format!("made the net {} towards its end", if sign > 0 { "wider" } else { "narrower" }),
        path => format!("{verb} the {}", name(path).replace("gradient clipping at norm", "norm of gradient clipping")),
    }
}

/// Pieces of a title put together, within what a commit's subject can hold; the first letter is raised.
pub(super) fn title(pieces: &[String]) -> String {
    const LIMIT: usize = 90;
    let mut text = pieces.first().cloned().unwrap_or_default();
    for (index, piece) in pieces.iter().enumerate().skip(1) {
        let glue = if index + 1 == pieces.len() && pieces.len() == 2 { " and " } else { ", " };
        if text.chars().count() + piece.chars().count() + glue.len() > LIMIT {
            text = format!("{text}, and {} more", pieces.len() - index);
            break;
        }
        text = format!("{text}{glue}{piece}");
    }
    let mut letters = text.chars();
    match letters.next() {
        // β₁ keeps its case: a capital beta reads as a Latin B.
        Some(first) if first.is_ascii() => first.to_uppercase().chain(letters).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_well() {
        let text = |word: &str| Value::Text(word.into());
        let table = [
            (
                turned("optimizer.adamw.lr", &Value::Float(1e-3), &Value::Float(2e-3), &Where::Only),
                "learning rate 0.001 → 0.002",
            ),
            (turned("network[0].dense.activation", &text("relu"), &text("gelu"), &Where::Every), "GELU in every block"),
            (turned("network[1].dense.norm", &text("batch"), &text("none"), &Where::Block(2)), "no norm in block 2"),
            (
                turned("optimizer.adamw.clip_norm", &Value::Null, &Value::Float(1.0), &Where::Only),
                "gradient clipping at norm 1",
            ),
            (
                turned("optimizer.adamw.clip_norm", &Value::Float(1.0), &Value::Null, &Where::Only),
                "no gradient clipping",
            ),
            (
                turned("loss[1].output_l2.weight", &Value::Float(2.5e-5), &Value::Float(5e-5), &Where::Only),
                "output penalty 2.5e-5 → 5e-5",
            ),
            (turned("schedule", &text("constant"), &text("one_cycle"), &Where::Only), "one cycle schedule of the rate"),
            (turned("training.patience", &Value::Int(5), &Value::Null, &Where::Only), "no early stopping"),
            (evidence("network.dense.bias", -1), "switched the bias off"),
            (scaled("network[0].dense.width", 2.0), "every width ×2"),
            (scaled("network[0].dense.width", 0.5), "every width ÷2"),
            (evidence("network.dense.width", 1), "raised the width"),
            (evidence("network.dense.activation=gelu", 1), "brought in GELU"),
            (evidence("network.dense.norm=none", -1), "brought in norms"),
            (evidence("optimizer.adamw.clip_norm=off", -1), "switched gradient clipping on"),
            (title(&["a".into(), "b".into()]), "A and b"),
            (title(&["a".into(), "b".into(), "c".into()]), "A, b, c"),
            (title(&["x".repeat(80), "y".repeat(20)]), &format!("X{}, and 1 more", "x".repeat(79))),
        ];
        for (found, expected) in table {
            assert_eq!(found, expected);
        }
    }
}
