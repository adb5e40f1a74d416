//! What the data offers a spec, read off the harness.

use prepare::data::Harness;

use super::split::inner_split;
use crate::spec::{DataFacts, FoldFacts};

/// What the data offers a spec, for checks before training, and for the layout of nets in it.
pub fn facts(harness: &Harness) -> DataFacts {
    let sets = harness.protocol().features.sets.iter();
    DataFacts {
        feature_sets: sets.map(|name| (name.clone(), harness.feature_set(name).unwrap_or_default().to_vec())).collect(),
        features: harness.feature_count(),
        targets: harness.target_names().to_vec(),
        rows: harness.rows() as u64,
        eras: harness.eras().len(),
        folds: harness.plan().folds.iter().map(|fold| of_fold(&fold.train, harness.protocol().folds.embargo)).collect(),
        seeds: harness.protocol().seeds.len(),
    }
}

fn of_fold(train: &[u32], embargo: u32) -> FoldFacts {
    FoldFacts {
        train_eras: train.len(),
        learned_eras: inner_split(train, embargo).map_or(0, |split| split.learn.len()),
    }
}
