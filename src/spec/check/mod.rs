//! The rules between fields, and between a spec and the data that it is to be trained on.

mod augment;
mod ensemble;
mod loss;
mod names;
mod network;
mod optimizer;
mod schedule;
mod targets;

use super::error::{SpecError, SpecErrors};
use super::language::Spec;
use super::members::seen_features;
use super::names::Names;
use super::net::Inputs;
use super::node::Node;

/// What the data offers a spec.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataFacts {
    /// Feature sets: name and number of features. Their features may overlap.
    pub feature_sets: Vec<(String, usize)>,
    /// Features of all sets together.
    pub features: usize,
    /// Training targets.
    pub targets: Vec<String>,
    /// Rows that cross-validation uses.
    pub rows: u64,
    /// Folds.
    pub folds: usize,
    /// Seeds of the protocol.
    pub seeds: usize,
}

impl DataFacts {
    /// What the net of a spec reads of this data. Which columns sets share is not known here: they are taken one after another,
    /// as far as there are features.
    pub(crate) fn inputs(&self, spec: &Spec) -> Inputs {
        let chosen = self.feature_sets.iter().filter(|(name, _)| match &spec.features.sets {
            Names::All => true,
            Names::Only(names) => names.contains(name),
        });
        let mut next = 0;
        let mut sets: Vec<(String, Vec<usize>)> = Vec::new();
        for (name, size) in chosen {
            let size = (*size).min(self.features);
            let start = if next + size > self.features { self.features - size } else { next };
            sets.push((name.clone(), (start..start + size).collect()));
            next = start + size;
        }
        let features = if spec.features.sets == Names::All { self.features } else { next };
        // Which features a member sees is drawn when it is trained; here they are the first ones.
        let features = seen_features(spec, features);
        sets.iter_mut().for_each(|(_, columns)| columns.retain(|column| *column < features));
        let targets = match &spec.targets.train_on {
            Names::All => self.targets.len(),
            Names::Only(names) => names.len(),
        };
        Inputs { features, sets, targets }
    }
}

/// Takes a mistake at a path.
type Refuse<'a> = dyn FnMut(&str, String) + 'a;

/// Checks a spec by itself. `node` is what it was read from, for places.
pub(super) fn whole(spec: &Spec, node: &Node, errors: &mut Vec<SpecError>) {
    let mut refuse = |path: &str, message: String| {
        let (line, column) = node.place(path);
        errors.push(SpecError { line, column, path: path.to_owned(), message });
    };
    network::rules(spec, &mut refuse);
    loss::rules(spec, &mut refuse);
    optimizer::rules(spec, &mut refuse);
    schedule::rules(spec, &mut refuse);
    targets::rules(spec, &mut refuse);
    augment::rules(spec, &mut refuse);
    ensemble::rules(spec, &mut refuse);
}

/// Checks a spec against the data: the names in it exist, and it can be trained on that much data.
///
/// # Errors
/// Every mistake, a name with the nearest that exists.
pub(super) fn against_data(spec: &Spec, facts: &DataFacts) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    let mut refuse = |path: &str, message: String| {
        errors.push(SpecError { line: 0, column: 0, path: path.to_owned(), message });
    };
    names::rules(spec, facts, &mut refuse);
    targets::data_rules(spec, facts, &mut refuse);
    network::data_rules(spec, facts, &mut refuse);
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors { origin: "spec".into(), errors }) }
}
