//! The natural scale of a knob: a coordinate in which one unit is one step that a person would try.
//!
//! Learning rates move by ratios, dropout by tenths, β₂ by its distance from 1. The language says which numbers are
//! ratios; the few that are neither are named here.

use super::{Domain, Knob};
use crate::spec::value::Value;

/// How a number becomes a coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// x / step
    Linear {
        /// One step.
        step: f64,
    },
    /// ln(x + offset) / ln(ratio)
    Ratio {
        /// What is added before the logarithm, so that zero has a place.
        offset: f64,
        /// One step multiplies by this.
        ratio: f64,
    },
    /// -ln(1 - x) / ln 2, for numbers that live close below 1
    ToOne,
}

impl Scale {
    /// The scale of a number by its path and domain; None for what is no number.
    pub fn of(path: &str, domain: &Domain) -> Option<Self> {
        let (min, max, log) = match domain {
            Domain::Int { min, max, log } => (*min as f64, *max as f64, *log),
            Domain::Float { min, max, log } => (*min, *max, *log),
            Domain::Bool | Domain::Choice(_) => return None,
        };
        Some(match path.rsplit('.').next().unwrap_or(path) {
            // Zero is allowed, and yet 1e-4 and 2e-4 differ: ratios, softened near zero.
            "weight_decay" => Self::Ratio { offset: 1e-5, ratio: 3.0 },
            "beta1" | "beta2" | "beta3" | "momentum" | "decay" => Self::ToOne,
            "warmup_epochs" => Self::Ratio { offset: 1.0, ratio: 2.0 },
            "lr" => Self::Ratio { offset: 0.0, ratio: 2.0 },
            // Penalties are not known to within a factor of two.
            "weight" if min < 1e-6 => Self::Ratio { offset: 0.0, ratio: 3.0 },
            _ if log => Self::Ratio { offset: 0.0, ratio: 2.0 },
            _ if matches!(domain, Domain::Int { .. }) => Self::Linear { step: ((max - min) / 10.0).floor().max(1.0) },
            _ => Self::Linear { step: (max - min).min(1.0) / 10.0 },
        })
    }

    /// Number to coordinate.
    pub fn coordinate(self, number: f64) -> f64 {
        match self {
            Self::Linear { step } => number / step,
            Self::Ratio { offset, ratio } => (number + offset).max(f64::MIN_POSITIVE).ln() / ratio.ln(),
            Self::ToOne => -(1.0 - number).max(1e-9).ln() / std::f64::consts::LN_2,
        }
    }

    /// Coordinate to number.
    pub fn number(self, coordinate: f64) -> f64 {
        match self {
            Self::Linear { step } => coordinate * step,
            Self::Ratio { offset, ratio } => (coordinate * ratio.ln()).exp() - offset,
            Self::ToOne => 1.0 - (-coordinate * std::f64::consts::LN_2).exp(),
        }
    }
}

/// A knob's number moved by `steps`, rounded to what people write, and kept in its range. None where it does not move.
pub fn moved(knob: &Knob, steps: f64) -> Option<Value> {
    let scale = Scale::of(&knob.path, &knob.domain)?;
    let old = knob.value.number()?;
    let wanted = scale.number(scale.coordinate(old) + steps);
    let new = match &knob.domain {
        Domain::Int { min, max, .. } => {
            let number = friendly(rounded(wanted, 2).round()).clamp(*min as f64, *max as f64);
            // A step that rounds to nothing still goes in its direction.
            let number = if number == old { (old + steps.signum()).clamp(*min as f64, *max as f64) } else { number };
            Value::Int(number as i64)
        }
        Domain::Float { min, max, .. } => {
            let number = match scale {
                Scale::ToOne => 1.0 - rounded(1.0 - wanted, 1),
                _ => rounded(wanted, 2),
            };
            // Sums of decimals leave dust in the last digits.
            Value::Float(rounded(number, 6).clamp(*min, *max))
        }
        Domain::Bool | Domain::Choice(_) => return None,
    };
    (new != knob.value).then_some(new)
}

/// Rounds to a number of significant digits.
pub fn rounded(number: f64, digits: i32) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let unit = 10_f64.powi(digits - 1 - number.abs().log10().floor() as i32);
    (number * unit).round() / unit
}

/// Large whole numbers keep to four steps an octave: `3400` reads as a slip, `3584` as a choice.
fn friendly(number: f64) -> f64 {
    if number < 64.0 {
        return number;
    }
    let step = 2_f64.powf(number.log2().floor() - 2.0);
    (number / step).round() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knob(path: &str, domain: Domain, value: Value) -> Knob {
        Knob { path: path.into(), domain, optional: false, value }
    }

    #[test]
    fn steps_are_what_people_try() {
        let float = |min, max, log| Domain::Float { min, max, log };
        // (path, domain, from, steps, to)
        let table = [
            ("optimizer.adamw.lr", float(1e-7, 1.0, true), Value::Float(1e-3), 1.0, Value::Float(2e-3)),
            ("optimizer.adamw.lr", float(1e-7, 1.0, true), Value::Float(0.9), 3.0, Value::Float(1.0)),
            ("network[0].dense.dropout", float(0.0, 0.9, false), Value::Float(0.0), 2.0, Value::Float(0.18)),
            ("optimizer.adamw.weight_decay", float(0.0, 1.0, false), Value::Float(0.0), 1.0, Value::Float(2e-5)),
            (
                "optimizer.adamw.beta2",
                float(0.5, 0.99999, false),
                Value::Float(0.999),
                -std::f64::consts::LOG2_10,
                Value::Float(0.99),
            ),
            (
                "network[0].dense.width",
                Domain::Int { min: 1, max: 4096, log: true },
                Value::Int(64),
                1.0,
                Value::Int(128),
            ),
            (
                "training.batch_rows",
                Domain::Int { min: 32, max: 65536, log: true },
                Value::Int(2048),
                0.73,
                Value::Int(3584),
            ),
            ("ensemble.members", Domain::Int { min: 1, max: 16, log: true }, Value::Int(1), 0.3, Value::Int(2)),
        ];
        for (path, domain, from, steps, to) in table {
            assert_eq!(moved(&knob(path, domain, from), steps), Some(to), "{path} by {steps}");
        }
        let at_the_end = knob("x", Domain::Int { min: 1, max: 4, log: true }, Value::Int(4));
        assert_eq!(moved(&at_the_end, 1.0), None, "there is no further");
    }

    #[test]
    fn coordinates_come_back() {
        for scale in [Scale::Linear { step: 0.1 }, Scale::Ratio { offset: 1e-5, ratio: 3.0 }, Scale::ToOne] {
            for number in [0.1, 0.5, 0.9] {
                assert!((scale.number(scale.coordinate(number)) - number).abs() < 1e-12, "{scale:?} {number}");
            }
        }
    }
}
