//! autoresearch.yaml: how the loop runs. Raw YAML in, a checked [`Config`] out; nothing unchecked goes further.
//!
//! The commented file that stands at the top of this repository is embedded here, is what `init` writes, and is what
//! a setting defaults to where a lab's own file leaves it out.

mod allowed;
mod check;
mod locate;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::layout::Lab;
use crate::research::gate::settings::GateSettings;
use crate::research::settings::{PhaseSettings, WhenConverged};
use crate::researcher::openai::key::expanded;
use crate::researcher::settings::ResearcherSettings;
pub(super) use check::is_tag;
use locate::Places;

/// The commented configuration that `init` writes.
pub const EMBEDDED: &str = include_str!("../../autoresearch.yaml");

/// The largest configuration that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The checked configuration of a lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the format: 1.
    pub version: u32,
    /// Who proposes.
    #[serde(default)]
    pub researcher: ResearcherSettings,
    /// What a trial must show to be kept.
    #[serde(default)]
    pub gate: GateSettings,
    /// The phases of the search, in order; at least one.
    #[serde(default = "embedded_phases")]
    pub phases: Vec<PhaseSettings>,
    /// After so many discards in a row, the search goes to its next phase.
    #[serde(default = "default_plateau")]
    pub plateau: u32,
    /// What happens after the last phase.
    #[serde(default)]
    pub when_converged: WhenConverged,
    /// What a trial and a session may cost.
    #[serde(default)]
    pub budget: BudgetSettings,
    /// How often the holdout may be asked.
    #[serde(default)]
    pub holdout: HoldoutSettings,
    /// What trials are trained on.
    #[serde(default)]
    pub device: Device,
    /// CPU threads of the worker; None: all cores.
    #[serde(default)]
    pub threads: Option<usize>,
    /// The most candidates that train side by side on the CPU's threads; None: as many as there is room for.
    #[serde(default)]
    pub side_by_side: Option<usize>,
    /// How the operands of matrix products are rounded; None: the device's own way, fp32 on the CPU and tf32 on a GPU.
    #[serde(default)]
    pub precision: Option<Precision>,
    /// MiB of a GPU's memory for the nets that train at once; None: 8 GiB.
    #[serde(default)]
    pub gpu_memory_mb: Option<u64>,
    /// The notebook's branch is `autoresearch/TAG`; None: today's date.
    #[serde(default)]
    pub tag: Option<String>,
}

/// What a trial and a session may cost. What a proposal would cost is estimated before it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSettings {
    /// Wall-clock seconds of one trial; over it, its verdict is `timeout`.
    pub trial_seconds: u64,
    /// Memory of the worker, in MiB; None: 80 % of what the machine has.
    pub memory_mb: Option<u64>,
    /// Trainable parameters of one net.
    pub parameters: u64,
    /// Floating-point operations of one trial; None: only `trial_seconds` bounds them.
    pub flops: Option<f64>,
    /// Trained trials of one session; None: no limit.
    pub session_trials: Option<u32>,
    /// Hours of one session; None: no limit.
    pub session_hours: Option<f64>,
    /// Tokens that researchers may send and receive in one session; None: no limit.
    pub session_tokens: Option<u64>,
    /// US dollars that researchers may cost in one session, by the price table; None: no limit.
    pub session_usd: Option<f64>,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            trial_seconds: 1_800,
            memory_mb: None,
            parameters: 20_000_000,
            flops: None,
            session_trials: None,
            session_hours: None,
            session_tokens: None,
            session_usd: None,
        }
    }
}

/// How often the holdout may be asked. Every look at it makes it less of a holdout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldoutSettings {
    /// Queries in all, over all sessions of the lab.
    pub budget: u32,
    /// Whether a session asks it about every keep, as long as the budget lasts.
    pub score_keeps: bool,
}

impl Default for HoldoutSettings {
    fn default() -> Self {
        Self { budget: 10, score_keeps: false }
    }
}

/// What trials are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// A GPU where this build and this machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU; its absence is an error.
    Cuda,
}

/// How the operands of matrix products are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// To 22 significant bits or more.
    Fp32,
    /// To 11 significant bits where a GPU's tensor cores multiply.
    Tf32,
    /// To 8 significant bits.
    Bf16,
}

impl Default for Config {
    /// The embedded configuration.
    fn default() -> Self {
        embedded().clone()
    }
}

impl Config {
    /// Reads the lab's autoresearch.yaml.
    ///
    /// # Errors
    /// [`LabError::Io`], or [`LabError::Config`] with file, line and column.
    pub fn read(lab: &Lab) -> Result<Self, LabError> {
        let path = lab.config();
        let bytes = fs::read(&path).map_err(|error| LabError::io("read it", &path, error))?;
        match String::from_utf8(bytes) {
            Ok(text) => {
                let config = Self::parse(&text, &path)?;
                if config.key_stands_in(lab.root()) {
                    let key = "researcher.openai.key_file";
                    let (line, column) = Places::of(&text).find(key);
                    let message =
                        format!("{key}: stands in the lab, where the next commit may take it; move the file out");
                    return Err(LabError::Config { path, line, column, message });
                }
                Ok(config)
            }
            Err(_) => Err(LabError::Config { path, line: 0, column: 0, message: "is not UTF-8 text".into() }),
        }
    }

    /// Whether the key's file is in a folder, by its name or by where links lead.
    fn key_stands_in(&self, folder: &Path) -> bool {
        let file = self.researcher.openai.key_file.as_deref().and_then(expanded);
        file.is_some_and(|file| {
            file.starts_with(folder) || fs::canonicalize(&file).is_ok_and(|file| file.starts_with(folder))
        })
    }

    /// Parses and checks the text of an autoresearch.yaml. `origin` is the file's name in errors.
    ///
    /// # Errors
    /// [`LabError::Config`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, LabError> {
        let refuse = |line, column, message| LabError::Config { path: origin.to_path_buf(), line, column, message };
        if text.len() > MAX_BYTES {
            return Err(refuse(0, 0, format!("{} bytes; a configuration has at most {MAX_BYTES}", text.len())));
        }
        if text.trim().is_empty() {
            return Err(refuse(1, 1, "empty; the least that is allowed is `version: 1`".into()));
        }
        let places = Places::of(text);
        let config: Self = match serde_yaml::from_str(text) {
            Ok(config) => config,
            Err(error) => {
                let (line, column, message) = locate::explain(&error, &places);
                return Err(refuse(line, column, message));
            }
        };
        match check::first_mistake(&config) {
            None => Ok(config),
            Some(mistake) => {
                let (line, column) = places.find(&mistake.path);
                Err(refuse(line, column, format!("{}: {}", mistake.path, mistake.message)))
            }
        }
    }
}

/// The embedded configuration, parsed once.
fn embedded() -> &'static Config {
    static EMBEDDED_CONFIG: OnceLock<Config> = OnceLock::new();
    EMBEDDED_CONFIG.get_or_init(|| {
        Config::parse(EMBEDDED, Path::new(super::layout::CONFIG))
            .expect("the embedded configuration is valid: a test reads it")
    })
}

fn embedded_phases() -> Vec<PhaseSettings> {
    embedded().phases.clone()
}

fn default_plateau() -> u32 {
    15
}

#[cfg(test)]
mod tests;
