//! `autoresearch doctor`

use std::path::Path;

use prepare::{DataSource, Harness, Lock, Manifest, Protocol};
use serde::Serialize;

use super::{Context, logging, out};
use crate::daemon::{budget, known_rates, prompt_overrides, worker_settings};
use crate::error::{Error, Result, exit};
use crate::lab::config::Config;
use crate::lab::{Lab, LabError, Ledger, Notebook, lock};
use crate::report::holdout::HoldoutFacts;
use crate::research::rules::Rules;
use crate::research::words::count;
use crate::researcher::{ErrorKind, Team, Templates};
use crate::spec::{Spec, text_of};
use crate::train::facts;
use crate::worker::supervisor::Worker;

/// Check everything a night depends on.
///
/// Checks everything a night depends on: lab, configuration, notebook, rules, data, model, disk, device, researcher.
/// What is wrong is said with what to do. It changes nothing. The exit code is that of the first failure; a warning is
/// none. Data that is not prepared is a warning where `run` makes or packs it itself, and a failure where files are missing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    health: Health,
    text: String,
    #[serde(skip)]
    code: u8,
}

/// Less free disk than this is worth a warning, bytes.
const LITTLE_DISK: u64 = 2 << 30;

/// So few queries of the holdout are worth a warning.
const FEW_QUERIES: u32 = 2;

pub(super) fn run(context: &Context<'_>, _: &Arguments) -> Result<()> {
    logging::start(context.verbose, true);
    let checks = examine(context.lab);
    if context.json {
        out::json(&checks)?;
    } else {
        for check in &checks {
            let (colour, word) = match check.health {
                Health::Ok => (anstyle::AnsiColor::Green, "ok"),
                Health::Warning => (anstyle::AnsiColor::Yellow, "warning"),
                Health::Failed => (anstyle::AnsiColor::Red, "failed"),
            };
            let style = colour.on_default();
            let bold = anstyle::Style::new().bold();
            out::line_fitted(&format!("{style}{word:<8}{style:#} {bold}{:<13}{bold:#} {}", check.name, check.text));
        }
    }
    match checks.iter().find(|check| check.health == Health::Failed) {
        None => Ok(()),
        Some(check) => Err(match check.code {
            exit::DATA => Error::Harness(prepare::Error::NotPrepared {
                path: context.lab.join(".autoresearch/data/packed"),
                message: "the data is not fit to research on (see above)".into(),
            }),
            exit::RESEARCHER => Error::Researcher { who: "doctor".into(), source: Box::new(ErrorKind::Unfit.free()) },
            exit::TRAINING => Error::Training(format!("{} is not fit for a night (see above)", check.name)),
            _ => Error::Configuration(format!("{} is not fit for a night (see above)", check.name)),
        }),
    }
}

fn examine(folder: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let Some(lab) = take(&mut checks, "lab", Lab::open(folder), |lab| lab.root().display().to_string()) else {
        return checks;
    };
    let config = take(&mut checks, "configuration", Config::read(&lab), |config| {
        let phases = count(config.phases.len(), "phase");
        format!("{phases}, trials of at most {} s", config.budget.trial_seconds)
    });
    notebook(&mut checks, &lab);
    checks.push(match lock::holder(&lab) {
        Some(holder) if holder.alive => {
            good("lock", format!("process {} holds the lab since {}", holder.pid, holder.since))
        }
        Some(holder) => {
            weak("lock", format!("process {} died holding it; the next `run` repairs what it left", holder.pid))
        }
        None => good("lock", "nobody holds the lab".into()),
    });
    rules(&mut checks, &lab);
    disk(&mut checks, &lab);
    let protocol = take(&mut checks, "protocol", Protocol::read(&lab.protocol()), |protocol| {
        format!(
            "{}, embargo {}, seeds {:?}, objective {}",
            count(protocol.folds.count, "fold"),
            protocol.folds.embargo,
            protocol.seeds,
            protocol.objective.name
        )
    });
    let (Some(config), Some(protocol)) = (config, protocol) else { return checks };
    holdout(&mut checks, &lab, &config);
    let harness = data(&mut checks, &lab, &protocol);
    model(&mut checks, &lab, &config, harness.as_ref());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return checks };
    if harness.is_none() {
        checks.push(weak("device", "not looked at: the worker opens the data".into()));
    } else {
        let started = runtime.block_on(async {
            let mut worker = Worker::start(worker_settings(&lab, &config)).await?;
            let device = worker.greeting().device.clone();
            worker.kill().await;
            Ok::<_, Error>(device)
        });
        take(&mut checks, "device", started, String::clone);
    }
    researchers(&mut checks, &lab, &config, &runtime);
    checks
}

/// A line for each who may be asked, in the order in which they are.
fn researchers(checks: &mut Vec<Check>, lab: &Lab, config: &Config, runtime: &tokio::runtime::Runtime) {
    let fail = |who: &str, source| Error::Researcher { who: who.to_owned(), source: Box::new(source) };
    let team = prompt_overrides(lab).and_then(|overrides| {
        let names: Vec<String> = overrides.iter().map(|(name, _)| name.clone()).collect();
        let templates = Templates::with_overrides(&overrides).map_err(|kind| fail("templates", kind.free()))?;
        let team = Team::new(&config.researcher, &templates).map_err(|(kind, source)| fail(kind.name(), source))?;
        Ok::<_, Error>((team, names))
    });
    let (team, overridden) = match team {
        Ok(found) => found,
        Err(error) => {
            checks.push(bad("researcher", &error));
            return;
        }
    };
    for kind in team.kinds() {
        let Some(researcher) = team.researcher(kind) else { continue };
        let limit = std::time::Duration::from_secs(60);
        let said = runtime.block_on(async { tokio::time::timeout(limit, researcher.check()).await });
        let said = said.unwrap_or_else(|_| Err(ErrorKind::slow("it", limit).free()));
        let role = if team.is_own(kind) { "" } else { "in its place: " };
        take(checks, "researcher", said.map_err(|error| fail(kind.name(), error)), |(words, _)| {
            format!("{role}{words}")
        });
    }
    if team.kinds().into_iter().any(|kind| !kind.is_instant()) {
        let text = match overridden.as_slice() {
            [] => format!("the program's own; a file in prompts/ takes the place of {}", Templates::names()),
            some => format!("{} from prompts/, the others the program's own", some.join(", ")),
        };
        checks.push(good("templates", text));
    }
}

fn take<T, E: Into<Error>>(
    checks: &mut Vec<Check>,
    name: &'static str,
    result: std::result::Result<T, E>,
    words: impl Fn(&T) -> String,
) -> Option<T> {
    match result {
        Ok(value) => {
            checks.push(good(name, words(&value)));
            Some(value)
        }
        Err(error) => {
            checks.push(bad(name, &error.into()));
            None
        }
    }
}

fn bad(name: &'static str, error: &Error) -> Check {
    Check { name, health: Health::Failed, text: error.to_string(), code: error.exit_code() }
}

fn good(name: &'static str, text: String) -> Check {
    Check { name, health: Health::Ok, text, code: 0 }
}

fn weak(name: &'static str, text: String) -> Check {
    Check { name, health: Health::Warning, text, code: 0 }
}

fn notebook(checks: &mut Vec<Check>, lab: &Lab) {
    // Not opened for writing: that is for the holder of the lab's lock, who may be at work.
    let looked = Notebook::view(lab).and_then(|notebook| notebook.check().map(|()| notebook));
    let Some(notebook) = take(checks, "notebook", looked, |notebook| format!("branch {}", notebook.branch())) else {
        return;
    };
    take(checks, "model.yaml", notebook.refuse_dirty_model(), |()| "committed".into());
}

fn rules(checks: &mut Vec<Check>, lab: &Lab) {
    let path = lab.do_not_retry();
    let text = std::fs::read_to_string(&path).map_err(|error| Error::from(LabError::io("read it", &path, error)));
    let rules = text.and_then(|text| {
        Rules::parse(&text, "do_not_retry.toml").map_err(|error| Error::Configuration(error.to_string()))
    });
    take(checks, "do-not-retry", rules, |rules| count(rules.all().len(), "rule"));
}

fn disk(checks: &mut Vec<Check>, lab: &Lab) {
    match nix::sys::statvfs::statvfs(lab.root()) {
        Ok(found) => {
            let free = found.blocks_available() * found.fragment_size();
            let text = format!("{:.1} GiB free", free as f64 / f64::from(1 << 30));
            checks.push(if free < LITTLE_DISK {
                weak("disk", format!("{text}; make room"))
            } else {
                good("disk", text)
            });
        }
        Err(error) => checks.push(weak("disk", format!("free space cannot be found out: {error}"))),
    }
}

fn holdout(checks: &mut Vec<Check>, lab: &Lab, config: &Config) {
    let asked = crate::lab::holdout::read(lab).and_then(|answers| {
        let entries = Ledger::read(lab)?;
        Ok(HoldoutFacts::of(&answers, entries.iter().map(|entry| &entry.event), config.holdout.budget))
    });
    match asked {
        Ok(facts) => {
            let left = facts.budget.saturating_sub(facts.queries);
            let text = format!("{left} of {} queries left", facts.budget);
            checks.push(if facts.queries > 0 && left <= FEW_QUERIES {
                weak("holdout", format!("{text}; each look makes its score less independent of what is kept"))
            } else {
                good("holdout", text)
            });
        }
        Err(error) => checks.push(weak("holdout", error.to_string())),
    }
}

fn data(checks: &mut Vec<Check>, lab: &Lab, protocol: &Protocol) -> Option<Harness> {
    let opened = Harness::open(protocol, &lab.packed_data());
    if let Err(error) = &opened
        && error.is_not_prepared()
    {
        checks.push(unprepared(lab, protocol));
        return None;
    }
    let harness = take(checks, "data", opened, |harness| {
        format!("{} rows, {} features, data {}", harness.rows(), harness.feature_count(), harness.data_hash())
    })?;
    let locked = Lock::read(&lab.protocol_lock()).and_then(|lock| {
        let manifest = Manifest::read(&lab.packed_data())?;
        lock.check(protocol, &manifest)
    });
    take(checks, "data lock", locked, |()| "protocol, data and harness are as locked".into());
    take(checks, "data hash", harness.verify(), |()| "every packed file is as it was packed".into());
    Some(harness)
}

/// Data that is not there yet: `run` sees to it, if it can.
fn unprepared(lab: &Lab, protocol: &Protocol) -> Check {
    let lock = lab.protocol_lock();
    if lock.exists()
        && let Err(error) = Lock::read(&lock).and_then(|lock| lock.check_protocol(protocol))
    {
        return bad("data", &error.into());
    }
    match &protocol.data {
        DataSource::Synthetic { .. } => {
            weak("data", "not prepared yet; `run` makes the market and packs it first, as `prepare` does".into())
        }
        DataSource::Files { folder, version, parts } => {
            let folder = lab.root().join(folder).join(version);
            let files =
                parts.iter().flat_map(|part| [format!("{part}.parquet"), format!("{part}_benchmark_models.parquet")]);
            let missing: Vec<String> = std::iter::once("features.json".to_owned())
                .chain(files)
                .filter(|file| !folder.join(file).is_file())
                .collect();
            if missing.is_empty() {
                let text = format!("not prepared yet; `run` packs {} first, as `prepare` does", folder.display());
                return weak("data", text);
            }
            let text = format!(
                "{}: {} missing; the program downloads nothing itself (`autoresearch prepare --help` has the lines)",
                folder.display(),
                missing.join(", ")
            );
            Check { name: "data", health: Health::Failed, text, code: exit::DATA }
        }
    }
}

fn model(checks: &mut Vec<Check>, lab: &Lab, config: &Config, harness: Option<&Harness>) {
    let path = lab.model();
    let bytes = std::fs::read(&path).map_err(|error| Error::from(LabError::io("read it", &path, error)));
    let spec = bytes.and_then(|bytes| {
        let text = text_of(bytes, "model.yaml")?;
        let Some(harness) = harness else { return Ok(Spec::parse(&text, "model.yaml")?) };
        let settings = worker_settings(lab, config);
        let rates = known_rates(lab, &settings).map(|measured| measured.rates);
        let budget = budget(config, &settings, rates);
        Ok(Spec::check(&text, "model.yaml", &facts(harness), &budget).accepted()?.0)
    });
    take(checks, "spec", spec, |spec| format!("valid, hash {}", spec.hash()));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lab::notebook::support::TestLab;

    fn examined(lab: &TestLab) -> Vec<(Health, String)> {
        let mut checks = Vec::new();
        notebook(&mut checks, &lab.lab());
        checks.into_iter().map(|check| (check.health, check.text)).collect()
    }

    #[test]
    fn the_git_lock_of_a_session_at_work_is_left_alone() {
        let lab = TestLab::new();
        let session = lab.root().join(".git").join(format!("autoresearch-index-{}", "a".repeat(40)));
        let lock = lab.root().join(".git/index.lock");
        fs::write(&session, "").expect("written");
        fs::hard_link(&session, &lock).expect("locked");
        assert_eq!(examined(&lab), [(Health::Ok, "branch main".into()), (Health::Ok, "committed".into())]);
        assert!(session.exists() && lock.exists());
    }

    #[test]
    fn what_stands_in_a_nights_way_is_said() {
        let lab = TestLab::new();
        lab.write("model.yaml", "version: 1\n# mine\n");
        let found = examined(&lab);
        assert!(found[0].0 == Health::Ok && found[1].0 == Health::Failed, "{found:?}");
        fs::write(lab.root().join(".git/MERGE_HEAD"), lab.git(&["rev-parse", "HEAD"])).expect("written");
        let found = examined(&lab);
        assert!(found[0].0 == Health::Failed && found[0].1.contains("a merge is under way"), "{found:?}");
        fs::remove_file(lab.root().join(".git/MERGE_HEAD")).expect("removed");
        lab.git(&["switch", "-q", "--detach"]);
        let found = examined(&lab);
        assert!(found[0].0 == Health::Failed && found[0].1.contains("HEAD is detached"), "{found:?}");
    }
}
