//! What a spec is said to cost before training is what the net then has.

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::spec::tests::random;
use crate::spec::{DataFacts, Names, Spec, cost, members};
use crate::train::layers::Net;

/// Data that has whatever names the spec asks for: sets of 3, 4, 5 … features that share none.
fn facts(spec: &Spec) -> DataFacts {
    let named = |names: &Names, others: &[&str]| match names {
        Names::All => others.iter().map(|name| (*name).to_owned()).collect(),
        Names::Only(names) => names.clone(),
    };
    let mut sets: Vec<String> = named(&spec.features.sets, &["serenity", "wisdom"]);
    if spec.features.sets != Names::All {
        sets.push("a set that the spec leaves out".into());
    }
    let feature_sets: Vec<_> = sets.into_iter().enumerate().map(|(index, name)| (name, 3 + index)).collect();
    DataFacts {
        features: feature_sets.iter().map(|(_, size)| size).sum(),
        feature_sets,
        targets: named(&spec.targets.train_on, &["target_a_20", "target_b_20", "target_c_60"]),
        rows: 10_000,
        folds: 4,
        seeds: 3,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_estimate_counts_every_parameter(spec in random::spec()) {
        let facts = facts(&spec);
        let left_out = if spec.features.sets == Names::All { 0 } else { facts.feature_sets.last().map_or(0, |(_, size)| *size) };
        let seen = members::seen_features(&spec, facts.features - left_out) + usize::from(spec.features.benchmark);
        let sizes = (0..spec.ensemble.members).map(|index| {
            Net::of(&members::member(&spec, index).expect("a valid member"), seen, facts.targets.len()).size()
        });
        prop_assert_eq!(cost::estimate(&spec, &facts).params, sizes.max().unwrap_or(0));
    }
}
