//! What the data offers a spec, and what a net reads of it: the one layout of inputs for check, cost and training. Pure.

use serde::{Deserialize, Serialize};

use super::language::Spec;
use super::members::seen_features;
use super::names::Names;
use super::net::Inputs;

/// What the data offers a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFacts {
    /// Feature sets: name and columns. Sets may share columns.
    pub feature_sets: Vec<(String, Vec<usize>)>,
    /// Features of all sets together: the columns are 0 to one less.
    pub features: usize,
    /// Training targets.
    pub targets: Vec<String>,
    /// Rows that cross-validation uses.
    pub rows: u64,
    /// Their eras.
    pub eras: usize,
    /// Folds.
    pub folds: Vec<FoldFacts>,
    /// Seeds of the protocol.
    pub seeds: usize,
}

/// What is learned from in one fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldFacts {
    /// Its training eras.
    pub train_eras: usize,
    /// Those that gradients come from when early stopping watches some of the others; 0 where they are too few for that.
    pub learned_eras: usize,
}

impl DataFacts {
    /// The columns of the sets that a spec reads, ascending, each once. A set that the data lacks has none.
    pub(crate) fn columns(&self, spec: &Spec) -> Vec<usize> {
        let Names::Only(names) = &spec.features.sets else { return (0..self.features).collect() };
        let mut columns: Vec<usize> = names.iter().filter_map(|name| self.set(name)).flatten().copied().collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// What a net is laid out for that sees these columns, which ascend.
    pub(crate) fn layout(&self, spec: &Spec, columns: &[usize]) -> Inputs {
        let places = |of_set: &[usize]| {
            let mut places: Vec<usize> =
                of_set.iter().filter_map(|column| columns.binary_search(column).ok()).collect();
            places.sort_unstable();
            places
        };
        let sets = match &spec.features.sets {
            Names::All => self.feature_sets.iter().map(|(name, of_set)| (name.clone(), places(of_set))).collect(),
            Names::Only(names) => {
                let known = names.iter().filter_map(|name| Some((name.clone(), places(self.set(name)?))));
                known.collect()
            }
        };
        let targets = match &spec.targets.train_on {
            Names::All => self.targets.len(),
            Names::Only(names) => names.len(),
        };
        Inputs { features: columns.len(), sets, targets }
    }

    /// What the net of a member is laid out for. Which of the features it sees is drawn where it is trained; here they are
    /// the first ones. Blocks to which that makes a difference are refused.
    pub(crate) fn inputs(&self, spec: &Spec) -> Inputs {
        let mut columns = self.columns(spec);
        columns.truncate(seen_features(spec, columns.len()));
        self.layout(spec, &columns)
    }

    fn set(&self, name: &str) -> Option<&[usize]> {
        self.feature_sets.iter().find(|(known, _)| known == name).map(|(_, columns)| columns.as_slice())
    }
}

/// Sets of so many columns each that share none.
#[cfg(test)]
pub(crate) fn side_by_side<const N: usize>(sets: [(&str, usize); N]) -> Vec<(String, Vec<usize>)> {
    let mut next = 0;
    let placed = sets.map(|(name, size)| {
        let start = next;
        next += size;
        (name.to_owned(), (start..next).collect())
    });
    placed.into()
}

/// So many folds that early stopping leaves enough to.
#[cfg(test)]
pub(crate) fn long_folds(count: usize) -> Vec<FoldFacts> {
    vec![FoldFacts { train_eras: 60, learned_eras: 47 }; count]
}
