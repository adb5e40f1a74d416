//! The protocol: presets, hashes, and mistakes that are named with their line.

use std::path::Path;

use prepare::{DataSource, Error, Preset, Protocol, target_horizon_eras};

use crate::support::SMALL;

fn parse(yaml: &str) -> Result<Protocol, Error> {
    Protocol::parse(yaml, Path::new("prepare/protocol.yaml"))
}

#[test]
fn every_preset_is_valid_and_the_shipped_protocol_is_the_demo() {
    for preset in Preset::ALL {
        let protocol = parse(preset.yaml()).expect("a valid preset");
        assert_eq!(preset.name().parse(), Ok(preset));
        assert_eq!(protocol.seeds, [42, 17, 73]);
        assert_eq!(protocol.folds.embargo, 16);
        assert!(preset.yaml().starts_with('#'), "a preset explains itself");
    }
    let shipped = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/protocol.yaml"));
    assert_eq!(shipped, Preset::Demo.yaml());
    let numerai = parse(Preset::Numerai.yaml()).expect("a valid preset");
    assert!(
        matches!(&numerai.data, DataSource::Files { version, parts, .. } if version == "v5.2" && parts == &["train"])
    );
    assert_eq!(numerai.eras.first, Some(158));
    assert_eq!((numerai.targets.train_on.len(), numerai.benchmark.columns.len()), (20, 8));
    assert_eq!(numerai.holdout.eras, 50);
}

#[test]
fn an_unknown_preset_names_the_nearest() {
    let message = "benhc".parse::<Preset>().expect_err("no such preset");
    assert!(message.contains("did you mean `bench`?"), "{message}");
}

#[test]
fn the_hash_follows_meaning_and_not_spelling() {
    let base = parse(SMALL).expect("valid");
    let respelled = SMALL.replace("eras: {stride: 4}", "# a comment\neras:\n  stride: 4");
    assert_eq!(base.hash(), parse(&respelled).expect("valid").hash());
    assert_eq!(base.hash().len(), 16);
    let seeds = parse(&SMALL.replace("[42, 17, 73]", "[42, 17, 74]")).expect("valid");
    assert_ne!(base.hash(), seeds.hash());
    assert_eq!(base.data_key(), seeds.data_key(), "seeds do not change the data");
    let embargo = parse(&SMALL.replace("embargo: 16", "embargo: 20")).expect("valid");
    assert_ne!(base.data_key(), embargo.data_key(), "the holdout's embargo follows the folds'");
}

#[test]
fn horizons_come_from_the_suffix() {
    assert_eq!(target_horizon_eras("target_ender_20"), Some(8));
    assert_eq!(target_horizon_eras("target_teager2b_60"), Some(16));
    assert_eq!(target_horizon_eras("target"), None);
}

#[test]
fn mistakes_name_file_line_finding_and_remedy() {
    let cases: &[(&str, &str, u64, &[&str])] = &[
        ("seeds: [42, 17, 73]", "seeds: [42, 17]", 16, &["`seeds` has 2 entries", "at least 3"]),
        ("seeds: [42, 17, 73]", "seeds: [42, 17, 42]", 16, &["`seeds` names 42 twice"]),
        ("seeds: [42, 17, 73]", "seeds: forty-two", 16, &["seeds: forty-two"]),
        ("embargo: 16", "embargo: 15", 15, &["`folds.embargo` is 15", "target_ender_60 needs at least 16"]),
        ("embargo: 16", "embrago: 16", 15, &["unknown field `embrago`", "did you mean `embargo`?"]),
        ("count: 4", "count: 1", 15, &["`folds.count` is 1", "at least 2"]),
        ("stride: 4", "stride: 0", 14, &["`eras.stride` is 0"]),
        ("stride: 4", "first: 9, last: 5", 14, &["`eras.last` is 5"]),
        ("score_on: target_ender_20", "score_on: target", 12, &["`target` is an alias", "name the target in full"]),
        ("score_on: target_ender_20", "score_on: ender", 12, &["`ender` is no target"]),
        (
            "preset: numerai-2026-01",
            "preset: numerai-2026-02",
            18,
            &["allowed: numerai-2026-01, numerai-1343", "did you mean"],
        ),
        ("preset: numerai-2026-01", "corr: 1", 18, &["either `preset`, or both `corr` and `bmc`"]),
        ("preset: numerai-2026-01", "corr: -1, bmc: 1", 18, &["`objective.corr` is -1"]),
        ("{eras: 4}", "{eras: 4, embargo: 3}", 17, &["`holdout.embargo` is 3"]),
        ("version: 1", "version: 2", 1, &["`version` is 2", "reads version 1"]),
        ("features: {sets: [wisdom, serenity]}", "features: {sets: []}", 11, &["`features.sets` is empty"]),
        ("rows: 60", "rows: 3", 6, &["`rows` is 3; allowed: 20 to"]),
        ("synthetic:", "synthetix:", 3, &["unknown kind `synthetix`", "did you mean `synthetic`?"]),
    ];
    for (from, to, line, parts) in cases {
        assert!(SMALL.contains(from), "the case `{from}` must apply");
        let error = parse(&SMALL.replacen(from, to, 1)).expect_err(to);
        let text = error.to_string();
        assert!(error.is_configuration(), "{text}");
        assert!(
            matches!(&error, Error::Protocol { line: Some(found), .. } if found == line),
            "{to}: line {line} expected: {error:?}"
        );
        assert!(text.starts_with("prepare/protocol.yaml, line "), "{text}");
        for part in *parts {
            assert!(text.contains(part), "{to}: `{part}` expected in: {text}");
        }
    }
    let missing = parse(&SMALL.replace("seeds: [42, 17, 73]\n", "")).expect_err("no seeds");
    assert!(missing.to_string().contains("the field `seeds` is missing"), "{missing}");
    assert!(parse("").is_err() && parse("[]").is_err() && parse("version: [").is_err());
}

#[test]
fn a_missing_protocol_is_named() {
    let error = Protocol::read(Path::new("/nonexistent/protocol.yaml")).expect_err("no file");
    assert!(error.to_string().contains("cannot read /nonexistent/protocol.yaml"), "{error}");
}
