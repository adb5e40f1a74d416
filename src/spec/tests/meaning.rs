//! What holds for every spec: it is written and read back whole, and however it is written it is the same trial.

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::random;
use crate::spec::{Spec, Value, diff, knobs, schema};

/// The same tree with the keys of every map in the opposite order, and with numbers written the other way where they are
/// whole: 64 as 64.0 and 1.0 as 1.
fn disguised(value: &Value) -> Value {
    match value {
        Value::Int(whole) => Value::Float(*whole as f64),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e9 => Value::Int(*number as i64),
        Value::List(items) => Value::List(items.iter().map(disguised).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().rev().map(|(key, value)| (key.clone(), disguised(value))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn yaml_reads_back_as_the_same_spec(spec in random::spec()) {
        let text = spec.to_yaml();
        match Spec::parse(&text, "model.yaml") {
            Ok(again) => {
                prop_assert_eq!(&again, &spec, "through\n{}", text);
                prop_assert_eq!(again.to_yaml(), text, "written twice");
            }
            Err(errors) => prop_assert!(false, "{errors}\nin\n{text}"),
        }
    }

    #[test]
    fn however_it_is_written_it_is_the_same_trial(spec in random::spec()) {
        let canonical = spec.canonical();
        let hash = spec.hash();
        prop_assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));

        let disguise = Spec::from_value(&disguised(&canonical)).expect("the same model");
        prop_assert_eq!(&disguise.hash(), &hash, "keys in another order, whole numbers with and without a point");
        prop_assert_eq!(&disguise, &spec);

        // JSON is YAML too, but for characters that YAML wants escaped; here every default is written out, and keys come in
        // alphabetical order.
        let escaped = |letter: char| match letter {
            '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => format!("\\u{:04x}", u32::from(letter)),
            _ => letter.to_string(),
        };
        let json: String = schema::to_json(&canonical).to_string().chars().map(escaped).collect();
        let spelled_out = Spec::parse(&json, "json").expect("the same model");
        prop_assert_eq!(&spelled_out.hash(), &hash, "defaults written out, as JSON");

        let slim = knobs::without_defaults(&canonical);
        prop_assert_eq!(Spec::from_value(&slim).expect("the same model").canonical(), canonical, "defaults left out");
    }

    #[test]
    fn different_models_have_different_hashes_and_a_diff_that_says_why(a in random::spec(), b in random::spec()) {
        prop_assert!(diff::changes(&a, &a.clone()).is_empty());
        prop_assert_eq!(a == b, a.hash() == b.hash());
        prop_assert_eq!(a == b, diff::changes(&a, &b).is_empty());
    }
}

#[test]
fn the_shipped_baseline_is_read_and_keeps_its_hash_through_its_own_yaml() {
    let spec = Spec::parse(include_str!("../../../model.yaml"), "model.yaml").expect("the shipped model.yaml is valid");
    assert_eq!(Spec::parse(&spec.to_yaml(), "again").expect("reads back").hash(), spec.hash());
}

#[test]
fn a_block_put_in_front_is_one_addition() {
    let read = |network: &str| Spec::parse(&format!("network: {network}"), "test").expect("valid");
    let old = read("[{ dense: { width: 8 } }, { dense: { width: 16 } }]");
    let new = read("[{ dense: { width: 4 } }, { dense: { width: 8 } }, { dense: { width: 16 } }]");
    let changes = diff::changes(&old, &new);
    let [only] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((only.path.as_str(), only.from.as_deref()), ("network[0].dense", None));
    assert!(only.to.as_deref().is_some_and(|to| to.contains("width: 4")), "{only:?}");
    let back = diff::changes(&new, &old);
    assert!(matches!(back.as_slice(), [only] if only.to.is_none() && only.path == "network[0].dense"), "{back:?}");
}
