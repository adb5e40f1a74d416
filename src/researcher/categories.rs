//! The kinds of change that proposals are sorted into, so that evidence about like things adds up.

use crate::spec::Spec;
use crate::spec::diff::changes;

/// Every category, with the parts of a spec that belong to it.
pub const ALL: [(&str, &str); 11] = [
    ("features", "which feature sets, and noise or masks on them"),
    ("targets", "which targets are trained on, and how they are weighted"),
    ("architecture", "blocks: their number, widths, nesting, initialization"),
    ("activation", "the nonlinearity of the blocks"),
    ("normalization", "batch norm, layer norm, none"),
    ("regularization", "dropout, weight decay, penalties"),
    ("loss", "what is minimized"),
    ("optimizer", "the optimizer and its rates"),
    ("schedule", "how the rate changes over time"),
    ("training", "epochs, batch size, patience"),
    ("ensemble", "how many nets, and how they are averaged"),
];

/// What a category is called that fits none of them.
pub const OTHER: &str = "other";

/// The longest name of a category that somebody else may invent.
const MAX_NAME: usize = 32;

/// The category that a word means: a known one, a near miss of one, or the word itself made plain.
pub fn normalize(word: &str) -> String {
    let plain: String = word
        .trim()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .filter(|letter| !letter.is_ascii_digit())
        .take(MAX_NAME)
        .collect();
    let plain = plain.trim_matches('-');
    let nearest =
        ALL.iter().map(|(name, _)| (*name, strsim::jaro_winkler(plain, name))).max_by(|a, b| a.1.total_cmp(&b.1));
    match nearest {
        Some((name, likeness)) if likeness > 0.9 => name.to_owned(),
        _ if plain.is_empty() => OTHER.to_owned(),
        _ => plain.to_owned(),
    }
}

/// The category of a knob, by its path in a spec.
pub fn of_path(path: &str) -> &'static str {
    let last = path.rsplit('.').next().unwrap_or(path);
    let is = |part: &str| path.contains(part);
    match path.split(['.', '[']).next().unwrap_or(path) {
        "features" => "features",
        "targets" => "targets",
        "network" => match last {
            "activation" => "activation",
            "norm" => "normalization",
            "dropout" => "regularization",
            _ => "architecture",
        },
        "loss" if ["output_l2", "weight_l1", "weight_l2", "exposure"].into_iter().any(is) => "regularization",
        "loss" if is("negative_correlation") => "ensemble",
        "loss" => "loss",
        "optimizer" if last == "weight_decay" => "regularization",
        "optimizer" => "optimizer",
        "schedule" => "schedule",
        "augment" => "regularization",
        "training" => "training",
        "ensemble" => "ensemble",
        _ => OTHER,
    }
}

/// The category of an edit: that of most of what it changes, the first in the language's order where several have as much.
/// [`OTHER`] where nothing is changed, and of a text that is no spec.
pub fn of_edit(from: &Spec, to: &str) -> String {
    let Ok(to) = Spec::parse(to, "proposal") else { return OTHER.to_owned() };
    let found: Vec<&str> = changes(from, &to).iter().map(|change| of_path(&change.path)).collect();
    let times = |name: &str| found.iter().filter(|other| **other == name).count();
    let most = found.iter().map(|name| times(name)).max();
    found.iter().find(|name| Some(times(name)) == most).map_or(OTHER, |name| *name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_sorted_by_what_they_change_most() {
        let base = "network: [ { dense: { width: 32 } } ]\nloss: [ mse ]\n";
        let from = Spec::parse(base, "base").expect("a spec");
        let table = [
            (base.replace("mse", "pearson"), "loss"),
            (base.replace("32", "64"), "architecture"),
            (base.replace("width: 32", "width: 32, dropout: 0.1"), "regularization"),
            (format!("{base}ensemble: {{ members: 3 }}\n"), "ensemble"),
            (base.replace("width: 32", "width: 64, activation: mish").replace("mse", "pearson"), "loss"),
            (base.to_owned(), OTHER),
            ("network: 7".to_owned(), OTHER),
        ];
        for (to, expected) in table {
            assert_eq!(of_edit(&from, &to), expected, "{to}");
        }
    }

    #[test]
    fn words_are_sorted_into_categories() {
        let table = [
            ("loss", "loss"),
            (" Optimizer ", "optimizer"),
            ("regularisation", "regularization"),
            ("ensembles", "ensemble"),
            ("target-weighting", "target-weighting"),
            ("", OTHER),
            ("Subject: x\nVerdict: keep", "subject--x-verdict--keep"),
        ];
        for (word, expected) in table {
            assert_eq!(normalize(word), expected, "{word:?}");
        }
    }

    #[test]
    fn paths_are_sorted_into_categories() {
        let table = [
            ("network[0].dense.activation", "activation"),
            ("network[1].residual[0].dense.norm", "normalization"),
            ("network[0].dense.width", "architecture"),
            ("network[0].dense.dropout", "regularization"),
            ("loss[1].output_l2.weight", "regularization"),
            ("loss[0].pearson.weight", "loss"),
            ("optimizer.adamw.weight_decay", "regularization"),
            ("optimizer.adamw.lr", "optimizer"),
            ("schedule.warmup_epochs", "schedule"),
            ("ensemble.members", "ensemble"),
        ];
        for (path, expected) in table {
            assert_eq!(of_path(path), expected, "{path}");
        }
    }
}
