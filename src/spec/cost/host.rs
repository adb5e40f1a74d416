//! What a trial costs the host beside the training of its nets: labels that are made, eras that are weighed, predictions
//! that are processed. What is the same small work for every spec (scores, files) is left out.

use crate::spec::facts::DataFacts;
use crate::spec::language::{EraWeighting, LossTerm, Neutralizer, Spec, Transform};
use crate::spec::members::seen_features;

/// The host's part of a cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HostCost {
    /// In multiplications of [`neutralizing`].
    pub(super) work: f64,
    /// Bytes that are there once a trial.
    pub(super) shared_bytes: u64,
    /// Bytes of an era whose predictions are processed; each thread has one.
    pub(super) era_bytes: u64,
}

/// A value that is ranked in its era and made normal, as so many multiplications.
const RANKED: f64 = 250.0;

/// A feature of a row that is correlated with a target, as so many.
const CORRELATED: f64 = 4.0;

/// Multiplications of f32 products that take as long as one of the decomposition, which is in double precision and goes
/// through memory.
const PRODUCTS: f64 = 6.0;

/// What the host has to do for a spec.
pub(super) fn host(spec: &Spec, facts: &DataFacts) -> HostCost {
    let rows = facts.rows as f64;
    let features = facts.columns(spec).len();
    let targets = facts.layout(spec, &[]).targets as f64;
    let (mut work, mut shared, mut era_bytes) = (0.0, 0, 0);
    if spec.targets.transform != Transform::None || spec.targets.residual > 0.0 {
        // The benchmark is ranked in any case; targets where they are transformed.
        work += rows * RANKED;
        if spec.targets.transform != Transform::None {
            work += rows * targets * RANKED;
        }
        shared += 4 * facts.rows * facts.targets.len() as u64;
    }
    let ranked = [spec.loss.iter().any(|term| matches!(term, LossTerm::Bmc(_))), spec.reads_benchmark()];
    for _ in ranked.into_iter().filter(|ranked| *ranked) {
        work += rows * RANKED;
        shared += 4 * facts.rows;
    }
    if matches!(spec.training.era_weighting, EraWeighting::Volatility(_)) {
        let seen = seen_features(spec, features);
        // Members that see all features share it.
        let members = if seen < features { spec.ensemble.members } else { 1 };
        work += rows * seen as f64 * f64::from(members) * CORRELATED;
    }
    if spec.post.gaussianize {
        work += rows * facts.seeds as f64 * RANKED;
    }
    if spec.post.neutralize.as_ref().is_some_and(|post| post.to == Neutralizer::Features) {
        let eras = facts.eras.max(1);
        let (of_era, width) = (facts.rows / eras as u64, features as u64);
        work += (eras * facts.seeds) as f64 * neutralizing(of_era as f64, features as f64);
        // The features as f32, their products as f32 and again as f64.
        era_bytes = 4 * of_era * width + 12 * width * width;
    }
    HostCost { work, shared_bytes: shared, era_bytes }
}

/// Multiplications of the decomposition of an era's features, width³ / 6, and of the products before it, which are rows·width²
/// faster ones.
pub(crate) fn neutralizing(rows: f64, width: f64) -> f64 {
    width.powi(3) / 6.0 + rows * width * width / PRODUCTS
}
