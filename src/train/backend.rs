//! Which device trains: chosen once, at the worker's entry.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

/// The device that a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// CUDA where this program was built for it and a GPU is there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// How the operands of matrix products are rounded; sums are f32 always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// To no fewer than 22 significant bits.
    Fp32,
    /// To 11 significant bits wherever tensor cores multiply, which is what Burn does with f32 on a GPU.
    Tf32,
    /// To 8 significant bits.
    Bf16,
}

/// What a person chose of the device; also the worker's arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct DeviceSettings {
    /// The device.
    #[arg(long, value_enum, default_value_t)]
    pub device: Choice,
    /// CPU threads; None for one a core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Matrix products; None for the device's own: fp32 on the CPU, tf32 on a GPU.
    #[arg(long, value_enum)]
    pub precision: Option<Precision>,
    /// MiB of a GPU's memory for the nets that train at once; None for 8 GiB.
    #[arg(long)]
    pub gpu_memory_mb: Option<u64>,
}

/// Burn does not say how much memory a GPU has. This much fills the chip with work and leaves room on a card of 24 GB: it is
/// counted as `spec::cost` counts, and operations that are not fused hold about twice that.
#[cfg(feature = "cuda")]
const GPU_MEMORY_MB: u64 = 8 << 10;

impl DeviceSettings {
    /// As arguments of a command that takes them.
    pub fn arguments(&self) -> Vec<String> {
        let name = |value: Option<PossibleValue>| value.map(|value| value.get_name().to_owned());
        let pairs = [
            ("--device", name(self.device.to_possible_value())),
            ("--threads", self.threads.map(|threads| threads.to_string())),
            ("--precision", self.precision.and_then(|precision| name(precision.to_possible_value()))),
            ("--gpu-memory-mb", self.gpu_memory_mb.map(|mb| mb.to_string())),
        ];
        pairs.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }
}

/// Why a device cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Asked for CUDA, built without it.
    #[error(
        "this program was built without CUDA; build it with `cargo build --release --features cuda`, or set device: cpu"
    )]
    NotBuilt,
    /// No driver.
    #[error(
        "no NVIDIA driver is loaded on this machine (/proc/driver/nvidia/version is missing); set device: cpu, or install it"
    )]
    NoDriver,
    /// The CPU computes in f32 alone.
    #[error("precision: {0} needs a GPU, and training would be on the CPU, which has fp32 alone; set precision: null")]
    CpuPrecision(String),
}

/// A device that can train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// This many threads, each with a replica of its own.
    Cpu {
        /// Threads.
        threads: usize,
    },
    /// The first GPU.
    #[cfg(feature = "cuda")]
    Cuda {
        /// Matrix products.
        precision: Precision,
        /// Bytes for the nets that train at once.
        memory: u64,
    },
}

impl Device {
    /// Finds the device.
    ///
    /// # Errors
    /// CUDA was asked for and cannot be had; a precision that the CPU does not have.
    pub(super) fn find(settings: &DeviceSettings) -> Result<Self, DeviceError> {
        match settings.device {
            Choice::Cpu => cpu(settings),
            Choice::Cuda => cuda(settings),
            Choice::Auto => cuda(settings).or_else(|_| cpu(settings)),
        }
    }

    /// The device in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Cpu { threads } => {
                format!("cpu, {threads} {}{}", if threads == 1 { "thread" } else { "threads" }, instruction_set())
            }
            #[cfg(feature = "cuda")]
            Self::Cuda { precision, .. } => format!("cuda:0, {}", word(precision)),
        }
    }
}

/// The device that a worker with these settings would have, in its words.
///
/// # Errors
/// As [`Device::find`].
pub(crate) fn device_words(settings: &DeviceSettings) -> Result<String, DeviceError> {
    Device::find(settings).map(Device::words)
}

fn word(precision: Precision) -> String {
    precision.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn cpu(settings: &DeviceSettings) -> Result<Device, DeviceError> {
    match settings.precision {
        None | Some(Precision::Fp32) => {
            let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            Ok(Device::Cpu { threads: settings.threads.unwrap_or(cores).max(1) })
        }
        Some(other) => Err(DeviceError::CpuPrecision(word(other))),
    }
}

#[cfg(feature = "cuda")]
fn cuda(settings: &DeviceSettings) -> Result<Device, DeviceError> {
    if std::path::Path::new("/proc/driver/nvidia/version").exists() {
        Ok(Device::Cuda {
            precision: settings.precision.unwrap_or(Precision::Tf32),
            memory: settings.gpu_memory_mb.unwrap_or(GPU_MEMORY_MB) << 20,
        })
    } else {
        Err(DeviceError::NoDriver)
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &DeviceSettings) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}

#[cfg(target_arch = "x86_64")]
fn instruction_set() -> &'static str {
    if std::arch::is_x86_feature_detected!("avx512f") {
        ", AVX-512"
    } else if std::arch::is_x86_feature_detected!("avx2") {
        ", AVX2"
    } else {
        ""
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_set() -> &'static str {
    ""
}
