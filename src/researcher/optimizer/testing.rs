//! A small past for tests, made of real records.

use crate::research::event::Event;
use crate::research::evidence::{Evidence, evidence};
use crate::research::history::History;
use crate::research::near_miss::{NearMiss, near_misses};
use crate::research::rules::Rules;
use crate::research::sample;
use crate::research::settings::{Breadth, PhaseSettings};
use crate::research::trial::{KnobChange, TrialRecord, Verdict};
use crate::researcher::briefing::{Briefing, Pending};
use crate::spec::cost::Budget;
use crate::spec::facts::{long_folds, side_by_side};
use crate::spec::{DataFacts, Spec, diff};

/// Data of the demo's size.
pub(crate) fn facts() -> DataFacts {
    DataFacts {
        feature_sets: side_by_side([("alpha", 20), ("beta", 20), ("gamma", 20)]),
        features: 60,
        targets: ["one_20", "two_20", "one_60", "two_60"].map(String::from).to_vec(),
        rows: 36_000,
        eras: 120,
        folds: long_folds(4),
        seeds: 3,
    }
}

/// A budget that the baseline is far below.
pub(crate) fn budget() -> Budget {
    Budget { params: 20_000_000, replica_bytes: 1 << 32, at_once: 2, flops: 1e18, seconds: f64::INFINITY, rates: None }
}

/// A lab's history in the making.
pub(crate) struct Lab {
    pub(crate) history: History,
    pub(crate) incumbent: Spec,
    pub(crate) phase: PhaseSettings,
    pub(crate) rules: Rules,
    pub(crate) facts: DataFacts,
    pub(crate) budget: Budget,
    pub(crate) seconds_left: Option<f64>,
    pub(crate) pending: Vec<Pending>,
}

impl Lab {
    /// A lab with a measured baseline.
    pub(crate) fn new(baseline: &str) -> Self {
        let incumbent = Spec::parse(baseline, "test").expect("a valid baseline");
        let mut record = sample::baseline(0.010);
        record.proposal.spec = baseline.to_owned();
        record.spec_hash = Some(incumbent.hash());
        Self {
            history: History::from_events(&[Event::TrialEnded { record: Box::new(record) }]),
            incumbent,
            phase: PhaseSettings {
                brief: "One focused change at a time.".into(),
                ..PhaseSettings::new("explore", Breadth::Focused)
            },
            rules: Rules::default(),
            facts: facts(),
            budget: budget(),
            seconds_left: None,
            pending: Vec::new(),
        }
    }

    /// The record of a trial of this spec against the incumbent, not yet in the history.
    pub(crate) fn record(&self, spec: &str, verdict: Verdict, delta: f64) -> TrialRecord {
        let parsed = Spec::parse(spec, "test").ok();
        let mut record =
            sample::judged(self.history.next_trial(), "architecture", &[], (verdict == Verdict::Keep, delta, 0.2));
        record.verdict = verdict;
        record.incumbent = self.history.incumbent().map(|incumbent| incumbent.trial);
        record.proposal.spec = spec.to_owned();
        record.spec_hash = parsed.as_ref().map(Spec::hash);
        record.changes = parsed.map(|parsed| changes(&self.incumbent, &parsed)).unwrap_or_default();
        if !matches!(verdict, Verdict::Keep | Verdict::Discard) {
            record.measurement = None;
            record.judgement = None;
        }
        record
    }

    /// Adds a trial.
    pub(crate) fn trial(&mut self, spec: &str, verdict: Verdict, delta: f64) {
        let record = self.record(spec, verdict, delta);
        self.add(record);
    }

    /// Adds a record; a keep is the incumbent from then on.
    pub(crate) fn add(&mut self, record: TrialRecord) {
        if record.verdict == Verdict::Keep {
            self.incumbent = Spec::parse(&record.proposal.spec, "test").expect("what was kept is valid");
        }
        self.history.apply(&Event::TrialEnded { record: Box::new(record) });
    }

    /// A candidate that waits for its verdict.
    pub(crate) fn wait(&mut self, spec: &Spec) {
        self.pending.push(Pending {
            title: "waits".into(),
            category: "architecture".into(),
            spec: spec.clone(),
            spec_hash: spec.hash(),
            changes: changes(&self.incumbent, spec),
        });
    }

    /// Calls with the briefing of this moment.
    pub(crate) fn brief<T>(&self, call: impl FnOnce(&Briefing<'_>) -> T) -> T {
        call(&self.briefing(&near_misses(&self.history, 6), &evidence(&self.history)))
    }

    /// The briefing of this moment.
    pub(crate) fn briefing<'a>(&'a self, misses: &'a [NearMiss], evidence: &'a Evidence) -> Briefing<'a> {
        Briefing {
            program: "Raise the payout.",
            learnings: "# Learnings\n\nNothing is known yet.\n",
            incumbent: &self.incumbent,
            incumbent_record: self.history.incumbent(),
            history: &self.history,
            phase: &self.phase,
            breadth: self.phase.breadth,
            widened: None,
            pending: &self.pending,
            view: None,
            plateau: None,
            near_misses: misses,
            rules: &self.rules,
            rules_text: "",
            evidence,
            facts: &self.facts,
            protocol_summary: "4 folds over 120 eras, embargo 16, seeds 42, 17, 73. Payout = 0.75·CORR + 2.25·BMC.",
            min_effect: 0.0005,
            level: 0.0005,
            hints: &[],
            trials_left: Some(12),
            seconds_left: self.seconds_left,
            tokens_left: None,
            usd_left: None,
            budget: &self.budget,
        }
    }
}

/// What differs, as a record holds it.
pub(crate) fn changes(from: &Spec, to: &Spec) -> Vec<KnobChange> {
    let convert = |change: diff::Change| KnobChange { path: change.path, from: change.from, to: change.to };
    diff::changes(from, to).into_iter().map(convert).collect()
}
