//! The holdout, opened: the last eras, which no research ever sees, scored on a person's command or for keeps.
//!
//! It is a type of its own, so that nothing opens the holdout by accident: [`Harness::open`] never maps one of its files.
//! What opens is a harness of a single fold that trains on every era of cross-validation and is tested on the holdout, so
//! that a model is trained, post-processed and scored by the same code as in any cell. The file of the holdout's training
//! labels is not opened here either, and its scoring labels never leave: predictions in, scores out.

use std::path::Path;

use crate::data::{Column, EraSpan, Harness};
use crate::error::{Error, Result};
use crate::evaluate::CellId;
use crate::folds::{Fold, FoldPlan};
use crate::pack::{BENCHMARK, FEATURES, HOLDOUT, SCORE};
use crate::protocol::Protocol;
use crate::storage::MappedFile;

/// The holdout, open.
pub struct Holdout {
    harness: Harness,
}

impl Holdout {
    /// The number of its only fold.
    pub const FOLD: usize = 0;

    /// Opens the holdout beside the data of cross-validation, and checks that its content is as it was packed: a score
    /// that counts must not come from damaged data.
    ///
    /// # Errors
    /// Those of [`Harness::open`]; [`Error::Plan`] for a protocol without a holdout.
    pub fn open(protocol: &Protocol, packed: &Path) -> Result<Holdout> {
        let mut harness = Harness::open(protocol, packed)?;
        let part = harness.manifest().holdout.clone();
        if part.eras.is_empty() {
            return Err(Error::Plan {
                message: "the protocol keeps no holdout (`holdout.eras` is 0), so there is nothing to be scored on"
                    .into(),
                hint: "another holdout is another protocol: scores of before cannot be compared".into(),
            });
        }
        let folder = packed.join(HOLDOUT);
        let map = |name: &str, bytes: usize| -> Result<MappedFile> {
            let found = part.files.iter().find(|file| file.name == name && file.bytes == bytes as u64);
            let file = found.ok_or_else(|| Error::NotPrepared {
                path: folder.join(name),
                message: format!("the manifest has no such file of {bytes} bytes"),
            })?;
            let mapped = MappedFile::open(&folder, file)?;
            mapped.verify(file)?;
            Ok(mapped)
        };
        let mut start = harness.rows();
        for era in &part.eras {
            let rows = start..start + era.rows;
            start = rows.end;
            harness.eras.push(EraSpan { era: era.era, rows });
        }
        let joined = |open: &[f32], name: &str| -> Result<Column> {
            Ok(Column::Joined([open, map(name, part.rows * 4)?.floats()].concat()))
        };
        let held: Vec<u32> = part.eras.iter().map(|era| era.era).collect();
        if start != harness.manifest().rows() || held != harness.plan().holdout {
            return Err(Error::NotPrepared {
                path: packed.to_owned(),
                message: "the manifest contradicts itself about the holdout".into(),
            });
        }
        harness.score = joined(harness.score.floats(), SCORE)?;
        harness.benchmark = joined(harness.benchmark.floats(), BENCHMARK)?;
        harness.held = Some(map(FEATURES, part.rows * harness.feature_count())?);
        let train = harness.plan().cross_validated();
        let embargoed = harness.plan().holdout_embargoed.clone();
        let fold = Fold { fold: Self::FOLD, train, embargoed, test: held };
        harness.plan = FoldPlan { folds: vec![fold], holdout: Vec::new(), holdout_embargoed: Vec::new() };
        Ok(Holdout { harness })
    }

    /// The harness that trains for it and scores it: one fold, [`Holdout::FOLD`].
    pub fn harness(&self) -> &Harness {
        &self.harness
    }

    /// Its cells under some seeds.
    pub fn cells(seeds: &[u64]) -> Vec<CellId> {
        seeds.iter().map(|seed| CellId { fold: Self::FOLD, seed: *seed }).collect()
    }
}
