//! Whole networks of other families, each as one move, for phases that leave the incumbent's neighbourhood. They are made
//! to the measure of the net that they replace: as wide as its first layer, so that what is tried is the family and not
//! the size. What surrounds the net (loss, optimizer, schedule) stays.

use super::recipes::Recipe;
use super::tree::{blocks, dense_blocks, word};
use crate::spec::{Spec, Value};

/// Every family.
pub(super) const FAMILIES: &[Recipe] = &[
    Recipe {
        title: "a residual net",
        why: "What is linear passes by, and depth costs no gradient (He 2016; Gorishniy 2021)",
        category: "architecture",
        apply: |tree, _| {
            let wide = width(tree);
            let block = format!(
                "{{ residual: [{{ norm: batch }}, {{ dense: {{ width: {wide}, dropout: 0.2 }} }}, {{ dense: {{ width: {wide}, activation: identity }} }}] }}"
            );
            replace(
                tree,
                &format!(
                    "[{{ dense: {{ width: {wide}, activation: identity }} }}, {block}, {block}, {{ norm: batch }}, {{ activation: relu }}]"
                ),
            )
        },
    },
    Recipe {
        title: "gated linear units",
        why: "A gate multiplies what it reads: interactions without depth (Dauphin 2017; Shazeer 2020)",
        category: "architecture",
        apply: |tree, _| {
            let wide = width(tree);
            let (first, second) = (share(wide, 2), share(wide, 4));
            replace(
                tree,
                &format!(
                    "[{{ gate: {{ width: {first}, dropout: 0.2 }} }}, {{ norm: batch }}, {{ gate: {{ width: {second}, dropout: 0.2 }} }}, {{ norm: batch }}]"
                ),
            )
        },
    },
    Recipe {
        title: "crossings beside dense layers (DCN-v2)",
        why: "Products of features to a bounded degree, beside a net for the rest (Wang 2021)",
        category: "architecture",
        apply: |tree, _| {
            let wide = width(tree);
            let narrow = share(wide, 2);
            let dense = "norm: batch, dropout: 0.2, bias: false";
            replace(
                tree,
                &format!(
                    "[{{ parallel: {{ branches: [[{{ cross: {{ layers: 2, rank: 32 }} }}], [{{ dense: {{ width: {wide}, {dense} }} }}, {{ dense: {{ width: {narrow}, {dense} }} }}]] }} }}]"
                ),
            )
        },
    },
    Recipe {
        title: "a crossing before the first block",
        why: "Products of features, which a rectified net has to piece together (Wang 2021)",
        category: "architecture",
        apply: |tree, _| put_in_front(tree, "{ cross: { layers: 1, rank: 16 } }"),
    },
    Recipe {
        title: "a mixture of four experts",
        why: "Other rows, other laws: each expert learns those that its gate sends it (Shazeer 2017)",
        category: "architecture",
        apply: |tree, _| {
            let (wide, narrow) = (share(width(tree), 2), share(width(tree), 4));
            let dense = "norm: batch, activation: gelu, dropout: 0.2, bias: false";
            replace(
                tree,
                &format!(
                    "[{{ mixture_of_experts: {{ experts: 4, top_k: 2, expert: [{{ dense: {{ width: {wide}, {dense} }} }}, {{ dense: {{ width: {narrow}, {dense} }} }}] }} }}]"
                ),
            )
        },
    },
    Recipe {
        title: "the same net as eight in one (TabM)",
        why: "Members that share their matrices average away part of the noise at a fraction of an ensemble's cost (Gorishniy 2025)",
        category: "ensemble",
        apply: |tree, _| {
            let Some(inside) = blocks(tree) else { return false };
            // Only what the block takes; and a net that is one already has nothing to win.
            if inside.is_empty() || inside.len() > 8 || inside.iter().any(|block| word(block) != "dense") {
                return false;
            }
            let fields = vec![("members".into(), Value::Int(8)), ("blocks".into(), Value::List(inside.clone()))];
            *inside = vec![Value::Map(vec![("batch_ensemble".into(), Value::Map(fields))])];
            true
        },
    },
    Recipe {
        title: "TabNet",
        why: "Each step reads few features, chosen row by row (Arık & Pfister 2021)",
        category: "architecture",
        apply: |tree, _| {
            let wide = share(width(tree), 8).min(32);
            replace(tree, &format!("[{{ tabnet: {{ steps: 3, width: {wide}, attention_width: {wide} }} }}]"))
        },
    },
    Recipe {
        title: "attention over the feature sets",
        why: "A token a set is what a transformer costs little with, and sets are what features have in common (Gorishniy 2021)",
        category: "architecture",
        apply: |tree, facts| {
            let sets = facts.feature_sets.len();
            (2..=64).contains(&sets)
                && replace(
                    tree,
                    "[{ tokenize: { per: group, width: 32, class_token: true } }, { residual: [{ norm: layer }, { attention: { heads: 4, dropout: 0.1 } }] }, { residual: [{ norm: layer }, { gate: { width: 48, kind: reglu } }, { dense: { width: 32, activation: identity } }] }, { pool: first }, { norm: layer }]",
                )
        },
    },
    Recipe {
        title: "features scaled by what all of them say",
        why: "Squeeze and excitation lets a row say which of its features count (Hu 2018)",
        category: "architecture",
        apply: |tree, _| put_in_front(tree, "{ squeeze_excitation: { ratio: 0.05 } }"),
    },
    Recipe {
        title: "a code of the features beside them",
        why: "A code that can tell the features again is free of the label's noise (Vincent 2010)",
        category: "architecture",
        apply: |tree, _| {
            put_in_front(
                tree,
                "{ autoencoder: { encoder: [{ dense: { width: 64 } }, { dense: { width: 16 } }], decoder: [{ dense: { width: 64 } }], output: both } }",
            )
        },
    },
];

/// The kinds of blocks that a family brings in, as dimensions of a profile.
pub(super) fn is_family(dimension: &str) -> bool {
    const KINDS: [&str; 8] = [
        "gate",
        "cross",
        "mixture_of_experts",
        "batch_ensemble",
        "tabnet",
        "attention",
        "squeeze_excitation",
        "autoencoder",
    ];
    dimension.strip_prefix("network=").is_some_and(|kind| KINDS.contains(&kind)) || dimension == "network.residual"
}

/// Units of the first dense layer; of a net without one, a usual number.
fn width(tree: &mut Value) -> i64 {
    match dense_blocks(tree).first().and_then(|fields| fields.get("width")) {
        Some(Value::Int(width)) => (*width).clamp(8, 1024),
        _ => 128,
    }
}

fn share(width: i64, parts: i64) -> i64 {
    (width / parts).max(8)
}

/// The blocks that a text says.
fn network(text: &str) -> Option<Vec<Value>> {
    let spec = Spec::parse(&format!("network: {text}\n"), "family").ok()?;
    match spec.canonical().get("network") {
        Some(Value::List(blocks)) => Some(blocks.clone()),
        _ => None,
    }
}

fn replace(tree: &mut Value, text: &str) -> bool {
    match (network(text), blocks(tree)) {
        (Some(new), Some(old)) if *old != new => {
            *old = new;
            true
        }
        _ => false,
    }
}

/// Puts a block in front of a net that reads units and does not begin with one like it.
fn put_in_front(tree: &mut Value, text: &str) -> bool {
    let made = network(&format!("[{text}, {{ dense: {{ width: 8 }} }}]")).and_then(|mut blocks| {
        blocks.truncate(1);
        blocks.pop()
    });
    match (made, blocks(tree)) {
        (Some(block), Some(old)) => match old.first() {
            Some(first) if word(first) != word(&block) && word(first) != "tokenize" => {
                old.insert(0, block);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::super::testing::facts;
    use super::*;

    #[test]
    fn every_family_is_a_valid_net_that_the_profile_tells_from_the_others() {
        let base = "network: [ { dense: { width: 64 } }, { dense: { width: 32 } } ]\n";
        let base = Spec::parse(base, "test").expect("a valid spec");
        let here = Profile::of(&base, &facts());
        for family in FAMILIES {
            let mut tree = base.canonical();
            assert!((family.apply)(&mut tree, &facts()), "{} changes this spec", family.title);
            let spec = Spec::from_value(&tree).unwrap_or_else(|error| panic!("{}: {error}", family.title));
            spec.check_data(&facts()).unwrap_or_else(|error| panic!("{}: {error}", family.title));
            let shifts = here.shifts(&Profile::of(&spec, &facts()));
            let brought = shifts.iter().filter(|shift| is_family(&shift.dimension) && shift.sign() > 0).count();
            assert!(brought >= 1, "{}: {shifts:?}", family.title);
            let mut again = spec.canonical();
            assert!(
                !(family.apply)(&mut again, &facts()) || again != spec.canonical(),
                "{} a second time is no change that claims to be one",
                family.title
            );
        }
    }

    #[test]
    fn a_family_is_as_wide_as_what_it_replaces_and_costs_what_it_may() {
        let base = Spec::parse("network: [ { dense: { width: 256 } }, { dense: { width: 64 } } ]\n", "test");
        let base = base.expect("a valid spec");
        let cost = |spec: &Spec| crate::spec::cost::estimate(spec, &facts()).flops;
        for family in FAMILIES {
            let mut tree = base.canonical();
            assert!((family.apply)(&mut tree, &facts()), "{}", family.title);
            let spec = Spec::from_value(&tree).expect("a valid spec");
            let ratio = cost(&spec) / cost(&base);
            assert!(ratio < 16.0, "{} costs {ratio:.1} times the net that it replaces", family.title);
        }
    }
}
