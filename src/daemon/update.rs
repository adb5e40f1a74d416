//! What a session tells whoever watches it.

use super::session::Session;
use crate::research::trial::TrialRecord;

/// One piece of news.
#[derive(Clone, Debug)]
pub enum Update {
    /// Something that people should know, in a sentence.
    Note(String),
    /// A step of the preparation, with rows or eras done of how many where that is known.
    Preparing {
        /// The step.
        step: String,
        /// Done, and in all.
        rows: Option<(u64, u64)>,
    },
    /// The session begins.
    Session {
        /// The notebook's branch.
        branch: String,
        /// The device in words.
        device: String,
        /// Who proposes.
        researcher: String,
        /// Trained trials that are asked for, if that is limited.
        trials: Option<u32>,
    },
    /// The search entered a phase.
    Phase {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The researcher is asked.
    Proposing {
        /// The trial it is for.
        trial: u32,
    },
    /// A trial goes into training.
    Training {
        /// Its number.
        trial: u32,
        /// What is tried.
        title: String,
        /// What differs from the incumbent, in words.
        changes: Vec<String>,
    },
    /// Nets trained of the current trial.
    Nets {
        /// Done.
        done: usize,
        /// In all, as far as is known: more seeds follow if the first passes.
        total: usize,
        /// In words: `seed 42`.
        stage: String,
    },
    /// A kept spec is measured under further seeds.
    Measuring {
        /// Its trial.
        trial: u32,
        /// How many seeds.
        seeds: usize,
        /// What for, in words.
        why: String,
    },
    /// A proposal of an audit goes through the gate.
    Auditing {
        /// Which, from 1.
        number: u32,
        /// Of how many.
        of: u32,
        /// The planted gain.
        planted: f64,
    },
    /// A trial came to its verdict and is in the notebook.
    Ended(Box<TrialRecord>),
    /// The session is over.
    Finished {
        /// Why.
        reason: String,
    },
}

impl Session<'_> {
    /// Says that what an earlier session left unjudged comes first.
    pub(super) fn note_waiting(&mut self) {
        match self.history.waiting().len() {
            0 => {}
            1 => self.note("1 candidate of the last session waits, and is tried first".into()),
            several => self.note(format!("{several} candidates of the last session wait, and are tried first")),
        }
    }
}
