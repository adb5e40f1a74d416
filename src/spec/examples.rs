//! A runnable example of every kind of every union, and of every part that is a record of its own. The reference shows
//! them, the schema offers them to editors, and tests read each as a whole spec (`tests/examples.rs`, which also says what
//! is missing).
//!
//! An example is one line of YAML in one of three forms, whichever says most with least:
//! - the kind alone, `dense: { width: 64 }`: it stands in a small spec wherever its union belongs;
//! - a list, `[pearson, { output_l2: {} }]`: the whole list that the kind belongs to, where it needs company;
//! - fields of a spec, `{ targets: { weighting: learned } }`: for what belongs to no list and no field of its own.
//!
//! Feature sets and targets are those of the `demo` protocol.

/// (union or record, kind or field, example), in the order of the reference.
const EXAMPLES: &[(&str, &str, &str)] = &[
    // Features and targets.
    ("Spec", "features", "{ features: { sets: [serenity, wisdom] } }"),
    ("Spec", "targets", "{ targets: { train_on: [target_ender_20, target_ender_60] } }"),
    ("Weighting", "uniform", "{ targets: { weighting: uniform } }"),
    ("Weighting", "learned", "{ targets: { weighting: { learned: { temperature: 2.0 } } } }"),
    (
        "Weighting",
        "fixed",
        "{ targets: { train_on: [target_ender_20, target_ender_60], weighting: { fixed: { target_ender_20: 0.7, target_ender_60: 0.3 } } } }",
    ),
    // Blocks.
    ("Block", "dense", "dense: { width: 256, norm: batch, activation: gelu, dropout: 0.2, bias: false }"),
    ("Block", "residual", "[{ dense: { width: 64 } }, { residual: [{ dense: { width: 64, activation: gelu } }] }]"),
    // Terms of the loss.
    ("LossTerm", "pearson", "pearson: { within: era }"),
    ("LossTerm", "mse", "[{ pearson: { weight: 1.0 } }, { mse: { weight: 0.1 } }]"),
    ("LossTerm", "mae", "[{ pearson: { weight: 1.0 } }, { mae: { weight: 0.1 } }]"),
    ("LossTerm", "output_l2", "[pearson, { output_l2: { weight: 2.5e-5 } }]"),
    ("LossTerm", "weight_l2", "[pearson, { weight_l2: { weight: 1e-5 } }]"),
    // Optimizers.
    ("Optimizer", "adamw", "adamw: { lr: 1e-3, weight_decay: 1.2e-4, clip_norm: 1.0 }"),
    ("Optimizer", "sgd", "sgd: { lr: 0.01, momentum: 0.9 }"),
    // Schedules.
    ("Curve", "constant", "{ schedule: { constant: {}, warmup_epochs: 1 } }"),
    ("Curve", "polynomial", "polynomial: { epochs: 30, end_factor: 0.1 }"),
    ("Curve", "cosine", "{ schedule: { cosine: {}, warmup_epochs: 2 } }"),
    ("Curve", "one_cycle", "one_cycle: { peak_at: 0.3 }"),
    // Training and ensembles.
    ("Spec", "training", "{ training: { epochs: 40, batch_rows: 8192, patience: 8 } }"),
    ("Spec", "ensemble", "{ ensemble: { members: 4, aggregate: mean } }"),
];

/// The example of a kind of a union, or of a field of a record.
pub(super) fn of(owner: &str, word: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(of, what, _)| (*of, *what) == (owner, word)).map(|(_, _, text)| *text)
}

/// The table, for tests.
#[cfg(test)]
pub(super) const fn all() -> &'static [(&'static str, &'static str, &'static str)] {
    EXAMPLES
}
