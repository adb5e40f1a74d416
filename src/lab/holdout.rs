//! .autoresearch/holdout.jsonl: what the holdout has answered, one line a query. Only people read it: it is untracked, private
//! to its owner, and nothing that a researcher, a log or a commit is made from looks into it (a test keeps that).
//!
//! How often it was asked stands here and in the ledger, without a score there. The larger count is the one that holds, so
//! that neither a lost file nor a lost ledger gives queries back.

use std::io::ErrorKind;

use jiff::Timestamp;
use prepare::evaluate::EraScore;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::error::LabError;
use super::layout::Lab;
use crate::research::event::Event;

/// The version of a line.
const VERSION: u32 = 1;

/// A mean over eras, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error over eras; None where there are too few to tell.
    pub standard_error: Option<f64>,
}

/// The three scores of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// The objective's weighted sum of the other two.
    pub payout: Estimate,
    /// CORR.
    pub corr: Estimate,
    /// Contribution beyond the benchmark.
    pub bmc: Estimate,
}

/// What one query was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of the line.
    v: u32,
    /// Which query it was, counted from 1.
    pub query: u32,
    /// When.
    pub time: Timestamp,
    /// The trial whose spec was scored.
    pub trial: u32,
    /// Canonical hash of the spec.
    pub spec_hash: String,
    /// The protocol's hash.
    pub protocol_hash: String,
    /// The data's hash.
    pub data_hash: String,
    /// The seeds that it was trained with.
    pub seeds: Vec<u64>,
    /// Its scores on the holdout.
    #[serde(flatten)]
    pub scores: Estimates,
    /// Each era's mean over seeds, ascending.
    pub eras: Vec<EraScore>,
}

/// What a query is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The trial.
    pub trial: u32,
    /// Canonical hash of its spec.
    pub spec_hash: String,
    /// The protocol's hash.
    pub protocol_hash: String,
    /// The data's hash.
    pub data_hash: String,
}

impl Answer {
    /// An answer, as it is written.
    pub fn new(
        query: u32,
        time: Timestamp,
        subject: Subject,
        seeds: Vec<u64>,
        scores: Estimates,
        eras: Vec<EraScore>,
    ) -> Self {
        let Subject { trial, spec_hash, protocol_hash, data_hash } = subject;
        Self { v: VERSION, query, time, trial, spec_hash, protocol_hash, data_hash, seeds, scores, eras }
    }

    /// Whether it answers a question about this: the same spec, trained and scored under the same protocol on the same data,
    /// whichever trial it was.
    pub fn is_about(&self, subject: &Subject) -> bool {
        self.spec_hash == subject.spec_hash
            && self.protocol_hash == subject.protocol_hash
            && self.data_hash == subject.data_hash
    }
}

/// Everything that the holdout has answered, oldest first.
///
/// # Errors
/// [`LabError::Io`]; [`LabError::HoldoutUnreadable`] for a line that is none. No file is no answer.
pub fn read(lab: &Lab) -> Result<Vec<Answer>, LabError> {
    let path = lab.holdout();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LabError::io("read it", &path, error)),
    };
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let answers = lines.map(|(index, line)| {
        // What a line holds is not repeated: an error may end up in a log.
        let unreadable = |message: &str| LabError::HoldoutUnreadable {
            path: path.clone(),
            line: index + 1,
            message: message.to_owned(),
        };
        let answer: Answer = serde_json::from_slice(line).map_err(|_| unreadable("it is no answer of the holdout"))?;
        if answer.v != VERSION {
            return Err(unreadable(&format!("it is of version {}, and this program reads {VERSION}", answer.v)));
        }
        Ok(answer)
    });
    answers.collect()
}

/// Adds an answer, and returns once it is on the disk.
///
/// # Errors
/// Those of [`read`]; [`LabError::Io`], and what was there before is still there.
pub fn add(lab: &Lab, answer: &Answer) -> Result<(), LabError> {
    let mut answers = read(lab)?;
    answers.push(answer.clone());
    let mut text = String::new();
    for answer in &answers {
        text.push_str(
            &serde_json::to_string(answer)
                .map_err(|error| LabError::io("write it", &lab.holdout(), std::io::Error::other(error)))?,
        );
        text.push('\n');
    }
    lab.make_state()?;
    atomic::replace_private(&lab.holdout(), text.as_bytes())
}

/// How often the holdout was asked, by both accounts of it.
pub fn queries<'e>(answers: &[Answer], events: impl IntoIterator<Item = &'e Event>) -> u32 {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let told: Vec<u32> = events
        .into_iter()
        .filter_map(|event| match event {
            Event::HoldoutQueried { query, .. } => Some(*query),
            _ => None,
        })
        .collect();
    let numbers = answers.iter().map(|answer| answer.query).chain(told.iter().copied());
    numbers.chain([count(answers.len()), count(told.len())]).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn answer(query: u32, hash: &str) -> Answer {
        let estimate = Estimate { mean: 0.0123, standard_error: None };
        let subject =
            Subject { trial: query + 3, spec_hash: hash.into(), protocol_hash: "p".into(), data_hash: "d".into() };
        let scores = Estimates { payout: estimate, corr: estimate, bmc: estimate };
        let eras = vec![EraScore { era: 5, corr: 0.1, bmc: 0.2, payout: 0.3 }];
        Answer::new(query, Timestamp::UNIX_EPOCH, subject, vec![42], scores, eras)
    }

    fn asked(query: u32) -> Event {
        Event::HoldoutQueried { trial: 3, spec_hash: "h".into(), query, budget: 10 }
    }

    fn lab(folder: &std::path::Path) -> Lab {
        std::fs::write(folder.join("autoresearch.yaml"), "version: 1\n").expect("written");
        Lab::open(folder).expect("a lab")
    }

    #[test]
    fn answers_are_private_and_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(folder.path());
        assert!(read(&lab).expect("no file is no answer").is_empty());
        add(&lab, &answer(1, "a")).expect("written");
        add(&lab, &answer(2, "b")).expect("written");
        assert_eq!(read(&lab).expect("read"), [answer(1, "a"), answer(2, "b")]);
        let mode = std::fs::metadata(lab.holdout()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let subject = |hash: &str, data: &str| Subject {
            trial: 9,
            spec_hash: hash.into(),
            protocol_hash: "p".into(),
            data_hash: data.into(),
        };
        assert!(answer(1, "a").is_about(&subject("a", "d")), "whichever trial it was");
        assert!(!answer(1, "a").is_about(&subject("b", "d")) && !answer(1, "a").is_about(&subject("a", "e")));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line_and_not_repeated() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(folder.path());
        add(&lab, &answer(1, "a")).expect("written");
        let whole = std::fs::read_to_string(lab.holdout()).expect("read");
        for (damaged, said) in [
            (format!("{whole}{{\"payout\": 0.0777}}\n"), "line 2: it is no answer"),
            (whole.replace("\"v\":1", "\"v\":2"), "line 1: it is of version 2"),
        ] {
            std::fs::write(lab.holdout(), &damaged).expect("written");
            let error = read(&lab).expect_err("refused").to_string();
            assert!(error.contains(said) && !error.contains("0.07"), "{error}");
            assert!(add(&lab, &answer(2, "b")).is_err());
            assert_eq!(std::fs::read_to_string(lab.holdout()).expect("read"), damaged, "it is left as it is");
        }
    }

    #[test]
    fn the_larger_account_holds() {
        let answers = [answer(1, "a"), answer(2, "b")];
        assert_eq!(queries(&[], &[]), 0);
        assert_eq!(queries(&answers, &[]), 2, "a lost ledger gives nothing back");
        assert_eq!(queries(&[], &[asked(1), asked(2), asked(3)]), 3, "nor does a lost file");
        assert_eq!(queries(&answers[..1], &[asked(4)]), 4);
        assert_eq!(queries(&[answer(5, "a")], &[asked(1)]), 5);
        assert_eq!(queries(&answers, &[asked(1), asked(1), asked(1)]), 3, "counted, where numbers repeat");
    }
}
