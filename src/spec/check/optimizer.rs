//! Rules of the optimizer.

use super::Refuse;
use crate::spec::language::Spec;

/// Between what stands beside an optimizer.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    let extras = &spec.optimizer.beside;
    if extras.ema.is_some() && extras.swa.is_some() {
        refuse("optimizer.swa", "only one average can predict; choose `ema` or `swa`".into());
    }
}
