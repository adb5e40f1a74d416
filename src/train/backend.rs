//! Which device trains: chosen once, at the worker's entry.

use std::num::NonZeroUsize;

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
    Cuda,
}

impl Device {
    /// Finds the device.
    ///
    /// # Errors
    /// CUDA was asked for and cannot be had.
    pub(super) fn find(choice: Choice, threads: Option<usize>) -> Result<Self, DeviceError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cpu = Self::Cpu { threads: threads.unwrap_or(cores).max(1) };
        match choice {
            Choice::Cpu => Ok(cpu),
            Choice::Cuda => cuda(),
            Choice::Auto => Ok(cuda().unwrap_or(cpu)),
        }
    }

    /// The device in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Cpu { threads } => {
                format!("cpu, {threads} {}{}", if threads == 1 { "thread" } else { "threads" }, instruction_set())
            }
            #[cfg(feature = "cuda")]
            Self::Cuda => "cuda:0".into(),
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    if std::path::Path::new("/proc/driver/nvidia/version").exists() {
        Ok(Device::Cuda)
    } else {
        Err(DeviceError::NoDriver)
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, DeviceError> {
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
