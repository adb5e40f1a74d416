//! The ranges of the gate's settings.

use super::Check;
use crate::research::gate::settings::{GateSettings, MinEffect};

pub(super) fn check(gate: &GateSettings, check: &mut Check) {
    let level = |check: &mut Check, path: &str, found: f64| {
        check.that(found > 0.0 && found <= 0.5, path, || format!("found {found}; must be above 0 and at most 0.5"));
    };
    if let MinEffect::Payout(payout) = gate.min_effect {
        check.between("gate.min_effect", payout, 0.0, 1.0);
    }
    level(check, "gate.alpha", gate.alpha);
    check.range("gate.trials", u64::from(gate.trials), 1, 1_000_000);
    check.between("gate.power", gate.power, 0.5, 0.99);
    check.between("gate.futility", gate.futility, 0.0, 0.95);
    if let Some(most) = gate.most_seeds {
        check.range("gate.most_seeds", u64::from(most), 3, 1_000);
    }
    check.range("gate.incumbent_seeds", u64::from(gate.incumbent_seeds), 3, 1_000);
    check.range("gate.remeasure.every_keeps", u64::from(gate.remeasure.every_keeps), 0, 1_000_000);
    check.range("gate.remeasure.seeds", u64::from(gate.remeasure.seeds), 2, 1_000);
    level(check, "gate.remeasure.level", gate.remeasure.level);
    let bounds = &gate.constraints;
    for (path, bound, most) in [
        ("gate.constraints.correlation_with_benchmark", bounds.correlation_with_benchmark, 1.0),
        ("gate.constraints.drawdown", bounds.drawdown, 1e6),
        ("gate.constraints.feature_exposure", bounds.feature_exposure, 1.0),
        ("gate.constraints.positive_eras", bounds.positive_eras, 1.0),
    ] {
        if let Some(bound) = bound {
            check.between(path, bound, 0.0, most);
        }
    }
    if let Some(rules) = &gate.simplify {
        check.between("gate.simplify.margin", rules.margin, 0.0, 1.0);
        check.between("gate.simplify.parameters", rules.parameters, 0.01, 1.0);
        level(check, "gate.simplify.alpha", rules.alpha);
    }
}
