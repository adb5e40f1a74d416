//! What a researcher is told, put together from the session's facts and the lab's papers.

use super::propose::Papers;
use super::race::refused;
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::research::calibration::min_effect;
use crate::research::evidence::{Evidence, evidence};
use crate::research::gate::level::next_level;
use crate::research::history::History;
use crate::research::near_miss::{NearMiss, near_misses};
use crate::research::phases::{breadth_now, plateau_hint};
use crate::research::settings::{Breadth, PhaseSettings};
use crate::researcher::Optimizer;
use crate::researcher::briefing::{Briefing, Pending};
use crate::researcher::optimizer::view::View;
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec};

/// Near misses that a researcher is shown.
const NEAR_MISSES: usize = 6;

/// The session's facts that a briefing borrows.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) history: &'a History,
    pub(super) config: &'a Config,
    pub(super) facts: &'a DataFacts,
    pub(super) budget: &'a Budget,
    pub(super) papers: &'a Papers,
    pub(super) pending: &'a [Pending],
    pub(super) trials_left: Option<u32>,
    pub(super) seconds_left: Option<f64>,
    pub(super) unspent: (Option<u64>, Option<f64>),
}

/// What is computed for a briefing, and lives as long as it.
pub(super) struct Brief<'a> {
    sources: Sources<'a>,
    incumbent: Spec,
    near: Vec<NearMiss>,
    found: Evidence,
    plateau: Option<String>,
    breadth: (Breadth, Option<String>),
    hints: Vec<String>,
    level: f64,
    view: Option<View>,
}

impl<'a> Brief<'a> {
    /// Computes near misses, evidence, the phase's breadth and plateau, the hints in force and, where an optimizer is given,
    /// its view of the ledger.
    pub(super) fn new(sources: Sources<'a>, phase: &PhaseSettings, optimizer: Option<Optimizer>) -> Result<Self> {
        let Sources { history, config, .. } = sources;
        let record = history.incumbent().ok_or_else(|| Error::Internal("a briefing before the baseline".into()))?;
        let mut brief = Self {
            incumbent: Spec::parse(&record.proposal.spec, &format!("runs/{}/spec.yaml", record.folder()))?,
            near: near_misses(history, NEAR_MISSES),
            found: evidence(history),
            level: next_level(history, &config.gate).map_err(refused)?,
            plateau: plateau_hint(history, &config.phases, config.plateau),
            breadth: breadth_now(history, phase),
            hints: history.hints_in_force().map(|hint| hint.text.clone()).collect(),
            view: None,
            sources,
        };
        brief.view = optimizer.map(|mut optimizer| optimizer.view(&brief.briefing(phase)));
        Ok(brief)
    }

    /// The briefing for a phase.
    pub(super) fn briefing<'b>(&'b self, phase: &'b PhaseSettings) -> Briefing<'b> {
        let Sources { history, config, facts, budget, papers, pending, trials_left, seconds_left, unspent } =
            self.sources;
        Briefing {
            program: &papers.program,
            learnings: &papers.learnings,
            incumbent: &self.incumbent,
            incumbent_record: history.incumbent(),
            history,
            phase,
            breadth: self.breadth.0,
            widened: self.breadth.1.as_deref(),
            pending,
            view: self.view.as_ref(),
            plateau: self.plateau.as_deref(),
            near_misses: &self.near,
            rules: &papers.rules,
            rules_text: &papers.rules_text,
            evidence: &self.found,
            facts,
            protocol_summary: &papers.summary,
            min_effect: min_effect(&config.gate, history.noise_floor()),
            level: self.level,
            hints: &self.hints,
            trials_left,
            seconds_left,
            tokens_left: unspent.0,
            usd_left: unspent.1,
            budget,
        }
    }
}
