//! .autoresearch/rates.json: how fast this lab's device trains, as it was last measured. Derived: losing it costs another
//! measurement.

use serde::{Deserialize, Serialize};

use super::atomic;
use super::error::LabError;
use super::layout::Lab;
use crate::spec::rates::DeviceRates;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The program's version.
    version: String,
    /// The device in words.
    pub device: String,
    /// What it does in a second.
    pub rates: DeviceRates,
}

impl Measured {
    /// By this program, now.
    pub fn new(device: String, rates: DeviceRates) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").into(), device, rates }
    }

    /// What is known of this device; None where it was never measured, or by another version, or where the file cannot be
    /// read.
    pub fn read(lab: &Lab, device: &str) -> Option<Self> {
        let found: Self = serde_json::from_slice(&std::fs::read(lab.rates()).ok()?).ok()?;
        (found.version == env!("CARGO_PKG_VERSION") && found.device == device).then_some(found)
    }

    /// Remembers it.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn write(&self, lab: &Lab) -> Result<(), LabError> {
        lab.make_state()?;
        let text = serde_json::to_vec_pretty(self).expect("numbers and text can be written");
        atomic::replace(&lab.rates(), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::Measured;
    use crate::lab::Lab;
    use crate::spec::rates::DeviceRates;

    #[test]
    fn what_was_measured_of_another_device_or_by_another_version_is_unknown() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("autoresearch.yaml"), "version: 1\n").expect("it is written");
        let lab = Lab::open(folder.path()).expect("a lab");
        assert_eq!(Measured::read(&lab, "cpu"), None, "never measured");
        let rates = DeviceRates {
            lanes: 2,
            group_bytes: None,
            flops: 1.5e10,
            numbers: 2e8,
            seconds_an_operation: 3e-6,
            host: 3e9,
        };
        let measured = Measured::new("cpu".into(), rates);
        measured.write(&lab).expect("it is written");
        assert_eq!(Measured::read(&lab, "cpu"), Some(measured.clone()));
        assert_eq!(Measured::read(&lab, "cuda:0"), None, "another device");
        let older = Measured { version: "0.0.0".into(), ..measured };
        older.write(&lab).expect("it is written");
        assert_eq!(Measured::read(&lab, "cpu"), None, "another version");
        std::fs::write(lab.rates(), "{").expect("it is written");
        assert_eq!(Measured::read(&lab, "cpu"), None, "unreadable");
    }
}
