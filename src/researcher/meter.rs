//! What a researcher's calls have cost so far, read from outside: one that is given up on its way has been paid for all the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::research::trial::Usage;

/// A meter. Its clones read the same.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Reading>>);

#[derive(Debug, Default)]
struct Reading {
    /// Of calls that came to their end.
    known: Usage,
    /// What the call under way is estimated to have cost by its being sent, and since when it is.
    under_way: Option<(Usage, Instant)>,
}

impl Meter {
    /// A call is made. `estimate` is what that costs, whatever comes of it.
    pub(super) fn sends(&self, estimate: Usage) {
        self.reading().under_way = Some((estimate, Instant::now()));
    }

    /// The call came to its end, and that is what it cost.
    pub(super) fn came(&self, cost: &Usage) {
        let mut reading = self.reading();
        reading.known.add(cost);
        reading.under_way = None;
    }

    /// What is known, with the estimate for a call under way; and whether there is one.
    pub fn read(&self) -> (Usage, bool) {
        let reading = self.reading();
        let mut all = reading.known;
        if let Some((estimate, since)) = &reading.under_way {
            all.add(&Usage { seconds: since.elapsed().as_secs_f64(), ..*estimate });
        }
        (all, reading.under_way.is_some())
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        // Nothing that holds it can leave it half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Meter;
    use crate::research::trial::Usage;

    fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage { input_tokens, output_tokens, ..Usage::default() }
    }

    #[test]
    fn an_estimate_stands_until_the_call_has_come_to_its_end() {
        let meter = Meter::default();
        assert_eq!(meter.read(), (Usage::default(), false));
        meter.sends(usage(100, 0));
        let (all, estimated) = meter.clone().read();
        assert_eq!((all.input_tokens, all.output_tokens, estimated), (100, 0, true));
        meter.came(&usage(120, 30));
        assert_eq!(meter.read(), (usage(120, 30), false));
        meter.sends(usage(7, 0));
        let (all, estimated) = meter.read();
        assert_eq!((all.input_tokens, all.output_tokens, estimated), (127, 30, true));
    }
}
