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
    (
        "Block",
        "parallel",
        "parallel: { combine: concat, branches: [[{ cross: { layers: 2 } }], [{ dense: { width: 64 } }]] }",
    ),
    ("Block", "repeat", "repeat: { times: 3, blocks: [{ dense: { width: 64, norm: batch } }] }"),
    ("Block", "gate", "gate: { width: 64, kind: swiglu }"),
    ("Block", "squeeze_excitation", "squeeze_excitation: { ratio: 0.25 }"),
    ("Block", "cross", "cross: { layers: 2, rank: 16 }"),
    (
        "Block",
        "mixture_of_experts",
        "mixture_of_experts: { experts: 4, top_k: 2, expert: [{ dense: { width: 32, activation: gelu } }] }",
    ),
    ("Block", "tokenize", "[{ tokenize: { per: group, width: 32, embedding: piecewise_linear } }, { pool: flatten }]"),
    (
        "Block",
        "attention",
        "[{ tokenize: { width: 16, class_token: true } }, { residual: [{ norm: layer }, { attention: { heads: 4, dropout: 0.1 } }] }, { residual: [{ norm: layer }, { gate: { width: 24, kind: reglu } }, { dense: { width: 16, activation: identity } }] }, { pool: first }]",
    ),
    ("Block", "pool", "[{ tokenize: { width: 16 } }, { pool: mean }]"),
    ("Block", "tabnet", "tabnet: { steps: 3, width: 16, attention_width: 16 }"),
    (
        "Block",
        "batch_ensemble",
        "batch_ensemble: { members: 8, blocks: [{ dense: { width: 64 } }, { dense: { width: 32 } }] }",
    ),
    (
        "Block",
        "autoencoder",
        "autoencoder: { encoder: [{ dense: { width: 32 } }, { dense: { width: 8 } }], decoder: [{ dense: { width: 32 } }], output: both }",
    ),
    (
        "Block",
        "inputs",
        "[{ parallel: { branches: [[{ inputs: { sets: [serenity] } }, { dense: { width: 32 } }], [{ inputs: { sets: [wisdom] } }, { dense: { width: 32 } }]] } }]",
    ),
    ("Block", "benchmark", "[{ dense: { width: 64 } }, { parallel: { branches: [[], [benchmark]] } }]"),
    (
        "Block",
        "stop_gradient",
        "[{ dense: { width: 64 } }, { parallel: { branches: [[], [stop_gradient, { dense: { width: 8 } }]] } }]",
    ),
    ("Block", "norm", "[{ dense: { width: 64, activation: identity } }, { norm: batch }, { activation: gelu }]"),
    ("Block", "activation", "[{ dense: { width: 64, activation: identity } }, { activation: prelu }]"),
    ("Block", "dropout", "[{ dropout: 0.1 }, { dense: { width: 64 } }]"),
    ("Block", "noise", "[{ dense: { width: 64 } }, { noise: 0.1 }]"),
    ("Embedding", "linear", "{ network: [{ tokenize: { width: 16, embedding: linear } }, { pool: mean }] }"),
    (
        "Embedding",
        "piecewise_linear",
        "{ network: [{ tokenize: { width: 16, embedding: piecewise_linear } }, { pool: mean }] }",
    ),
    (
        "Embedding",
        "periodic",
        "{ network: [{ tokenize: { width: 16, embedding: { periodic: { frequencies: 8, scale: 0.3 } } } }, { pool: mean }] }",
    ),
    // Terms of the loss.
    ("LossTerm", "pearson", "pearson: { within: era }"),
    ("LossTerm", "mse", "[{ pearson: { weight: 1.0 } }, { mse: { weight: 0.1 } }]"),
    ("LossTerm", "mae", "[{ pearson: { weight: 1.0 } }, { mae: { weight: 0.1 } }]"),
    ("LossTerm", "output_l2", "[pearson, { output_l2: { weight: 2.5e-5 } }]"),
    ("LossTerm", "weight_l2", "[pearson, { weight_l2: { weight: 1e-5 } }]"),
    ("LossTerm", "weight_l1", "[pearson, { weight_l1: { weight: 1e-6 } }]"),
    ("LossTerm", "rank", "rank: { temperature: 0.1, anchors: 128 }"),
    ("LossTerm", "huber", "[pearson, { huber: { weight: 0.1, delta: 0.25 } }]"),
    ("LossTerm", "bmc", "[{ pearson: { weight: 0.25 } }, { bmc: { weight: 0.75, within: era } }]"),
    ("LossTerm", "exposure", "[pearson, { exposure: { weight: 0.1 } }]"),
    (
        "LossTerm",
        "negative_correlation",
        "{ network: [{ batch_ensemble: { members: 4, blocks: [{ dense: { width: 32 } }] } }], loss: [pearson, { negative_correlation: { weight: 0.1 } }] }",
    ),
    ("LossTerm", "cross_entropy", "cross_entropy: { bins: 5 }"),
    // Optimizers.
    ("Optimizer", "adamw", "adamw: { lr: 1e-3, weight_decay: 1.2e-4, clip_norm: 1.0 }"),
    ("Optimizer", "sgd", "sgd: { lr: 0.01, momentum: 0.9 }"),
    ("Optimizer", "adam", "adam: { lr: 1e-3 }"),
    ("Optimizer", "rmsprop", "rmsprop: { lr: 1e-3 }"),
    ("Optimizer", "lion", "lion: { lr: 1e-4, weight_decay: 0.1 }"),
    ("Optimizer", "muon", "muon: { lr: 1e-3 }"),
    ("Optimizer", "adan", "adan: { lr: 1e-3 }"),
    ("Optimizer", "lamb", "lamb: { lr: 2e-3 }"),
    ("OptimizerExtras", "lookahead", "{ optimizer: { adamw: {}, lookahead: { k: 3, alpha: 0.55 } } }"),
    ("OptimizerExtras", "sam", "{ optimizer: { sgd: {}, sam: { rho: 0.05, adaptive: false } } }"),
    ("OptimizerExtras", "ema", "{ optimizer: { adamw: {}, ema: { decay: 0.99 } } }"),
    ("OptimizerExtras", "swa", "{ optimizer: { adamw: {}, swa: { from: 0.75 } } }"),
    ("OptimizerExtras", "gradient_noise", "{ optimizer: { adamw: {}, gradient_noise: { eta: 0.01 } } }"),
    ("OptimizerExtras", "rates", "{ optimizer: { adamw: {}, rates: { output: 0.5, decay_vectors: false } } }"),
    // Schedules.
    ("Curve", "constant", "{ schedule: { constant: {}, warmup_epochs: 1 } }"),
    ("Curve", "polynomial", "polynomial: { epochs: 30, end_factor: 0.1 }"),
    ("Curve", "cosine", "{ schedule: { cosine: {}, warmup_epochs: 2 } }"),
    ("Curve", "exponential", "exponential: { factor: 0.9 }"),
    ("Curve", "step", "step: { every: 10, factor: 0.5 }"),
    ("Curve", "one_cycle", "one_cycle: { peak_at: 0.3 }"),
    // Training and ensembles.
    ("Spec", "training", "{ training: { epochs: 40, batch_rows: 8192, patience: 8 } }"),
    ("Batches", "rows", "{ training: { batches: rows } }"),
    ("Batches", "era", "{ training: { batches: era, batch_rows: 4096 } }"),
    ("Batches", "eras", "{ training: { batches: { eras: { count: 4 } } } }"),
    ("EraWeighting", "uniform", "{ training: { era_weighting: uniform } }"),
    ("EraWeighting", "recency", "{ training: { era_weighting: { recency: { half_life: 100 } } } }"),
    ("EraWeighting", "volatility", "{ training: { era_weighting: { volatility: { power: 1.0 } } } }"),
    ("Augment", "mixup", "mixup: { alpha: 0.4 }"),
    ("Augment", "manifold_mixup", "manifold_mixup: { alpha: 0.4 }"),
    ("Augment", "cutmix", "cutmix: { alpha: 1.0 }"),
    ("Augment", "label_smoothing", "{ loss: [pearson, mse], augment: [{ label_smoothing: { amount: 0.1 } }] }"),
    (
        "Spec",
        "ensemble",
        "{ ensemble: { members: 4, diversity: { rate: 2.0, width: 1.25, features: 0.7, schedules: [cosine, one_cycle] } } }",
    ),
    ("Aggregate", "mean", "{ ensemble: { members: 4, aggregate: mean } }"),
    ("Aggregate", "rank_mean", "{ ensemble: { members: 4, aggregate: rank_mean } }"),
    ("Aggregate", "median", "{ ensemble: { members: 5, aggregate: median } }"),
    ("Aggregate", "trimmed", "{ ensemble: { members: 5, aggregate: { trimmed: { share: 0.2 } } } }"),
    ("Spec", "post", "{ post: { gaussianize: true, neutralize: { to: benchmark, proportion: 0.5 } } }"),
    ("Post", "neutralize", "{ post: { neutralize: { to: features, proportion: 0.5 } } }"),
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
