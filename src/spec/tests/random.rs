//! Random valid specs, drawn from the language's own shapes, so that whatever is declared is drawn: for property tests
//! here and in the rooms that build on specs.
//!
//! A draw starts from nothing or from an example, which is then varied; where rules between fields refuse it, what they
//! complain of is drawn again, reset or taken out, a bounded number of times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, proptest};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::examples::{Example, each_type, examples, facts, words};
use crate::spec::cost::Budget;
use crate::spec::piece::Piece;
use crate::spec::shape::{Field, Shape};
use crate::spec::{DataFacts, Spec, SpecErrors, Value};

/// Any valid spec. Names are any names.
pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    strategy(None)
}

/// A valid spec that trains in a moment on data with these facts: narrow, few rows a batch, one or two epochs, at most
/// five members, learning rates of at most 0.01.
pub(crate) fn small_spec(facts: &DataFacts) -> impl Strategy<Value = Spec> + use<> {
    strategy(Some(facts.clone()))
}

fn strategy(facts: Option<DataFacts>) -> impl Strategy<Value = Spec> {
    // A seed does not shrink to a simpler spec; the size does.
    (any::<u64>().no_shrink(), 0..=LARGEST)
        .prop_filter_map("it could not be mended", move |(seed, size)| draw(seed, size, facts.as_ref()))
}

/// The largest size of a draw.
pub(crate) const LARGEST: usize = 3;

/// The spec of a seed; with facts a small one that fits the data. `size` bounds how deep blocks nest. None where rules
/// refuse all that was tried.
pub(crate) fn draw(seed: u64, size: usize, facts: Option<&DataFacts>) -> Option<Spec> {
    let mut dice = Dice { rng: ChaCha8Rng::seed_from_u64(seed), facts, names: BTreeMap::new(), left: 0 };
    (0..8).find_map(|_| dice.spec(size))
}

/// The examples' canonical trees.
static EXAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let read = |example: Example| Spec::parse(&example.yaml, &example.what).ok().map(|spec| spec.canonical());
    examples().into_iter().filter_map(read).collect()
});

struct Dice<'a> {
    rng: ChaCha8Rng,
    facts: Option<&'a DataFacts>,
    /// The names that a spec speaks of, by what they are names of, so that its parts agree. None: all.
    names: BTreeMap<&'static str, Option<Vec<String>>>,
    /// How many more kinds are drawn freely before only those without lists are.
    left: usize,
}

impl Dice<'_> {
    fn spec(&mut self, size: usize) -> Option<Spec> {
        self.names.clear();
        self.left = 6 + 8 * size;
        let shape = Spec::shape(&());
        let mut tree = Value::Map(Vec::new());
        if self.chance(0.4) {
            tree = EXAMPLES[self.rng.random_range(0..EXAMPLES.len())].clone();
            self.vary(&mut tree, &shape, "", size);
        }
        if let Value::Map(written) = &mut tree {
            for field in shape.fields() {
                // What an example is about stays.
                let is_its_point = written.iter().any(|(name, value)| {
                    *name == field.name && field.default.as_ref().is_none_or(|default| default != value)
                });
                if !is_its_point && (self.must_be_written(&field) || self.chance(0.75)) {
                    written.retain(|(name, _)| name != field.name);
                    written.push((field.name.to_owned(), self.value(&field.shape, field.name, size)));
                }
            }
        }
        self.settled(tree, &shape, size)
    }

    /// Reads a tree, and mends what is refused.
    fn settled(&mut self, mut tree: Value, shape: &Shape, size: usize) -> Option<Spec> {
        for round in 0..24 {
            let read = Spec::from_value(&tree).and_then(|spec| match self.facts {
                Some(facts) => spec.check_data(facts).map(|()| spec),
                None => Ok(spec),
            });
            let SpecErrors { errors, .. } = match read {
                Ok(spec) => return Some(spec),
                Err(errors) => errors,
            };
            // Mending one thing may mend others, or move them.
            let error = &errors[self.rng.random_range(0..errors.len())];
            let path: Vec<&str> = error.path.split(['.', '[']).filter(|part| !part.is_empty()).collect();
            // What cannot be mended in its place is drawn anew in ever larger parts.
            let depth = if round < 16 { path.len() } else { 1 };
            self.mend(&mut tree, shape, &path[..depth.min(path.len())], "", size);
        }
        None
    }

    /// Changes what a path leads to: takes it out, resets it, or draws it again.
    fn mend(&mut self, value: &mut Value, shape: &Shape, path: &[&str], name: &str, size: usize) {
        let Some((part, rest)) = path.split_first() else {
            *value = self.value(shape, name, size);
            return;
        };
        match (shape, &mut *value) {
            (Shape::Optional(_), Value::Map(_) | Value::List(_)) if self.chance(0.3) => *value = Value::Null,
            (Shape::Optional(inner), _) => self.mend(value, inner, path, name, size),
            (Shape::List { item, min, .. }, Value::List(items)) => {
                let Some(index) = part.trim_end_matches(']').parse().ok().filter(|index| *index < items.len()) else {
                    *value = self.value(shape, name, size);
                    return;
                };
                if items.len() > *min && self.chance(0.4) {
                    items.remove(index);
                } else {
                    self.mend(&mut items[index], item, rest, name, size);
                }
            }
            (Shape::Record { fields, .. }, Value::Map(entries)) => {
                self.mend_field(entries, &fields(), part, rest, size);
            }
            (Shape::Union { kinds, .. }, Value::Map(entries)) if !self.rng.random_bool(0.2) => {
                let fields = [kinds(), shape.beside()].concat();
                self.mend_field(entries, &fields, part, rest, size);
            }
            _ => *value = self.value(shape, name, size),
        }
    }

    fn mend_field(
        &mut self,
        entries: &mut Vec<(String, Value)>,
        fields: &[Field],
        part: &str,
        rest: &[&str],
        size: usize,
    ) {
        let Some(field) = fields.iter().find(|field| field.name == part) else { return };
        let reset = rest.is_empty() && !self.must_be_written(field) && self.chance(0.5);
        match entries.iter_mut().find(|(name, _)| name == part) {
            Some(_) if reset => entries.retain(|(name, _)| name != part),
            Some((_, inner)) => self.mend(inner, &field.shape, rest, field.name, size),
            // It is refused although it is not written: its default does not fit the rest.
            None => entries.push((part.to_owned(), self.value(&field.shape, field.name, size))),
        }
    }

    /// Draws some parts of a value again, and all that would not be small enough or that the data does not know.
    fn vary(&mut self, value: &mut Value, shape: &Shape, name: &str, size: usize) {
        match (shape, &mut *value) {
            (Shape::Int { .. } | Shape::Float { .. }, _) => {
                let (_, max) = self.range(shape, name);
                if self.chance(0.2) || value.number().is_some_and(|number| number > max) {
                    *value = self.value(shape, name, size);
                }
            }
            (Shape::Bool | Shape::Choice { .. }, _) if self.chance(0.1) => *value = self.value(shape, name, size),
            (Shape::Names { .. } | Shape::Weights { .. }, _) => *value = self.value(shape, name, size),
            (Shape::Optional(_), Value::Null) => {}
            (Shape::Optional(inner), _) => self.vary(value, inner, name, size),
            (Shape::List { item, .. }, Value::List(items)) => {
                items.iter_mut().for_each(|entry| self.vary(entry, item, name, size));
            }
            (Shape::Record { fields, .. }, Value::Map(_)) => self.vary_fields(value, &fields(), size),
            (Shape::Union { kinds, .. }, Value::Map(_)) => {
                self.vary_fields(value, &[kinds(), shape.beside()].concat(), size);
            }
            _ => {}
        }
    }

    fn vary_fields(&mut self, value: &mut Value, fields: &[Field], size: usize) {
        for field in fields {
            if let Some(inner) = value.get_mut(field.name) {
                self.vary(inner, &field.shape, field.name, size);
            }
        }
    }

    /// Anything of a shape.
    fn value(&mut self, shape: &Shape, name: &str, size: usize) -> Value {
        match shape {
            Shape::Int { log, .. } => {
                let (min, max) = self.range(shape, name);
                Value::Int(self.number(min, max, *log).round() as i64)
            }
            Shape::Float { log, .. } => {
                let (min, max) = self.range(shape, name);
                Value::Float(self.number(min, max, *log))
            }
            Shape::Bool => Value::Bool(self.chance(0.5)),
            Shape::Choice { words, .. } => Value::Text(words[self.rng.random_range(0..words.len())].0.to_owned()),
            Shape::Names { what } => self.some_names(what),
            Shape::Weights { what } => self.weights(what),
            Shape::Optional(inner) => {
                if self.chance(0.5) {
                    Value::Null
                } else {
                    self.value(inner, name, size)
                }
            }
            Shape::List { item, min, max } => {
                let most = if self.left == 0 { *min } else { (*max).min(if self.facts.is_some() { 3 } else { 8 }) };
                let mut count = *min;
                // Mostly short.
                while count < most && self.chance(0.5) {
                    count += 1;
                }
                Value::List((0..count).map(|_| self.value(item, name, size)).collect())
            }
            Shape::Record { fields, .. } => Value::Map(self.fields(&fields(), size)),
            Shape::Union { name: union, kinds, .. } => {
                let mut kinds = kinds();
                if size == 0 || self.left == 0 {
                    kinds.retain(|kind| !holds(&kind.shape, union));
                }
                self.left = self.left.saturating_sub(1);
                let kind = kinds.swap_remove(self.rng.random_range(0..kinds.len()));
                let payload = self.value(&kind.shape, kind.name, size.saturating_sub(1));
                let mut entries = vec![(kind.name.to_owned(), payload)];
                entries.extend(self.fields(&shape.beside(), size));
                Value::Map(entries)
            }
        }
    }

    /// Fields of a record, some left to their defaults.
    fn fields(&mut self, fields: &[Field], size: usize) -> Vec<(String, Value)> {
        let mut drawn = Vec::new();
        for field in fields {
            if self.must_be_written(field) || self.chance(0.7) {
                drawn.push((field.name.to_owned(), self.value(&field.shape, field.name, size)));
            }
        }
        drawn
    }

    /// Whether a field has no default, or one that is not small enough.
    fn must_be_written(&self, field: &Field) -> bool {
        let large = |default: &Value| match &field.shape {
            Shape::Int { .. } => default.number().is_some_and(|number| number > self.range(&field.shape, field.name).1),
            Shape::Record { .. } | Shape::Union { .. } => self.facts.is_some(),
            _ => false,
        };
        field.default.as_ref().is_none_or(large)
    }

    /// The range of a number; for small specs, what trains in a moment.
    fn range(&self, shape: &Shape, name: &str) -> (f64, f64) {
        let (min, max, whole) = match shape {
            Shape::Int { min, max, .. } => (*min as f64, *max as f64, true),
            Shape::Float { min, max, .. } => (*min, *max, false),
            _ => (0.0, 0.0, false),
        };
        let most = match (name, whole) {
            _ if self.facts.is_none() => max,
            ("epochs", _) => 2.0,
            ("members", _) => 5.0,
            ("batch_rows", _) => 128.0,
            (_, true) => 16.0,
            ("lr", _) => 0.01,
            _ => max,
        };
        (min, max.min(most).max(min))
    }

    /// A number of the range, its ends more often than by chance.
    fn number(&mut self, min: f64, max: f64, log: bool) -> f64 {
        match self.rng.random_range(0..6) {
            0 => min,
            1 => max,
            _ => {
                let share: f64 = self.rng.random();
                let low = min.max(1e-9).ln();
                let number = if log { (low + share * (max.ln() - low)).exp() } else { min + share * (max - min) };
                number.clamp(min, max)
            }
        }
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    /// All names, or those that the spec speaks of, or some of these.
    fn some_names(&mut self, what: &'static str) -> Value {
        let Some(mut names) = self.spoken_of(what) else { return Value::Text("all".into()) };
        while names.len() > 1 && self.chance(0.15) {
            let gone = self.rng.random_range(0..names.len());
            names.remove(gone);
        }
        Value::List(names.into_iter().map(Value::Text).collect())
    }

    /// A weight for each name that the spec speaks of, one of them at least above 0.
    fn weights(&mut self, what: &'static str) -> Value {
        let names = self.spoken_of(what).or_else(|| self.known(what)).unwrap_or_else(|| self.invented());
        let weight = |(index, name): (usize, String)| {
            (name, Value::Float(self.number(if index == 0 { 0.5 } else { 0.0 }, 1e6, false)))
        };
        Value::Map(names.into_iter().enumerate().map(weight).collect())
    }

    fn spoken_of(&mut self, what: &'static str) -> Option<Vec<String>> {
        if !self.names.contains_key(what) {
            let names = if self.chance(0.4) {
                None
            } else {
                let mut names = self.known(what).unwrap_or_else(|| self.invented());
                while names.len() > 1 && self.chance(0.3) {
                    let gone = self.rng.random_range(0..names.len());
                    names.remove(gone);
                }
                Some(names)
            };
            self.names.insert(what, names);
        }
        self.names.get(what).cloned().flatten()
    }

    /// The data's names, where there is data.
    fn known(&self, what: &str) -> Option<Vec<String>> {
        let facts = self.facts?;
        match what {
            "feature set" => Some(facts.feature_sets.iter().map(|(name, _)| name.clone()).collect()),
            "target" => Some(facts.targets.clone()),
            _ => None,
        }
    }

    /// Names of all kinds: as Numerai has them, and as only a mischievous person would choose them.
    fn invented(&mut self) -> Vec<String> {
        let odd = [
            "null",
            "true",
            "no",
            "~",
            "1",
            "0x1f",
            "1e3",
            ".inf",
            "nan",
            "a: b",
            "- a",
            "#a",
            "{",
            "'",
            "\"",
            "a\\",
            "all",
            " ",
            "a.b",
            "a[0]",
            "\n",
            "\u{0}",
            "é",
            "\u{1f980}",
            "\u{85}",
            "\u{feff}",
        ];
        let count = self.rng.random_range(1..5);
        let mut names: Vec<String> = (0..count)
            .map(|_| match self.rng.random_range(0..8) {
                0 | 1 => odd[self.rng.random_range(0..odd.len())].to_owned(),
                2 => (0..self.rng.random_range(1..8)).map(|_| self.rng.random::<char>()).collect(),
                _ => {
                    let letters = self.rng.random_range(1..14);
                    (0..letters).map(|_| char::from(self.rng.random_range(b'a'..=b'z'))).collect()
                }
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Whether a shape can hold a union.
fn holds(shape: &Shape, union: &str) -> bool {
    let mut found = false;
    each_type(shape, &mut BTreeSet::new(), &mut |inner| {
        found |= matches!(inner, Shape::Union { name, .. } if *name == union);
    });
    found
}

/// Every (type, word) that a spec can hold: kinds of unions, words of choices, parts that can be switched on.
fn all_words() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut add = |of: &str, word: &str| all.insert((of.to_owned(), word.to_owned()));
    each_type(&Spec::shape(&()), &mut BTreeSet::new(), &mut |shape| match shape {
        Shape::Choice { name, words, .. } => words.iter().for_each(|(word, _)| {
            add(name, word);
        }),
        Shape::Union { name, kinds, .. } => kinds().iter().for_each(|kind| {
            add(name, kind.name);
        }),
        Shape::Record { name, fields, .. } => {
            for field in fields().iter().filter(|field| matches!(field.shape, Shape::Optional(_))) {
                add(name, field.name);
            }
        }
        _ => {}
    });
    all
}

/// Draws specs until every word of the language was in one; at least `least`, at most `most`.
fn covers(least: u64, most: u64, facts: Option<&DataFacts>) {
    let mut missing = all_words();
    let mut refused = 0;
    for seed in 0..most {
        match draw(seed, LARGEST, facts) {
            Some(spec) => {
                let mut held = BTreeSet::new();
                words(&spec.canonical(), &Spec::shape(&()), &mut held);
                missing = missing.difference(&held).cloned().collect();
            }
            None => refused += 1,
        }
        if seed >= least && missing.is_empty() {
            break;
        }
    }
    assert!(missing.is_empty(), "never drawn in {most} specs: {missing:?}");
    assert!(refused * 20 <= most, "{refused} draws came to nothing; rules and draws do not go together");
}

#[test]
fn every_kind_and_every_word_is_drawn() {
    covers(300, 900, None);
}

#[test]
fn every_kind_and_every_word_is_drawn_in_small_specs_too() {
    covers(300, 900, Some(&facts()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn small_specs_are_small_and_fit_the_data(spec in small_spec(&facts())) {
        let budget =
            Budget { params: 20_000_000, replica_bytes: 2 << 30, at_once: 1, flops: 1e15, seconds: f64::INFINITY, rates: None };
        if let Err(errors) = Spec::check(&spec.to_yaml(), "spec", &facts(), &budget).accepted() {
            prop_assert!(false, "{errors}\n{}", spec.to_yaml());
        }
        prop_assert!(spec.training.epochs <= 2 && spec.ensemble.members <= 5, "{}", spec.to_yaml());
    }
}

#[test]
fn a_seed_is_a_spec() {
    assert_eq!(draw(7, LARGEST, None), draw(7, LARGEST, None));
    assert_ne!(draw(7, LARGEST, None), draw(8, LARGEST, None));
}
