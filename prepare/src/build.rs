//! From a protocol to packed data: obtain the files, check them, pack them. Run it as often as you like.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::folds::{FoldPlan, plan};
use crate::manifest::{Manifest, SourceFile, VERSION};
use crate::pack::pack;
use crate::protocol::{DataSource, Protocol, SyntheticPreset};
use crate::source::{Source, fingerprint};
use crate::storage::{folder_beside, read_json, replace_folder};
use crate::synthetic::{SYNTHETIC_FILE, SyntheticRecord, current, write_unless};

/// Where a lab keeps its data.
#[derive(Clone, Debug)]
pub struct DataPaths {
    /// The lab; relative folders in the protocol start here.
    pub lab: PathBuf,
    /// Parquet files that the program makes or downloads itself.
    pub raw: PathBuf,
    /// Packed data.
    pub packed: PathBuf,
}

/// What a build is doing.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A step begins.
    Step(&'a str),
    /// Rows (for the made-up market eras, for its check bytes) of a step that are done, of how many.
    Rows {
        /// The step.
        step: &'a str,
        /// Done so far.
        done: u64,
        /// In all.
        total: u64,
    },
}

/// Hears of progress; [`Error::Stopped`] ends the build.
type Tell<'a> = dyn FnMut(Progress<'_>) -> Result<()> + 'a;

/// Obtains the data that the protocol names and packs it, unless that has been done already.
///
/// Everything is written into a folder beside its final place and renamed when it is complete: a crash leaves either
/// what was there before, or nothing, and the next build starts over. `progress` is called often, and ends the build
/// by `Break`.
///
/// # Errors
/// When a file is missing, damaged or does not hold what it should; when the folds cannot be cut; on a full disk;
/// [`Error::Stopped`] when `progress` ends it.
pub fn build(
    protocol: &Protocol,
    paths: &DataPaths,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Manifest> {
    let mut tell = |now: Progress<'_>| match progress(now) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Stopped),
    };
    match &protocol.data {
        DataSource::Files { folder, version, parts } => {
            build_from(protocol, paths, &paths.lab.join(folder).join(version), parts, &mut tell)
        }
        DataSource::Synthetic { preset, seed } => {
            make_market(protocol, preset, *seed, &paths.raw, &mut tell)?;
            build_from(protocol, paths, &paths.raw, &["train".to_owned()], &mut tell)
                .map_err(|error| error.of_made_market(&paths.raw))
        }
    }
}

/// Packs the files of a folder, unless that has been done already.
fn build_from(
    protocol: &Protocol,
    paths: &DataPaths,
    folder: &Path,
    parts: &[String],
    tell: &mut Tell<'_>,
) -> Result<Manifest> {
    let mut sources = fingerprint(folder, parts)?;
    if let Some(manifest) = packed_already(protocol, paths, &sources) {
        return Ok(manifest);
    }
    if let DataSource::Synthetic { preset, seed } = &protocol.data {
        mend_market(protocol, preset, *seed, folder, tell)?;
        sources = fingerprint(folder, parts)?;
    }
    tell(Progress::Step("reading eras"))?;
    let source = Source::open(protocol, folder, parts, &mut |done, total| {
        tell(Progress::Rows { step: "reading eras", done, total })
    })?;
    let (retained, unlabelled_eras) = retain(protocol, &source, folder)?;
    let plan = plan(&retained, &protocol.folds, &protocol.holdout)?;
    check_benchmark(&source, &plan)?;
    tell(Progress::Step("packing"))?;
    let partial = folder_beside(&paths.packed)?;
    let packed = pack(protocol, &source, &plan, partial.path(), &mut |done, total| {
        tell(Progress::Rows { step: "packing", done, total })
    })?;
    let best = match &protocol.data {
        DataSource::Synthetic { .. } => read_json::<SyntheticRecord>(&folder.join(SYNTHETIC_FILE))?.best,
        DataSource::Files { .. } => Vec::new(),
    };
    let mut manifest = Manifest {
        version: VERSION,
        data_key: protocol.data_key(),
        data_hash: String::new(),
        sources,
        features: source.features,
        feature_sets: source.feature_sets,
        targets: protocol.targets.train_on.clone(),
        score_on: protocol.targets.score_on.clone(),
        benchmark: protocol.benchmark.columns.clone(),
        open: packed.open,
        holdout: packed.holdout,
        holdout_embargoed: plan.holdout_embargoed,
        unlabelled_eras,
        missing: packed.missing,
        best,
    };
    manifest.data_hash = manifest.content_hash();
    manifest.write(partial.path())?;
    replace_folder(partial, &paths.packed)?;
    Ok(manifest)
}

/// The manifest of what is packed, if that is what this protocol makes of these files.
fn packed_already(protocol: &Protocol, paths: &DataPaths, sources: &[SourceFile]) -> Option<Manifest> {
    let manifest = Manifest::read(&paths.packed).ok()?;
    let fits = manifest.data_key == protocol.data_key()
        && manifest.sources == sources
        && complete(&paths.packed, &manifest)
        && plan(&manifest.retained_eras(), &protocol.folds, &protocol.holdout)
            .is_ok_and(|eras| eras.holdout_embargoed == manifest.holdout_embargoed);
    fits.then_some(manifest)
}

/// Makes the market unless it is there.
fn make_market(
    protocol: &Protocol,
    preset: &SyntheticPreset,
    seed: u64,
    raw: &Path,
    tell: &mut Tell<'_>,
) -> Result<()> {
    if current(raw, &preset.sizes(), seed, &protocol.targets.score_on).is_some() {
        return Ok(());
    }
    let occupied = raw.is_dir()
        && std::fs::read_dir(raw).map_err(Error::io(raw, "read"))?.next().is_some()
        && !raw.join(SYNTHETIC_FILE).is_file();
    if occupied {
        return Err(Error::schema(
            raw,
            "the folder holds files that are not a made-up market's, and they would be replaced",
            "move them elsewhere and name that folder under `data.files` in the protocol",
        ));
    }
    remake_market(protocol, preset, seed, raw, tell)
}

/// Makes the market anew if its files, about to be read, are no longer what was written.
fn mend_market(
    protocol: &Protocol,
    preset: &SyntheticPreset,
    seed: u64,
    raw: &Path,
    tell: &mut Tell<'_>,
) -> Result<()> {
    tell(Progress::Step("checking the market"))?;
    if let Some(record) = current(raw, &preset.sizes(), seed, &protocol.targets.score_on)
        && record
            .is_intact(raw, &mut |done, total| tell(Progress::Rows { step: "checking the market", done, total }))?
    {
        return Ok(());
    }
    remake_market(protocol, preset, seed, raw, tell)
}

fn remake_market(
    protocol: &Protocol,
    preset: &SyntheticPreset,
    seed: u64,
    raw: &Path,
    tell: &mut Tell<'_>,
) -> Result<()> {
    tell(Progress::Step("making the market"))?;
    let partial = folder_beside(raw)?;
    write_unless(&preset.sizes(), seed, &protocol.targets.score_on, partial.path(), &mut |done, total| {
        tell(Progress::Rows { step: "making the market", done, total })
    })?;
    replace_folder(partial, raw)
}

/// Whether all files of a manifest are there in their sizes.
fn complete(packed: &Path, manifest: &Manifest) -> bool {
    [(packed.to_owned(), &manifest.open), (packed.join(crate::pack::HOLDOUT), &manifest.holdout)]
        .iter()
        .flat_map(|(folder, part)| part.files.iter().map(move |file| (folder.join(&file.name), file.bytes)))
        .all(|(path, bytes)| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes))
}

/// Eras that the protocol keeps: those that have a scoring target, and those that have none yet.
fn retain(protocol: &Protocol, source: &Source, folder: &Path) -> Result<(Vec<u32>, Vec<u32>)> {
    let rules = &protocol.eras;
    let first = rules.first.or_else(|| source.eras().next().map(|run| run.era)).unwrap_or(0);
    let last = rules.last.unwrap_or(u32::MAX);
    let (retained, unlabelled): (Vec<_>, Vec<_>) = source
        .eras()
        .filter(|run| (first..=last).contains(&run.era) && (run.era - first).is_multiple_of(rules.stride))
        .partition(|run| run.labelled > 0);
    if retained.is_empty() {
        let found: Vec<u32> = source.eras().map(|run| run.era).collect();
        return Err(Error::data(
            folder,
            "column `era`",
            format!(
                "no era is left: the files hold eras {:04} to {:04}, and `eras` keeps every {}th from {first:04} on",
                found.first().unwrap_or(&0),
                found.last().unwrap_or(&0),
                rules.stride
            ),
            "correct `eras` in the protocol",
        ));
    }
    // An era that is scored needs its labels: Numerai's rule asks for 80 %.
    if let Some(run) = retained.iter().find(|run| (run.labelled as f64) < 0.8 * run.rows.len() as f64) {
        return Err(Error::data(
            folder,
            format!("column `{}`, era {:04}", protocol.targets.score_on, run.era),
            format!("only {} of {} rows have a scoring target; at least 80 % must", run.labelled, run.rows.len()),
            "set `eras.last` before this era, or score on another target",
        ));
    }
    let numbers = |runs: Vec<&crate::source::EraRun>| runs.iter().map(|run| run.era).collect();
    Ok((numbers(retained), numbers(unlabelled)))
}

/// A tested era without any benchmark prediction has no contribution: that is an error, never a zero.
fn check_benchmark(source: &Source, plan: &FoldPlan) -> Result<()> {
    let mut tested = plan.cross_validated();
    tested.extend_from_slice(&plan.holdout);
    let without: Vec<u32> = tested.iter().copied().filter(|&era| !source.has_benchmark(era)).collect();
    if without.is_empty() {
        return Ok(());
    }
    let hint = tested.iter().find(|&&era| source.has_benchmark(era)).map_or_else(String::new, |first| {
        format!("benchmark predictions start at era {first:04}: set `eras.first: {first}` in the protocol")
    });
    let fold = plan.folds.iter().find(|fold| fold.test.contains(&without[0]));
    let place = fold.map_or_else(|| "the holdout".to_owned(), |fold| format!("fold {}", fold.fold));
    let path = source.parts.first().map_or_else(|| Path::new("").to_owned(), |part| part.benchmark.path().to_owned());
    Err(Error::data(
        &path,
        place,
        format!("no benchmark prediction for {} test eras: {}", without.len(), list(&without)),
        hint,
    ))
}

/// Era numbers for a message: the first few, and the last.
fn list(eras: &[u32]) -> String {
    let shown: Vec<String> = eras.iter().take(6).map(|era| format!("{era:04}")).collect();
    match eras.last() {
        Some(last) if eras.len() > shown.len() => format!("{}, … {last:04}", shown.join(", ")),
        _ => shown.join(", "),
    }
}
