//! Packed data is what the parquet files say, the same every time, and refused when it has changed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use prepare::{
    DataSource, Error, Evaluation, Harness, Lock, Manifest, MarketEra, MarketSizes, Progress, build, harness_hash,
    simulate_market,
};

use crate::support::{Lab, SMALL};

fn sizes(lab: &Lab) -> (MarketSizes, u64) {
    match &lab.protocol.data {
        DataSource::Synthetic { preset, seed } => (preset.sizes(), *seed),
        DataSource::Files { .. } => panic!("these tests are about the made-up market"),
    }
}

pub(crate) fn simulated(lab: &Lab) -> HashMap<u32, MarketEra> {
    let (sizes, seed) = sizes(lab);
    let mut eras = HashMap::new();
    simulate_market(&sizes, seed, &lab.protocol.targets.score_on, &mut |era| {
        eras.insert(era.era, era);
        Ok(())
    })
    .expect("the simulation runs");
    eras
}

#[test]
fn what_was_simulated_comes_back_by_row() {
    let lab = Lab::small();
    let harness = lab.harness();
    let market = simulated(&lab);
    assert_eq!(harness.rows(), harness.eras().len() * 60);
    assert_eq!(harness.feature_count(), 24);
    // The order of the sets is the protocol's, not the file's.
    assert_eq!(harness.feature_names()[0], "feature_wisdom_000");
    assert_eq!(harness.feature_set("serenity"), Some((8..24).collect::<Vec<_>>().as_slice()));
    assert_eq!(harness.feature_set("all"), None);
    assert_eq!(harness.target_names(), ["target_ender_60", "target_ender_20"]);
    let mut nulls = 0;
    for span in harness.eras() {
        let era = &market[&span.era];
        for (row, packed) in span.rows.clone().enumerate() {
            for feature in 0..24 {
                let simulated = era.features[if feature < 8 { 16 + feature } else { feature - 8 }][row];
                nulls += u64::from(simulated == 255);
                let expected = if simulated == 255 { 2 } else { simulated };
                assert_eq!(harness.features().row(packed)[feature], expected);
            }
            assert!((harness.benchmark()[packed] - era.benchmark[0][row]).abs() < 1e-7);
        }
    }
    assert!(nulls <= harness.manifest().missing.feature_cells, "the holdout's are counted too");
    let training = harness.training(2);
    assert_eq!(training.eras().iter().map(|span| span.era).collect::<Vec<_>>(), harness.plan().folds[2].train);
    for (index, span) in training.eras().iter().enumerate() {
        for (row, pair) in training.targets(index).chunks_exact(2).enumerate() {
            for (found, target) in pair.iter().zip([1, 0]) {
                let expected = market[&span.era].targets[target][row];
                assert!(*found == expected || (found.is_nan() && expected.is_nan()));
            }
        }
    }
}

#[test]
fn the_same_protocol_gives_the_same_hash_and_another_seed_does_not() {
    let (first, second) = (Lab::small(), Lab::small());
    let (a, b) = (first.build().expect("builds"), second.build().expect("builds"));
    assert_eq!(a.data_hash, b.data_hash);
    assert_eq!(a.data_hash.len(), 16);
    let other = Lab::new(&SMALL.replace("seed: 7", "seed: 8"));
    assert_ne!(a.data_hash, other.build().expect("builds").data_hash);
}

#[test]
fn the_market_does_not_depend_on_the_number_of_threads() {
    let lab = Lab::new(
        &SMALL.replace("rows: 60", "rows: 600").replace("eras: 40", "eras: 12").replace("eras: 4}", "eras: 1}"),
    );
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let four = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
    let (a, b) = (alone.install(|| simulated(&lab)), four.install(|| simulated(&lab)));
    for (era, market) in &a {
        // NaN never equals itself: compare what is written.
        assert_eq!(format!("{market:?}"), format!("{:?}", b[era]));
    }
}

#[test]
fn building_again_changes_nothing_and_a_lost_file_is_rebuilt() {
    let lab = Lab::small();
    let first = lab.build().expect("builds");
    let written = |name: &str| std::fs::metadata(lab.path(name)).and_then(|file| file.modified()).expect("a time");
    let before = written("packed/features.u8");
    assert_eq!(lab.build().expect("builds").data_hash, first.data_hash);
    assert_eq!(written("packed/features.u8"), before, "nothing was written again");
    std::fs::remove_file(lab.path("packed/score.f32")).expect("a file to lose");
    assert!(Harness::open(&lab.protocol, &lab.path("packed")).is_err());
    assert_eq!(lab.build().expect("builds").data_hash, first.data_hash);
    lab.harness().verify().expect("whole again");
    // A build that was killed leaves its folder; the next one that has work removes it.
    std::fs::create_dir(lab.path(".packed.partial-killed")).expect("a leftover");
    std::fs::remove_dir_all(lab.path("packed")).expect("removable");
    lab.build().expect("builds");
    assert!(!lab.path(".packed.partial-killed").exists());
}

/// Builds until `step` has been heard of `times` times.
fn stopped(lab: &Lab, step: &str, times: usize) -> Result<Manifest, Error> {
    let mut heard = 0;
    build(&lab.protocol, &lab.paths(), &mut |progress| {
        let (Progress::Step(now) | Progress::Rows { step: now, .. }) = progress;
        heard += usize::from(now == step);
        if heard < times { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
}

/// Names and contents of all files of a lab.
fn contents(lab: &Lab) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![lab.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.push((path.display().to_string(), Vec::new()));
                folders.push(path);
            } else {
                found.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_stopped_build_leaves_what_was_there_and_the_next_one_completes() {
    let lab = Lab::small();
    let error = stopped(&lab, "making the market", 90).expect_err("stopped");
    assert!(matches!(error, Error::Stopped) && !error.is_configuration(), "{error}");
    assert_eq!(error.to_string(), "stopped; nothing was changed");
    assert!(contents(&lab).is_empty(), "nothing was there before");
    let first = lab.build().expect("builds");
    let other = Lab { protocol: Lab::new(&SMALL.replace("seed: 7", "seed: 8")).protocol, folder: lab.folder };
    let before = contents(&other);
    assert!(matches!(stopped(&other, "making the market", 90), Err(Error::Stopped)));
    assert_eq!(contents(&other), before);
    let lab = Lab { protocol: Lab::new(&SMALL.replace("[wisdom, serenity]", "[wisdom]")).protocol, ..other };
    for (step, times) in [("checking the market", 2), ("reading eras", 3), ("packing", 5)] {
        assert!(matches!(stopped(&lab, step, times), Err(Error::Stopped)), "{step}");
        assert_eq!(contents(&lab), before, "{step}");
    }
    assert_ne!(lab.build().expect("builds").features, first.features);
    let lab = Lab { protocol: Lab::small().protocol, ..lab };
    assert_eq!(lab.build().expect("builds").data_hash, first.data_hash);
}

#[test]
fn a_damaged_market_is_made_anew() {
    let lab = Lab::small();
    let first = lab.build().expect("builds");
    let whole = contents(&lab);
    let raw = |name: &str| lab.path("raw").join(name);
    for name in ["train.parquet", "train_benchmark_models.parquet", "features.json", "synthetic.json"] {
        let content = std::fs::read(raw(name)).expect("readable");
        let mut flipped = content.clone();
        flipped[content.len() / 2] ^= 1;
        for damaged in [Vec::new(), content[..content.len() / 2].to_vec(), flipped] {
            if name == "synthetic.json" && damaged.len() == content.len() {
                continue; // the record itself is not hashed
            }
            std::fs::write(raw(name), damaged).expect("writable");
            assert_eq!(lab.build().expect("made anew").data_hash, first.data_hash, "{name}");
            assert_eq!(std::fs::read(raw(name)).expect("readable"), content, "{name}");
        }
    }
    std::fs::remove_file(raw("train.parquet")).expect("removable");
    std::fs::create_dir(raw("train.parquet")).expect("a folder in its place");
    assert_eq!(lab.build().expect("made anew").data_hash, first.data_hash);
    let names = |files: Vec<(String, Vec<u8>)>| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(contents(&lab)), names(whole));
}

#[test]
fn a_made_up_market_is_never_to_be_downloaded() {
    let lab = Lab::small();
    // Damage behind the build's back: after the check, before the reading.
    for damage in ["cut", "emptied", "lost"] {
        let path = lab.path("raw/train.parquet");
        let built = build(&lab.protocol, &lab.paths(), &mut |progress| {
            if matches!(progress, Progress::Step("reading eras")) {
                match damage {
                    "cut" => std::fs::write(&path, b"PAR1").expect("writable"),
                    "emptied" => std::fs::write(&path, b"").expect("writable"),
                    _ => std::fs::remove_file(&path).expect("removable"),
                }
            }
            ControlFlow::Continue(())
        });
        let text = built.expect_err("unreadable").to_string();
        assert!(text.contains("train.parquet") && !text.contains("download"), "{text}");
        assert!(damage == "lost" || text.contains("made anew"), "{text}");
    }
    lab.build().expect("made anew");
}

#[test]
fn changed_content_is_found() {
    let lab = Lab::small();
    let harness = lab.harness();
    harness.verify().expect("untouched data");
    let path = lab.path("packed/features.u8");
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).expect("writable");
    let error = lab.harness().verify().expect_err("a changed byte");
    assert!(error.to_string().contains("features.u8") && error.to_string().contains("autoresearch prepare"), "{error}");
}

#[test]
fn data_of_another_protocol_or_none_is_refused() {
    let lab = Lab::small();
    let none = Harness::open(&lab.protocol, &lab.path("packed")).err().expect("nothing prepared");
    assert!(none.is_not_prepared() && none.to_string().contains("run `autoresearch prepare`"), "{none}");
    lab.build().expect("builds");
    let other = Lab::new(&SMALL.replace("[wisdom, serenity]", "[wisdom]"));
    let error = Harness::open(&other.protocol, &lab.path("packed")).err().expect("another protocol");
    assert!(error.is_not_prepared(), "{error}");
}

#[test]
fn the_holdout_is_apart() {
    let lab = Lab::small();
    let manifest = lab.build().expect("builds");
    let held: Vec<u32> = manifest.holdout.eras.iter().map(|era| era.era).collect();
    assert_eq!(held, [145, 149, 153, 157]);
    assert_eq!(manifest.holdout_embargoed, [129, 133, 137, 141]);
    std::fs::remove_dir_all(lab.path("packed/holdout")).expect("removable");
    let harness = Harness::open(&lab.protocol, &lab.path("packed")).expect("the holdout is not needed");
    assert!(harness.eras().iter().all(|span| span.era < 129));
    harness.verify().expect("the open files are untouched");
}

#[test]
fn the_lock_says_what_has_changed() {
    let lab = Lab::small();
    let manifest = lab.build().expect("builds");
    let lock = Lock::new(&lab.protocol, &manifest);
    let path = lab.path("protocol.lock");
    lock.write(&path).expect("writable");
    assert_eq!(Lock::read(&path).expect("readable"), lock);
    lock.check(&lab.protocol, &manifest).expect("nothing has changed");
    assert_eq!(lock.harness_hash, harness_hash());
    let other = Lab::new(&SMALL.replace("73]", "74]"));
    let error = lock.check(&other.protocol, &manifest).expect_err("other seeds");
    assert!(error.to_string().contains("the protocol has changed"), "{error}");
    assert!(!error.to_string().contains("the data has changed"), "{error}");
    assert!(error.is_configuration());
    std::fs::write(&path, "nonsense: 1\n").expect("writable");
    assert!(matches!(Lock::read(&path), Err(Error::Lock { .. })));
}

#[test]
fn cells_are_scored_and_bad_predictions_are_named() {
    let lab = Lab::small();
    let harness = lab.harness();
    let market = simulated(&lab);
    let mut cells = Vec::new();
    for fold in 0..4 {
        let signal: Vec<f32> = harness.plan().folds[fold]
            .test
            .iter()
            .flat_map(|era| market[era].signal.iter().map(|&value| value as f32))
            .collect();
        cells.push(harness.score_cell(fold, 42, &signal).expect("scores"));
        let own: Vec<f32> =
            harness.test_rows(fold).into_iter().flat_map(|rows| harness.benchmark()[rows].to_vec()).collect();
        let own = harness.score_cell(fold, 42, &own).expect("scores");
        assert!(own.eras.iter().all(|era| era.bmc.abs() < 1e-12), "the benchmark adds nothing to itself");
        assert!(own.corr_with_benchmark.iter().all(|corr| (corr - 1.0).abs() < 1e-12));
    }
    let evaluation = Evaluation::from_cells(&cells, &lab.protocol.objective).expect("an evaluation");
    let best = harness.manifest().achievable(&lab.protocol.objective).expect("a made-up market has a best");
    // The signal was rounded to f32 here, which may swap two ranks.
    assert!((evaluation.payout - best.payout).abs() < 1e-4, "{} and {}", evaluation.payout, best.payout);
    assert!((evaluation.corr.mean - best.corr).abs() < 1e-4);

    let tested = harness.test_rows(0);
    let third: Vec<f32> =
        tested.iter().cloned().flatten().map(|row| f32::from(harness.features().row(row)[2])).collect();
    let leaning = harness.exposure(0, &third).expect("an exposure");
    assert!((leaning.max - 1.0).abs() < 1e-12 && leaning.mean < 0.5, "a feature leans on itself: {leaning:?}");

    let rows = tested.iter().map(std::ops::Range::len).sum::<usize>();
    assert!(harness.exposure(0, &vec![0.5; rows - 1]).is_err() && harness.exposure(0, &vec![0.5; rows]).is_err());
    let short = harness.score_cell(0, 42, &vec![0.5; rows - 1]).expect_err("too few");
    assert!(short.to_string().contains("fold 0, seed 42"), "{short}");
    let mut broken: Vec<f32> = (0..rows).map(|row| row as f32).collect();
    broken[61] = f32::NAN;
    let nan = harness.score_cell(0, 42, &broken).expect_err("NaN");
    assert!(nan.to_string().contains("fold 0, seed 42, era 0005: prediction 1 is NaN"), "{nan}");
    let constant = harness.score_cell(0, 42, &vec![0.5; rows]).expect("constant is a finding, not a failure");
    assert!(constant.eras.iter().all(|era| era.corr.is_nan() && era.bmc == 0.0));
    let error = Evaluation::from_cells(&[constant], &lab.protocol.objective).expect_err("no CORR");
    assert!(error.to_string().contains("constant predictions have no CORR"), "{error}");
}
