//! What the gate decided about a candidate, and in which words.

use super::contrast::Contrast;
use crate::research::trial::{Judgement, JudgementKind};
use crate::research::words::{count, folds_of};

/// How a race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Proven better: a keep.
    Better,
    /// Smaller and as good: a keep of its own kind.
    Simpler,
    /// Proven better, by less than counts.
    Small,
    /// Ahead to the last, and not proven better.
    Undecided,
    /// Ahead, with too small a chance of being kept.
    Futile,
    /// Not ahead.
    Worse,
    /// It made the incumbent's own predictions: what it changes has no effect.
    Same,
}

impl Kind {
    /// Whether the candidate is kept.
    pub fn keep(self) -> bool {
        matches!(self, Self::Better | Self::Simpler)
    }
}

/// The gate's decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// How the race ended.
    pub kind: Kind,
    /// Why, as the beginning of a sentence.
    pub words: String,
    /// The comparison that decided.
    pub contrast: Contrast,
    /// One-sided p-value of a difference above zero.
    pub p_value: f64,
    /// Whole seeds of the candidate.
    pub seeds: usize,
    /// Its cells.
    pub cells: usize,
    /// The folds of a whole seed.
    pub folds: usize,
    /// The candidate's first seed.
    pub first_seed: u64,
    /// The level of the whole trial.
    pub level: f64,
    /// What the p-value had to be below at this look; None where the race ended between looks.
    pub bound: Option<f64>,
    /// The chance of being kept at the last look.
    pub chance: f64,
}

impl Ruling {
    /// The judgement for the record.
    pub fn judgement(&self) -> Judgement {
        let eras = self.contrast.eras;
        // Of the same predictions under the same seeds nothing is luck, whatever the incumbent's other seeds came to.
        let same = self.kind == Kind::Same;
        let (delta, error) = if same { (0.0, 0.0) } else { (self.contrast.delta, self.contrast.variance().sqrt()) };
        let seeds = match (self.seeds, self.cells) {
            // Until the first seed is whole no other is begun, so that each fold has one cell.
            (0, cells) => folds_of(cells, Some(self.folds), &format!("seed {}", self.first_seed)),
            (seeds, cells) => match cells.saturating_sub(seeds * self.folds) {
                0 => count(seeds, "seed"),
                more => format!("{}, {} of the next", count(seeds, "seed"), count(more, "cell")),
            },
        };
        let against = match (self.kind, self.bound) {
            (Kind::Better, Some(bound)) => format!(", p {} below {}", short(self.p_value), short(bound)),
            (Kind::Undecided | Kind::Small, Some(bound)) => {
                format!(", p {} for {}", short(self.p_value), short(bound))
            }
            (Kind::Worse | Kind::Same, _) => String::new(),
            _ => format!(", p {}", short(self.p_value)),
        };
        Judgement {
            keep: self.kind.keep(),
            kind: match self.kind {
                Kind::Better => JudgementKind::Better,
                Kind::Simpler => JudgementKind::Simpler,
                Kind::Undecided => JudgementKind::Undecided,
                Kind::Small | Kind::Futile | Kind::Worse | Kind::Same => JudgementKind::NotBetter,
            },
            delta,
            standard_error: error,
            p_value: self.p_value,
            seeds: self.seeds,
            folds: Some(self.folds),
            level: Some(self.level),
            bound: self.bound,
            between_seeds: Some(
                self.contrast.seed_variance(self.contrast.candidate_seeds, self.contrast.incumbent_seeds).sqrt(),
            )
            .filter(|_| !same),
            between_eras: Some(self.contrast.era_variance_now.sqrt()).filter(|_| !same),
            degrees_of_freedom: Some(self.contrast.degrees_of_freedom()).filter(|freedom| freedom.is_finite() && !same),
            reason: if same {
                format!("{} over {seeds} and {eras} eras", self.words)
            } else {
                format!("{}: {delta:+.4} ± {error:.4} over {seeds} and {eras} eras{against}", self.words)
            },
        }
    }
}

/// A probability in a sentence; four digits of a tiny one would read as an impossible 0.
pub(in crate::research) fn short(p: f64) -> String {
    match p {
        p if p < 1e-12 => "<1e-12".into(),
        p if p < 1e-3 => format!("{p:.1e}"),
        p => format!("{p:.4}"),
    }
}
