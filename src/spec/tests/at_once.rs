//! Every mistake is said at once, and none that would go away with another.

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use super::random;
use crate::spec::cost::Budget;
use crate::spec::facts::{long_folds, side_by_side};
use crate::spec::knobs::descend;
use crate::spec::{DataFacts, Spec, SpecErrors, Value};

fn facts() -> DataFacts {
    DataFacts {
        feature_sets: side_by_side([("serenity", 40), ("wisdom", 20)]),
        features: 60,
        targets: vec!["target_ender_20".into(), "target_ender_60".into()],
        rows: 1000,
        eras: 60,
        folds: long_folds(4),
        seeds: 3,
    }
}

fn check(text: &str) -> SpecErrors {
    let budget = Budget {
        params: 1 << 40,
        replica_bytes: 1 << 50,
        at_once: 1,
        flops: 1e30,
        seconds: f64::INFINITY,
        rates: None,
    };
    Spec::check(text, "model.yaml", &facts(), &budget).errors()
}

fn paths(errors: &SpecErrors) -> Vec<&str> {
    errors.errors.iter().map(|error| error.path.as_str()).collect()
}

#[test]
fn fields_rules_and_data_are_checked_together() {
    let text = "features: { sets: [serenty] }\nnetwork:\n  - attention\n  - dense: { width: 8, widht: 8 }\n\
                loss: [mse, pearsn, mse]\noptimizer: { adamw: { lr: 5 }, ema: {}, swa: {} }\n\
                training: { epochs: 5 }\nschedule: { constant: {}, warmup_epochs: 6 }\n";
    let wanted = [
        "features.sets[0]",
        "network[0].attention",
        "network[1].dense.widht",
        "loss[1]",
        "loss[2]",
        "optimizer.adamw.lr",
        "optimizer.swa",
        "schedule.warmup_epochs",
    ];
    assert_eq!(paths(&check(text)), wanted);
}

#[test]
fn what_hangs_on_a_mistake_is_not_said() {
    let cases = [
        ("training: { epochs: lots }\nschedule: { constant: {}, warmup_epochs: 30 }", vec!["training.epochs"]),
        ("trainning: { epochs: 100 }\nschedule: { constant: {}, warmup_epochs: 30 }", vec!["trainning"]),
        ("loss: [{ output_l2: {} }, pearsn]", vec!["loss[1]"]),
        (
            "targets: { weighting: lerned }\noptimizer: { adamw: {}, rates: { target_weights: 2 } }",
            vec!["targets.weighting"],
        ),
        ("optimizer: { sgd: { momentum: much, nesterov: true } }", vec!["optimizer.sgd.momentum"]),
    ];
    for (rest, wanted) in cases {
        let found = check(&format!("network: [{{ dense: {{ width: 8 }} }}]\n{rest}\n"));
        assert_eq!(paths(&found), wanted, "{rest}\n{found}");
    }
    for network in
        ["[tokenise, attention, { pool: mean }]", "[{ tokenize: { width: six } }, attention, { pool: mean }]"]
    {
        let found = check(&format!("network: {network}\n"));
        assert_eq!(found.errors.len(), 1, "{network}\n{found}");
    }
}

/// The paths of all scalars, but for what tests break in other ways.
fn scalars(value: &Value, path: &str, all: &mut Vec<String>) {
    let others =
        ["version", "loss", "schedule", "training.epochs", "optimizer.ema", "optimizer.swa", "targets.weighting"];
    if others.contains(&path) || path.ends_with(".sets") || path.ends_with("train_on") {
        return;
    }
    match value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                scalars(item, &format!("{path}[{index}]"), all);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                scalars(value, &here, all);
            }
        }
        _ => all.push(path.to_owned()),
    }
}

fn put(tree: &mut Value, path: &str, value: Value) {
    *descend(tree, path).expect("canonical trees have it") = value;
}

/// Breaks scalars of a canonical tree.
fn broken(tree: &mut Value, at: &[Index]) -> Vec<String> {
    let mut all = Vec::new();
    scalars(tree, "", &mut all);
    let mut paths: Vec<String> = at.iter().map(|at| at.get(&all).clone()).collect();
    paths.sort();
    paths.dedup();
    for path in &paths {
        put(tree, path, Value::Text("no such word".into()));
    }
    paths
}

/// Not as JSON: names are any text, and JSON leaves control characters as they are which YAML wants escaped.
fn yaml(tree: &Value) -> String {
    crate::spec::value::to_yaml(tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn independent_mistakes_are_said_in_one_go(spec in random::spec(), at in proptest::collection::vec(any::<Index>(), 0..3)) {
        let mut tree = spec.canonical();
        put(&mut tree, "training.epochs", Value::Int(3));
        put(&mut tree, "schedule.warmup_epochs", Value::Int(50));
        put(&mut tree, "features.sets", Value::List(vec![Value::Text("no_such_set".into())]));
        put(&mut tree, "optimizer.ema", Value::Map(Vec::new()));
        put(&mut tree, "optimizer.swa", Value::Map(vec![("from".into(), Value::Float(0.1))]));
        let Some(Value::List(terms)) = tree.get_mut("loss") else { panic!("a list") };
        terms.push(terms[0].clone());
        let twice = format!("loss[{}]", terms.len() - 1);
        let mut wanted = broken(&mut tree, &at);
        wanted.extend(["schedule.warmup_epochs".into(), "features.sets[0]".into(), "optimizer.swa".into(), twice]);
        let (text, found) = (yaml(&tree), check(&yaml(&tree)));
        for path in wanted {
            prop_assert!(found.errors.iter().any(|error| error.path == path), "{path}: {found}\n{text}");
        }
        prop_assert!(found.errors.is_sorted_by_key(|error| (error.line, error.column)), "{found}");
    }

    #[test]
    fn of_a_broken_word_nothing_else_is_said(spec in random::spec(), at in proptest::collection::vec(any::<Index>(), 1..3)) {
        let mut tree = spec.canonical();
        let wanted = broken(&mut tree, &at);
        let found = Spec::parse(&yaml(&tree), "model.yaml").expect_err("broken");
        let mut paths = paths(&found);
        paths.sort_unstable();
        prop_assert_eq!(&paths, &wanted, "{}\n{}", found, yaml(&tree));
    }
}
