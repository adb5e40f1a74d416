//! How the loop decides, as a person writes it in autoresearch.yaml: the phases of the search.

use serde::{Deserialize, Serialize};

/// How far from the incumbent a phase's proposals may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Breadth {
    /// One knob, a small step.
    Narrow,
    /// One or two focused changes of any size.
    Focused,
    /// Two or three changes together, near misses among them.
    Combined,
    /// Anything.
    Wide,
}

impl Breadth {
    /// Every breadth, each wider than the one before.
    pub const ALL: [Self; 4] = [Self::Narrow, Self::Focused, Self::Combined, Self::Wide];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Focused => "focused",
            Self::Combined => "combined",
            Self::Wide => "wide",
        }
    }

    /// So many steps wider, as far as there is anything wider.
    pub fn widened(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps).min(Self::ALL.len() - 1)]
    }
}

/// One phase of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSettings {
    /// Its name, as it stands in commits and in the status.
    pub name: String,
    /// What the researcher is told about it.
    pub brief: String,
    /// How broad its changes are.
    pub breadth: Breadth,
    /// Categories that it prefers; empty: any.
    #[serde(default)]
    pub categories: Vec<String>,
    /// It ends after this many trained trials at the latest; None: only a plateau ends it.
    #[serde(default)]
    pub trials: Option<u32>,
    /// It ends after this many discards in a row; None: the session's plateau.
    #[serde(default)]
    pub plateau: Option<u32>,
    /// Candidates that an LLM is asked for in one round.
    #[serde(default = "candidates")]
    pub candidates: u32,
    /// Share of the proposals that put earlier trials together (near misses, good trials of different lines); None: what
    /// goes with the breadth.
    #[serde(default)]
    pub combinations: Option<f64>,
}

/// Candidates a round where nothing else is said.
fn candidates() -> u32 {
    4
}

impl PhaseSettings {
    /// A phase by its name and breadth, everything else left out.
    pub fn new(name: &str, breadth: Breadth) -> Self {
        Self {
            name: name.to_owned(),
            brief: String::new(),
            breadth,
            categories: Vec::new(),
            trials: None,
            plateau: None,
            candidates: candidates(),
            combinations: None,
        }
    }
}

/// What happens after a plateau in the last phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenConverged {
    /// Begin again with the first phase.
    #[default]
    Continue,
    /// End the session.
    Stop,
}
