//! `autoresearch prepare`

use std::ops::ControlFlow;

use jiff::Timestamp;
use prepare::{DataPaths, Lock, Protocol};

use super::screen::Screen;
use super::{Context, logging, out};
use crate::daemon::Update;
use crate::error::Result;
use crate::lab::LabLock;
use crate::research::words::count;

/// Obtain the protocol's data, check it, pack it, lock it.
///
/// Obtains the data that prepare/protocol.yaml names, checks it, packs it, and writes prepare/protocol.lock, which pins
/// the hashes of protocol, data and harness. Run it again after a change of the protocol: earlier scores can then no
/// longer be compared, and the next session measures a new baseline.
#[derive(Debug, clap::Args)]
#[command(after_long_help = NUMERAI)]
pub(super) struct Arguments {}

/// How Numerai's files come into a lab: the program that says they are missing fetches none.
const NUMERAI: &str = "\
Numerai's files are not downloaded by this program. For the preset `numerai`, in the lab:

pip install numerapi
python -c \"
from numerapi import NumerAPI
api = NumerAPI()
for name in ('features.json', 'train.parquet', 'train_benchmark_models.parquet'):
    api.download_dataset('v5.2/' + name, 'data/v5.2/' + name)
\"";

pub(super) fn run(context: &Context<'_>, _: &Arguments) -> Result<()> {
    let lab = context.open()?;
    logging::start(context.verbose, true);
    let _held = LabLock::take(&lab, Timestamp::now())?;
    let protocol = Protocol::read(&lab.protocol())?;
    let paths = DataPaths { lab: lab.root().to_path_buf(), raw: lab.raw_data(), packed: lab.packed_data() };
    lab.make_state()?;
    let mut screen = Screen::new();
    let manifest = prepare::build(&protocol, &paths, &mut |progress| {
        screen.show(&match progress {
            prepare::Progress::Step(step) => Update::Preparing { step: step.to_owned(), rows: None },
            prepare::Progress::Rows { step, done, total } => {
                Update::Preparing { step: step.to_owned(), rows: Some((done, total)) }
            }
        });
        ControlFlow::Continue(())
    })?;
    screen.clear();
    let lock = Lock::new(&protocol, &manifest);
    lock.write(&lab.protocol_lock())?;
    if context.json {
        return out::json(&serde_json::json!({
            "protocol_hash": lock.protocol_hash, "data_hash": lock.data_hash, "harness_hash": lock.harness_hash,
            "rows": manifest.open.rows, "eras": manifest.open.eras.len(),
            "features": manifest.features.len(), "targets": manifest.targets,
            "holdout": { "rows": manifest.holdout.rows, "eras": manifest.holdout.eras.len() },
        }));
    }
    out::line(&format!(
        "{} rows in {} eras for research, {} rows in {} eras held out; {}, {}",
        manifest.open.rows,
        manifest.open.eras.len(),
        manifest.holdout.rows,
        manifest.holdout.eras.len(),
        count(manifest.features.len(), "feature"),
        count(manifest.targets.len(), "training target")
    ));
    out::line(&format!("protocol {}  data {}  harness {}", lock.protocol_hash, lock.data_hash, lock.harness_hash));
    Ok(())
}
