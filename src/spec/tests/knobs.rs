//! Every knob of every spec can be turned over its whole range, and the diff says exactly what was turned.

use proptest::prelude::{ProptestConfig, TestCaseError, prop_assert, prop_assert_eq, proptest};

use super::random;
use crate::spec::knobs::{self, Domain, Knob};
use crate::spec::{Spec, SpecError, Value, diff};

/// The ends of a knob's range, every word of a choice, and off where it can be off.
fn settings(knob: &Knob) -> Vec<Value> {
    let mut settings = match &knob.domain {
        Domain::Int { min, max, .. } => vec![Value::Int(*min), Value::Int(*max), Value::Float(*max as f64)],
        Domain::Float { min, max, .. } => vec![Value::Float(*min), Value::Float(*max)],
        Domain::Bool => vec![Value::Bool(true), Value::Bool(false)],
        Domain::Choice(words) => words.iter().cloned().map(Value::Text).collect(),
    };
    if knob.optional {
        settings.push(Value::Null);
    }
    settings
}

/// Rules between fields: the only reason why a knob may not go to an end of its range.
fn is_between_fields(SpecError { path, message, .. }: &SpecError) -> bool {
    // Blocks, terms, augmentations and wrappers must fit each other and do something, whatever range their fields have.
    let parts = ["network", "loss", "augment[", "ensemble.", "optimizer.", "schedule", "targets.", "training.batch"];
    parts.iter().any(|part| path.starts_with(part)) && !message.contains("out of range")
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.number(), b.number()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn turned(spec: &Spec, knob: &Knob, value: &Value) -> Result<(), TestCaseError> {
    let what = format!("{} = {value}", knob.path);
    let turned = match knobs::with(spec, &knob.path, value.clone()) {
        Ok(turned) => turned,
        Err(errors) => {
            for error in &errors.errors {
                prop_assert!(is_between_fields(error), "{what}: {errors}");
            }
            return Ok(());
        }
    };
    let now = knobs::knobs(&turned).into_iter().find(|other| other.path == knob.path);
    prop_assert!(now.is_some_and(|now| same(&now.value, value)), "{what} is not what the knob then says");
    let paths: Vec<String> = diff::changes(spec, &turned).into_iter().map(|change| change.path).collect();
    if same(&knob.value, value) {
        prop_assert!(paths.is_empty(), "{what} changed {paths:?}");
        prop_assert_eq!(&turned, spec);
    } else if matches!(&knob.domain, Domain::Choice(_)) {
        // A union's kind takes its fields with it; an item of a list may become the partner of another of its kind.
        let within =
            knob.path.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map_or(&*knob.path, |(list, _)| list);
        prop_assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with(within)), "{what}: {paths:?}");
    } else {
        prop_assert_eq!(paths, vec![knob.path.clone()], "{}", what);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn knobs_turn_over_their_whole_range(spec in random::spec()) {
        for knob in knobs::knobs(&spec) {
            for value in settings(&knob) {
                turned(&spec, &knob, &value)?;
            }
        }
    }

    #[test]
    fn beyond_its_range_a_knob_is_refused_at_its_path(spec in random::spec()) {
        for knob in knobs::knobs(&spec) {
            let beyond = match &knob.domain {
                Domain::Int { max, .. } => Value::Int(max + 1),
                Domain::Float { max, .. } => Value::Float(max * 1.01),
                Domain::Bool => Value::Int(1),
                Domain::Choice(_) => Value::Text("no_such_word".into()),
            };
            let errors = knobs::with(&spec, &knob.path, beyond).expect_err("beyond the range");
            prop_assert!(errors.errors.iter().any(|error| error.path.starts_with(&knob.path)), "{}: {errors}", knob.path);
        }
    }
}

#[test]
fn what_stands_beside_a_schedule_survives_a_change_of_its_kind() {
    let text = "network: [{ dense: { width: 8 } }]\nschedule: { cosine: { end_factor: 0.5 }, warmup_epochs: 2 }\n";
    let spec = Spec::parse(text, "test").expect("valid");
    let turned = knobs::with(&spec, "schedule", Value::Text("one_cycle".into())).expect("valid");
    assert_eq!(turned.schedule.beside.warmup_epochs, 2.0);
    assert!(knobs::with(&spec, "network[1].dense.width", Value::Int(4)).is_err(), "there is no second block");
    assert!(knobs::with(&spec, "network[0]", Value::Int(4)).is_err(), "a block is no knob");
}

#[test]
fn a_part_that_can_be_left_out_is_a_switch_and_keeps_its_place_in_every_view() {
    let read = |optimizer: &str| {
        let text = format!("network: [{{ dense: {{ width: 8 }} }}]\noptimizer: {optimizer}\n");
        Spec::parse(&text, "test").expect("valid")
    };
    let plain = read("adamw");
    assert_eq!(plain.hash(), read("{ adamw: {}, lookahead: null }").hash(), "absent is null");
    let paths = |spec: &Spec| -> Vec<String> {
        let all = knobs::knobs(spec).into_iter().map(|knob| knob.path);
        all.filter(|path| path.starts_with("optimizer.lookahead")).collect()
    };
    assert_eq!(paths(&plain), ["optimizer.lookahead"], "only the switch while it is off");

    let on = knobs::with(&plain, "optimizer.lookahead", Value::Bool(true)).expect("valid");
    assert_eq!(on, read("{ adamw: {}, lookahead: {} }"), "switched on it takes its defaults");
    assert!(on.to_yaml().contains("lookahead: {}"), "{}", on.to_yaml());
    assert_eq!(paths(&on), ["optimizer.lookahead", "optimizer.lookahead.k", "optimizer.lookahead.alpha"]);
    let changes = diff::changes(&plain, &on);
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.path, "optimizer.lookahead");
    assert_eq!((change.from.as_deref(), change.to.as_deref()), (Some("null"), Some("{ k: 5, alpha: 0.5 }")));

    let text = "{ adamw: { lr: 1e-3, weight_decay: 1.2e-4, clip_norm: 1.0 }, lookahead: { k: 3, alpha: 0.55 } }";
    let written = read(text);
    let again = knobs::with(&written, "optimizer.lookahead", Value::Bool(true)).expect("valid");
    assert_eq!(again, written, "what is on stays as it is");
    assert!(written.to_yaml().contains("lookahead: { k: 3, alpha: 0.55 }"), "{}", written.to_yaml());
    let off = knobs::with(&written, "optimizer.lookahead", Value::Bool(false)).expect("valid");
    assert!(off.optimizer.beside.lookahead.is_none());
}
