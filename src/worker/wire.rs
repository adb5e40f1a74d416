//! What the daemon and its worker say to each other, one JSON object a line.

use std::path::PathBuf;

use prepare::evaluate::{CellId, CellScore};
use prepare::exposure::Exposure;
use serde::{Deserialize, Serialize};

use crate::spec::DataFacts;
use crate::spec::rates::DeviceRates;

/// The version of these messages; both sides are the same program, and a mismatch is refused.
pub const VERSION: u32 = 6;

/// To the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Train these jobs together, the first first as far as they do not train side by side. Each cell comes out as it does
    /// among any others, and a job that fails leaves the others alone.
    Train {
        /// At least one.
        jobs: Vec<Job>,
        /// Whether each cell comes with its feature exposure.
        exposure: bool,
    },
    /// Train a spec on every era of cross-validation, under each seed, and score the holdout. The counting of such queries is
    /// the daemon's.
    Holdout {
        /// The spec, as YAML.
        spec: String,
        /// The seeds: at least one, none twice.
        seeds: Vec<u64>,
    },
    /// Measure how fast the device trains.
    Rates,
}

/// Exactly these cells of a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The spec, as YAML.
    pub spec: String,
    /// The cells: at least one, none twice.
    pub cells: Vec<CellId>,
    /// Where to write the out-of-fold predictions, if anywhere.
    pub predictions: Option<PathBuf>,
}

/// From the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Reply {
    /// The data is open and the device is found.
    Ready {
        /// [`VERSION`].
        version: u32,
        /// The device in words.
        device: String,
        /// Threads that train nets side by side; None on a GPU.
        cpu_threads: Option<usize>,
        /// What the data offers a spec.
        facts: DataFacts,
        /// Test eras of each fold.
        test_eras: Vec<Vec<u32>>,
        /// The protocol's hash.
        protocol_hash: String,
        /// The data's hash.
        data_hash: String,
    },
    /// One net is trained.
    Replica {
        /// The job that it is of, by its place in the request.
        job: usize,
        /// Nets done of this job.
        done: usize,
        /// Nets of this job.
        total: usize,
    },
    /// An epoch of some nets is done: a sign of life, at most one a second.
    Epoch,
    /// A cell is trained and scored.
    Cell {
        /// The job that it is of, by its place in the request.
        job: usize,
        /// Its scores.
        score: CellScore,
        /// How much it leans on single features, where that was asked for.
        exposure: Option<Exposure>,
        /// Rows that gradients were taken of.
        rows_trained: u64,
        /// Seconds since the request.
        seconds: f64,
    },
    /// The holdout is scored.
    Holdout {
        /// Its scores, one a seed, in the order of the seeds.
        scores: Vec<CellScore>,
    },
    /// A job is done: every cell of it was told.
    JobDone {
        /// Which, by its place in the request.
        job: usize,
        /// Trainable parameters of one net.
        params: u64,
    },
    /// A job has failed; cells that were told stand, and nothing is said of the others by this.
    JobFailed {
        /// Which, by its place in the request.
        job: usize,
        /// The cell that it failed in; None where no cell of the spec can be trained.
        cell: Option<CellId>,
        /// What kind of failure.
        kind: FailureKind,
        /// In words.
        message: String,
        /// Trainable parameters of one net; 0 where no net can be laid out.
        params: u64,
    },
    /// The request is done: every job is done, or has failed.
    Done {
        /// Seconds since the request.
        seconds: f64,
    },
    /// How fast the device trains.
    Rates {
        /// What it does in a second.
        rates: DeviceRates,
    },
    /// The request failed; the worker is ready for another unless it ends now.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// In words.
        message: String,
    },
}

/// Kinds of failure that a worker reports itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The lab or its configuration.
    Lab,
    /// The data.
    Data,
    /// The training itself: divergence, a device error, a bug.
    Training,
}
