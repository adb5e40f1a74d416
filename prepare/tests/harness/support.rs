//! A small market, and small parquet files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetWriter, Series};
use prepare::{DataPaths, Error, Harness, Manifest, Progress, Protocol, build};

/// A hermetic lab folder with a protocol.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) protocol: Protocol,
}

/// 24 features, 40 eras of 60 stocks, two targets, one benchmark column: fast even when compiled for debugging.
pub(crate) const SMALL: &str = "\
version: 1
data:
  synthetic:
    seed: 7
    sizes:
      eras: 40
      rows: 60
      sets: [{name: serenity, features: 16}, {name: wisdom, features: 8}]
      targets: [target_ender_20, target_ender_60]
      benchmark: [v52_lgbm_ender20]
features: {sets: [wisdom, serenity]}
targets: {train_on: [target_ender_60, target_ender_20], score_on: target_ender_20}
benchmark: {columns: [v52_lgbm_ender20]}
eras: {stride: 4}
folds: {count: 4, embargo: 16}
seeds: [42, 17, 73]
holdout: {eras: 4}
objective: {preset: numerai-2026-01}
";

impl Lab {
    pub(crate) fn new(yaml: &str) -> Lab {
        Lab {
            folder: tempfile::tempdir().expect("a temporary folder"),
            protocol: Protocol::parse(yaml, Path::new("protocol.yaml")).expect("a valid protocol"),
        }
    }

    pub(crate) fn small() -> Lab {
        Lab::new(SMALL)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn paths(&self) -> DataPaths {
        DataPaths { lab: self.folder.path().to_owned(), raw: self.path("raw"), packed: self.path("packed") }
    }

    pub(crate) fn build(&self) -> Result<Manifest, Error> {
        build(&self.protocol, &self.paths(), &mut |_: Progress<'_>| ControlFlow::Continue(()))
    }

    pub(crate) fn harness(&self) -> Harness {
        self.build().expect("the data builds");
        Harness::open(&self.protocol, &self.path("packed")).expect("the data opens")
    }
}

pub(crate) fn texts(name: &str, values: &[String]) -> Column {
    Column::from(Series::new(name.into(), values))
}

pub(crate) fn floats(name: &str, values: &[f64]) -> Column {
    let cells: Vec<Option<f64>> = values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect();
    Column::from(Series::new(name.into(), cells))
}

pub(crate) fn bytes(name: &str, values: &[i8]) -> Column {
    Column::from(Series::new(name.into(), values))
}

pub(crate) fn write(path: &Path, columns: Vec<Column>) {
    let mut frame = DataFrame::new_infer_height(columns).expect("columns of one length");
    let file = std::fs::File::create(path).expect("a new file");
    ParquetWriter::new(file).finish(&mut frame).expect("a written file");
}

/// Numbers that look random and are the same everywhere.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
