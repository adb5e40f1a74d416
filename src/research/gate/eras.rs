//! What is known of the error of a mean from the eras alone, worked out once for each set of eras: a race looks at the
//! same ones again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::stats::StatsError;
use crate::stats::long_run::Overlap;

/// The sets of eras that were asked for.
#[derive(Debug, Default)]
pub struct KnownEras {
    overlap: u32,
    known: Mutex<HashMap<Vec<u32>, Arc<Overlap>>>,
}

impl KnownEras {
    /// Of eras whose scored target spans `overlap` era numbers: eras closer than that share some of their luck.
    pub fn new(overlap: u32) -> Self {
        Self { overlap, known: Mutex::default() }
    }

    /// What is known of the mean over these eras, which ascend.
    ///
    /// # Errors
    /// Too few of them, or all so close that each two overlap.
    pub fn of(&self, eras: &[u32]) -> Result<Arc<Overlap>, StatsError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(eras) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(Overlap::new(eras, self.overlap)?);
        known.insert(eras.to_vec(), Arc::clone(&found));
        Ok(found)
    }
}
