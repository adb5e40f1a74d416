//! Rules of the schedule.

use super::Refuse;
use crate::spec::language::{Curve, Spec};

/// Between the schedule and the epochs.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let (epochs, warmup) = (spec.training.epochs, spec.schedule.beside.warmup_epochs);
    if f64::from(epochs) <= warmup {
        refuse(
            "schedule.warmup_epochs",
            format!("the warm-up of {warmup} epochs never ends: training.epochs is {epochs}"),
        );
    }
    if let Curve::Polynomial(decay) = &spec.schedule.kind
        && decay.epochs > epochs.saturating_mul(10)
    {
        refuse("schedule.polynomial.epochs", format!("{} is over ten times training.epochs ({epochs})", decay.epochs));
    }
}
