//! Opening a session: the lab's lock, its configuration, its data, its notebook, recovery, and a worker that is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use jiff::{Timestamp, tz::TimeZone};
use prepare::{DataPaths, Lock, Protocol};
use tokio::sync::watch;

use super::desk::Desk;
use super::notify::Notify;
use super::propose::patiently;
use super::rates;
use super::session::{Limits, Session};
use super::update::Update;
use crate::error::{Error, Result};
use crate::lab::config::{Config, Device, Precision as Wanted};
use crate::lab::live::{Live, Writer};
use crate::lab::{Lab, LabLock, Ledger, Notebook, recover};
use crate::research::event::Event;
use crate::research::gate::KnownEras;
use crate::research::history::History;
use crate::research::near_duplicate::Measured;
use crate::researcher::settings::Kind;
use crate::researcher::team::Reached;
use crate::researcher::{ResearcherError, Team, Templates};
use crate::spec::cost::Budget;
use crate::spec::rates::DeviceRates;
use crate::train::{Choice, DeviceSettings, Precision};
use crate::worker::supervisor::{Worker, WorkerSettings};

/// What a person asks of a session.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Trained trials.
    pub trials: Option<u32>,
    /// When to end.
    pub until: Option<Timestamp>,
    /// Who proposes, in place of the configuration's.
    pub researcher: Option<Kind>,
}

/// Opens a session on a lab. `say` hears what happens; `stop` turns true when the session shall end.
///
/// # Errors
/// Everything that a person must mend first; nothing is then changed but what recovery repaired.
pub async fn open<'s>(
    lab: Lab,
    options: &Options,
    say: &'s mut (dyn FnMut(Update) + 's),
    stop: watch::Receiver<bool>,
) -> Result<Session<'s>> {
    let now = Timestamp::now();
    let lock = LabLock::take(&lab, now)?;
    if let Some(dead) = lock.stale() {
        let taking_over =
            format!("process {} died while it held this lab (since {}); taking over", dead.pid, dead.since);
        tracing::warn!("{taking_over}");
        say(Update::Note(taking_over));
    }
    // What a person must mend comes first, while nothing is changed yet.
    let config = Config::read(&lab)?;
    let mut team = team(&lab, &config, options.researcher)?;
    let rules = super::propose::rules(&lab)?;
    // Ready before the data is there: preparing it may take longer than systemd waits for a start.
    let mut notify = Notify::default();
    notify.ready();
    // A wrong key or model is found now, and not at three in the morning.
    if let Some(asked) = team.first_words() {
        say(Update::Note(format!("asking {asked} for a first word")));
    }
    let checking = team.check(Instant::now());
    let reached = match patiently(checking, &mut stop.clone(), || notify.progress()).await {
        Some(reached) => reached.map_err(refused)?,
        // Asked to stop: the loop ends before its first trial.
        None => Vec::new(),
    };
    let protocol = Protocol::read(&lab.protocol())?;
    let mut notebook = Notebook::open(&lab)?;
    if notebook.is_elsewhere()? {
        notebook.refuse_dirty_model()?;
    }
    let (data_hash, new_lock) = data(&lab, &protocol, &stop, &mut |update| {
        notify.progress();
        say(update);
    })?;
    let branch = notebook.start(config.tag.as_deref(), now.to_zoned(TimeZone::system()).date(), now)?;
    let mut ledger = Ledger::open(&lab)?;
    for sentence in recover::recover(&lab, &mut ledger, &mut notebook, now)? {
        tracing::info!("{sentence}");
        say(Update::Note(sentence));
    }
    notebook.refuse_dirty_model()?;
    let worker_settings = worker_settings(&lab, &config);
    let worker = Worker::start(worker_settings.clone()).await?;
    let mut note = |sentence| say(Update::Note(sentence));
    let (worker, rates) = rates::known_or_measured(&lab, &worker_settings, worker, &mut note).await?;
    let greeting = worker.greeting().clone();
    let limits = limits(options, &config, now);
    ledger.append(
        now,
        Event::SessionStarted {
            pid: std::process::id(),
            branch: branch.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            researcher: team.name(),
            protocol_hash: protocol.hash(),
            data_hash: data_hash.clone(),
        },
    )?;
    let spent_before = History::from_events(ledger.events()).usage();
    for Reached { kind, usage, failure } in reached {
        let name = kind.name().to_owned();
        let event = match failure {
            None => Event::TokensSpent { purpose: "a first word".into(), researcher: Some(name), usage },
            Some(failure) => {
                let error = failure.to_string();
                let stand_in = team.stand_in(Instant::now()).name();
                let sentence = format!("{name}: {error}; the {stand_in} proposes in its place until it can be reached");
                tracing::warn!("{sentence}");
                say(Update::Note(sentence));
                Event::ResearcherFailed { researcher: name, error, usage }
            }
        };
        ledger.append(now, event)?;
    }
    let history = History::from_events(ledger.events());
    let live = Live {
        pid: std::process::id(),
        session_started: Some(now),
        doing: "starting".into(),
        trials: limits.trials,
        until: limits.until,
        device: greeting.device.clone(),
        researcher: team.name(),
        ..Live::default()
    };
    say(Update::Session { branch, device: greeting.device.clone(), researcher: team.name(), trials: limits.trials });
    let known_eras = KnownEras::new(overlap(&protocol.targets.score_on));
    // What the gate cannot judge is said before anything is trained.
    let mut eras = greeting.test_eras.concat();
    eras.sort_unstable();
    known_eras.of(&eras).map_err(|error| {
        Error::Configuration(format!(
            "the protocol's test eras are too few for the gate: {error}; use more eras or a larger stride"
        ))
    })?;
    let mut session = Session {
        live: Writer::new(&lab, live),
        budget: budget(&config, &worker_settings, rates.map(|measured| measured.rates)),
        _lock: lock,
        lab,
        config,
        protocol,
        protocol_lock: new_lock,
        data_hash,
        notebook,
        ledger,
        spent_before,
        desk: Desk::new(team),
        history,
        measured: Measured::default(),
        worker: Some(worker),
        worker_settings,
        stocks: BTreeMap::new(),
        prior: std::cell::Cell::new(None),
        apart: BTreeSet::new(),
        facts: greeting.facts,
        device: greeting.device,
        cpu_threads: greeting.cpu_threads,
        folds: greeting.test_eras,
        known_eras,
        limits,
        options: options.clone(),
        rules,
        empty_phases: 0,
        trained: 0,
        trial_seconds: Vec::new(),
        untrained_in_a_row: 0,
        crashes_in_a_row: 0,
        notify,
        say,
        stop,
        started: now,
    };
    session.live.write();
    Ok(session)
}

/// Era numbers that a target spans, by its name: an era is a week of five trading days. A name that does not say is taken
/// for the longest there is, sixty days.
pub(crate) fn overlap(target: &str) -> u32 {
    let days = target.rsplit('_').next().and_then(|days| days.parse::<u32>().ok()).filter(|days| *days > 0);
    days.unwrap_or(60).div_ceil(5)
}

/// When the session ends by itself: the nearer of what the person asked for and what the configuration allows.
pub(super) fn limits(options: &Options, config: &Config, started: Timestamp) -> Limits {
    let hours = config.budget.session_hours.map(|hours| started + jiff::SignedDuration::from_secs_f64(hours * 3600.0));
    Limits {
        trials: [options.trials, config.budget.session_trials].into_iter().flatten().min(),
        until: [options.until, hours].into_iter().flatten().min(),
        tokens: config.budget.session_tokens,
        usd: config.budget.session_usd,
    }
}

/// The researchers of a session.
pub(super) fn team(lab: &Lab, config: &Config, asked: Option<Kind>) -> Result<Team> {
    let mut settings = config.researcher.clone();
    if let Some(kind) = asked {
        settings.kind = kind;
        // Who asks for one that always answers wants no other, and no key for one.
        if kind.is_instant() {
            settings.ladder.clear();
        }
    }
    let templates = Templates::with_overrides(&prompt_overrides(lab)?)
        .map_err(|kind| Error::Researcher { who: "templates".into(), source: Box::new(kind.free()) })?;
    Team::new(&settings, &templates).map_err(refused)
}

/// A researcher that cannot take part.
fn refused((kind, source): (Kind, ResearcherError)) -> Error {
    Error::Researcher { who: kind.name().into(), source: Box::new(source) }
}

/// Sees to it that the data is there, unless `stop` turns true. Returns its hash, and the lock's text if that is new
/// and has to be committed.
fn data(
    lab: &Lab,
    protocol: &Protocol,
    stop: &watch::Receiver<bool>,
    say: &mut dyn FnMut(Update),
) -> Result<(String, Option<Vec<u8>>)> {
    let paths = DataPaths { lab: lab.root().to_path_buf(), raw: lab.raw_data(), packed: lab.packed_data() };
    lab.make_state()?;
    let path = lab.protocol_lock();
    let locked = if path.exists() { Some(Lock::read(&path)?) } else { None };
    if let Some(locked) = &locked {
        locked.check_protocol(protocol)?;
    }
    let manifest = prepare::build(protocol, &paths, &mut |progress| {
        say(match progress {
            prepare::Progress::Step(step) => Update::Preparing { step: step.to_owned(), rows: None },
            prepare::Progress::Rows { step, done, total } => {
                Update::Preparing { step: step.to_owned(), rows: Some((done, total)) }
            }
        });
        if *stop.borrow() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match locked {
        Some(locked) => locked.check(protocol, &manifest)?,
        None => Lock::new(protocol, &manifest).write(&path)?,
    }
    let text = std::fs::read(&path).map_err(|error| crate::lab::LabError::io("read it", &path, error))?;
    Ok((manifest.data_hash, Some(text)))
}

/// The templates of the lab's prompts/ folder: name and text.
pub(crate) fn prompt_overrides(lab: &Lab) -> Result<Vec<(String, String)>> {
    let folder = lab.prompts();
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(crate::lab::LabError::io("read it", &folder, error).into()),
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".j2") {
            let text = std::fs::read_to_string(entry.path())
                .map_err(|error| crate::lab::LabError::io("read it", &entry.path(), error))?;
            found.push((name, text));
        }
    }
    found.sort();
    Ok(found)
}

/// How this lab's worker is started.
pub(crate) fn worker_settings(lab: &Lab, config: &Config) -> WorkerSettings {
    WorkerSettings {
        protocol: lab.protocol(),
        packed: lab.packed_data(),
        device: DeviceSettings {
            device: match config.device {
                Device::Auto => Choice::Auto,
                Device::Cpu => Choice::Cpu,
                Device::Cuda => Choice::Cuda,
            },
            threads: config.threads,
            precision: config.precision.map(|precision| match precision {
                Wanted::Fp32 => Precision::Fp32,
                Wanted::Tf32 => Precision::Tf32,
                Wanted::Bf16 => Precision::Bf16,
            }),
            gpu_memory_mb: config.gpu_memory_mb,
        },
        log: lab.logs().join("worker.log"),
        memory_bytes: config.budget.memory_mb.map_or_else(|| machine_memory() / 5 * 4, |mb| mb << 20),
    }
}

/// What one trial may cost.
pub(crate) fn budget(config: &Config, worker: &WorkerSettings, rates: Option<DeviceRates>) -> Budget {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let nets_at_once = worker.device.threads.unwrap_or(cores) as u64;
    Budget {
        params: config.budget.parameters,
        replica_bytes: worker.memory_bytes / nets_at_once.max(1),
        at_once: nets_at_once.max(1),
        flops: config.budget.flops.unwrap_or(f64::INFINITY),
        seconds: config.budget.trial_seconds as f64,
        rates,
    }
}

/// Bytes of memory of this machine; 8 GiB where that cannot be found out.
fn machine_memory() -> u64 {
    let read = std::fs::read_to_string(PathBuf::from("/proc/meminfo")).ok();
    let total = read.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("MemTotal:")));
    let kilobytes = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or(8 << 30, |kilobytes| kilobytes * 1024)
}
