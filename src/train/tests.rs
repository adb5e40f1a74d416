//! Training against what was not written here (PyTorch's numbers, closed forms), and the promises that it makes.

mod any_spec;
mod blocks;
mod data;
mod device;
mod ensembles;
mod every_block;
mod facts;
mod holdout;
mod learning;
mod losses;
mod masks;
mod memory;
mod numbers;
mod optimizers;
mod promises;
mod schedules;
mod slopes;
mod terms;
mod together;
mod torch;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use prepare::{DataPaths, Evaluation, Harness, Protocol, all_cells, build};

use super::backend::Precision;
use super::feed::Feed;
use super::group::{Context, train_group};
use super::streams::Replica;
use super::{CellResult, Choice, DeviceSettings, TrainError, Trainer};
use crate::spec::Spec;

/// A small market in a folder of its own.
struct Market {
    folder: tempfile::TempDir,
    protocol: Protocol,
}

/// 24 features, two targets, one benchmark column; `rows` stocks in each of `eras` eras.
fn protocol(eras: usize, rows: usize, folds: usize, embargo: u32) -> String {
    format!(
        "version: 1\ndata:\n  synthetic:\n    seed: 7\n    sizes:\n      eras: {eras}\n      rows: {rows}\n      \
         sets: [{{name: serenity, features: 16}}, {{name: wisdom, features: 8}}]\n      \
         targets: [target_ender_20, target_ender_60]\n      benchmark: [v52_lgbm_ender20]\n\
         features: {{sets: [wisdom, serenity]}}\n\
         targets: {{train_on: [target_ender_60, target_ender_20], score_on: target_ender_20}}\n\
         benchmark: {{columns: [v52_lgbm_ender20]}}\neras: {{stride: 4}}\n\
         folds: {{count: {folds}, embargo: {embargo}}}\nseeds: [42, 17, 73]\nholdout: {{eras: 4, embargo: {embargo}}}\n\
         objective: {{preset: numerai-2026-01}}\n"
    )
}

impl Market {
    fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let protocol = Protocol::parse(yaml, Path::new("protocol.yaml")).expect("a valid protocol");
        let paths = DataPaths {
            lab: folder.path().to_owned(),
            raw: folder.path().join("raw"),
            packed: folder.path().join("packed"),
        };
        build(&protocol, &paths, &mut |_| ControlFlow::Continue(())).expect("the data builds");
        Self { folder, protocol }
    }

    fn small() -> Self {
        Self::new(&protocol(40, 60, 3, 16))
    }

    /// The sets and targets that the reference's examples speak of.
    fn of_examples() -> Self {
        let sets = "[{name: serenity, features: 7}, {name: wisdom, features: 5}, {name: sunshine, features: 4}]";
        let targets = "target_ender_20, target_ender_60, target_cyrusd_20, target_cyrusd_60";
        Self::new(
            &protocol(40, 60, 3, 16)
                .replace("[{name: serenity, features: 16}, {name: wisdom, features: 8}]", sets)
                .replace("[wisdom, serenity]", "[serenity, wisdom, sunshine]")
                .replace("[target_ender_20, target_ender_60]", &format!("[{targets}]"))
                .replace("[target_ender_60, target_ender_20]", &format!("[{targets}]")),
        )
    }

    fn harness(&self) -> Harness {
        Harness::open(&self.protocol, &self.folder.path().join("packed")).expect("the data opens")
    }

    /// Trains a spec; cells come sorted by seed and fold.
    fn train(&self, spec: &Spec, seeds: &[u64], threads: usize) -> Result<Vec<CellResult>, TrainError> {
        let trainer = Trainer::new(self.harness(), &on_cpu(threads)).expect("a CPU");
        let wanted = all_cells(self.protocol.folds.count, seeds);
        let mut cells = trainer.train(spec, &wanted, false, &AtomicBool::new(false), &|_| {})?;
        cells.sort_by_key(|cell| (cell.score.seed, cell.score.fold));
        Ok(cells)
    }

    /// The payout of a spec under one seed.
    fn payout(&self, spec: &Spec) -> f64 {
        let cells = self.train(spec, &[42], 2).expect("it trains");
        let scores: Vec<_> = cells.iter().map(|cell| cell.score.clone()).collect();
        Evaluation::from_cells(&scores, &self.protocol.objective).expect("it is scored").payout
    }
}

fn on_cpu(threads: usize) -> DeviceSettings {
    DeviceSettings { device: Choice::Cpu, threads: Some(threads), ..DeviceSettings::default() }
}

fn spec(text: &str) -> Spec {
    Spec::parse(text, "test").expect("a valid spec")
}

/// The bits of every prediction: equal only where the numbers are the same to the last digit.
fn bits(cells: &[CellResult]) -> Vec<u32> {
    cells.iter().flat_map(|cell| &cell.predictions).map(|prediction| prediction.to_bits()).collect()
}

/// Nets of three folds, seeds and members come out alike alone and in a group, up to a share of the largest output: one output
/// a test row and target.
fn same_alone_and_in_a_group(spec: &Spec, market: &Market, tolerance: f32) {
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let replicas = [
        Replica { fold: 0, seed: 42, member: 0 },
        Replica { fold: 2, seed: 42, member: 1 },
        Replica { fold: 1, seed: 17, member: 0 },
    ];
    let yaml = spec.to_yaml();
    let context = Context::new(spec, &harness, Precision::Fp32, &stop).expect("it can be laid out");
    let feed = Feed::<Flex>::of(&context, Default::default());
    let train =
        |replicas: &[Replica]| train_group(&feed, replicas, &|| {}).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    for (replica, grouped) in replicas.iter().zip(train(&replicas)) {
        let alone = train(std::slice::from_ref(replica)).remove(0);
        let rows: usize = context.folds[replica.fold].test.iter().map(ExactSizeIterator::len).sum();
        assert_eq!(alone.outputs.len(), rows * context.columns.targets.len(), "{yaml}");
        let size = alone.outputs.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        for (a, b) in alone.outputs.iter().zip(&grouped.outputs) {
            assert!((a - b).abs() <= tolerance * size, "{replica:?}: {a} alone, {b} in a group\n{yaml}");
        }
    }
}
