//! Rules of the loss.

use super::Refuse;
use crate::spec::language::{LossTerm, Spec, Within};

/// Between the terms.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let learns = |term: &LossTerm| matches!(term, LossTerm::Pearson(_) | LossTerm::Mse(_) | LossTerm::Mae(_));
    if !spec.loss.iter().any(learns) {
        refuse("loss", "no term looks at a target; add pearson, mse or mae".into());
    }
    for (index, term) in spec.loss.iter().enumerate() {
        let same = |other: &LossTerm| {
            std::mem::discriminant(other) == std::mem::discriminant(term) && within(other) == within(term)
        };
        if spec.loss[..index].iter().any(same) {
            refuse(&format!("loss[{index}]"), "the same term stands twice; add the weights up".into());
        }
    }
}

fn within(term: &LossTerm) -> Option<Within> {
    match term {
        LossTerm::Pearson(term) => Some(term.within),
        _ => None,
    }
}
