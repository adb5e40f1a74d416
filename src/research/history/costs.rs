//! What researchers have cost, all together and one by one.

use std::collections::BTreeSet;

use super::History;
use crate::research::trial::{TrialRecord, Usage};

impl History {
    /// What all calls to researchers have cost: proposals, failures, synthesis.
    pub fn usage(&self) -> Usage {
        let mut usage = self.usage;
        // What a round cost was counted when it came.
        for record in self.records().filter(|record| self.is_paid_alone(record)) {
            usage.add(&record.proposal.usage);
        }
        usage
    }

    /// Whether what a trial's proposal cost was not counted with its round: it was asked for alone, or the ledger was retold
    /// from git, which has no rounds.
    fn is_paid_alone(&self, record: &TrialRecord) -> bool {
        record.origin.as_ref().is_none_or(|origin| !self.paid.contains(&origin.round))
    }

    /// What all calls to one researcher have cost: rounds, failures, proposals that were asked for alone.
    pub fn usage_of(&self, researcher: &str) -> Usage {
        let mut usage = self.spent.get(researcher).copied().unwrap_or_default();
        let alone = |record: &&TrialRecord| self.is_paid_alone(record) && record.proposal.researcher == researcher;
        for record in self.records().filter(alone) {
            usage.add(&record.proposal.usage);
        }
        usage
    }

    /// Researchers whose calls have cost tokens or dollars, in alphabetical order.
    pub fn spenders(&self) -> BTreeSet<String> {
        let alone = self.records().filter(|record| self.is_paid_alone(record));
        let alone = alone.map(|record| (&record.proposal.researcher, &record.proposal.usage));
        let costs = |usage: &Usage| usage.input_tokens + usage.output_tokens > 0 || usage.cost_usd > 0.0;
        self.spent.iter().chain(alone).filter(|(_, usage)| costs(usage)).map(|(name, _)| name.clone()).collect()
    }
}
