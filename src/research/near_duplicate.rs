//! Near-duplicates: a spec that differs from one that was measured by too little for any gate to see.
//!
//! Every number of the language has a natural step (`Scale`): a rate is doubled, a dropout moves by 0.1. Responses are
//! smooth, so that a small part of a step moves the payout by a small part of what the step does. Below the reach, a tenth of
//! a step where nothing better is known, no number of seeds a trial is given would show it; `calibrate` measures the noise
//! floor, and the reach is then what that floor hides of the slopes that the trials have shown (`reach`). Two specs that are
//! alike in everything but such steps are one experiment, and whoever runs it again only throws the dice again. Words,
//! switches, blocks and names are compared exactly, but for those that have no effect (`Spec::effective`): any of them
//! differing is another experiment.
//!
//! What was trained to no measurement (a crash, a time-out) is no neighbour: what is close to it may well train. What waits
//! for its verdict is one.

mod place;
mod reach;

use std::collections::HashMap;

use self::place::Place;
pub use self::reach::DEFAULT_REACH;
use self::reach::Slope;
use super::history::History;
use super::trial::{TrialRecord, Verdict};
use crate::spec::Spec;
use crate::spec::knobs::scale::rounded;

/// Coordinates that differ by no more are equal: they are kept in single precision.
const SAME: f32 = 1e-5;

/// A spec that another is too close to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearDuplicate {
    /// Its trial; None where it waits for its verdict.
    pub trial: Option<u32>,
    /// What differs, and why that is too little.
    pub why: String,
}

/// Specs, each found by those that differ from it in numbers alone.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    by_design: HashMap<[u8; 16], Vec<Spot>>,
}

/// Where a spec's numbers are.
#[derive(Clone, Debug)]
struct Spot {
    /// None where it waits for its verdict.
    trial: Option<u32>,
    spec_hash: String,
    coordinates: Box<[f32]>,
}

impl Neighbours {
    /// Adds a spec that waits for its verdict.
    pub fn wait(&mut self, spec: &Spec) {
        let place = Place::of(spec);
        self.add(None, spec, &place);
    }

    fn add(&mut self, trial: Option<u32>, spec: &Spec, place: &Place) {
        let spot = Spot { trial, spec_hash: spec.hash(), coordinates: place.coordinates() };
        self.by_design.entry(place.design).or_default().push(spot);
    }

    /// The first that this spec is closer to than `reach` natural steps. None also for one that is exactly the same: that
    /// is a duplicate, which its hash tells.
    pub fn near(&self, spec: &Spec, reach: f64) -> Option<NearDuplicate> {
        let place = Place::of(spec);
        let spots = self.by_design.get(&place.design)?;
        let (here, own) = (place.coordinates(), spec.hash());
        let close = |spot: &&Spot| {
            let mut steps = here.iter().zip(&spot.coordinates).map(|(a, b)| f64::from((a - b).abs()));
            steps.all(|steps| steps < reach - f64::from(SAME)) && spot.spec_hash != own
        };
        let Spot { trial, coordinates: there, .. } = spots.iter().find(close)?;
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
        let whom =
            trial.map_or_else(|| "a candidate that waits for its verdict".into(), |trial| format!("trial {trial:06}"));
        let why = if changed.is_empty() {
            format!(
                "it differs from {whom} only in what moves no score: a bias under a batch norm, normal scores of which nothing is taken out; change something that has an effect"
            )
        } else {
            format!(
                "it differs from {whom} only in {}: less than {} of a usual step, which the gate cannot see; take a step of at least half the usual size (a rate ×1.5, a dropout by 0.05), or change something else",
                listed(&changed),
                if reach == DEFAULT_REACH { "a tenth".into() } else { format!("{reach:.2}") }
            )
        };
        Some(NearDuplicate { trial: *trial, why })
    }
}

/// The measured specs of a history under one protocol and on one data set, so that the next one is compared with all of
/// them in no time. It is derived; [`Measured::learn`] brings it up to date.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    protocol_hash: String,
    data_hash: String,
    read: usize,
    last: Option<u32>,
    neighbours: Neighbours,
    slope: Slope,
    /// Standard error of the best comparison, where it has been measured.
    comparison_error: Option<f64>,
}

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
        let floor = history.noise_floor();
        let floor = floor.filter(|floor| floor.protocol_hash == protocol_hash && floor.data_hash == data_hash);
        self.comparison_error = floor.map(|floor| floor.comparison_error);
    }

    fn take(&mut self, record: &TrialRecord) {
        let measured = matches!(record.verdict, Verdict::Keep | Verdict::Discard) && record.measurement.is_some();
        if !measured || record.protocol_hash != self.protocol_hash || record.data_hash != self.data_hash {
            return;
        }
        let Ok(spec) = Spec::parse(&record.proposal.spec, "ledger") else { return };
        let place = Place::of(&spec);
        if let Some(judged) = &record.judgement
            && let Some(steps) = self.squared_steps(record.incumbent, &place)
        {
            self.slope.take(steps, judged.delta, judged.standard_error);
        }
        self.neighbours.add(Some(record.trial), &spec, &place);
    }

    /// The squared natural steps from a trial, over all numbers; None where more than numbers differs.
    fn squared_steps(&self, trial: Option<u32>, place: &Place) -> Option<f64> {
        let spots = self.neighbours.by_design.get(&place.design)?;
        let from = spots.iter().find(|spot| spot.trial == trial && trial.is_some())?;
        let steps =
            place.coordinates().iter().zip(&from.coordinates).map(|(a, b)| f64::from(a - b)).collect::<Vec<_>>();
        Some(steps.iter().map(|steps| steps * steps).sum())
    }

    /// Below how many natural steps in each number a spec is a measured one over again.
    pub fn reach(&self) -> f64 {
        self.slope.reach(self.comparison_error)
    }

    /// The first measured trial that this spec is too close to. None also for one that is exactly the same.
    pub fn near(&self, spec: &Spec) -> Option<NearDuplicate> {
        self.neighbours.near(spec, self.reach())
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

#[cfg(test)]
mod tests;
