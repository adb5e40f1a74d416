//! What others rely on: the JSON keys of DESIGN.md, the columns of predictions, and that `trial` and `score` agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetReader, ParquetWriter, SerReader, Series};
use serde_json::Value;

use crate::lab::{TestLab, keys};

#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "the key {key} is missing among {found:?}");
    }
}

fn frame(path: &Path) -> DataFrame {
    ParquetReader::new(File::open(path).expect("the file")).finish().expect("parquet")
}

fn texts(frame: &DataFrame, name: &str) -> Vec<String> {
    let column = frame.column(name).expect("the column").str().expect("text");
    column.iter().map(|cell| cell.expect("no gap").to_owned()).collect()
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<f64> {
    let column = frame.column(name).expect("the column").cast(&polars::prelude::DataType::Float64).expect("numbers");
    column.f64().expect("numbers").iter().map(|cell| cell.unwrap_or(f64::NAN)).collect()
}

fn write(path: &Path, columns: Vec<Column>) {
    let mut frame = DataFrame::new_infer_height(columns).expect("columns of one length");
    ParquetWriter::new(File::create(path).expect("a file")).finish(&mut frame).expect("written");
}

#[test]
fn trial_prints_every_key_writes_predictions_and_touches_nothing() {
    let lab = TestLab::new();
    let prepared = lab.run(&["prepare", "--json"]).exits(0).json();
    lab.commit("prepared");
    let before = lab.contents();
    let out = lab.home().join("predictions.parquet");
    let (model, out_text) = (lab.path("model.yaml").display().to_string(), out.display().to_string());
    let facts = lab.run(&["trial", &model, "--predictions", &out_text, "--json"]).exits(0).json();
    lab.is_unchanged_since(&before);

    has(
        &facts,
        &[
            "payout",
            "corr",
            "bmc",
            "corr_with_benchmark",
            "seeds",
            "folds",
            "eras",
            "feature_exposure",
            "wall_seconds",
            "rows_per_second",
            "params",
            "device",
            "spec_hash",
            "protocol_hash",
            "data_hash",
        ],
    );
    for name in ["corr", "bmc"] {
        has(&facts[name], &["mean", "std", "sharpe", "max_drawdown"]);
    }
    has(&facts["feature_exposure"], &["mean", "max"]);
    has(&facts["seeds"][0], &["seed", "payout", "corr", "bmc"]);
    has(&facts["folds"][0], &["fold", "payout"]);
    has(&facts["eras"][0], &["era", "corr", "bmc", "payout"]);
    assert_eq!(facts["protocol_hash"], prepared["protocol_hash"]);
    assert_eq!(facts["data_hash"], prepared["data_hash"]);
    let seeds: BTreeSet<u64> =
        facts["seeds"].as_array().expect("a list").iter().filter_map(|s| s["seed"].as_u64()).collect();
    assert_eq!(seeds, BTreeSet::from([17, 42, 73]));

    let predictions = frame(&out);
    let names: Vec<&str> = predictions.get_column_names().iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["id", "era", "fold", "seed", "prediction"]);
    let rows = prepared["rows"].as_u64().expect("a count") as usize;
    assert_eq!(predictions.height(), 3 * rows, "every row of cross-validation once a seed");

    // `score` on one seed's predictions and the raw files' truth finds that seed's scores.
    let seed = numbers(&predictions, "seed");
    let keep: Vec<usize> = (0..predictions.height()).filter(|row| seed[*row] == 42.0).collect();
    let (ids, eras) = (texts(&predictions, "id"), texts(&predictions, "era"));
    let values = numbers(&predictions, "prediction");
    let pick = |all: &[String]| keep.iter().map(|row| all[*row].clone()).collect::<Vec<_>>();
    let own = lab.home().join("seed.parquet");
    let chosen: Vec<f64> = keep.iter().map(|row| values[*row]).collect();
    write(
        &own,
        vec![
            Series::new("id".into(), pick(&ids)).into(),
            Series::new("era".into(), pick(&eras)).into(),
            Series::new("prediction".into(), chosen).into(),
        ],
    );
    let truth = truth(&lab, &pick(&eras).into_iter().collect());
    let paths = (own.display().to_string(), truth.display().to_string());
    let scored = lab.run(&["score", "--predictions", &paths.0, "--truth", &paths.1, "--json"]).exits(0).json();
    has(&scored, &["payout", "corr", "bmc", "corr_with_benchmark", "eras"]);
    has(&scored["corr"], &["mean", "std", "sharpe", "max_drawdown"]);
    assert_eq!(keys(&scored["eras"][0]), ["bmc", "corr", "era"]);
    let trained = facts["seeds"].as_array().expect("a list").iter().find(|seed| seed["seed"] == 42).expect("seed 42");
    // The same formulas on the same numbers: what is left is the order of sums.
    for (name, found) in
        [("payout", &scored["payout"]), ("corr", &scored["corr"]["mean"]), ("bmc", &scored["bmc"]["mean"])]
    {
        let (found, wanted) = (found.as_f64().expect("a number"), trained[name].as_f64().expect("a number"));
        assert!((found - wanted).abs() < 1e-12, "{name}: score says {found}, trial says {wanted}");
    }
}

/// Truth in the form of `score`, put together from the raw files: the target, and the mean of the benchmark columns in
/// 32 bits, as packed data has it (in 64, rows that tie would be told apart by what rounding leaves).
fn truth(lab: &TestLab, eras: &BTreeSet<String>) -> std::path::PathBuf {
    let train = frame(&lab.path(".autoresearch/data/raw/train.parquet"));
    let models = frame(&lab.path(".autoresearch/data/raw/train_benchmark_models.parquet"));
    let (first, second) = (numbers(&models, "v52_lgbm_ender20"), numbers(&models, "v52_lgbm_ender60"));
    let means: HashMap<String, f64> = texts(&models, "id")
        .into_iter()
        .zip(first.iter().zip(&second).map(|(a, b)| f64::from(((a + b) / 2.0) as f32)))
        .collect();
    let (ids, all_eras, targets) = (texts(&train, "id"), texts(&train, "era"), numbers(&train, "target_ender_20"));
    let rows: Vec<usize> = (0..ids.len()).filter(|row| eras.contains(&all_eras[*row])).collect();
    let path = lab.home().join("truth.parquet");
    write(
        &path,
        vec![
            Series::new("id".into(), rows.iter().map(|row| ids[*row].clone()).collect::<Vec<_>>()).into(),
            Series::new("era".into(), rows.iter().map(|row| all_eras[*row].clone()).collect::<Vec<_>>()).into(),
            Series::new("target".into(), rows.iter().map(|row| targets[*row]).collect::<Vec<_>>()).into(),
            Series::new("benchmark".into(), rows.iter().map(|row| means[&ids[*row]]).collect::<Vec<_>>()).into(),
        ],
    );
    path
}

#[test]
fn folds_are_purged_and_cover_every_era() {
    let lab = TestLab::new();
    lab.run(&["prepare"]).exits(0);
    let plan = lab.run(&["folds", "--json"]).exits(0).json();
    has(&plan, &["folds", "holdout"]);
    let eras = |value: &Value| -> Vec<i64> {
        value.as_array().expect("a list").iter().map(|era| era.as_i64().expect("an era")).collect()
    };
    let holdout = eras(&plan["holdout"]);
    assert_eq!(holdout.len(), 4);
    let mut tested: BTreeMap<i64, usize> = BTreeMap::new();
    for fold in plan["folds"].as_array().expect("a list") {
        assert_eq!(keys(fold), ["embargoed", "fold", "test", "train"]);
        for train in eras(&fold["train"]) {
            for other in eras(&fold["test"]).iter().chain(&holdout) {
                assert!((train - other).abs() > 16, "train era {train} is within the embargo of {other}");
            }
        }
        for era in eras(&fold["test"]) {
            *tested.entry(era).or_default() += 1;
        }
    }
    assert!(tested.values().all(|times| *times == 1));
    assert!(tested.keys().all(|era| !holdout.contains(era)));
}

#[test]
fn status_prints_every_key_before_and_after_a_session() {
    let lab = TestLab::new();
    let wanted = [
        "state",
        "pid",
        "branch",
        "phase",
        "trials",
        "verdicts",
        "discards_in_a_row",
        "plateau",
        "incumbent",
        "baseline",
        "trials_per_hour",
        "tokens",
        "cost_usd",
        "researchers",
        "best_near_misses",
        "hints",
        "holdout",
        "warnings",
    ];
    let before = lab.status();
    has(&before, &wanted);
    assert_eq!((&before["state"], &before["trials"]), (&Value::from("stopped"), &Value::from(0)));
    assert!(before["incumbent"].is_null() && before["baseline"].is_null());

    lab.run(&["hint", "leave", "the loss alone"]).exits(0);
    let hint = |waiting: bool, after: Option<u32>| serde_json::json!([{ "text": "leave the loss alone", "after_trial": after, "waiting": waiting }]);
    assert_eq!(lab.status()["hints"], hint(true, None));
    lab.run(&["hint", &"x".repeat(601)]).exits(2);

    let told = lab.run(&["run", "--trials", "2", "--json"]).exits(0).json();
    assert_eq!(told["hints"], hint(false, None), "taken in before the baseline");
    let after = lab.status();
    for status in [&told, &after] {
        has(status, &wanted);
    }
    has(&after["incumbent"], &["trial", "payout", "standard_error"]);
    has(&after["baseline"], &["payout"]);
    has(&after["tokens"], &["input", "output"]);
    has(&after["verdicts"], &["keep", "discard", "crash", "timeout", "invalid", "duplicate", "blocked"]);
    assert_eq!((&after["state"], &after["pid"]), (&Value::from("stopped"), &Value::Null));
    let counted: u64 = after["verdicts"].as_object().expect("an object").values().filter_map(Value::as_u64).sum();
    assert_eq!(counted + 1, after["trials"].as_u64().expect("a count"), "the baseline has no verdict of the gate");
    assert!(after["trials_per_hour"].as_f64().is_some_and(|rate| rate > 0.0));
    assert_eq!(after["warnings"], serde_json::json!([]));
}
