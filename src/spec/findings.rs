//! Everything that is wrong with a spec's text, at once: what cannot be read, what does not go together, what the data does
//! not have, what the budget does not allow.

use super::cost::{self, Budget, Cost};
use super::error::{SpecError, SpecErrors};
use super::facts::DataFacts;
use super::language::Spec;
use super::mend::{Mender, WAYS};
use super::node::Node;
use super::piece::Piece;
use super::{check, shape::Shape};

/// What came of checking a text.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The spec, where it is valid by itself, whatever the data and the budget say.
    pub spec: Option<Spec>,
    /// What it costs on the data, where nothing is wrong.
    pub cost: Option<Cost>,
    /// What is wrong with it.
    pub wrong: Vec<SpecError>,
    /// What is over the budget.
    pub over: Vec<SpecError>,
    origin: String,
}

impl Findings {
    /// All of it, in the order of the text.
    pub fn errors(&self) -> SpecErrors {
        let mut errors = [self.wrong.as_slice(), &self.over].concat();
        errors.sort_by_key(|error| (error.line, error.column));
        SpecErrors { origin: self.origin.clone(), errors }
    }

    /// The spec and its cost, for people: they hear everything, and the budget is theirs.
    ///
    /// # Errors
    /// Whatever was found.
    pub fn accepted(mut self) -> Result<(Spec, Cost), SpecErrors> {
        if let (Some(spec), Some(cost), true) = (&self.spec, self.cost, self.over.is_empty()) {
            return Ok((spec.clone(), cost));
        }
        let way_out = "; make the model smaller, or raise `budget` in autoresearch.yaml";
        self.over.iter_mut().for_each(|error| error.message.push_str(way_out));
        Err(self.errors())
    }
}

impl Spec {
    /// Reads a spec and checks it against the data and the budget. `origin` (a file, a researcher) stands in front of each error.
    pub fn check(text: &str, origin: &str, facts: &DataFacts, budget: &Budget) -> Findings {
        let nothing = |wrong| Findings { spec: None, cost: None, wrong, over: Vec::new(), origin: origin.to_owned() };
        let node = match Node::parse(text, origin) {
            Ok(node) => node,
            Err(errors) => return nothing(errors.errors),
        };
        let (spec, found) = examine(&node, Some((facts, budget)));
        let mut findings = nothing(found.wrong);
        findings.over = found.over;
        match spec {
            Some(spec) if findings.wrong.is_empty() => {
                findings.cost = Some(cost::estimate(&spec, facts));
                findings.spec = Some(spec);
            }
            Some(_) => findings.spec = read(&node, origin).ok(),
            None => {}
        }
        findings
    }
}

/// Reads and checks a tree by itself.
pub(super) fn read(node: &Node, origin: &str) -> Result<Spec, SpecErrors> {
    let (spec, Found { wrong, .. }) = examine(node, None);
    match spec {
        Some(spec) if wrong.is_empty() => Ok(spec),
        _ => Err(SpecErrors { origin: origin.to_owned(), errors: wrong }),
    }
}

/// What rules find, without and with the budget.
#[derive(Clone, Debug, Default)]
struct Found {
    wrong: Vec<SpecError>,
    over: Vec<SpecError>,
}

/// Reads a tree and applies every rule to it, or to what of it can be read.
fn examine(node: &Node, against: Option<(&DataFacts, &Budget)>) -> (Option<Spec>, Found) {
    let mut errors = Vec::new();
    node.too_deep(&mut errors);
    if !errors.is_empty() {
        return (None, Found { wrong: errors, over: Vec::new() });
    }
    node.keys_twice("", &mut errors);
    let spec = <Spec as Piece>::read(node, &(), "", &mut errors);
    let mut found = match &spec {
        Some(spec) if errors.is_empty() => apply(spec, node, against),
        _ => whatever_was_meant(node, &errors, against),
    };
    errors.append(&mut found.wrong);
    errors.sort_by_key(|error| (error.line, error.column));
    let mut known = Vec::new();
    errors.retain(|error| {
        let is_new = !known.contains(error);
        known.push(error.clone());
        is_new
    });
    found.wrong = errors;
    (spec, found)
}

/// What rules find wrong however the places are mended that cannot be read.
fn whatever_was_meant(node: &Node, errors: &[SpecError], against: Option<(&DataFacts, &Budget)>) -> Found {
    let shape: Shape = Spec::shape(&());
    let mut found: Option<Found> = None;
    for way in 0..WAYS {
        let mended = Mender::new(errors, way).mend(node, &shape, None, "");
        let Some(spec) = <Spec as Piece>::read(&mended, &(), "", &mut Vec::new()) else { return Found::default() };
        let here = apply(&spec, node, against);
        let kept = match found {
            None => here,
            Some(mut before) => {
                before.wrong.retain(|error| here.wrong.contains(error));
                before.over.retain(|error| here.over.contains(error));
                before
            }
        };
        if kept.wrong.is_empty() && kept.over.is_empty() {
            return kept;
        }
        found = Some(kept);
    }
    found.unwrap_or_default()
}

/// Applies the rules between fields, and those of the data and the budget.
fn apply(spec: &Spec, node: &Node, against: Option<(&DataFacts, &Budget)>) -> Found {
    let mut found = Found::default();
    let located = |path: &str, message: String| {
        let (line, column) = node.place(path);
        SpecError { line, column, path: path.to_owned(), message }
    };
    let facts = against.map(|(facts, _)| facts);
    check::rules(spec, facts, &mut |path, message| found.wrong.push(located(path, message)));
    if let Some((facts, budget)) = against
        && check::is_bounded(spec)
    {
        let cost = cost::estimate(spec, facts);
        // What cannot be laid out has no cost to speak of.
        if cost.flops.is_finite()
            && let Err(message) = cost::check(&cost, budget)
        {
            found.over.push(located("network", message));
        }
    }
    found
}
