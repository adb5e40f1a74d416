//! A spec seen as a point: one coordinate a knob, blocks of a net taken together. Specs of different shape can so be
//! compared, and what is learned about one is of use for another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::tree::word;
use crate::researcher::categories;
use crate::spec::knobs::scale::Scale;
use crate::spec::knobs::{Items, Knob, knobs, slots};
use crate::spec::{Block, DataFacts, Names, Spec, Value};

/// Switching a word or a flag counts as much as this many steps of a number.
const SWITCH: f64 = 2.0;

/// Dimension (`network.dense.width`, `network.dense.activation=gelu`, `depth`) to coordinate. A dimension that a spec
/// does not have (the momentum of an optimizer without one) is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Profile {
    coordinates: BTreeMap<String, f64>,
}

/// How one dimension differs between two specs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shift {
    pub(super) dimension: String,
    pub(super) from: Option<f64>,
    pub(super) to: Option<f64>,
}

impl Shift {
    /// Up (1), down (-1), or only there or only gone (0).
    pub(super) fn sign(&self) -> i8 {
        match (self.from, self.to) {
            (Some(from), Some(to)) if to > from => 1,
            (Some(_), Some(_)) => -1,
            _ => 0,
        }
    }
}

impl Profile {
    /// The profile of a spec. Names of feature sets and targets come from the data.
    pub(super) fn of(spec: &Spec, facts: &DataFacts) -> Self {
        let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut add = |dimension: String, coordinate: f64| {
            let entry = sums.entry(dimension).or_insert((0.0, 0.0));
            entry.0 += coordinate;
            entry.1 += 1.0;
        };
        for knob in knobs(spec) {
            for (dimension, coordinate) in coordinates(&knob) {
                add(dimension, coordinate);
            }
        }
        for (part, names, known) in [
            ("features.sets", &spec.features.sets, facts.feature_sets.iter().map(|(name, _)| name).collect::<Vec<_>>()),
            ("targets.train_on", &spec.targets.train_on, facts.targets.iter().collect()),
        ] {
            for name in known {
                let used = match names {
                    Names::All => true,
                    Names::Only(names) => names.contains(name),
                };
                add(format!("{part}={name}"), if used { SWITCH } else { 0.0 });
            }
        }
        let mut coordinates: BTreeMap<String, f64> =
            sums.into_iter().map(|(dimension, (sum, count))| (dimension, sum / count)).collect();
        coordinates.extend(kinds(spec));
        let shape = NetShape::of(&spec.network);
        coordinates.insert("network.depth".into(), shape.widths.len() as f64);
        coordinates.insert("network.residual".into(), SWITCH * shape.residual_share());
        coordinates.insert("network.taper".into(), shape.taper());
        Self { coordinates }
    }

    /// The coordinate of a dimension, if the spec has it.
    pub(super) fn get(&self, dimension: &str) -> Option<f64> {
        self.coordinates.get(dimension).copied()
    }

    /// Every dimension with its coordinate, in alphabetical order.
    pub(super) fn dimensions(&self) -> impl Iterator<Item = (&str, f64)> {
        self.coordinates.iter().map(|(dimension, coordinate)| (dimension.as_str(), *coordinate))
    }

    /// What differs, by dimension.
    pub(super) fn shifts(&self, to: &Self) -> Vec<Shift> {
        let shift =
            |dimension: &String, from: Option<f64>, to: Option<f64>| Shift { dimension: dimension.clone(), from, to };
        let moved = self.coordinates.iter().filter_map(|(dimension, from)| match to.coordinates.get(dimension) {
            Some(to) if (from - to).abs() <= 1e-9 => None,
            other => Some(shift(dimension, Some(*from), other.copied())),
        });
        let new = to.coordinates.iter().filter(|(dimension, _)| !self.coordinates.contains_key(*dimension));
        moved.chain(new.map(|(dimension, to)| shift(dimension, None, Some(*to)))).collect()
    }
}

/// The category of a dimension.
pub(super) fn category(dimension: &str) -> &'static str {
    categories::of_path(dimension.split('=').next().unwrap_or(dimension))
}

/// A knob's path without indices and nesting: `network[1].residual[0].dense.width` is `network.dense.width`.
pub(super) fn general_path(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            other => plain.push(other),
        }
    }
    plain.replace(".residual", "")
}

/// A knob's dimensions: one for a number, one a word for a choice (so that shares over blocks come out as means).
fn coordinates(knob: &Knob) -> Vec<(String, f64)> {
    use crate::spec::knobs::Domain;
    let path = general_path(&knob.path);
    let mut found = Vec::new();
    match (&knob.domain, &knob.value) {
        // Items of a list are there or not (see `kinds`); their share is no mean.
        (Domain::Choice(_), _) if LISTS.contains(&path.split('.').next().unwrap_or(&path)) && is_item(&knob.path) => {}
        (Domain::Choice(words), Value::Text(chosen)) => {
            found
                .extend(words.iter().map(|word| (format!("{path}={word}"), if word == chosen { SWITCH } else { 0.0 })));
        }
        (Domain::Bool, Value::Bool(on)) => found.push((path, if *on { SWITCH } else { 0.0 })),
        (domain, value) => {
            if let (Some(scale), Some(number)) = (Scale::of(&path, domain), value.number()) {
                found.push((path.clone(), scale.coordinate(number)));
            }
            if knob.optional {
                found.push((format!("{path}=off"), if *value == Value::Null { SWITCH } else { 0.0 }));
            }
        }
    }
    found
}

/// The lists whose items are of one of several kinds: which kinds are there is a dimension each.
const LISTS: [&str; 3] = ["network", "loss", "augment"];

/// Whether a path ends at an item of a list.
fn is_item(path: &str) -> bool {
    path.ends_with(']')
}

/// Which kinds of blocks, terms and augmentations there are, wherever in the net a block stands. That a block is residual
/// has a dimension of its own.
fn kinds(spec: &Spec) -> BTreeMap<String, f64> {
    /// The words of the language, list by list: the same in every spec.
    static WORDS: OnceLock<Vec<(&'static str, Vec<String>)>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let slots = slots(spec);
        let of = |root: &'static str| match slots.iter().find(|slot| slot.path == root).map(|slot| &slot.items) {
            Some(Items::Kinds(kinds)) => kinds.iter().map(|kind| kind.word.clone()).collect(),
            _ => Vec::new(),
        };
        LISTS.map(|root| (root, of(root))).to_vec()
    });
    let tree = spec.canonical();
    let mut found = BTreeMap::new();
    for (root, words) in words {
        let mut there = BTreeSet::new();
        if let Some(list) = tree.get(root) {
            items(list, &mut there);
        }
        for word in words.iter().filter(|word| *word != "residual") {
            found.insert(format!("{root}={word}"), if there.contains(word.as_str()) { SWITCH } else { 0.0 });
        }
    }
    found
}

/// The words of the items of every list in a value.
fn items<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::List(list) => {
            for item in list {
                found.insert(word(item));
                items(item, found);
            }
        }
        Value::Map(entries) => entries.iter().for_each(|(_, inner)| items(inner, found)),
        _ => {}
    }
}

struct NetShape {
    widths: Vec<f64>,
    inside: usize,
}

impl NetShape {
    fn of(blocks: &[Block]) -> Self {
        let mut shape = Self { widths: Vec::new(), inside: 0 };
        shape.walk(blocks, false);
        shape
    }

    fn walk(&mut self, blocks: &[Block], nested: bool) {
        for block in blocks {
            match block {
                Block::Dense(dense) => {
                    self.widths.push(f64::from(dense.width).log2());
                    self.inside += usize::from(nested);
                }
                Block::Residual(inner) => self.walk(inner, true),
                other => other.inside().into_iter().for_each(|inner| self.walk(inner, nested)),
            }
        }
    }

    fn residual_share(&self) -> f64 {
        if self.widths.is_empty() { 0.0 } else { self.inside as f64 / self.widths.len() as f64 }
    }

    /// Doublings from the first width to the last.
    fn taper(&self) -> f64 {
        match (self.widths.first(), self.widths.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts;
    use super::*;

    fn profile(text: &str) -> Profile {
        let spec = Spec::parse(text, "test").expect("a valid spec");
        Profile::of(&spec, &facts())
    }

    #[test]
    fn blocks_are_taken_together() {
        let profile = profile(
            "network:\n  - dense: { width: 64, activation: gelu }\n  - residual: [ { dense: { width: 16 } } ]\n",
        );
        assert_eq!(profile.get("network.dense.width"), Some(5.0), "mean of log2 64 and log2 16");
        assert_eq!(profile.get("network.dense.activation=gelu"), Some(SWITCH / 2.0), "half of the blocks");
        assert_eq!(profile.get("network.depth"), Some(2.0));
        assert_eq!(profile.get("network.residual"), Some(SWITCH / 2.0));
        assert_eq!(profile.get("network.taper"), Some(-2.0));
        assert_eq!(profile.get("loss=pearson"), Some(SWITCH));
        assert_eq!(profile.get("loss=mse"), Some(0.0), "it could be there");
        assert_eq!((profile.get("network=cross"), profile.get("network=dense")), (Some(0.0), Some(SWITCH)));
    }

    #[test]
    fn a_change_shifts_its_own_dimension_alone() {
        let from = profile("network: [ { dense: { width: 64 } } ]\n");
        let to = profile("network: [ { dense: { width: 128 } } ]\n");
        let expected = Shift { dimension: "network.dense.width".into(), from: Some(6.0), to: Some(7.0) };
        assert_eq!(from.shifts(&to), [expected]);
        assert!(from.shifts(&from).is_empty());
    }

    #[test]
    fn another_optimizer_brings_dimensions_of_its_own() {
        let from = profile("network: [ { dense: { width: 64 } } ]\n");
        let to = profile("network: [ { dense: { width: 64 } } ]\noptimizer: sgd\n");
        let shifts = from.shifts(&to);
        let momentum = shifts.iter().find(|shift| shift.dimension == "optimizer.sgd.momentum").expect("it is new");
        assert!(momentum.from.is_none() && momentum.sign() == 0);
        assert!(shifts.iter().any(|shift| shift.dimension == "optimizer=adamw" && shift.sign() == -1));
    }
}
