//! Where a spec is: everything but its numbers, and its numbers on their natural scales.

use std::collections::HashMap;

use crate::spec::knobs::knobs;
use crate::spec::knobs::scale::Scale;
use crate::spec::{Spec, Value};

/// A number of a spec, with its natural scale.
pub(super) struct Number {
    pub(super) path: String,
    pub(super) scale: Scale,
    pub(super) value: Value,
}

/// A spec as everything but its numbers, and its numbers. What has no effect is left out.
pub(super) struct Place {
    pub(super) design: [u8; 16],
    pub(super) numbers: Vec<Number>,
}

impl Place {
    pub(super) fn of(spec: &Spec) -> Self {
        let mut scales: HashMap<String, Scale> = knobs(spec)
            .into_iter()
            .filter_map(|knob| Scale::of(&knob.path, &knob.domain).map(|scale| (knob.path, scale)))
            .collect();
        let mut hasher = blake3::Hasher::new();
        let mut numbers = Vec::new();
        walk(&spec.effective(), String::new(), &mut scales, &mut hasher, &mut numbers);
        let mut design = [0; 16];
        design.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self { design, numbers }
    }

    pub(super) fn coordinates(&self) -> Box<[f32]> {
        let coordinate = |number: &Number| number.scale.coordinate(number.value.number().unwrap_or(0.0)) as f32;
        self.numbers.iter().map(coordinate).collect()
    }
}

fn walk(
    value: &Value,
    path: String,
    scales: &mut HashMap<String, Scale>,
    hasher: &mut blake3::Hasher,
    numbers: &mut Vec<Number>,
) {
    match value {
        Value::Map(entries) => {
            hasher.update(b"{");
            for (key, inner) in entries {
                hasher.update(key.as_bytes());
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(inner, below, scales, hasher, numbers);
            }
            hasher.update(b"}");
        }
        Value::List(items) => {
            hasher.update(b"[");
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{index}]"), scales, hasher, numbers);
            }
            hasher.update(b"]");
        }
        leaf => match scales.remove(&path).filter(|_| leaf.number().is_some()) {
            Some(scale) => {
                hasher.update(b"#,");
                numbers.push(Number { path, scale, value: leaf.clone() });
            }
            None => {
                hasher.update(leaf.to_string().as_bytes());
                hasher.update(b",");
            }
        },
    }
}
