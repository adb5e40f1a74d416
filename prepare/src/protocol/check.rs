//! The protocol's rules: from YAML to the checked form, every mistake with its line.

use std::path::Path;

use serde_yaml::{DeserializeError, Spanned};

use super::raw::{RawData, RawFiles, RawObjective, RawProtocol, RawSynthetic};
use super::{
    BenchmarkRules, DataSource, EraRules, FeatureRules, FoldRules, HoldoutRules, Objective, Protocol, SyntheticPreset,
    TargetRules, target_horizon_eras,
};
use crate::error::{Error, Result, did_you_mean, nearest};

/// Version of the protocol's format that this program reads.
const VERSION: u32 = 1;
/// Fewest seeds: fewer cannot tell a better model from a lucky initialization.
const FEWEST_SEEDS: usize = 3;
/// Retained eras that the holdout takes when the protocol does not say.
const DEFAULT_HOLDOUT: usize = 50;
/// Folds when the protocol does not say.
const DEFAULT_FOLDS: usize = 4;
/// Stride when the protocol does not say: scouting keeps every 4th era.
const DEFAULT_STRIDE: u32 = 4;

/// Reads and checks the text of a protocol.
pub(super) fn parse(text: &str, origin: &Path) -> Result<Protocol> {
    let raw: RawProtocol = serde_yaml::from_str(text).map_err(|error| yaml_error(&error, text, origin))?;
    Checker { origin }.check(raw)
}

/// Turns a YAML error into a located one, with the nearest valid name where a name was wrong.
fn yaml_error(error: &DeserializeError, text: &str, origin: &Path) -> Error {
    let line = error.location().map(|location| location.line()).filter(|&line| line > 0);
    let list = |names: &[&str]| names.join(", ");
    let (message, hint) = match error.without_snippet() {
        DeserializeError::SerdeUnknownField { field, expected, .. } => (
            format!("unknown field `{field}`; allowed here: {}", list(expected)),
            did_you_mean(field, expected.iter().copied()),
        ),
        DeserializeError::SerdeUnknownVariant { variant, expected, .. } => (
            format!("unknown kind `{variant}`; allowed here: {}", list(expected)),
            did_you_mean(variant, expected.iter().copied()),
        ),
        DeserializeError::SerdeMissingField { field, .. } => (
            format!("the field `{field}` is missing"),
            "`autoresearch init` writes a complete, commented protocol".to_owned(),
        ),
        DeserializeError::SerdeInvalidType { unexpected, expected, .. }
        | DeserializeError::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("found {unexpected}, expected {expected}"), String::new())
        }
        other => {
            let full = other.to_string();
            let first = full.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            (first, String::new())
        }
    };
    let shown = line
        .and_then(|line| text.lines().nth(line as usize - 1))
        .map_or_else(String::new, |source| format!(", in `{}`", source.trim()));
    Error::Protocol { path: origin.to_owned(), line, message: format!("{message}{shown}"), hint }
}

/// Applies the rules; knows the file, so that every message can name it.
struct Checker<'a> {
    origin: &'a Path,
}

impl Checker<'_> {
    fn check(&self, raw: RawProtocol) -> Result<Protocol> {
        if raw.version.value != VERSION {
            return self.wrong(
                &raw.version,
                format!("`version` is {}, and this program reads version {VERSION}", raw.version.value),
                "",
            );
        }
        let data = match raw.data {
            RawData::Synthetic(synthetic) => self.synthetic(synthetic)?,
            RawData::Files(files) => self.files(files)?,
        };
        self.names("features.sets", &raw.features.sets)?;
        self.names("benchmark.columns", &raw.benchmark.columns)?;
        let train_on: Vec<String> = raw.targets.train_on.value.iter().map(|name| name.value.clone()).collect();
        self.distinct("targets.train_on", &raw.targets.train_on, &train_on)?;
        for name in raw.targets.train_on.value.iter().chain([&raw.targets.score_on]) {
            self.target(name)?;
        }
        let mut protocol = Protocol {
            version: VERSION,
            data,
            features: FeatureRules { sets: raw.features.sets.value },
            targets: TargetRules { train_on, score_on: raw.targets.score_on.value },
            benchmark: BenchmarkRules { columns: raw.benchmark.columns.value },
            eras: EraRules {
                first: raw.eras.first.as_ref().map(|first| first.value),
                last: raw.eras.last.as_ref().map(|last| last.value),
                stride: raw.eras.stride.as_ref().map_or(DEFAULT_STRIDE, |stride| stride.value),
            },
            folds: FoldRules {
                count: raw.folds.count.as_ref().map_or(DEFAULT_FOLDS, |count| count.value),
                embargo: raw.folds.embargo.value,
            },
            holdout: HoldoutRules { eras: 0, embargo: 0 },
            seeds: Vec::new(),
            objective: self.objective(raw.objective)?,
        };
        if let (Some(stride), 0) = (&raw.eras.stride, protocol.eras.stride) {
            return self.wrong(stride, "`eras.stride` is 0; it must be at least 1 (1 keeps every era)", "");
        }
        if let (Some(first), Some(last)) = (&raw.eras.first, &raw.eras.last)
            && first.value > last.value
        {
            let message = format!("`eras.last` is {}, before `eras.first` {}", last.value, first.value);
            return self.wrong(last, message, "");
        }
        if let Some(count) = raw.folds.count.as_ref().filter(|count| count.value < 2) {
            let message = format!("`folds.count` is {}; it must be at least 2", count.value);
            return self.wrong(count, message, "");
        }
        self.embargo(&protocol, "folds.embargo", &raw.folds.embargo)?;
        if let Some(embargo) = &raw.holdout.embargo {
            self.embargo(&protocol, "holdout.embargo", embargo)?;
        }
        protocol.holdout = HoldoutRules {
            eras: raw.holdout.eras.unwrap_or(DEFAULT_HOLDOUT),
            embargo: raw.holdout.embargo.map_or(protocol.folds.embargo, |embargo| embargo.value),
        };
        self.distinct("seeds", &raw.seeds, &raw.seeds.value)?;
        if raw.seeds.value.len() < FEWEST_SEEDS {
            return self.wrong(
                &raw.seeds,
                format!("`seeds` has {} entries; at least {FEWEST_SEEDS} are needed", raw.seeds.value.len()),
                "one seed cannot tell a better model from a lucky one; usual: [42, 17, 73]",
            );
        }
        protocol.seeds = raw.seeds.value;
        Ok(protocol)
    }

    fn synthetic(&self, raw: Spanned<RawSynthetic>) -> Result<DataSource> {
        let line = raw.referenced.line();
        let raw = raw.value;
        let preset = match (raw.preset, raw.sizes) {
            (Some(name), None) => match name.value.as_str() {
                "demo" => SyntheticPreset::Demo,
                "bench" => SyntheticPreset::Bench,
                other => {
                    let hint = did_you_mean(other, ["demo", "bench"]);
                    let message = format!("`data.synthetic.preset` is `{other}`; allowed: demo, bench");
                    return self.wrong(&name, message, hint);
                }
            },
            (None, Some(sizes)) => {
                if let Err(message) = sizes.value.check() {
                    return self.wrong(&sizes, format!("`data.synthetic.sizes`: {message}"), "");
                }
                SyntheticPreset::Custom(sizes.value)
            }
            (Some(at), Some(_)) => {
                return self.wrong(&at, "`data.synthetic` has both `preset` and `sizes`", "give one of them");
            }
            (None, None) => {
                return Err(self.error(
                    Some(line),
                    "`data.synthetic` has neither `preset` nor `sizes`",
                    "usual: preset: demo",
                ));
            }
        };
        Ok(DataSource::Synthetic { preset, seed: raw.seed })
    }

    fn files(&self, raw: RawFiles) -> Result<DataSource> {
        let version = &raw.version.value;
        if version.is_empty() || version.contains(['/', '\\']) || version == ".." {
            let message = format!("`data.files.version` is `{version}`; it must be the name of one folder");
            return self.wrong(&raw.version, message, "usual: v5.2");
        }
        let parts = match raw.parts {
            None => vec!["train".to_owned()],
            Some(parts) => {
                self.names("data.files.parts", &parts)?;
                if let Some(other) = parts.value.iter().find(|part| !["train", "validation"].contains(&part.as_str())) {
                    let hint = did_you_mean(other, ["train", "validation"]);
                    let message = format!("`data.files.parts` has `{other}`; allowed: train, validation");
                    return self.wrong(&parts, message, hint);
                }
                parts.value
            }
        };
        Ok(DataSource::Files { folder: raw.folder, version: raw.version.value, parts })
    }

    fn target(&self, name: &Spanned<String>) -> Result<()> {
        let found = &name.value;
        if found == "target" {
            return self.wrong(
                name,
                "`target` is an alias, and Numerai changes what it means (ender_20 in v5.2, ender_60 in v5.3)",
                "name the target in full, for example target_ender_60",
            );
        }
        if !found.starts_with("target_") || target_horizon_eras(found).is_none() {
            return self.wrong(
                name,
                format!("`{found}` is no target; it must be named target_NAME_20 or target_NAME_60"),
                nearest(found, ["target_ender_20", "target_ender_60"])
                    .map_or_else(String::new, |close| format!("for example {close}")),
            );
        }
        Ok(())
    }

    fn embargo(&self, protocol: &Protocol, field: &str, found: &Spanned<u32>) -> Result<()> {
        let needed = protocol.horizon_eras();
        if found.value >= needed {
            return Ok(());
        }
        let longest = protocol
            .targets
            .train_on
            .iter()
            .chain([&protocol.targets.score_on])
            .find(|name| target_horizon_eras(name) == Some(needed))
            .map_or("the longest target", String::as_str);
        self.wrong(
            found,
            format!("`{field}` is {}; {longest} needs at least {needed} eras, counted in era numbers", found.value),
            "targets overlap across eras; a shorter embargo leaks test labels into training",
        )
    }

    fn objective(&self, raw: Spanned<RawObjective>) -> Result<Objective> {
        let line = raw.referenced.line();
        let raw = raw.value;
        match (raw.preset, raw.corr, raw.bmc) {
            (Some(name), None, None) => Objective::preset(&name.value).map_or_else(
                || {
                    let names = Objective::PRESETS.map(|(name, ..)| name);
                    self.wrong(
                        &name,
                        format!("`objective.preset` is `{}`; allowed: {}", name.value, names.join(", ")),
                        did_you_mean(&name.value, names),
                    )
                },
                Ok,
            ),
            (None, Some(corr), Some(bmc)) => {
                for (field, weight) in [("corr", &corr), ("bmc", &bmc)] {
                    if !weight.value.is_finite() || weight.value < 0.0 {
                        let message = format!("`objective.{field}` is {}; it must be 0 or more", weight.value);
                        return self.wrong(weight, message, "");
                    }
                }
                if corr.value + bmc.value <= 0.0 {
                    return self.wrong(&corr, "both weights of `objective` are 0", "");
                }
                Ok(Objective { name: "custom".into(), corr: corr.value, bmc: bmc.value })
            }
            _ => Err(self.error(
                Some(line),
                "`objective` must have either `preset`, or both `corr` and `bmc`",
                "usual: preset: numerai-2026-01",
            )),
        }
    }

    fn names(&self, field: &str, list: &Spanned<Vec<String>>) -> Result<()> {
        self.distinct(field, list, &list.value)
    }

    /// A list that must have entries, all different.
    fn distinct<T, V: PartialEq + std::fmt::Display>(&self, field: &str, at: &Spanned<T>, values: &[V]) -> Result<()> {
        if values.is_empty() {
            return self.wrong(at, format!("`{field}` is empty; it needs at least one entry"), "");
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                return self.wrong(at, format!("`{field}` names {value} twice"), "");
            }
        }
        Ok(())
    }

    fn wrong<T, R>(&self, at: &Spanned<T>, message: impl Into<String>, hint: impl Into<String>) -> Result<R> {
        Err(self.error(Some(at.referenced.line()), message, hint))
    }

    fn error(&self, line: Option<u64>, message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Protocol {
            path: self.origin.to_owned(),
            line: line.filter(|&line| line > 0),
            message: message.into(),
            hint: hint.into(),
        }
    }
}
