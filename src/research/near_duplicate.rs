//! Near-duplicates: a spec that differs from one that was measured by too little for any gate to see.
//!
//! Every number of the language has a natural step ([`Scale`]): a rate is doubled, a dropout moves by 0.1. A whole step of
//! a knob that matters moves the payout by about what a night's gate can tell from noise; responses are smooth, so that a
//! tenth of a step moves it by about a tenth of that or less, which no number of seeds a trial is given would show. Two
//! specs that are alike in everything but such steps are one experiment, and whoever runs it again only throws the dice
//! again. Words, switches, blocks and names are compared exactly: any of them differing is another experiment.
//!
//! What was trained to no measurement (a crash, a time-out) is no neighbour: what is close to it may well train.

use std::collections::HashMap;

use super::history::History;
use super::trial::{TrialRecord, Verdict};
use crate::spec::knobs::knobs;
use crate::spec::knobs::scale::{Scale, rounded};
use crate::spec::{Spec, Value};

/// Below this many natural steps in every one of its numbers a spec is a measured one over again.
pub const REACH: f64 = 0.1;

/// Coordinates that differ by no more are equal: they are kept in single precision.
const SAME: f32 = 1e-5;

/// A measured trial that a spec is too close to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearDuplicate {
    /// The trial.
    pub trial: u32,
    /// What differs, and why that is too little.
    pub why: String,
}

/// The measured specs of a history under one protocol and on one data set, so that the next one is compared with all of
/// them in no time: those that differ in numbers alone stand together. It is derived; [`Measured::learn`] brings it up to
/// date.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    protocol_hash: String,
    data_hash: String,
    read: usize,
    last: Option<u32>,
    by_design: HashMap<[u8; 16], Vec<Spot>>,
}

/// A measured trial, and where its numbers are.
type Spot = (u32, Box<[f32]>);

impl Measured {
    /// Takes in what the history has under this protocol and on this data. Only trials that are new since the last time
    /// are read; a history that is not the last one's continuation is read from its beginning.
    pub fn learn(&mut self, history: &History, protocol_hash: &str, data_hash: &str) {
        let trials = history.trials();
        let goes_on = self.read.checked_sub(1).is_none_or(|index| trials.get(index).map(|it| it.trial) == self.last);
        if !goes_on || self.protocol_hash != protocol_hash || self.data_hash != data_hash {
            *self =
                Self { protocol_hash: protocol_hash.to_owned(), data_hash: data_hash.to_owned(), ..Self::default() };
        }
        for record in &trials[self.read..] {
            self.take(record);
        }
        self.read = trials.len();
        self.last = trials.last().map(|record| record.trial);
    }

    fn take(&mut self, record: &TrialRecord) {
        let measured = matches!(record.verdict, Verdict::Keep | Verdict::Discard) && record.measurement.is_some();
        if !measured || record.protocol_hash != self.protocol_hash || record.data_hash != self.data_hash {
            return;
        }
        if let Ok(spec) = Spec::parse(&record.proposal.spec, "ledger") {
            let place = Place::of(&spec);
            self.by_design.entry(place.design).or_default().push((record.trial, place.coordinates()));
        }
    }

    /// The first measured trial that this spec is too close to. None also for one that is exactly the same: that is a
    /// duplicate, which its hash tells.
    pub fn near(&self, spec: &Spec) -> Option<NearDuplicate> {
        let place = Place::of(spec);
        let here = place.coordinates();
        let (trial, there) = self.by_design.get(&place.design)?.iter().find(|(_, there)| {
            let mut differs = false;
            let close = here.iter().zip(there).all(|(a, b)| {
                differs |= (a - b).abs() > SAME;
                f64::from((a - b).abs()) < REACH - f64::from(SAME)
            });
            close && differs
        })?;
        let changed: Vec<String> = place
            .numbers
            .iter()
            .zip(&here)
            .zip(there)
            .filter(|((_, a), b)| (*a - **b).abs() > SAME)
            .map(|((number, _), b)| {
                let before = rounded(number.scale.number(f64::from(*b)), 4);
                format!("{} {before} → {}", number.path, number.value)
            })
            .collect();
        Some(NearDuplicate {
            trial: *trial,
            why: format!(
                "it differs from trial {trial:06} only in {}: less than a tenth of a usual step, which the gate cannot see; take a step of at least half the usual size (a rate ×1.5, a dropout by 0.05), or change something else",
                listed(&changed)
            ),
        })
    }
}

/// The same for one question, everything read anew.
pub fn near_duplicate(history: &History, spec: &Spec, protocol_hash: &str, data_hash: &str) -> Option<NearDuplicate> {
    let mut measured = Measured::default();
    measured.learn(history, protocol_hash, data_hash);
    measured.near(spec)
}

fn listed(changed: &[String]) -> String {
    const MOST: usize = 4;
    let mut text = changed.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if changed.len() > MOST {
        text.push_str(&format!(" and {} more", changed.len() - MOST));
    }
    text
}

/// A number of a spec, with its natural scale.
struct Number {
    path: String,
    scale: Scale,
    value: Value,
}

/// A spec as everything but its numbers, and its numbers.
struct Place {
    design: [u8; 16],
    numbers: Vec<Number>,
}

impl Place {
    fn of(spec: &Spec) -> Self {
        let mut scales: HashMap<String, Scale> = knobs(spec)
            .into_iter()
            .filter_map(|knob| Scale::of(&knob.path, &knob.domain).map(|scale| (knob.path, scale)))
            .collect();
        let mut hasher = blake3::Hasher::new();
        let mut numbers = Vec::new();
        walk(&spec.canonical(), String::new(), &mut scales, &mut hasher, &mut numbers);
        let mut design = [0; 16];
        design.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self { design, numbers }
    }

    fn coordinates(&self) -> Box<[f32]> {
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

#[cfg(test)]
mod tests;
