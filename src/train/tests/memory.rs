//! The memory that a net is estimated to need, against what it really takes.
#![expect(unsafe_code, reason = "an allocator that counts passes on what it is asked for")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::{Market, spec};
use crate::spec::tests::examples::examples;
use crate::spec::{Spec, cost, members};
use crate::train::backend::Precision;
use crate::train::feed::Feed;
use crate::train::group::{Context, train_group};
use crate::train::streams::Replica;

thread_local! {
    /// Bytes that this thread has taken and not given back (what it gives back for others counts against it), and the most
    /// that they have been.
    static HELD: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, which counts for each thread.
struct Counting;

fn count(bytes: i64) {
    // A thread that ends frees after its counter is gone.
    let _ = HELD.try_with(|held| {
        let now = held.get().0 + bytes;
        held.set((now, held.get().1.max(now)));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that this thread holds during some work, above what it held before.
fn peak_of(work: impl FnOnce()) -> i64 {
    let before = HELD.get().0;
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

/// Bytes below which a net's own size says little: orders of rows, predictions, what rayon keeps.
const LITTLE: f64 = (4 << 20) as f64;

/// The demo's feature sets and targets, and rows enough for a batch of 1024.
const PROTOCOL: &str = "version: 1\ndata:\n  synthetic:\n    seed: 7\n    sizes:\n      eras: 48\n      rows: 800\n      \
     sets: [{name: serenity, features: 24}, {name: wisdom, features: 20}, {name: sunshine, features: 16}]\n      \
     targets: [target_ender_20, target_ender_60, target_cyrusd_20, target_cyrusd_60]\n      benchmark: [v52_lgbm_ender20]\n\
     features: {sets: [serenity, wisdom, sunshine]}\n\
     targets: {train_on: [target_ender_20, target_ender_60, target_cyrusd_20, target_cyrusd_60], score_on: target_ender_20}\n\
     benchmark: {columns: [v52_lgbm_ender20]}\neras: {stride: 4}\nfolds: {count: 2, embargo: 16}\nseeds: [42, 17, 73]\n\
     holdout: {eras: 4, embargo: 16}\nobjective: {preset: numerai-2026-01}\n";

/// One epoch of batches of 1024 rows.
fn large(yaml: &str) -> Spec {
    let mut spec = spec(yaml);
    (spec.training.epochs, spec.training.batch_rows, spec.training.patience) = (1, 1024, None);
    spec
}

#[test]
fn a_net_takes_about_the_memory_that_was_estimated() {
    // What an example's memory can depend on.
    let owners = ["Block", "Embedding", "LossTerm", "Optimizer", "OptimizerExtras", "Augment"];
    let examples = examples()
        .into_iter()
        .filter(|example| example.what.split_once('.').is_some_and(|(owner, _)| owners.contains(&owner)));
    let mut specs: Vec<(String, String)> = examples.map(|example| (example.what, example.yaml)).collect();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/specs/families")).expect("there") {
        let path = entry.expect("a file").path();
        specs.push((path.display().to_string(), fs::read_to_string(&path).expect("it can be read")));
    }
    let market = Market::new(PROTOCOL);
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let facts = crate::train::facts(&harness);
    let mut nets: Vec<(String, Spec)> = Vec::new();
    for (what, yaml) in specs {
        let spec = members::member(&large(&yaml), 0).expect("a valid member");
        if nets.iter().all(|(_, known)| *known != spec) {
            nets.push((what, spec));
        }
    }
    // Memory is counted by thread, so that nets can be measured side by side.
    let measured = |(what, spec): &(String, Spec)| {
        let estimate = cost::estimate(spec, &facts).replica_bytes as f64;
        // A thread of its own, so that no buffers are there yet.
        let real = std::thread::scope(|scope| {
            let work = || {
                let mut context =
                    Context::of_member(spec, &harness, Precision::Fp32, &stop, 0, None).expect("it is laid out");
                // Later steps use the memory of the first ones again.
                context.plan.steps = context.plan.steps.min(3);
                let feed = Feed::<Flex>::of(&context, Default::default());
                peak_of(|| {
                    train_group(&feed, &[Replica { fold: 0, seed: 42, member: 0 }], &|| {}).expect("it trains");
                })
            };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
            scope.spawn(move || pool.install(work)).join().expect("no panic")
        }) as f64;
        let mib = f64::from(1 << 20);
        let words =
            format!("{what}: {:.1} MiB, estimated {:.1}, ratio {:.2}", real / mib, estimate / mib, estimate / real);
        (real.max(estimate) > LITTLE && !(0.5..=2.0).contains(&(estimate / real))).then_some(words)
    };
    let wrong: Vec<String> = nets.par_iter().filter_map(measured).collect();
    assert!(wrong.is_empty(), "estimates that are not within a factor of two:\n{}", wrong.join("\n"));
}
