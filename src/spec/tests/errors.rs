//! Bad specs: (text, every error as it is printed).

use super::refused;
use crate::spec::cost::Budget;
use crate::spec::facts::{long_folds, side_by_side};
use crate::spec::piece::Union;
use crate::spec::{Block, DataFacts, Spec};

const DENSE_FIELDS: &str = "width, norm, activation, dropout, init, bias";
const SPEC_FIELDS: &str =
    "version, features, targets, network, loss, optimizer, schedule, augment, training, ensemble, post";

/// Checks what is printed for a text, line by line.
fn says(text: &str, wanted: &[&str]) {
    let found = refused(text).to_string();
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "for\n{text}");
}

/// The same with a good network before the text, which then begins on line 2.
fn says_of_rest(rest: &str, wanted: &[&str]) {
    says(&format!("network: [{{ dense: {{ width: 8 }} }}]\n{rest}\n"), wanted);
}

#[test]
fn numbers_out_of_range_and_of_the_wrong_kind() {
    says(
        "network:\n  - dense: { width: 0 }\n",
        &["model.yaml:2:21: network[0].dense.width: 0 is out of range: 1 to 4096"],
    );
    says(
        "network:\n  - dense: { width: eight, bias: 1 }\n",
        &[
            "model.yaml:2:21: network[0].dense.width: found the text \"eight\", wanted a whole number from 1 to 4096",
            "model.yaml:2:34: network[0].dense.bias: found the number 1, wanted true or false",
        ],
    );
    says_of_rest(
        "optimizer: { adamw: { lr: 2 } }",
        &["model.yaml:2:27: optimizer.adamw.lr: 2 is out of range: 0.0000001 to 1"],
    );
    says_of_rest(
        "training: { patience: 1.5 }",
        &["model.yaml:2:23: training.patience: found the number 1.5, wanted a whole number from 1 to 1000"],
    );
    says_of_rest("version: 2", &["model.yaml:2:10: version: 2 is out of range: 1 to 1"]);
    says_of_rest(
        "optimizer: { adamw: { clip_norm: never } }",
        &["model.yaml:2:34: optimizer.adamw.clip_norm: found the text \"never\", wanted a number from 0.0001 to 1000"],
    );
}

#[test]
fn unknown_words_come_with_what_is_allowed_and_the_nearest() {
    says(
        "network:\n  - dense: { width: 8, activation: gelo }\n",
        &[
            "model.yaml:2:36: network[0].dense.activation: `gelo` is not known here; allowed: relu, gelu, silu, mish, selu, \
           elu, leaky_relu, prelu, tanh, softplus, hardswish, identity. Did you mean `gelu`?",
        ],
    );
    says(
        "network:\n  - dense: { widht: 8 }\n",
        &[
            "model.yaml:2:12: network[0].dense.width: missing; it has no default",
            &format!(
                "model.yaml:2:14: network[0].dense.widht: unknown field; allowed: {DENSE_FIELDS}. Did you mean `width`?"
            ),
        ],
    );
    says(
        "network:\n  - dens: { width: 8 }\n",
        &[&format!(
            "model.yaml:2:5: network[0]: `dens` is not known here; allowed: {}. Did you mean `dense`?",
            Block::WORDS.join(", ")
        )],
    );
    says_of_rest(
        "optimiser: adamw",
        &[&format!("model.yaml:2:1: optimiser: unknown field; allowed: {SPEC_FIELDS}. Did you mean `optimizer`?")],
    );
    says_of_rest(
        "schedule: cosin",
        &[
            "model.yaml:2:11: schedule: `cosin` is not known here; allowed: constant, polynomial, cosine, one_cycle, exponential, step; beside it: warmup_epochs. \
           Did you mean `cosine`?",
        ],
    );
    says_of_rest(
        "schedule: { cosine: {}, warm_up_epochs: 1 }",
        &["model.yaml:2:25: schedule: `warm_up_epochs` is not known here; allowed: constant, polynomial, cosine, \
           one_cycle, exponential, step; beside it: warmup_epochs. Did you mean `warmup_epochs`?"],
    );
}

#[test]
fn wrong_shapes() {
    says("[]", &[&format!("model.yaml:1:1: found a list of 0, wanted a map with {SPEC_FIELDS}")]);
    says("version: 1", &["model.yaml:1:1: network: missing; it has no default"]);
    says("network: []", &["model.yaml:1:10: network: 0 items, wanted 1 to 32"]);
    says("network: dense", &["model.yaml:1:10: network: found the text \"dense\", wanted a list"]);
    says("network: [dense]", &["model.yaml:1:11: network[0].dense.width: missing; it has no default"]);
    says(
        "network: [{}]",
        &[&format!("model.yaml:1:11: network[0]: nothing is chosen; one of {}", Block::WORDS.join(", "))],
    );
    says(
        "network: [{ dense: { width: 8 }, residual: [{ dense: { width: 8 } }] }]",
        &["model.yaml:1:34: network[0]: `dense` and `residual` stand together; choose one"],
    );
    says_of_rest("loss: { mse: {} }", &["model.yaml:2:7: loss: found a map, wanted a list"]);
    says_of_rest(
        "optimizer: [adamw]",
        &[
            "model.yaml:2:12: optimizer: found a list of 1, wanted one of adamw, adam, sgd, rmsprop, lion, muon, adan, lamb",
        ],
    );
    says_of_rest(
        "features: { sets: serenity }",
        &["model.yaml:2:19: features.sets: found the text \"serenity\", wanted `all` or a list of feature set names"],
    );
    says_of_rest("features: { sets: [a, b, a] }", &["model.yaml:2:26: features.sets[2]: `a` stands twice"]);
    says_of_rest(
        "targets: { weighting: { fixed: { a: 0 } } }",
        &["model.yaml:2:32: targets.weighting.fixed: at least one weight must be above 0"],
    );
}

#[test]
fn rules_between_fields() {
    says_of_rest(
        "loss: [{ output_l2: {} }]",
        &["model.yaml:2:1: loss: no term looks at a target; add pearson, rank, mse, mae, huber, bmc or cross_entropy"],
    );
    says_of_rest(
        "loss:\n  - mse: {}\n  - mse: { weight: 2 }",
        &["model.yaml:4:5: loss[1]: the same term stands twice; add the weights up"],
    );
    says_of_rest(
        "loss:\n  - rank\n  - rank: { temperature: 0.5 }\n  - rank: { weight: 2 }\n  - rank: { within: era }",
        &["model.yaml:5:5: loss[2]: the same term stands twice; add the weights up"],
    );
    says_of_rest(
        "loss: [cross_entropy, { cross_entropy: { bins: 7 } }, negative_correlation]",
        &[
            "model.yaml:2:23: loss[1]: the outputs are logits of one number of bins; keep one cross_entropy",
            "model.yaml:2:55: loss[2]: negative_correlation needs members that train inside one net; make batch_ensemble the \
             last block",
        ],
    );
    for targets in ["transform: gaussian", "residual: 0.5", "transform: rank, residual: 1"] {
        says_of_rest(
            &format!("loss: [pearson, cross_entropy]\ntargets: {{ {targets} }}"),
            &[
                "model.yaml:2:17: loss[1]: cross_entropy needs labels from 0 to 1, which neither `targets.transform: gaussian` \
               nor `targets.residual` above 0 leaves them; allowed with it: transform none or rank, residual 0",
            ],
        );
    }
    says_of_rest(
        "training: { epochs: 5 }\nschedule: { constant: {}, warmup_epochs: 5 }",
        &["model.yaml:3:27: schedule.warmup_epochs: the warm-up of 5 epochs never ends: training.epochs is 5"],
    );
    says_of_rest(
        "training: { epochs: 5 }\nschedule: { polynomial: { epochs: 51 } }",
        &["model.yaml:3:27: schedule.polynomial.epochs: 51 is over ten times training.epochs (5)"],
    );
    says_of_rest(
        "optimizer: { adamw: {}, ema: {}, swa: { from: 0.5 } }",
        &["model.yaml:2:34: optimizer.swa: only one average can predict; choose `ema` or `swa`"],
    );
    says_of_rest(
        "targets: { train_on: [ender, cyrus], weighting: { fixed: { ender: 1, cyruss: 2 } } }",
        &[
            "model.yaml:2:51: targets.weighting.fixed: no weight for `cyrus`, which is trained on",
            "model.yaml:2:51: targets.weighting.fixed: `cyruss` is not trained on. Did you mean `cyrus`?",
        ],
    );
    says_of_rest(
        "augment: [mixup, { cutmix: { alpha: 1 } }, mixup, label_smoothing]",
        &[
            "model.yaml:2:18: augment[1]: rows are mixed already; choose one of mixup, manifold_mixup and cutmix",
            "model.yaml:2:44: augment[2]: the same kind stands twice",
            "model.yaml:2:51: augment[3]: no loss term would notice: a correlation ignores the labels' scale; add mse or mae",
        ],
    );
    says_of_rest(
        "training: { batch_rows: 64, batches: { eras: { count: 9 } } }",
        &["model.yaml:2:48: training.batches.eras.count: 9 eras in 64 rows are fewer than 8 rows of each; raise \
           training.batch_rows"],
    );
    says_of_rest(
        "ensemble: { diversity: { features: 0.5 } }",
        &["model.yaml:2:13: ensemble.diversity: one member has none to differ from; set ensemble.members to 2 or more"],
    );
    says_of_rest(
        "training: { epochs: 5 }\nensemble: { members: 3, diversity: { schedules: [cosine, { cosine: {}, warmup_epochs: 6 }] } }",
        &["model.yaml:3:58: ensemble.diversity.schedules[1]: member 1 would be invalid: schedule.warmup_epochs: the \
           warm-up of 6 epochs never ends: training.epochs is 5"],
    );
    says(
        "network: [{ dense: { width: 8, norm: batch } }]\ntraining: { batch_rows: 32 }\n",
        &["model.yaml:2:13: training.batch_rows: batch norm over 32 rows is mostly noise; use 64 or more"],
    );
    let wide = format!("network:\n{}", "  - repeat: { times: 4, blocks: [{ dense: { width: 8 } }] }\n".repeat(31));
    says(&wide, &["model.yaml:1:1: network: 155 blocks; at most 128"]);
}

#[test]
fn all_mistakes_of_all_parts_come_at_once_in_the_order_of_the_language() {
    let text = "version: 1\nnetwork:\n  - dense: { width: 9999, dropout: 2 }\n  - residual: []\nloss: [{ mae: { weight: -1 } }]\n\
                training: { epochs: 0 }\nensemble: { aggregate: medium }\n";
    says(
        text,
        &[
            "model.yaml:3:21: network[0].dense.width: 9999 is out of range: 1 to 4096",
            "model.yaml:3:36: network[0].dense.dropout: 2 is out of range: 0 to 0.9",
            "model.yaml:4:15: network[1].residual: 0 items, wanted 1 to 8",
            "model.yaml:5:25: loss[0].mae.weight: -1 is out of range: 0.000001 to 100",
            "model.yaml:6:21: training.epochs: 0 is out of range: 1 to 1000",
            "model.yaml:7:24: ensemble.aggregate: `medium` is not known here; allowed: mean, rank_mean, median, trimmed. Did you mean `median`?",
        ],
    );
}

#[test]
fn names_that_the_data_lacks_come_with_the_nearest() {
    let facts = DataFacts {
        feature_sets: side_by_side([("serenity", 95), ("wisdom", 140)]),
        features: 235,
        targets: vec!["target_ender_20".into(), "target_ender_60".into()],
        rows: 1000,
        eras: 60,
        folds: long_folds(4),
        seeds: 3,
    };
    let text = "features: { sets: [wisdom, serenitiy] }\ntargets: { train_on: [target_ender_6] }\n\
                network: [{ dense: { width: 8, norm: batch } }]\n";
    let spec = Spec::parse(text, "model.yaml").expect("valid by itself");
    let found = spec.check_data(&facts).expect_err("the data has other names");
    assert!(found.to_string().starts_with("spec: features.sets[1]: "), "without the text there is no line: {found}");
    let found = found.located(text, "model.yaml").to_string();
    let wanted = [
        "model.yaml:1:28: features.sets[1]: the protocol has no feature set `serenitiy`; it has serenity, wisdom. Did you mean `serenity`?",
        "model.yaml:2:23: targets.train_on[0]: the protocol has no training target `target_ender_6`; it has target_ender_20, \
         target_ender_60. Did you mean `target_ender_60`?",
    ];
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_is_too_expensive_is_said_at_the_network_beside_what_the_data_lacks() {
    let facts = DataFacts {
        feature_sets: side_by_side([("serenity", 3)]),
        features: 3,
        targets: vec!["target_ender_20".into()],
        rows: 1000,
        eras: 60,
        folds: long_folds(4),
        seeds: 3,
    };
    let text = "features: { sets: [serenety] }\nnetwork: [{ dense: { width: 4096 } }]\n";
    let budget =
        Budget { params: 10, replica_bytes: 1 << 40, at_once: 1, flops: 1e30, seconds: f64::INFINITY, rates: None };
    let found = Spec::check(text, "model.yaml", &facts, &budget).errors().to_string();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 2, "{found}");
    assert!(
        lines[0].starts_with("model.yaml:1:20: features.sets[0]: ") && lines[0].ends_with("`serenity`?"),
        "{found}"
    );
    assert!(lines[1].starts_with("model.yaml:2:1: network: over the budget: "), "{found}");
}

#[test]
fn what_is_wrong_however_many_sets_there_are_is_known_without_the_data() {
    let tokens = "tokenize: { per: group, width: 6 }";
    says(
        &format!("network: [{{ {tokens} }}, {{ attention: {{ heads: 4 }} }}, {{ pool: mean }}]\n"),
        &["model.yaml:1:66: network[1].attention.heads: 4 heads do not divide the tokens' width, 6"],
    );
    // Right for eight sets, for one set, and for two that share columns.
    let added = |width| {
        format!(
            "{{ parallel: {{ combine: sum, branches: [[{{ {tokens} }}, {{ pool: flatten }}], [{{ dense: {{ width: {width} }} }}]] }} }}"
        )
    };
    for text in [
        format!("network: [{}]\n", added(48)),
        format!("features: {{ sets: [wisdom] }}\nnetwork: [{}]\n", added(6)),
        format!("features: {{ sets: [wisdom, all] }}\nnetwork: [{{ inputs: {{ sets: [wisdom] }} }}, {}]\n", added(12)),
    ] {
        Spec::parse(&text, "model.yaml").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    }
}
