//! Draws candidate edits of the incumbent at random. Which of them is proposed is not decided here (see `choose`); what
//! matters here is that everything the language can say can be reached, and what is known to matter often.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt};

use super::families::FAMILIES;
use super::good::{self, Good};
use super::prior::relevance;
use super::profile::general_path;
use super::recipes::{RECIPES, Recipe};
use super::structure::{item, loss, structure};
use super::tree;
use super::weighted;
use super::words::{self, Where};
use crate::research::settings::Breadth;
use crate::researcher::categories;
use crate::spec::knobs::scale::{Scale, moved, rounded};
use crate::spec::knobs::{Domain, Knob, knobs};
use crate::spec::{DataFacts, Names, Spec, Value};

/// One change within a proposal.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// Its piece of the title.
    pub(super) text: String,
    /// Why it may help, where there is more to say than that it is tried.
    pub(super) why: Option<&'static str>,
    /// Its category.
    pub(super) category: String,
}

/// An edited tree, not yet checked.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) tree: Value,
    pub(super) edits: Vec<Edit>,
    /// Earlier trials that it builds on.
    pub(super) parents: Vec<u32>,
}

/// What candidates are drawn from.
pub(super) struct Source<'a> {
    base: Value,
    skeleton: String,
    /// Knobs by what they are, blocks taken together.
    groups: Vec<(String, Vec<Knob>)>,
    sets: &'a Names,
    targets: &'a Names,
    facts: &'a DataFacts,
    incumbent: &'a Spec,
    good: Vec<Good>,
    breadth: Breadth,
    /// Share of the draws that build on earlier trials.
    combinations: f64,
}

impl<'a> Source<'a> {
    pub(super) fn new(incumbent: &'a Spec, facts: &'a DataFacts, good: Vec<Good>, breadth: Breadth) -> Self {
        let mut groups: BTreeMap<String, Vec<Knob>> = BTreeMap::new();
        for knob in knobs(incumbent) {
            groups.entry(general_path(&knob.path)).or_default().push(knob);
        }
        let base = incumbent.canonical();
        Self {
            skeleton: tree::skeleton(&base),
            base,
            groups: groups.into_iter().collect(),
            sets: &incumbent.features.sets,
            targets: &incumbent.targets.train_on,
            facts,
            incumbent,
            good,
            breadth,
            combinations: match breadth {
                Breadth::Combined => 0.5,
                Breadth::Focused | Breadth::Wide => 0.15,
                Breadth::Narrow => 0.0,
            },
        }
    }

    /// Whether there is anything to combine.
    pub(super) fn can_combine(&self) -> bool {
        !self.good.is_empty()
    }

    /// The same source with another share of draws that build on earlier trials.
    pub(super) fn combining(self, combinations: f64) -> Self {
        Self { combinations, ..self }
    }

    /// Each recipe by itself, and other families where the search may leave its neighbourhood. In a narrow phase there are
    /// none: they are jumps. Nor where everything is to be built on earlier trials.
    pub(super) fn recipes(&self) -> Vec<Drawn> {
        if self.breadth == Breadth::Narrow || self.combinations >= 1.0 {
            return Vec::new();
        }
        let families = if self.breadth == Breadth::Wide { FAMILIES } else { &[] };
        families
            .iter()
            .chain(RECIPES)
            .filter_map(|recipe| {
                let mut drawn = self.unchanged();
                self.recipe(recipe, &mut drawn)?;
                Some(drawn)
            })
            .collect()
    }

    /// One candidate of so many edits; None where the dice fell on something that is not there to change.
    pub(super) fn draw(&self, wanted: usize, rng: &mut impl Rng) -> Option<Drawn> {
        let mut drawn = self.unchanged();
        let mut wanted = wanted;
        if rng.random::<f64>() < self.combinations {
            match self.cross(&mut drawn, rng) {
                // An earlier trial by itself is news only beside another incumbent than its own.
                Some(()) => wanted = wanted.max(drawn.edits.len() + usize::from(rng.random::<bool>())),
                None if self.combinations >= 1.0 => return None,
                None => {}
            }
        }
        // Some throws hit nothing; a few more are allowed than are wanted.
        for _ in 0..wanted * 3 {
            if drawn.edits.len() >= wanted {
                break;
            }
            self.edit(&mut drawn, rng);
        }
        (!drawn.edits.is_empty()).then_some(drawn)
    }

    fn unchanged(&self) -> Drawn {
        Drawn { tree: self.base.clone(), edits: Vec::new(), parents: Vec::new() }
    }

    fn edit(&self, drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
        let chance: f64 = rng.random();
        match self.breadth {
            Breadth::Narrow => self.knob(drawn, rng),
            Breadth::Wide if chance < 0.10 => {
                first_of("architecture", drawn).then(|| self.recipe(any(FAMILIES, rng)?, drawn))?
            }
            _ if chance < 0.30 => self.recipe(any(RECIPES, rng)?, drawn),
            _ if chance < 0.73 => self.knob(drawn, rng),
            // As above: one edit of the net's shape, of the loss, of the names.
            _ if chance < 0.86 => first_of("architecture", drawn).then(|| structure(drawn, rng))?,
            _ if chance < 0.92 => first_of("loss", drawn).then(|| loss(drawn, rng))?,
            _ if chance < 0.95 => item(drawn, self.incumbent, rng),
            _ => first_of("features", drawn).then(|| self.names(drawn, rng))?,
        }
    }

    fn recipe(&self, recipe: &Recipe, drawn: &mut Drawn) -> Option<()> {
        // It might undo what an earlier edit of its kind did, and the title would not be true.
        drawn.edits.iter().all(|edit| edit.category != recipe.category).then_some(())?;
        (recipe.apply)(&mut drawn.tree, self.facts).then_some(())?;
        drawn.edits.push(Edit { text: recipe.title.into(), why: Some(recipe.why), category: recipe.category.into() });
        Some(())
    }

    /// Starts from one good trial, or from two put together, each as often as its odds say.
    fn cross(&self, drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
        let first = good::drawn(&self.good, rng)?;
        let second = good::drawn(&self.good, rng)?;
        drawn.tree = first.tree.clone();
        let mut from = vec![first];
        if second.trial != first.trial && self.breadth != Breadth::Focused {
            // Two that are in each other's way are not tried together.
            drawn.tree = first.with(second, self.incumbent)?;
            from.push(second);
        }
        for good in from {
            drawn.parents.push(good.trial);
            drawn.edits.push(good.edit());
        }
        Some(())
    }

    /// Turns one knob, in all blocks that have it or in one of them.
    fn knob(&self, drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
        // As often as it is expected to matter: most of the language's knobs are fine points.
        let shares: Vec<f64> = self.groups.iter().map(|(general, _)| often(general)).collect();
        let (general, group) = self.groups.get(weighted(&shares, rng.random()))?;
        let only = rng.random_range(0..group.len());
        let everywhere = group.len() > 1 && rng.random::<f64>() < 0.75;
        let chosen: Vec<&Knob> = if everywhere { group.iter().collect() } else { vec![&group[only]] };
        let sample = chosen.first()?;
        // What an earlier edit has changed stays as it said, and paths must still lead to the same blocks.
        let moved_blocks = general.starts_with("network") && tree::skeleton(&drawn.tree) != self.skeleton;
        if moved_blocks || chosen.iter().any(|knob| !self.is_untouched(&drawn.tree, &knob.path)) {
            return None;
        }
        let text = match (&sample.domain, &sample.value) {
            (Domain::Bool, Value::Bool(on)) => {
                let to = Value::Bool(!on);
                turn_all(&mut drawn.tree, &chosen, &to)?;
                words::turned(&sample.path, &sample.value, &to, &place(group, only, everywhere))
            }
            (Domain::Choice(kinds), from) => {
                let to = Value::Text(kinds[rng.random_range(0..kinds.len())].clone());
                turn_all(&mut drawn.tree, &chosen, &to)?;
                words::turned(&sample.path, from, &to, &place(group, only, everywhere))
            }
            (_, from) if sample.optional && (*from == Value::Null || rng.random::<f64>() < 0.2) => {
                let to = if *from == Value::Null { switched_on(sample, rng) } else { Value::Null };
                turn_all(&mut drawn.tree, &chosen, &to)?;
                words::turned(&sample.path, from, &to, &place(group, only, everywhere))
            }
            _ => self.number(drawn, &chosen, &place(group, only, everywhere), self.steps(rng))?,
        };
        drawn.edits.push(Edit { text, why: None, category: categories::of_path(general).into() });
        Some(())
    }

    /// The knobs at these paths, each by itself and in all blocks that have it, moved to a few places up and down.
    pub(super) fn around(&self, paths: &BTreeSet<&str>) -> Vec<Drawn> {
        let known = self.groups.iter().filter(|(general, _)| paths.contains(general.as_str()));
        let moves = known.flat_map(|(general, group)| {
            let chosen: Vec<&Knob> = group.iter().collect();
            let place = place(group, 0, true);
            let edited = |edit: &dyn Fn(&mut Drawn) -> Option<String>| {
                let mut drawn = self.unchanged();
                let text = edit(&mut drawn)?;
                drawn.edits.push(Edit { text, why: None, category: categories::of_path(general).into() });
                Some(drawn)
            };
            let Some(sample) = chosen.first() else { return Vec::new() };
            let to_value = |to: &Value| {
                edited(&|drawn| {
                    turn_all(&mut drawn.tree, &chosen, to)?;
                    Some(words::turned(&sample.path, &sample.value, to, &place))
                })
            };
            let off = sample.optional && sample.value != Value::Null;
            let mut found: Vec<Option<Drawn>> = match (&sample.domain, &sample.value) {
                (Domain::Bool, Value::Bool(on)) => vec![to_value(&Value::Bool(!on))],
                (Domain::Choice(kinds), _) => kinds.iter().map(|kind| to_value(&Value::Text(kind.clone()))).collect(),
                (_, Value::Null) => Vec::new(),
                _ => {
                    let sizes: &[f64] = match self.breadth {
                        Breadth::Narrow => &[0.3, 0.6, 1.0],
                        Breadth::Focused | Breadth::Combined => &[0.5, 1.0, 1.6, 2.5],
                        Breadth::Wide => &[0.5, 1.0, 2.0, 4.0],
                    };
                    let steps = sizes.iter().flat_map(|size| [*size, -size]);
                    steps.map(|steps| edited(&|drawn| self.number(drawn, &chosen, &place, steps))).collect()
                }
            };
            if off {
                found.push(to_value(&Value::Null));
            }
            found.into_iter().flatten().collect()
        });
        moves.collect()
    }

    fn is_untouched(&self, tree: &Value, path: &str) -> bool {
        tree::peek(tree, path) == tree::peek(&self.base, path)
    }

    /// How far a number is moved.
    fn steps(&self, rng: &mut impl Rng) -> f64 {
        let size = match self.breadth {
            Breadth::Narrow => 0.25 + 0.75 * rng.random::<f64>(),
            Breadth::Focused | Breadth::Combined => 0.5 + 2.0 * rng.random::<f64>(),
            Breadth::Wide => 0.5 + 4.0 * rng.random::<f64>(),
        };
        if rng.random() { size } else { -size }
    }

    fn number(&self, drawn: &mut Drawn, chosen: &[&Knob], place: &Where, steps: f64) -> Option<String> {
        let sample = chosen.first()?;
        let mut first = None;
        for knob in chosen {
            if let Some(to) = moved(knob, steps) {
                tree::turn(&mut drawn.tree, &knob.path, &knob.value, to.clone())?;
                first.get_or_insert((knob.value.clone(), to));
            }
        }
        let (from, to) = first?;
        if chosen.iter().all(|knob| knob.value == sample.value) {
            return Some(words::turned(&sample.path, &from, &to, place));
        }
        Some(match Scale::of(&sample.path, &sample.domain)? {
            Scale::Ratio { .. } => words::scaled(&sample.path, to.number()? / from.number()?),
            _ => words::turned(&sample.path, &from, &to, &Where::Every),
        })
    }

    /// Leaves out a feature set or a target, or takes one back in.
    fn names(&self, drawn: &mut Drawn, rng: &mut impl Rng) -> Option<()> {
        let sets: Vec<&String> = self.facts.feature_sets.iter().map(|(name, _)| name).collect();
        let targets: Vec<&String> = self.facts.targets.iter().collect();
        let (path, all, used, what) = if rng.random() {
            ("features.sets", sets, self.sets, "feature set")
        } else {
            ("targets.train_on", targets, self.targets, "target")
        };
        let chosen = *all.get(rng.random_range(0..all.len().max(1)))?;
        let is_used = |name: &String| match used {
            Names::All => true,
            Names::Only(names) => names.contains(name),
        };
        let left: Vec<Value> = all
            .iter()
            .filter(|name| is_used(name) != (**name == chosen))
            .map(|name| Value::Text((*name).clone()))
            .collect();
        let value = if left.len() == all.len() { Value::Text("all".into()) } else { Value::List(left) };
        self.is_untouched(&drawn.tree, path).then_some(())?;
        tree::set(&mut drawn.tree, path, value).then_some(())?;
        let text = format!("{what} {chosen} {}", if is_used(chosen) { "left out" } else { "taken in" });
        drawn.edits.push(Edit { text, why: None, category: categories::of_path(path).into() });
        Some(())
    }
}

/// How often a knob is turned, next to the others.
fn often(general: &str) -> f64 {
    relevance(general).powi(2)
}

/// One of several.
fn any<'a, T>(all: &'a [T], rng: &mut impl Rng) -> Option<&'a T> {
    all.get(rng.random_range(0..all.len().max(1)))
}

/// How many edits a proposal has.
pub(super) fn edits(breadth: Breadth, rng: &mut impl Rng) -> usize {
    let chance: f64 = rng.random();
    match breadth {
        Breadth::Narrow => 1,
        Breadth::Focused => 1 + usize::from(chance < 0.35),
        Breadth::Combined => 2 + usize::from(chance < 0.4),
        Breadth::Wide => 1 + (chance * 4.0) as usize,
    }
}

fn first_of(category: &str, drawn: &Drawn) -> bool {
    drawn.edits.iter().all(|edit| edit.category != category)
}

fn place(group: &[Knob], only: usize, everywhere: bool) -> Where {
    match group.len() {
        0 | 1 => Where::Only,
        _ if everywhere => Where::Every,
        _ => Where::Block(only + 1),
    }
}

fn turn_all(tree: &mut Value, chosen: &[&Knob], to: &Value) -> Option<()> {
    if chosen.iter().all(|knob| knob.value == *to) {
        return None;
    }
    for knob in chosen {
        if knob.value != *to {
            tree::turn(tree, &knob.path, &knob.value, to.clone())?;
        }
    }
    Some(())
}

/// A first value for a knob that is off: about the middle of its range, by its own scale, or what is usual.
fn switched_on(knob: &Knob, rng: &mut impl Rng) -> Value {
    let usual = match knob.path.rsplit('.').next() {
        Some("clip_norm") => Some(1.0),
        Some("patience") => Some(8.0),
        _ => None,
    };
    let (min, max, whole) = match &knob.domain {
        Domain::Int { min, max, .. } => (*min as f64, *max as f64, true),
        Domain::Float { min, max, .. } => (*min, *max, false),
        Domain::Bool | Domain::Choice(_) => return knob.value.clone(),
    };
    let middle = usual.unwrap_or(if min > 0.0 { (min * max).sqrt() } else { 0.5 * (min + max) });
    let number = rounded(middle * 2_f64.powf(2.0 * rng.random::<f64>() - 1.0), 1).clamp(min, max);
    if whole { Value::Int(number.round() as i64) } else { Value::Float(number) }
}
