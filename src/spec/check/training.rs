//! Rules of training.

use super::{DataFacts, Refuse};
use crate::spec::language::Spec;

/// Between early stopping and the eras that there are.
pub(super) fn data_rules(spec: &Spec, facts: &DataFacts, refuse: &mut Refuse<'_>) {
    let short = facts.folds.iter().enumerate().find(|(_, fold)| fold.learned_eras == 0);
    if let (Some(_), Some((number, fold))) = (spec.training.patience, short) {
        let message = format!(
            "fold {number} has {} training eras, too few for early stopping: what it watches and the embargo before that \
             leave none to learn from; set it to null",
            fold.train_eras
        );
        refuse("training.patience", message);
    }
}
