//! Lists as slots: what is put in can be taken out, and what is taken out can be put back.

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use super::random;
use crate::spec::knobs::{self, Items, Slot, insert, remove, slots};
use crate::spec::{Spec, Value};

fn items<'a>(tree: &'a mut Value, slot: &Slot) -> &'a mut Vec<Value> {
    match knobs::descend(tree, &slot.path) {
        Some(Value::List(items)) => items,
        other => panic!("{} is {other:?}", slot.path),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn put_in_and_taken_out_nothing_has_changed(spec in random::spec(), at in any::<Index>(), which in any::<Index>()) {
        for slot in slots(&spec) {
            let place = at.index(slot.len + 1);
            let item = match &slot.items {
                Items::Kinds(kinds) => Value::Text(which.get(kinds).word.clone()),
                Items::Names(_) => Value::Text("a name that no draw has".into()),
                Items::Other(_) if slot.len > 0 => items(&mut spec.canonical(), &slot)[which.index(slot.len)].clone(),
                Items::Other(_) => continue,
            };
            // Rules between items may refuse it, and so does a list that is full or a kind that needs fields.
            let Ok(longer) = insert(&spec, &slot.path, place, item) else { continue };
            prop_assert!(slot.len < slot.max, "{} was full", slot.path);
            let now = slots(&longer).into_iter().find(|other| other.path == slot.path);
            prop_assert_eq!(now.map(|now| now.len), Some(slot.len + 1));
            let back = remove(&longer, &slot.path, place).expect("it was valid before");
            prop_assert_eq!(back.hash(), spec.hash(), "{} at {}", slot.path, place);
        }
    }

    #[test]
    fn taken_out_and_put_back_nothing_has_changed(spec in random::spec(), at in any::<Index>()) {
        for slot in slots(&spec).into_iter().filter(|slot| slot.len > 0) {
            let place = at.index(slot.len);
            let item = items(&mut spec.canonical(), &slot)[place].clone();
            match remove(&spec, &slot.path, place) {
                Ok(shorter) => {
                    let back = insert(&shorter, &slot.path, place, item).expect("it was valid before");
                    prop_assert_eq!(back.hash(), spec.hash(), "{} at {}", slot.path, place);
                }
                Err(errors) => prop_assert!(!errors.errors.is_empty()),
            }
        }
    }
}

#[test]
fn the_slots_of_a_net() {
    let text = "network: [{ dense: { width: 8 } }, { residual: [{ dense: { width: 8 } }] }]\n\
                features: { sets: [serenity, wisdom] }\n";
    let spec = Spec::parse(text, "test").expect("valid");
    let slots = slots(&spec);
    let find = |path: &str| slots.iter().find(|slot| slot.path == path).unwrap_or_else(|| panic!("no {path}"));
    assert_eq!((find("network").len, find("network").min), (2, 1));
    assert_eq!(find("network[1].residual").len, 1);
    assert_eq!(find("features.sets").items, Items::Names("feature set"));
    assert!(!slots.iter().any(|slot| slot.path == "targets.train_on"), "`all` is no list");
    let Items::Kinds(kinds) = &find("loss").items else { panic!("terms") };
    assert!(kinds.iter().any(|kind| kind.word == "pearson" && kind.bare));
    let Items::Kinds(kinds) = &find("network").items else { panic!("blocks") };
    assert!(kinds.iter().any(|kind| kind.word == "dense" && !kind.bare), "a dense block needs a width");
}

#[test]
fn what_cannot_be_done_is_said() {
    let spec = Spec::parse("network: [{ dense: { width: 8 } }]\n", "test").expect("valid");
    let dense = Value::Text("dense".into());
    for (refused, wanted) in [
        (insert(&spec, "network", 2, dense.clone()), "beyond the end"),
        (insert(&spec, "network", 0, dense.clone()), "width: missing"),
        (insert(&spec, "networks", 0, dense.clone()), "no such list"),
        (insert(&spec, "training.epochs", 0, dense), "no such list"),
        (remove(&spec, "network", 0), "0 items, wanted 1"),
        (remove(&spec, "network", 1), "no item 1"),
    ] {
        let said = refused.expect_err(wanted).to_string();
        assert!(said.contains(wanted), "{said}");
    }
}
