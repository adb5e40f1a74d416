//! `score`: any file of predictions against any file of truth.

use std::path::PathBuf;

use prepare::{Error, FileScore, Objective, correlation_contribution, numerai_corr, score_files};

use crate::support::{Lab, Numbers, floats, texts, write};

struct Files {
    folder: tempfile::TempDir,
    ids: Vec<String>,
    eras: Vec<String>,
    prediction: Vec<f64>,
    target: Vec<f64>,
    benchmark: Vec<f64>,
}

impl Files {
    /// Three eras of 50 rows.
    fn new() -> Files {
        let mut numbers = Numbers::new(5);
        let rows = 150;
        Files {
            folder: tempfile::tempdir().expect("a temporary folder"),
            ids: (0..rows).map(|row| format!("n{row:016x}")).collect(),
            eras: (0..rows).map(|row| format!("{:04}", 1 + row / 50)).collect(),
            prediction: (0..rows).map(|_| numbers.next()).collect(),
            target: (0..rows).map(|_| (numbers.next() * 5.0).floor() / 4.0).collect(),
            benchmark: (0..rows).map(|_| numbers.next()).collect(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self) {
        self.write_predictions();
        self.write_truth();
    }

    fn write_predictions(&self) {
        write(
            &self.path("p.parquet"),
            vec![texts("id", &self.ids), texts("era", &self.eras), floats("prediction", &self.prediction)],
        );
    }

    fn write_truth(&self) {
        write(
            &self.path("t.parquet"),
            vec![
                texts("id", &self.ids),
                texts("era", &self.eras),
                floats("target", &self.target),
                floats("benchmark", &self.benchmark),
            ],
        );
    }

    fn score(&self) -> Result<FileScore, Error> {
        let objective = Objective::preset("numerai-2026-01").expect("a preset");
        score_files(&self.path("p.parquet"), &self.path("t.parquet"), &objective)
    }

    fn refused(&self, parts: &[&str]) {
        let text = self.score().expect_err("must be refused").to_string();
        for part in parts {
            assert!(text.contains(part), "`{part}` expected in: {text}");
        }
    }
}

#[test]
fn eras_are_scored_one_by_one_and_rows_are_joined_by_id() {
    let files = Files::new();
    files.write();
    // The same predictions, backwards, with integer eras.
    let back = |values: &[String]| values.iter().rev().cloned().collect::<Vec<_>>();
    let numbers: Vec<f64> = files.eras.iter().rev().map(|era| era.parse().expect("a number")).collect();
    let eras: Vec<i64> = numbers.iter().map(|&era| era as i64).collect();
    let prediction: Vec<f64> = files.prediction.iter().rev().copied().collect();
    let era_column = polars::prelude::Column::from(<polars::prelude::Series as polars::prelude::NamedFrom<_, _>>::new(
        "era".into(),
        eras,
    ));
    let before = files.score().expect("scores");
    write(
        &files.path("p.parquet"),
        vec![texts("id", &back(&files.ids)), era_column, floats("prediction", &prediction)],
    );
    let score = files.score().expect("scores");
    assert_eq!(score, before);
    assert_eq!(score.eras.len(), 3);
    for (index, era) in score.eras.iter().enumerate() {
        let rows = index * 50..(index + 1) * 50;
        let corr = numerai_corr(&files.prediction[rows.clone()], &files.target[rows.clone()]).expect("a score");
        let bmc = correlation_contribution(
            &files.prediction[rows.clone()],
            &files.benchmark[rows.clone()],
            &files.target[rows],
        )
        .expect("a score");
        assert!((era.corr - corr).abs() < 1e-12 && (era.bmc - bmc).abs() < 1e-12);
        assert_eq!(era.era, index as u32 + 1);
    }
    assert!((score.payout - 0.75 * score.corr.mean - 2.25 * score.bmc.mean).abs() < 1e-12);
    assert!((score.bmc_last_200 - score.bmc.mean).abs() < 1e-12);
}

#[test]
fn an_era_without_a_score_is_null_and_counted() {
    let mut files = Files::new();
    files.prediction[50..100].fill(0.5);
    files.benchmark[100..].fill(f64::NAN);
    files.write();
    let score = files.score().expect("scores");
    assert_eq!((score.nan_eras.corr, score.nan_eras.bmc), (1, 1));
    let json = serde_json::to_value(&score).expect("JSON");
    assert!(json["eras"][1]["corr"].is_null() && json["eras"][1]["bmc"] == 0.0 && json["eras"][2]["bmc"].is_null());
    assert!(json["corr"]["mean"].is_number() && json["nan_eras"]["corr"] == 1);
}

#[test]
fn missing_predictions_up_to_a_fifth_are_accepted() {
    let mut files = Files::new();
    files.prediction[50..59].fill(f64::NAN);
    files.write();
    files.score().expect("18 % missing is accepted");
    files.prediction[50..62].fill(f64::NAN);
    files.write();
    files.refused(&["p.parquet, era 0002", "38 of 50 rows", "80 %"]);
}

#[test]
fn either_side_must_keep_four_fifths_of_its_own_rows() {
    // Truth of 150 rows; predictions that cover 45 of 50 rows of era 2 and name 5 or 15 rows that the truth lacks.
    for (unknown, accepted) in [(5, true), (11, true), (12, false)] {
        let mut files = Files::new();
        files.write_truth();
        files.ids.drain(50..55);
        files.eras.drain(50..55);
        files.prediction.drain(50..55);
        for row in 0..unknown {
            files.ids.push(format!("nffff{row:012x}"));
            files.eras.push("0002".into());
            files.prediction.push(0.5);
        }
        files.write_predictions();
        // 45 of 45 + 11 is 80.4 %, 45 of 45 + 12 is 78.9 %.
        if accepted {
            files.score().expect("accepted");
        } else {
            files.refused(&["p.parquet, era 0002", "45 of 57 predictions"]);
        }
    }
}

#[test]
fn files_that_do_not_match_are_refused_with_the_era() {
    let mut files = Files::new();
    files.write_truth();
    let ids = files.ids.clone();
    files.ids[..50].iter_mut().for_each(|id| id.push('x'));
    let truth = std::fs::read(files.path("t.parquet")).expect("the truth");
    files.write();
    std::fs::write(files.path("t.parquet"), truth).expect("the truth again");
    files.refused(&["era 0001", "there is no prediction"]);

    let mut files = Files::new();
    files.ids = ids;
    files.ids[7] = files.ids[6].clone();
    files.write();
    files.refused(&["column `id`, row 7", "comes twice"]);

    let mut files = Files::new();
    files.eras[149] = "x9".into();
    files.write();
    files.refused(&["column `era`, row 149", "`x9` is no era number"]);
}

#[test]
fn wrong_columns_and_broken_files_are_refused() {
    let files = Files::new();
    files.write();
    write(
        &files.path("p.parquet"),
        vec![texts("id", &files.ids), texts("era", &files.eras), floats("predictions", &files.prediction)],
    );
    files.refused(&["p.parquet", "there is no column `prediction`", "did you mean `predictions`?"]);
    write(
        &files.path("p.parquet"),
        vec![texts("id", &files.ids), texts("era", &files.eras), texts("prediction", &files.eras)],
    );
    files.refused(&["column `prediction` is of type", "allowed: float"]);
    std::fs::write(files.path("p.parquet"), b"").expect("writable");
    files.refused(&["p.parquet", "the file is empty"]);
    std::fs::write(files.path("p.parquet"), b"id,era,prediction\n").expect("writable");
    files.refused(&["p.parquet", "no complete parquet file"]);
    let whole = std::fs::read(files.path("t.parquet")).expect("readable");
    std::fs::write(files.path("p.parquet"), &whole[..whole.len() / 2]).expect("writable");
    files.refused(&["p.parquet", "no complete parquet file", "cut off"]);
    std::fs::remove_file(files.path("p.parquet")).expect("removable");
    files.refused(&["p.parquet", "cannot open"]);
}

#[test]
fn out_of_fold_predictions_can_be_scored_from_their_file() {
    let lab = Lab::small();
    let harness = lab.harness();
    let cells: Vec<(usize, u64, Vec<f32>)> = (0..4)
        .map(|fold| {
            (
                fold,
                42,
                harness.test_rows(fold).into_iter().flat_map(|rows| harness.benchmark()[rows].to_vec()).collect(),
            )
        })
        .collect();
    let path = lab.path("oof.parquet");
    harness.write_predictions(&path, &cells).expect("written");
    // Against the raw files, with the benchmark as the "target": a perfect prediction.
    let market = crate::packing::simulated(&lab);
    let (mut ids, mut eras, mut values) = (vec![], vec![], vec![]);
    for span in harness.eras() {
        let era = &market[&span.era];
        ids.extend(era.ids.iter().cloned());
        eras.extend(std::iter::repeat_n(format!("{:04}", span.era), era.ids.len()));
        values.extend(era.benchmark[0].iter().map(|&value| f64::from(value)));
    }
    write(
        &lab.path("truth.parquet"),
        vec![texts("id", &ids), texts("era", &eras), floats("target", &values), floats("benchmark", &values)],
    );
    let objective = Objective::preset("numerai-1343").expect("a preset");
    let score = score_files(&path, &lab.path("truth.parquet"), &objective).expect("scores");
    assert!(score.corr.mean > 0.95 && score.corr_with_benchmark > 0.999_999, "{:?}", score.corr);
}
