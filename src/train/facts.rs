//! What the data offers a spec, read off the harness.

use prepare::data::Harness;

use crate::spec::DataFacts;

/// What the data offers a spec, for checks before training, and for the layout of nets in it.
pub(crate) fn facts(harness: &Harness) -> DataFacts {
    let sets = harness.protocol().features.sets.iter();
    DataFacts {
        feature_sets: sets.map(|name| (name.clone(), harness.feature_set(name).unwrap_or_default().to_vec())).collect(),
        features: harness.feature_count(),
        targets: harness.target_names().to_vec(),
        rows: harness.rows() as u64,
        folds: harness.plan().folds.len(),
        seeds: harness.protocol().seeds.len(),
    }
}
