//! Rules of the optimizer.

use super::Refuse;
use crate::spec::language::{Optimizer, Rates, Spec, Weighting};

/// Between an optimizer's fields, and between what stands beside it.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let extras = &spec.optimizer.beside;
    if extras.ema.is_some() && extras.swa.is_some() {
        refuse("optimizer.swa", "only one average can predict; choose `ema` or `swa`".into());
    }
    let looks_ahead = "without momentum there is nothing to look ahead with; set nesterov to false, or raise momentum";
    match &spec.optimizer.kind {
        Optimizer::Sgd(sgd) if sgd.nesterov && sgd.momentum == 0.0 => {
            refuse("optimizer.sgd.nesterov", looks_ahead.into());
        }
        Optimizer::Muon(muon) if muon.nesterov && muon.momentum == 0.0 => {
            refuse("optimizer.muon.nesterov", looks_ahead.into());
        }
        _ => {}
    }
    if let Some(swa) = &extras.swa
        && swa.averaged(spec.training.epochs) < 2
    {
        let message = format!(
            "after {} of {} epochs there is one to average, which is no average; start earlier, or train longer",
            swa.from, spec.training.epochs
        );
        refuse("optimizer.swa.from", message);
    }
    if let Some(rates) = &extras.rates {
        rates_rules(spec, rates, refuse);
    }
}

fn rates_rules(spec: &Spec, rates: &Rates, refuse: &mut Refuse<'_>) {
    let Rates { first, body, output, target_weights, vectors, decay_vectors } = *rates;
    let decays = spec.optimizer.kind.decays();
    if target_weights != 1.0 && !matches!(spec.targets.weighting, Weighting::Learned(_)) {
        let message = "no target weights are learned; leave it out, or set targets.weighting to learned";
        refuse("optimizer.rates.target_weights", message.into());
    }
    if decay_vectors && !decays {
        refuse("optimizer.rates.decay_vectors", "the optimizer has no weight decay; leave it out".into());
    }
    if [first, body, output, target_weights, vectors].iter().all(|factor| *factor == 1.0) && decays == decay_vectors {
        let message =
            "every factor is 1 and weight decay is the same for all; leave `rates` out, or change one of them";
        refuse("optimizer.rates", message.into());
    }
}
