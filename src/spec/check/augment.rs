//! Rules of what is done to batches, and of how they are made.

use super::Refuse;
use crate::spec::language::{Augment, Batches, LossTerm, Spec};

/// The fewest rows of an era that a batch of several eras may have.
const FEWEST_ROWS: u32 = 8;

/// Between augmentations, and between them and the loss; between a batch's rows and its eras.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let mixes = |augment: &Augment| !matches!(augment, Augment::LabelSmoothing(_));
    for (index, augment) in spec.augment.iter().enumerate() {
        let path = format!("augment[{index}]");
        let before = &spec.augment[..index];
        if before.iter().any(|other| std::mem::discriminant(other) == std::mem::discriminant(augment)) {
            refuse(&path, "the same kind stands twice".into());
        } else if mixes(augment) && before.iter().any(mixes) {
            refuse(&path, "rows are mixed already; choose one of mixup, manifold_mixup and cutmix".into());
        }
        if matches!(augment, Augment::LabelSmoothing(_)) && !spec.loss.iter().any(sees_scale) {
            refuse(&path, "no loss term would notice: a correlation ignores the labels' scale; add mse or mae".into());
        }
    }
    let rows = spec.training.batch_rows;
    if let Batches::Eras(eras) = &spec.training.batches
        && rows / eras.count < FEWEST_ROWS
    {
        refuse(
            "training.batches.eras.count",
            format!(
                "{} eras in {rows} rows are fewer than {FEWEST_ROWS} rows of each; raise training.batch_rows",
                eras.count
            ),
        );
    }
}

/// Whether a loss term is another where the labels are scaled.
fn sees_scale(term: &LossTerm) -> bool {
    match term {
        LossTerm::Mse(_) | LossTerm::Mae(_) | LossTerm::Huber(_) | LossTerm::CrossEntropy(_) => true,
        LossTerm::Pearson(_)
        | LossTerm::Rank(_)
        | LossTerm::Bmc(_)
        | LossTerm::Exposure(_)
        | LossTerm::OutputL2(_)
        | LossTerm::WeightL1(_)
        | LossTerm::WeightL2(_)
        | LossTerm::NegativeCorrelation(_) => false,
    }
}
