//! The files of a trial: what the notebook keeps of it, as a pure function of its record. The loop writes them after a
//! verdict, and recovery writes the same ones if the loop died before.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::ser::{Formatter, Serializer};

use super::layout::{MODEL, trial_folder};
use crate::research::remeasure::Remeasurement;
use crate::research::trial::{TrialRecord, Verdict};
use crate::research::words::{count, over, p_value, round};

/// Name of the proposed spec in a trial's folder.
pub const SPEC: &str = "spec.yaml";
/// Name of the record in a trial's folder.
pub const RESULT: &str = "result.json";
/// Name of the page for people in a trial's folder.
pub const NOTES: &str = "notes.md";

/// Name of the last re-measurement in a trial's folder.
pub const REMEASURED: &str = "remeasured.json";

/// The files of a trial, paths relative to the lab: the spec as proposed, the record, a page for people; and for a
/// keep model.yaml, which then is that spec.
///
/// # Errors
/// A record that JSON has no words for.
pub fn trial_files(record: &TrialRecord) -> Result<Vec<(PathBuf, Vec<u8>)>, serde_json::Error> {
    let folder = trial_folder(record.trial);
    let spec = record.proposal.spec.clone().into_bytes();
    let mut files = vec![
        (folder.join(SPEC), spec.clone()),
        (folder.join(RESULT), result(record)?),
        (folder.join(NOTES), notes(record).into_bytes()),
    ];
    if record.verdict == Verdict::Keep {
        files.push((Path::new(MODEL).to_path_buf(), spec));
    }
    Ok(files)
}

/// A re-measurement as JSON.
///
/// # Errors
/// A number that JSON has no word for.
pub fn remeasured(found: &Remeasurement) -> Result<Vec<u8>, serde_json::Error> {
    json(found)
}

/// The record as JSON, one line a field, so that two results can be compared with a diff.
fn result(record: &TrialRecord) -> Result<Vec<u8>, serde_json::Error> {
    json(record)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, FieldPerLine::default()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The trial's page for people.
fn notes(record: &TrialRecord) -> String {
    let proposal = &record.proposal;
    let mut page =
        format!("# {} {}: {}\n\n{}\n", record.verdict, record.folder(), line(&proposal.title), line(&record.reason));
    page += &format!("\n## Hypothesis\n\n{}\n", quoted(&proposal.hypothesis));
    let expected = proposal.expected_effect.map_or(String::new(), |effect| format!(", expecting {effect:+.5}"));
    page += &format!(
        "\nProposed by {} in phase {}, category {}{expected}.\n",
        line(&proposal.researcher),
        line(&record.phase),
        line(&proposal.category)
    );
    if let Some(round) = round(record) {
        page += &format!("From {round}.\n");
    }
    if let Some(incumbent) = record.incumbent {
        page += &format!("\n## Changes from the incumbent, trial {incumbent:06}\n\n");
        if record.changes.is_empty() {
            page += "None.\n";
        }
        for change in &record.changes {
            page += &format!("- {}\n", line(&change.to_string()));
        }
    }
    if let Some(measured) = &record.measurement {
        let found = &measured.evaluation;
        let of = over(record).map_or_else(String::new, |of| format!(" over {of}"));
        page += &format!("\n## Result{of}\n\n| | payout | CORR | BMC |\n|---|---|---|---|\n");
        page += &format!("| mean | {:.5} | {:.5} | {:.5} |\n", found.payout, found.corr.mean, found.bmc.mean);
        if let Some(theirs) = record.compared_with() {
            page += &format!("| incumbent, same eras | {theirs:.5} | | |\n");
        }
        for seed in &found.seeds {
            let part = if measured.scores.has(seed.seed) { "" } else { ", in part" };
            page +=
                &format!("| seed {}{part} | {:.5} | {:.5} | {:.5} |\n", seed.seed, seed.payout, seed.corr, seed.bmc);
        }
        for fold in &found.folds {
            page += &format!("| fold {} | {:.5} | | |\n", fold.fold, fold.payout);
        }
        page += &format!(
            "\nCorrelation with the benchmark {:.4}. {} parameters a net, {:.0} s on {}, {:.0} rows/s.\n",
            found.corr_with_benchmark,
            measured.params,
            measured.wall_seconds,
            line(&measured.device),
            measured.rows_per_second
        );
    }
    if let Some(judged) = &record.judgement {
        page += &format!(
            "\n## Judgement\n\n{:+.5} against the incumbent, standard error {:.5}, {}, over {}.\n",
            judged.delta,
            judged.standard_error,
            p_value(judged.p_value),
            over(record).map_or_else(
                || "nothing that was kept".into(),
                |of| format!("{of}, in {}", count(eras(record), "era"))
            ),
        );
        // As a rule it is why the trial ended so, which stands at the top.
        if !record.reason.contains(&judged.reason) {
            page += &format!("\nThe gate: {}\n", line(&judged.reason));
        }
    }
    page
}

/// Eras that a trial was measured in.
fn eras(record: &TrialRecord) -> usize {
    record.measurement.as_ref().map_or(0, |measured| measured.evaluation.eras.len())
}

/// Foreign text on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Foreign text as a quotation, so that headings in it are not taken for ours.
fn quoted(text: &str) -> String {
    if text.trim().is_empty() {
        return "None given.".into();
    }
    text.trim()
        .lines()
        .map(|each| format!("> {}", each.trim_end()).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// JSON with every field of the objects that are in no list on a line of its own, and lists on one line.
#[derive(Default)]
struct FieldPerLine {
    objects: usize,
    lists: usize,
}

impl FieldPerLine {
    fn new_line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.objects).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for FieldPerLine {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.objects += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.objects -= 1;
        if self.lists == 0 {
            self.new_line(writer)?;
        }
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        match (self.lists, first) {
            (0, _) => self.new_line(writer),
            (_, true) => Ok(()),
            (_, false) => writer.write_all(b" "),
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.lists += 1;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.lists -= 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

#[cfg(test)]
pub(crate) use tests::sample;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::trial::{
        Judgement, JudgementKind, KnobChange, Measurement, Origin, Proposal, RECORD_VERSION, Scores, SeedPayouts, Usage,
    };

    /// A record with everything in it.
    pub(crate) fn sample(trial: u32, verdict: Verdict) -> TrialRecord {
        let summary = serde_json::json!({
            "mean": 0.01, "std": 0.02, "sharpe": 0.5, "max_drawdown": 0.1, "positive_share": 0.6, "autocorrelation": 0.1
        });
        let evaluation = serde_json::json!({
            "payout": 0.0182, "corr": summary, "bmc": summary, "corr_with_benchmark": 0.31,
            "seeds": [{"seed": 42, "payout": 0.0182, "corr": 0.01, "bmc": 0.005}],
            "folds": [{"fold": 0, "payout": 0.02}],
            "eras": [{"era": 1, "corr": 0.01, "bmc": 0.005, "payout": 0.0182}]
        });
        TrialRecord {
            version: RECORD_VERSION,
            trial,
            verdict,
            reason: "mean gain 0.0013 over 3 seeds".into(),
            proposal: Proposal {
                title: "GELU in every block".into(),
                hypothesis: "# Smooth activations\nhelped twice".into(),
                category: "activation".into(),
                expected_effect: Some(0.001),
                spec: format!("version: 1\n# trial {trial}\nnetwork: []\n"),
                researcher: "optimizer".into(),
                parents: Vec::new(),
                usage: Usage::default(),
            },
            phase: "explore".into(),
            phase_why: None,
            origin: None,
            spec_hash: Some(format!("{trial:016x}")),
            protocol_hash: "p".into(),
            data_hash: "d".into(),
            incumbent: trial.checked_sub(1),
            changes: vec![KnobChange {
                path: "network[0].dense.activation".into(),
                from: Some("relu".into()),
                to: Some("gelu".into()),
            }],
            measurement: Some(Measurement {
                evaluation: serde_json::from_value(evaluation).expect("an evaluation"),
                scores: Scores { eras: vec![1], seeds: vec![SeedPayouts { seed: 42, payout: vec![0.0182] }] },
                wall_seconds: 12.5,
                rows_per_second: 50_000.0,
                params: 4_321,
                device: "cpu".into(),
            }),
            judgement: Some(Judgement {
                keep: verdict == Verdict::Keep,
                kind: if verdict == Verdict::Keep { JudgementKind::Better } else { JudgementKind::NotBetter },
                delta: 0.0013,
                standard_error: 0.0004,
                p_value: 0.002,
                seeds: 3,
                folds: Some(4),
                level: Some(0.0005),
                bound: None,
                between_seeds: Some(0.0003),
                between_eras: Some(0.0002),
                degrees_of_freedom: Some(17.5),
                reason: "above the minimum effect".into(),
            }),
            wall_seconds: 13.0,
            started: format!("2026-03-01T22:{:02}:00Z", trial % 60),
            ended: format!("2026-03-01T22:{:02}:30Z", trial % 60),
        }
    }

    #[test]
    fn a_keep_brings_the_model_and_other_verdicts_do_not() {
        let names = |verdict| -> Vec<String> {
            let files = trial_files(&sample(42, verdict)).expect("files");
            files.into_iter().map(|(path, _)| path.display().to_string()).collect()
        };
        let always = ["runs/000042/spec.yaml", "runs/000042/result.json", "runs/000042/notes.md"];
        assert_eq!(names(Verdict::Discard), always);
        assert_eq!(names(Verdict::Keep), [&always[..], &["model.yaml"]].concat());
    }

    #[test]
    fn the_record_reads_back_whole_and_stands_one_field_a_line() {
        let record = sample(3, Verdict::Discard);
        let text = String::from_utf8(result(&record).expect("JSON")).expect("UTF-8");
        assert_eq!(serde_json::from_str::<TrialRecord>(&text).expect("read back"), record);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..3], ["{", "  \"version\": 1,", "  \"trial\": 3,"]);
        assert!(
            lines.contains(&"      \"eras\": [{\"era\": 1, \"corr\": 0.01, \"bmc\": 0.005, \"payout\": 0.0182}]"),
            "{text}"
        );
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn a_page_says_the_reason_once_and_what_was_measured_in_part() {
        let mut record = sample(9, Verdict::Discard);
        record.reason = "too little hope: +0.0013 ± 0.0004 over 1 seed".into();
        record.origin = Some(Origin { round: 12, spec_hash: "h".into(), against: 2 });
        let measured = record.measurement.as_mut().expect("measured");
        measured.evaluation.seeds.push(prepare::SeedScore { seed: 17, payout: 0.01, corr: 0.01, bmc: 0.005 });
        let page = notes(&record);
        assert!(page.contains("\n## Judgement\n\n+0.00130 against the incumbent, standard error 0.00040, p 0.002, over 1 seed and part of seed 17, in 1 era.\n\nThe gate: above the minimum effect\n"), "{page}");
        record.judgement.as_mut().expect("judged").reason = record.reason.clone();
        let page = notes(&record);
        assert_eq!(page.matches("too little hope").count(), 1, "{page}");
        assert!(page.contains("| seed 42 | 0.01820") && page.contains("| seed 17, in part | 0.01000"), "{page}");
        let whence = "\nFrom round 12 of optimizer, candidate put onto trial 000008 (proposed against 000002).\n";
        assert!(page.contains(whence), "{page}");
    }

    #[test]
    fn foreign_text_cannot_pose_as_a_section() {
        let page = notes(&sample(3, Verdict::Discard));
        assert!(page.starts_with("# discard 000003: GELU in every block\n\nmean gain"), "{page}");
        assert!(page.contains("> # Smooth activations\n> helped twice\n"), "{page}");
        assert!(page.contains("- network[0].dense.activation relu → gelu\n"), "{page}");
        assert!(page.contains("| seed 42 | 0.01820 | 0.01000 | 0.00500 |"), "{page}");
    }
}
