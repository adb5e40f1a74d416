//! Two edits of one spec put together.

use proptest::prelude::*;

use super::random;
use crate::spec::merge::{Conflict, merged};
use crate::spec::{Spec, diff};

const BASE: &str = "network: [{ dense: { width: 64, activation: relu } }, { dense: { width: 32, activation: relu } }]
optimizer: { adamw: { lr: 1e-3, weight_decay: 1e-4 } }
training: { epochs: 20 }
";

fn read(text: &str) -> Spec {
    Spec::parse(text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn edited(edits: &[(&str, &str)]) -> Spec {
    read(&edits.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }))
}

#[test]
fn edits_of_different_places_add_up() {
    let first = "{ dense: { width: 64, activation: relu } }";
    let block = "{ dense: { width: 128, activation: gelu } }, ";
    let (in_front, with_block) = (first, format!("{block}{first}"));
    let second = "{ dense: { width: 32, activation: relu } }";
    let last = format!(", {second}");
    type Edits<'a> = Vec<(&'a str, &'a str)>;
    let table: Vec<(Edits<'_>, Edits<'_>, &str)> = vec![
        (vec![("lr: 1e-3", "lr: 2e-3")], vec![("weight_decay: 1e-4", "weight_decay: 3e-4")], "two knobs of one record"),
        (vec![("width: 64", "width: 96")], vec![("width: 32", "width: 16")], "one knob in two blocks"),
        (
            vec![("width: 64, activation: relu", "width: 64, activation: gelu")],
            vec![("width: 64", "width: 96")],
            "two in one block",
        ),
        (vec![(in_front, &with_block)], vec![("width: 32", "width: 16")], "a block in front, and a knob behind it"),
        (
            vec![("width: 64", "width: 96")],
            vec![(second, "{ dense: { width: 32, activation: relu } }, { dense: { width: 8 } }")],
            "a knob, and a block at the end",
        ),
        (
            vec![("adamw: { lr: 1e-3, weight_decay: 1e-4 }", "sgd: { lr: 1e-2 }")],
            vec![("epochs: 20", "epochs: 30")],
            "another optimizer",
        ),
        (vec![("epochs: 20", "epochs: 30")], vec![("epochs: 20", "epochs: 30")], "the same edit twice"),
        (vec![(&last, "")], vec![("width: 64", "width: 96")], "a block taken out, and a knob of the other"),
    ];
    for (theirs, ours, why) in table {
        let together: Vec<(&str, &str)> =
            ours.iter().chain(theirs.iter().filter(|edit| !ours.contains(edit))).copied().collect();
        let (base, mine, other) = (edited(&[]), edited(&theirs), edited(&ours));
        // Where one adds a block, its text is edited first, so that the other's place is still there.
        let wanted = std::panic::catch_unwind(|| edited(&together))
            .unwrap_or_else(|_| edited(&together.iter().rev().copied().collect::<Vec<_>>()));
        let found = merged(&base, &mine, &other).unwrap_or_else(|conflict| panic!("{why}: {conflict}"));
        assert_eq!(found.hash(), wanted.hash(), "{why}: {:?}", diff::changes(&wanted, &found));
        assert_eq!(
            merged(&base, &other, &mine).map(|spec| spec.hash()),
            Ok(found.hash()),
            "{why}, the other way round"
        );
    }
}

#[test]
fn edits_of_the_same_place_are_in_conflict() {
    let second = ", { dense: { width: 32, activation: relu } }";
    let sgd = ("adamw: { lr: 1e-3, weight_decay: 1e-4 }", "sgd: { lr: 1e-2 }");
    let table = [
        (("lr: 1e-3", "lr: 2e-3"), ("lr: 1e-3", "lr: 5e-4"), "optimizer.adamw.lr"),
        ((second, ""), ("width: 32", "width: 16"), "network[1]"),
        (sgd, ("lr: 1e-3", "lr: 5e-4"), "optimizer.adamw"),
    ];
    for (theirs, ours, path) in table {
        let conflict = merged(&edited(&[]), &edited(&[theirs]), &edited(&[ours])).expect_err(path);
        assert_eq!(conflict, Conflict::Both { path: path.into() });
    }
    let lion = ("adamw: { lr: 1e-3, weight_decay: 1e-4 }", "lion: { lr: 1e-4 }");
    let conflict = merged(&edited(&[]), &edited(&[sgd]), &edited(&[lion])).expect_err("two optimizers");
    assert!(matches!(conflict, Conflict::Invalid { .. } | Conflict::Both { .. }), "{conflict}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The laws that any three-way merge has to keep.
    #[test]
    fn the_laws_of_a_merge(base in random::spec(), one in random::spec(), other in random::spec()) {
        let hash = |spec: &Spec| Ok::<_, Conflict>(spec.hash());
        let merge = |a: &Spec, b: &Spec, c: &Spec| merged(a, b, c).map(|spec| spec.hash());
        prop_assert_eq!(merge(&base, &base, &one), hash(&one), "no change of theirs");
        prop_assert_eq!(merge(&base, &one, &base), hash(&one), "no change of ours");
        prop_assert_eq!(merge(&base, &one, &one), hash(&one), "the same change");
        match (merge(&base, &one, &other), merge(&base, &other, &one)) {
            (Ok(first), Ok(second)) => prop_assert_eq!(first, second, "it does not matter who comes first"),
            (first, second) => prop_assert_eq!(first.is_err(), second.is_err()),
        }
    }
}
