//! How fast the device trains: what is known of it, or a measurement by a worker.

use crate::error::Result;
use crate::lab::Lab;
use crate::lab::measured::Measured;
use crate::train::device_words;
use crate::worker::supervisor::{Worker, WorkerSettings};

/// What is known of the device that a worker would have.
pub(crate) fn known(lab: &Lab, settings: &WorkerSettings) -> Option<Measured> {
    Measured::read(lab, &device_words(&settings.device).ok()?)
}

/// Has this worker's device measured, and remembers it. After an error the worker may be dead.
pub(crate) async fn measure(lab: &Lab, worker: &mut Worker) -> Result<Measured> {
    let rates = worker.rates().await?;
    let measured = Measured::new(worker.greeting().device.clone(), rates);
    measured.write(lab)?;
    Ok(measured)
}
