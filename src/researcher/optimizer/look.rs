//! The optimizer's view: which knobs matter by its belief, where they look best, what looks best of all, and what was never
//! turned.
//!
//! The belief is a sum of functions of one dimension each, so that the importance of a knob is a property of its own
//! function: its standard deviation over the places that were tried. Of that, posterior draws give the median and an
//! interval, which is honest in both directions: where little was measured it is as wide as before any trial, and as a
//! standard deviation is never 0, an interval that begins near 0 says that the knob may not matter at all.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::belief::{Belief, Observation};
use super::pool::{Candidate, Drawing, Known, Pool, is_apart, knob_changes};
use super::prior::relevance;
use super::profile::{Profile, Shift, general_path};
use super::view::{KnobView, Lead, View};
use super::words;
use crate::researcher::briefing::Briefing;
use crate::spec::knobs::scale::{Scale, rounded};
use crate::spec::knobs::{Domain, Knob, knobs};
use crate::spec::{Spec, Value};

/// The most knobs, leads and untried dimensions that are named.
const MOST_KNOBS: usize = 12;
const MOST_LEADS: usize = 6;
const MOST_UNTRIED: usize = 30;
/// Places of one knob that are looked at.
const MOST_PLACES: usize = 24;
/// Draws that an interval is taken of.
const DRAWS: usize = 600;
/// Places this close together, in steps, are one.
const CLOSE: f64 = 0.05;

/// Looks.
pub(super) fn look(briefing: &Briefing<'_>, known: Known<'_>, rng: &mut impl Rng) -> View {
    let belief = Belief::new(known.observations, briefing.min_effect);
    let here = Here::of(briefing);
    let turned = Turned::of(known.observations);
    // The leads first, so that how many knobs there are does not change them.
    let best = Pool::draw(briefing, known, Drawing::Proposals, rng)
        .map_or_else(|_| Vec::new(), |pool| leads(&pool.candidates, &belief, briefing.incumbent, known));
    let mut ranked: Vec<KnobView> =
        turned.tries.iter().filter_map(|(knob, tries)| here.knob(knob, *tries, &turned, &belief, rng)).collect();
    ranked.sort_by(|a, b| b.importance.total_cmp(&a.importance).then_with(|| a.knob.cmp(&b.knob)));
    ranked.truncate(MOST_KNOBS);
    // What is pending comes last among the observations, and has no number of its own yet.
    let next = briefing.history.next_trial();
    View {
        trials: known.observations.iter().filter(|seen| seen.trial < next).count(),
        knobs: ranked,
        best,
        untried: here.untried(&turned),
    }
}

/// The knob that a dimension belongs to: the words of a choice are one knob, names and kinds of items one each.
fn knob_of<'a>(dimension: &'a str, choices: &BTreeMap<String, Vec<String>>) -> &'a str {
    match dimension.split_once('=') {
        Some((path, _)) if choices.contains_key(path) => path,
        _ => dimension,
    }
}

/// What the observations turned.
struct Turned {
    /// Dimension to the coordinates that it was at.
    places: BTreeMap<String, Vec<f64>>,
    /// Knob to the trials that turned it.
    tries: BTreeMap<String, usize>,
}

impl Turned {
    fn of(observations: &[Observation]) -> Self {
        let mut found = Self { places: BTreeMap::new(), tries: BTreeMap::new() };
        for seen in observations {
            let mut turned = BTreeSet::new();
            for shift in &seen.change.shifts {
                let (Some(from), Some(to)) = (shift.from, shift.to) else { continue };
                found.places.entry(shift.dimension.clone()).or_default().extend([from, to]);
                turned.insert(shift.dimension.as_str());
                // A choice has a name of its own beside those of its words.
                turned.insert(shift.dimension.split('=').next().unwrap_or(&shift.dimension));
            }
            for knob in turned {
                *found.tries.entry(knob.to_owned()).or_default() += 1;
            }
        }
        found
    }
}

/// The incumbent, as the view speaks of it.
struct Here {
    profile: Profile,
    /// General path to the first knob of it that is a number.
    numbers: BTreeMap<String, Knob>,
    /// General path of a choice to its words. Items of lists are no choice: several kinds can be there.
    choices: BTreeMap<String, Vec<String>>,
}

impl Here {
    fn of(briefing: &Briefing<'_>) -> Self {
        let (mut numbers, mut choices) = (BTreeMap::new(), BTreeMap::new());
        for knob in knobs(briefing.incumbent) {
            let path = general_path(&knob.path);
            match &knob.domain {
                Domain::Choice(words) if !knob.path.ends_with(']') => {
                    choices.entry(path).or_insert_with(|| words.clone());
                }
                Domain::Choice(_) | Domain::Bool => {}
                Domain::Int { .. } | Domain::Float { .. } => {
                    numbers.entry(path).or_insert(knob);
                }
            }
        }
        Self { profile: Profile::of(briefing.incumbent, briefing.facts), numbers, choices }
    }

    /// What is to be said of a knob that was turned; None where the incumbent has no such knob, or one that cannot be told
    /// by itself.
    fn knob(
        &self,
        knob: &str,
        tries: usize,
        turned: &Turned,
        belief: &Belief<'_>,
        rng: &mut impl Rng,
    ) -> Option<KnobView> {
        let places = match self.choices.get(knob) {
            Some(words) => self.words(knob, words, turned),
            // The words of a choice are told together.
            None if knob_of(knob, &self.choices) != knob => return None,
            None => self.places(knob, turned)?,
        };
        // At one place nothing can be compared.
        (places.len() > 1).then_some(())?;
        let outlook = belief.effects(places.iter().map(|place| place.shifts.clone()).collect());
        let mut spreads: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let drawn = outlook.draw(1.0, rng);
                spread(&drawn.iter().zip(&places).filter(|(_, place)| place.tried).map(|it| *it.0).collect::<Vec<_>>())
            })
            .collect();
        spreads.sort_by(f64::total_cmp);
        let at = |share: f64| spreads[((DRAWS - 1) as f64 * share).round() as usize];
        let best = (0..places.len()).max_by(|a, b| outlook.mean[*a].total_cmp(&outlook.mean[*b]))?;
        let now = places.iter().find(|place| place.is_now)?;
        let best_words = if places[best].is_now || places[best].words == now.words {
            format!("where it is ({})", now.words)
        } else {
            format!(
                "about {} (now {}): {:+.4} ± {:.4}",
                places[best].words, now.words, outlook.mean[best], outlook.deviation[best]
            )
        };
        Some(KnobView {
            knob: knob.to_owned(),
            tries,
            importance: at(0.5),
            interval: (at(0.025), at(0.975)),
            best: best_words,
        })
    }

    /// The words of a choice: the one that most blocks have, and those that were tried.
    fn words(&self, path: &str, words: &[String], turned: &Turned) -> Vec<Place> {
        let now_at = |word: &str| self.profile.get(&format!("{path}={word}")).unwrap_or(0.0);
        let now = words.iter().max_by(|a, b| now_at(a).total_cmp(&now_at(b)).then_with(|| b.cmp(a)));
        let all = words.iter().filter(|word| {
            let tried = turned.places.get(&format!("{path}={word}"));
            Some(*word) == now || tried.is_some_and(|at| at.iter().any(|coordinate| *coordinate > 0.0))
        });
        all.map(|word| {
            let is_now = Some(word) == now;
            let shift = |other: &String| {
                let to = if other == word { 2.0 } else { 0.0 };
                Shift { dimension: format!("{path}={other}"), from: Some(now_at(other)), to: Some(to) }
            };
            // Where blocks differ, the net as it is stands for the word that most of them have.
            let shifts = if is_now { Vec::new() } else { words.iter().map(shift).filter(|s| s.from != s.to).collect() };
            Place { shifts, words: words::value(&Value::Text(word.clone())), is_now, tried: true }
        })
        .collect()
    }

    /// The places of one dimension: where it is, where it was tried, and between and a little beyond those.
    fn places(&self, dimension: &str, turned: &Turned) -> Option<Vec<Place>> {
        let now = self.profile.get(dimension)?;
        let mut tried: Vec<f64> = turned.places.get(dimension)?.clone();
        tried.push(now);
        tried.sort_by(f64::total_cmp);
        tried.dedup_by(|a, b| (*a - *b).abs() < CLOSE);
        thin(&mut tried, MOST_PLACES / 2);
        let mut found: Vec<(f64, bool)> = tried.iter().map(|at| (*at, true)).collect();
        if let (Some(scale), Some(first), Some(last)) = (self.scale(dimension), tried.first(), tried.last()) {
            let step = ((last - first + 1.0) / (MOST_PLACES / 2) as f64).max(0.25);
            let between = (0..MOST_PLACES / 2).map(|index| first - 0.5 + step * index as f64);
            found.extend(
                between.filter(|at| *at <= last + 0.5 && self.allows(dimension, scale, *at)).map(|at| (at, false)),
            );
        }
        let nearest = |at: f64| (at - now).abs();
        let is_now = tried.iter().copied().min_by(|a, b| nearest(*a).total_cmp(&nearest(*b)))?;
        Some(
            found
                .into_iter()
                .map(|(at, was_tried)| {
                    let is_now = was_tried && at == is_now;
                    let to = if is_now { now } else { at };
                    let shift = Shift { dimension: dimension.to_owned(), from: Some(now), to: Some(to) };
                    Place {
                        shifts: if is_now { Vec::new() } else { vec![shift] },
                        words: self.said(dimension, to),
                        is_now,
                        tried: was_tried,
                    }
                })
                .collect(),
        )
    }

    fn scale(&self, dimension: &str) -> Option<Scale> {
        let knob = self.numbers.get(dimension)?;
        Scale::of(dimension, &knob.domain)
    }

    fn allows(&self, dimension: &str, scale: Scale, coordinate: f64) -> bool {
        let number = scale.number(coordinate);
        match self.numbers.get(dimension).map(|knob| &knob.domain) {
            Some(Domain::Int { min, max, .. }) => (*min as f64..=*max as f64).contains(&number),
            Some(Domain::Float { min, max, .. }) => (*min..=*max).contains(&number),
            _ => false,
        }
    }

    /// A coordinate in the knob's own units.
    fn said(&self, dimension: &str, coordinate: f64) -> String {
        let domain = self.numbers.get(dimension).map(|knob| &knob.domain);
        match (self.scale(dimension), domain) {
            (Some(scale), Some(Domain::Int { .. })) => format!("{:.0}", scale.number(coordinate)),
            (Some(scale), _) => words::value(&Value::Float(rounded(rounded(scale.number(coordinate), 2), 6))),
            _ => match dimension {
                "network.depth" => format!("{coordinate:.0} blocks"),
                "network.taper" => format!("the last block ×{} of the first", rounded(coordinate.exp2(), 2)),
                "network.residual" => format!("{:.0} % of the blocks", 50.0 * coordinate),
                // A switch, a name, a kind of item: all of it is 2.
                _ if coordinate >= 1.0 => "in".into(),
                _ => "out".into(),
            },
        }
    }

    /// The knobs of the incumbent that nothing has turned, what is expected to matter most first.
    fn untried(&self, turned: &Turned) -> Vec<String> {
        let of_the_design = |dimension: &&str| {
            let path = dimension.split('=').next().unwrap_or(dimension);
            // Which kinds of items there are is no knob; that a number is off is told by the number.
            !(dimension.ends_with("=off") || ["network", "loss", "augment"].contains(&path) && dimension.contains('='))
        };
        let all: BTreeSet<&str> = self
            .profile
            .dimensions()
            .map(|(dimension, _)| dimension)
            .filter(of_the_design)
            .map(|dimension| knob_of(dimension, &self.choices))
            .filter(|knob| {
                let off = format!("{knob}=off");
                !turned.tries.contains_key(*knob) && !turned.places.contains_key(&off)
            })
            .collect();
        let mut all: Vec<&str> = all.into_iter().collect();
        // Stable: what is expected to matter equally stays in alphabetical order.
        all.sort_by(|a, b| relevance(b).total_cmp(&relevance(a)));
        all.into_iter().take(MOST_UNTRIED).map(str::to_owned).collect()
    }
}

/// A place of a knob.
struct Place {
    /// How the incumbent gets there.
    shifts: Vec<Shift>,
    words: String,
    is_now: bool,
    tried: bool,
}

/// The standard deviation, of a population.
fn spread(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Keeps the ends and so many evenly between them.
fn thin(places: &mut Vec<f64>, most: usize) {
    if places.len() > most {
        let last = places.len() - 1;
        *places = (0..most).map(|index| places[index * last / (most - 1)]).collect();
    }
}

/// The candidates that are expected to gain most, no two of which turn the same knob.
fn leads(pool: &[Candidate], belief: &Belief<'_>, incumbent: &Spec, known: Known<'_>) -> Vec<Lead> {
    let outlook = belief.outlook(&pool.iter().map(|candidate| candidate.change.clone()).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.sort_by(|a, b| outlook.mean[*b].total_cmp(&outlook.mean[*a]));
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for index in order {
        let touched: BTreeSet<&str> = pool[index]
            .change
            .shifts
            .iter()
            .filter(|shift| shift.sign() != 0)
            .map(|shift| shift.dimension.split('=').next().unwrap_or(&shift.dimension))
            .collect();
        if found.len() == MOST_LEADS {
            break;
        }
        if touched.is_disjoint(&taken) && is_apart(&pool[index], known) {
            taken.extend(touched);
            found.push(Lead {
                change: said(&pool[index], incumbent),
                expected: outlook.mean[index],
                deviation: outlook.deviation[index],
            });
        }
    }
    found
}

/// A change in the language's own terms where it is short, and by its title where it is not.
fn said(candidate: &Candidate, incumbent: &Spec) -> String {
    let changes = knob_changes(incumbent, &candidate.spec);
    const FEW: usize = 3;
    let plain = |text: &Option<String>| text.as_ref().is_none_or(|text| text.chars().count() <= 40);
    if changes.len() <= FEW && changes.iter().all(|change| plain(&change.from) && plain(&change.to)) {
        return changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    }
    words::title(&candidate.drawn.edits.iter().map(|edit| edit.text.clone()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
