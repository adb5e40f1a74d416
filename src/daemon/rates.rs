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

/// What is known of the device, or a measurement by this worker; None where it could not be measured. What comes back is a
/// worker that is alive.
pub(crate) async fn known_or_measured(
    lab: &Lab,
    settings: &WorkerSettings,
    mut worker: Worker,
    say: &mut dyn FnMut(String),
) -> Result<(Worker, Option<Measured>)> {
    if let Some(known) = known(lab, settings) {
        return Ok((worker, Some(known)));
    }
    say(format!("measuring how fast {} trains, once", worker.greeting().device));
    match measure(lab, &mut worker).await {
        Ok(measured) => Ok((worker, Some(measured))),
        Err(error) => {
            say(format!("the seconds of trials are not estimated: {error}"));
            worker.kill().await;
            Ok((Worker::start(settings.clone()).await?, None))
        }
    }
}
