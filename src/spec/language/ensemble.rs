//! Several nets, and how they become one.

use super::Schedule;
use crate::spec::declare::{record, union};
use crate::spec::piece::{float, int, list, standard};

record! {
    /// Several nets a cell, which differ in their random numbers, and in what `diversity` says.
    Ensemble {
        /// How many.
        members: u32 = 1, int(1, 16).log();
        /// How their predictions become one.
        aggregate: Aggregate = Aggregate::Mean(MeanOfMembers {}), ();
        /// What else members differ in.
        diversity: Diversity = standard(), ();
    }
}

union! {
    /// How members' predictions become one, row by row.
    Aggregate {
        /// The mean of the predictions, each standardized within its era.
        Mean(MeanOfMembers) = "mean", ();
        /// The mean of the predictions' ranks within each era.
        RankMean(MeanOfRanks) = "rank_mean", ();
        /// The median of the predictions, each standardized within its era.
        Median(MedianOfMembers) = "median", ();
        /// The mean of the predictions, each standardized within its era, without the lowest and the highest of each row.
        Trimmed(Trimmed) = "trimmed", ();
    }
}

record! {
    /// Mean.
    MeanOfMembers {}
}

record! {
    /// Mean of ranks.
    MeanOfRanks {}
}

record! {
    /// Median.
    MedianOfMembers {}
}

record! {
    /// Trimmed mean.
    Trimmed {
        /// The share of members left out at each end, as a number of members rounded down: 0.25 of 6 is one at each end. At least one is, and at least three stay: two in the middle are the median.
        share: f64 = 0.25, float(0.05, 0.45);
    }
}

impl Trimmed {
    /// How many of so many members are left out at each end.
    pub fn cut(&self, members: usize) -> usize {
        // What is a whole number stays one, whatever the last bit says.
        (self.share * members as f64 + 1e-9) as usize
    }
}

record! {
    /// How members differ beyond their random numbers. Member i of n stands at s = -1 + 2·i/(n - 1), from -1 to 1.
    Diversity {
        /// The learning rate is multiplied by rate^s: 2.0 spreads members from half to twice the optimizer's.
        rate: f64 = 1.0, float(1.0, 10.0).log();
        /// Every width in the network is multiplied by width^s, rounded.
        width: f64 = 1.0, float(1.0, 4.0).log();
        /// dropout·s is added to every dropout in the network, which stays in its range.
        dropout: f64 = 0.0, float(0.0, 0.45);
        /// The share of the features that each member sees: a random subset of its own, the same in every fold and under every seed.
        features: f64 = 1.0, float(0.05, 1.0);
        /// Member i uses the schedule i mod their number, and the spec's own is left out; none: all use the spec's own.
        schedules: Vec<Schedule> = Vec::new(), list(0, 8);
    }
}
