//! Files that are wrong in one way each are refused with file, place and remedy.

use std::path::PathBuf;

use polars::prelude::Column;
use prepare::Error;

use crate::support::{Lab, Numbers, bytes, floats, texts, write};

const FILES: &str = "\
version: 1
data: {files: {folder: data, version: v5.2}}
features: {sets: [small]}
targets: {train_on: [target_ender_20], score_on: target_ender_20}
benchmark: {columns: [v52_lgbm_ender20]}
eras: {stride: 2}
folds: {count: 2, embargo: 8}
seeds: [1, 2, 3]
holdout: {eras: 2}
objective: {preset: numerai-1343}
";
const ROWS: usize = 20;

/// The contents of a folder of small, valid files, to be spoilt.
struct Files {
    lab: Lab,
    ids: Vec<String>,
    eras: Vec<String>,
    feature: Vec<i8>,
    target: Vec<f64>,
    benchmark_ids: Vec<String>,
    benchmark_eras: Vec<String>,
    benchmark: Vec<f64>,
    sets: &'static str,
}

impl Files {
    /// 80 eras of 20 rows.
    fn new() -> Files {
        let mut numbers = Numbers::new(9);
        let rows = 80 * ROWS;
        let ids: Vec<String> = (0..rows).map(|row| format!("n{row:016x}")).collect();
        let eras: Vec<String> = (0..rows).map(|row| format!("{:04}", 1 + row / ROWS)).collect();
        Files {
            lab: Lab::new(FILES),
            feature: (0..rows).map(|_| (numbers.next() * 5.0) as i8).collect(),
            target: (0..rows).map(|_| (numbers.next() * 5.0).floor() / 4.0).collect(),
            benchmark: (0..rows).map(|_| numbers.next()).collect(),
            benchmark_ids: ids.clone(),
            benchmark_eras: eras.clone(),
            ids,
            eras,
            sets: r#"{"feature_sets": {"small": ["feature_a", "feature_b"], "medium": ["feature_a"]}}"#,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lab.path("data/v5.2").join(name)
    }

    fn train(&self) -> Vec<Column> {
        vec![
            texts("id", &self.ids),
            texts("era", &self.eras),
            bytes("feature_a", &self.feature),
            bytes("feature_b", &self.feature),
            floats("target_ender_20", &self.target),
        ]
    }

    fn write(&self) {
        std::fs::create_dir_all(self.lab.path("data/v5.2")).expect("a folder");
        std::fs::write(self.path("features.json"), self.sets).expect("writable");
        write(&self.path("train.parquet"), self.train());
        write(
            &self.path("train_benchmark_models.parquet"),
            vec![
                texts("id", &self.benchmark_ids),
                texts("era", &self.benchmark_eras),
                floats("v52_lgbm_ender20", &self.benchmark),
            ],
        );
    }

    /// Writes the files and expects a refusal with these parts; nothing may be left behind.
    fn refused(&self, parts: &[&str]) {
        self.write();
        self.refused_as_written(parts);
    }

    fn refused_as_written(&self, parts: &[&str]) {
        let error: Error = self.lab.build().expect_err("must be refused");
        let text = error.to_string();
        assert!(!error.is_configuration(), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` expected in: {text}");
        }
        let left: Vec<_> = std::fs::read_dir(self.lab.folder.path())
            .expect("the lab")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name != "data")
            .collect();
        assert!(left.is_empty(), "{left:?} left behind");
    }
}

#[test]
fn valid_files_are_packed() {
    let files = Files::new();
    files.write();
    let manifest = files.lab.build().expect("valid files");
    // Every 2nd era of 80, the last two of them held out, their embargo of 8 era numbers dropped.
    assert_eq!(manifest.retained_eras().len(), 40);
    assert_eq!(manifest.holdout.rows, 2 * ROWS);
    assert_eq!(manifest.holdout_embargoed, [69, 71, 73, 75]);
    assert!(manifest.achievable(&files.lab.protocol.objective).is_none());
    // The files are read again when they change.
    let mut changed = Files::new();
    changed.lab = files.lab;
    changed.feature[0] = (changed.feature[0] + 1) % 5;
    std::thread::sleep(std::time::Duration::from_millis(20));
    changed.write();
    assert_ne!(changed.lab.build().expect("valid files").data_hash, manifest.data_hash);
}

#[test]
fn missing_files_and_columns_are_named() {
    let files = Files::new();
    files.refused_as_written_missing();
    files.write();
    std::fs::remove_file(files.path("train_benchmark_models.parquet")).expect("removable");
    files.refused_as_written(&["train_benchmark_models.parquet", "there is no such file", "numerapi"]);
    let mut files = Files::new();
    files.sets = r#"{"feature_sets": {"smal": ["feature_a"]}}"#;
    files.refused(&["features.json", "no feature set `small`", "did you mean `smal`?"]);
    files.sets = r#"{"feature_sets": {"small": ["feature_c"]}}"#;
    files.refused(&["train.parquet", "there is no column `feature_c`", "did you mean `feature_"]);
    files.sets = r#"{"feature_sets": "#;
    files.refused(&["features.json, line 1"]);
}

impl Files {
    fn refused_as_written_missing(&self) {
        let error = self.lab.build().expect_err("no files");
        let text = error.to_string();
        assert!(text.contains("features.json: there is no such file"), "{text}");
    }
}

#[test]
fn wrong_types_and_values_are_located() {
    let mut files = Files::new();
    files.feature[3 * ROWS] = 2;
    files.feature[4 * ROWS + 3] = 5;
    files.refused(&["train.parquet, column `feature_", "row 83", "found 5", "integers 0 to 4"]);
    let mut files = Files::new();
    files.target[44] = 1.5;
    files.refused(&["column `target_ender_20`, row 44", "found 1.5", "[0, 1]"]);
    let files = Files::new();
    files.write();
    let mut columns = files.train();
    columns[2] = texts("feature_a", &files.eras);
    write(&files.path("train.parquet"), columns);
    files.refused_as_written(&["train.parquet", "column `feature_a` is of type", "allowed: integer"]);
}

#[test]
fn eras_must_be_numbers_and_in_order() {
    let mut files = Files::new();
    files.eras[41] = "eraX".into();
    files.refused(&["column `era`, row 41", "`eraX` is no era number"]);
    let mut files = Files::new();
    files.eras[60] = "0001".into();
    files.refused(&["column `era`, row 60", "era 0001 comes after era 0003", "sort the file"]);
}

#[test]
fn ids_must_be_there_once_and_join() {
    let mut files = Files::new();
    files.ids[45] = files.ids[44].clone();
    files.refused(&["column `id`, row 45", "comes twice"]);
    let mut files = Files::new();
    files.benchmark_ids.iter_mut().for_each(|id| id.push('x'));
    files.refused(&["train_benchmark_models.parquet, era 0001", "0 of 20 rows", "same dataset version"]);
    let mut files = Files::new();
    files.benchmark_ids[1] = files.benchmark_ids[0].clone();
    files.refused(&["train_benchmark_models.parquet, column `id`, row 1", "comes twice"]);
}

#[test]
fn empty_and_truncated_files_are_told_apart() {
    let files = Files::new();
    files.write();
    let whole = std::fs::read(files.path("train.parquet")).expect("readable");
    std::fs::write(files.path("train.parquet"), b"").expect("writable");
    files.refused_as_written(&["train.parquet", "the file is empty"]);
    for cut in [10, whole.len() / 2, whole.len() - 1] {
        std::fs::write(files.path("train.parquet"), &whole[..cut]).expect("writable");
        files.refused_as_written(&["train.parquet", "no complete parquet file", "cut off"]);
    }
    let empty: Vec<Column> = files.train().iter().map(|column| column.head(Some(0))).collect();
    write(&files.path("train.parquet"), empty);
    files.refused_as_written(&["train.parquet", "has no rows"]);
}

#[test]
fn damage_inside_a_file_never_ends_the_program() {
    let files = Files::new();
    files.write();
    let whole = std::fs::read(files.path("train.parquet")).expect("readable");
    // Damage may be found or may happen to decode to other valid values: either way, `build` returns.
    for place in (4..whole.len() - 8).step_by(whole.len() / 25) {
        let mut damaged = whole.clone();
        damaged[place..place + 4].iter_mut().for_each(|byte| *byte ^= 0xa5);
        std::fs::write(files.path("train.parquet"), &damaged).expect("writable");
        if let Err(error) = files.lab.build() {
            assert!(error.to_string().contains(".parquet"), "{error}");
        }
    }
}

#[test]
fn test_eras_without_a_benchmark_are_named_with_the_way_out() {
    let mut files = Files::new();
    let start = 20 * ROWS;
    files.benchmark_ids.drain(..start);
    files.benchmark_eras.drain(..start);
    files.benchmark.drain(..start);
    files.refused(&["fold 0", "10 test eras: 0001, 0003", "start at era 0021", "`eras.first: 21`"]);
    // The way out works.
    files.lab = Lab::new(&FILES.replace("stride: 2", "stride: 2, first: 21"));
    files.write();
    files.lab.build().expect("builds from era 21 on");
}

#[test]
fn eras_without_labels_yet_are_left_out_and_half_labelled_ones_refused() {
    let mut files = Files::new();
    files.target[78 * ROWS..].fill(f64::NAN);
    files.write();
    let manifest = files.lab.build().expect("unlabelled eras are no error");
    assert_eq!(manifest.unlabelled_eras, [79]);
    let mut files = Files::new();
    files.target[40 * ROWS..40 * ROWS + 10].fill(f64::NAN);
    files.refused(&["column `target_ender_20`, era 0041", "only 10 of 20 rows", "`eras.last`"]);
}

#[test]
fn no_era_left_and_a_foreign_raw_folder_are_refused() {
    let mut files = Files::new();
    files.lab = Lab::new(&FILES.replace("stride: 2", "first: 900"));
    files.refused(&["no era is left", "0001 to 0080", "correct `eras`"]);
    let lab = Lab::small();
    std::fs::create_dir(lab.path("raw")).expect("a folder");
    std::fs::write(lab.path("raw/train.parquet"), b"precious").expect("writable");
    let error = lab.build().expect_err("somebody's files");
    assert!(error.to_string().contains("would be replaced"), "{error}");
    assert_eq!(std::fs::read(lab.path("raw/train.parquet")).expect("still there"), b"precious");
}
