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
    match &spec.schedule.kind {
        Curve::Step(decay) if decay.every >= epochs => {
            let message =
                format!("the first step would come after {} epochs: training.epochs is {epochs}", decay.every);
            refuse("schedule.step.every", message);
        }
        Curve::Cosine(decay) if decay.restarts == 0 && decay.growth != 1.0 => {
            refuse(
                "schedule.cosine.growth",
                "there is one cycle, and none to be longer; set restarts to 1 or more".into(),
            );
        }
        _ => {}
    }
    if let Curve::Polynomial(decay) = &spec.schedule.kind
        && decay.epochs > epochs.saturating_mul(10)
    {
        refuse("schedule.polynomial.epochs", format!("{} is over ten times training.epochs ({epochs})", decay.epochs));
    }
}
