//! The daemon's side: it starts a worker, watches its time and memory, and kills it without leaving anything behind.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use prepare::evaluate::{CellId, CellScore};
use prepare::exposure::Exposure;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::limits::private_memory;
use super::wire::{FailureKind, Job, Reply, Request, VERSION};
use crate::spec::DataFacts;
use crate::spec::rates::DeviceRates;
use crate::train::DeviceSettings;

/// How a worker is started.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSettings {
    /// The protocol's file.
    pub protocol: PathBuf,
    /// The folder of the packed data.
    pub packed: PathBuf,
    /// The device.
    pub device: DeviceSettings,
    /// Where its standard error goes.
    pub log: PathBuf,
    /// The most memory of its own that it may use, bytes.
    pub memory_bytes: u64,
}

/// What a worker said of itself.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The device in words.
    pub device: String,
    /// Threads that train nets side by side; None on a GPU.
    pub cpu_threads: Option<usize>,
    /// What the data offers a spec.
    pub facts: DataFacts,
    /// Test eras of each fold.
    pub test_eras: Vec<Vec<u32>>,
    /// The protocol's hash.
    pub protocol_hash: String,
    /// The data's hash.
    pub data_hash: String,
}

/// A request carried out.
#[derive(Clone, Debug)]
pub struct Trained {
    /// What each job came to, in their order.
    pub jobs: Vec<JobTrained>,
    /// Seconds of training and scoring.
    pub seconds: f64,
}

/// What a job came to.
#[derive(Clone, Debug, Default)]
pub struct JobTrained {
    /// Cells that were trained, in no particular order: all of them, or those that were whole before it failed.
    pub cells: Vec<CellTrained>,
    /// Trainable parameters of one net; 0 where the job failed.
    pub params: u64,
    /// How it failed, if it did.
    pub failure: Option<JobFailure>,
}

/// A trained cell.
#[derive(Clone, Debug)]
pub struct CellTrained {
    /// Its scores.
    pub score: CellScore,
    /// Its feature exposure, where that was asked for.
    pub exposure: Option<Exposure>,
    /// Rows that gradients were taken of.
    pub rows_trained: u64,
}

/// How a job failed.
#[derive(Clone, Debug)]
pub struct JobFailure {
    /// The cell that it failed in; None where no cell of the spec can be trained.
    pub cell: Option<CellId>,
    /// What kind.
    pub kind: FailureKind,
    /// In words.
    pub message: String,
}

impl Trained {
    /// The one job of a request that had one.
    ///
    /// # Errors
    /// How it failed.
    pub fn only(mut self) -> Result<JobTrained, WorkerError> {
        match self.jobs.pop() {
            Some(JobTrained { failure: Some(JobFailure { kind, message, .. }), .. }) => {
                Err(WorkerError::Failed { kind, message })
            }
            Some(job) => Ok(job),
            None => Err(WorkerError::Start("it trained nothing".into())),
        }
    }
}

/// How a request can fail.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started.
    #[error("the worker could not be started: {0}")]
    Start(String),
    /// It reported a failure.
    #[error("{message}")]
    Failed {
        /// What kind.
        kind: FailureKind,
        /// In words.
        message: String,
    },
    /// It died.
    #[error("the worker died ({how}); its last words are in {log}")]
    Died {
        /// Exit status.
        how: String,
        /// The log file.
        log: String,
    },
    /// It used too much memory and was killed.
    #[error(
        "the worker used {used_mb} MB of memory, over the limit of {limit_mb} MB, and was stopped; a smaller net, batch or ensemble, or budget.memory_mb, helps"
    )]
    Memory {
        /// Megabytes used.
        used_mb: u64,
        /// Megabytes allowed.
        limit_mb: u64,
    },
    /// It took too long and was killed.
    #[error("over the limit of {seconds:.0} s a trial (budget.trial_seconds)")]
    Timeout {
        /// The limit.
        seconds: f64,
    },
}

/// What is passed on while a request is carried out.
#[derive(Clone, Debug)]
pub enum WorkerProgress {
    /// One net is trained.
    Replica {
        /// The job that it is of.
        job: usize,
        /// Nets done of this job.
        done: usize,
        /// Nets of this job.
        total: usize,
    },
    /// An epoch of some nets is done.
    Epoch,
}

/// A running worker. Dropping it kills it, its whole process group.
pub struct Worker {
    child: Child,
    group: Option<Pid>,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    settings: WorkerSettings,
    greeting: Greeting,
}

/// How long a worker may take to open the data and find its device.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often its memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Worker {
    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// It does not start, or refuses the lab, the data or the device.
    pub async fn start(settings: WorkerSettings) -> Result<Self, WorkerError> {
        let start = |error: std::io::Error| WorkerError::Start(error.to_string());
        let log = log_file(&settings.log)
            .map_err(|error| WorkerError::Start(format!("{}: {error}", settings.log.display())))?;
        let mut command = Command::new(std::env::current_exe().map_err(start)?);
        command.arg("worker").arg("--protocol").arg(&settings.protocol).arg("--packed").arg(&settings.packed);
        command.args(settings.device.arguments());
        // What the worker prints is protocol and log; a colour or a notify socket of ours is none of its business.
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(start)?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(WorkerError::Start("its pipes are missing".into()));
        };
        let nobody = Greeting {
            device: String::new(),
            cpu_threads: None,
            facts: no_facts(),
            test_eras: Vec::new(),
            protocol_hash: String::new(),
            data_hash: String::new(),
        };
        let lines = BufReader::new(stdout).lines();
        let mut worker = Self { child, group, stdin, lines, settings, greeting: nobody };
        let deadline = Instant::now() + START_LIMIT;
        match worker.next(deadline, START_LIMIT.as_secs_f64()).await? {
            Reply::Ready { version, .. } if version != VERSION => {
                Err(WorkerError::Start("the program was replaced while it ran; restart it".into()))
            }
            Reply::Ready { device, cpu_threads, facts, test_eras, protocol_hash, data_hash, .. } => {
                worker.greeting = Greeting { device, cpu_threads, facts, test_eras, protocol_hash, data_hash };
                Ok(worker)
            }
            Reply::Failed { kind, message } => Err(WorkerError::Failed { kind, message }),
            other => Err(WorkerError::Start(format!("it said {other:?} instead of being ready"))),
        }
    }

    /// What it said of itself.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Trains jobs together: one that fails does not fail the request. After an error other than [`WorkerError::Failed`] the
    /// worker is dead.
    ///
    /// # Errors
    /// See [`WorkerError`]. `limit_seconds` is what the message of a time-out names; `deadline` is what counts.
    pub async fn train(
        &mut self,
        jobs: Vec<Job>,
        exposure: bool,
        deadline: Instant,
        limit_seconds: f64,
        mut report: impl FnMut(WorkerProgress),
    ) -> Result<Trained, WorkerError> {
        let mut found = vec![JobTrained::default(); jobs.len()];
        self.ask(&Request::Train { jobs, exposure }).await?;
        loop {
            match self.next(deadline, limit_seconds).await? {
                Reply::Replica { job, done, total } => report(WorkerProgress::Replica { job, done, total }),
                Reply::Epoch => report(WorkerProgress::Epoch),
                Reply::Cell { job, score, exposure, rows_trained, .. } if job < found.len() => {
                    found[job].cells.push(CellTrained { score, exposure, rows_trained });
                }
                Reply::JobDone { job, params } if job < found.len() => found[job].params = params,
                Reply::JobFailed { job, cell, kind, message, params } if job < found.len() => {
                    found[job].params = params;
                    found[job].failure = Some(JobFailure { cell, kind, message });
                }
                Reply::Done { seconds } => return Ok(Trained { jobs: found, seconds }),
                Reply::Failed { kind, message } => return Err(WorkerError::Failed { kind, message }),
                Reply::Ready { .. }
                | Reply::Rates { .. }
                | Reply::Holdout { .. }
                | Reply::Cell { .. }
                | Reply::JobDone { .. }
                | Reply::JobFailed { .. } => return Err(self.died().await),
            }
        }
    }

    /// Trains a spec for the holdout under some seeds, and gets each one's scores. What is reported on the way holds no
    /// score. After an error other than [`WorkerError::Failed`] the worker is dead.
    ///
    /// # Errors
    /// As [`Worker::train`].
    pub async fn holdout(
        &mut self,
        spec: String,
        seeds: Vec<u64>,
        deadline: Instant,
        limit_seconds: f64,
        mut report: impl FnMut(WorkerProgress),
    ) -> Result<Vec<CellScore>, WorkerError> {
        self.ask(&Request::Holdout { spec, seeds }).await?;
        loop {
            match self.next(deadline, limit_seconds).await? {
                Reply::Replica { job, done, total } => report(WorkerProgress::Replica { job, done, total }),
                Reply::Epoch => report(WorkerProgress::Epoch),
                Reply::Holdout { scores } => return Ok(scores),
                Reply::Failed { kind, message } => return Err(WorkerError::Failed { kind, message }),
                Reply::Ready { .. }
                | Reply::Rates { .. }
                | Reply::Cell { .. }
                | Reply::JobDone { .. }
                | Reply::JobFailed { .. }
                | Reply::Done { .. } => return Err(self.died().await),
            }
        }
    }

    /// Has the device measured. After an error other than [`WorkerError::Failed`] the worker is dead.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn rates(&mut self) -> Result<DeviceRates, WorkerError> {
        self.ask(&Request::Rates).await?;
        match self.next(Instant::now() + START_LIMIT, START_LIMIT.as_secs_f64()).await? {
            Reply::Rates { rates } => Ok(rates),
            Reply::Failed { kind, message } => Err(WorkerError::Failed { kind, message }),
            _ => Err(self.died().await),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<(), WorkerError> {
        let mut line = serde_json::to_string(request).map_err(|error| WorkerError::Start(error.to_string()))?;
        line.push('\n');
        let written = match self.stdin.write_all(line.as_bytes()).await {
            Ok(()) => self.stdin.flush().await,
            failed => failed,
        };
        if written.is_ok() { Ok(()) } else { Err(self.died().await) }
    }

    /// The next reply, under the limits of time and memory.
    async fn next(&mut self, deadline: Instant, limit_seconds: f64) -> Result<Reply, WorkerError> {
        loop {
            if Instant::now() >= deadline {
                self.kill().await;
                return Err(WorkerError::Timeout { seconds: limit_seconds });
            }
            let used = self.child.id().and_then(private_memory).unwrap_or(0);
            if used > self.settings.memory_bytes {
                self.kill().await;
                return Err(WorkerError::Memory { used_mb: used >> 20, limit_mb: self.settings.memory_bytes >> 20 });
            }
            let wait = LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()));
            // `next_line` is safe to abandon and call again: what was read stays in the buffer.
            match tokio::time::timeout(wait, self.lines.next_line()).await {
                Err(_) => {}
                Ok(Ok(Some(line))) => {
                    // Anything that is no message (a library that prints) is skipped, not obeyed.
                    if let Ok(reply) = serde_json::from_str(&line) {
                        return Ok(reply);
                    }
                }
                Ok(Ok(None) | Err(_)) => return Err(self.died().await),
            }
        }
    }

    async fn died(&mut self) -> WorkerError {
        self.kill_group();
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        WorkerError::Died { how, log: self.settings.log.display().to_string() }
    }

    /// Kills the worker and everything that it started, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.kill_group();
        let _ = self.child.wait().await;
    }

    fn kill_group(&mut self) {
        // Once the leader is reaped its number may belong to someone else; the group is signalled only before that.
        if self.child.id().is_some()
            && let Some(group) = self.group
        {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn no_facts() -> DataFacts {
    DataFacts {
        feature_sets: Vec::new(),
        features: 0,
        targets: Vec::new(),
        rows: 0,
        eras: 0,
        folds: Vec::new(),
        seeds: 0,
    }
}

/// The most that the worker's log may hold before it is begun anew.
const LOG_BYTES: u64 = 4 << 20;

fn log_file(path: &Path) -> std::io::Result<Stdio> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES);
    let mut options = OpenOptions::new();
    options.create(true);
    if fresh {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path).map(Stdio::from)
}
