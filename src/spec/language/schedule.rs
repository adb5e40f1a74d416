//! How the learning rate moves.

use crate::spec::declare::{record, union};
use crate::spec::piece::{Beside, float, int};

/// A curve of the learning rate, perhaps with a warm-up before it.
pub type Schedule = Beside<Curve, ScheduleExtras>;

record! {
    /// What may stand beside any schedule.
    ScheduleExtras {
        /// Epochs over which the learning rate first rises from 0 to what the schedule says, at every step: the curve's factor times the share of the warm-up that is done. The curve's own epochs count from the start of training.
        warmup_epochs: f64 = 0.0, float(0.0, 50.0);
    }
}

union! {
    /// How the learning rate moves over the epochs: factors of the optimizer's, taken anew at every step.
    Curve {
        /// It does not.
        Constant(Constant) = "constant", ();
        /// From 1× to `end_factor`× over `epochs`, as (1 - t)^power; constant from then on.
        Polynomial(Polynomial) = "polynomial", ();
        /// From 1× to `end_factor`× along half a cosine over all epochs, or along several, each from 1× again.
        Cosine(Cosine) = "cosine", ();
        /// Up from `start_factor`× to 1× and down to 0, both along cosines (Smith 2018).
        OneCycle(OneCycle) = "one_cycle", ();
        /// Down by the same ratio every epoch: factor^epoch, at every step.
        Exponential(Exponential) = "exponential", ();
        /// Down by `factor` at once, every few epochs: factor^⌊epoch / every⌋.
        Step(StepDecay) = "step", ();
    }
}

record! {
    /// No change.
    Constant {}
}

record! {
    /// Polynomial decay.
    Polynomial {
        /// Epochs until the end is reached.
        epochs: u32 = 30, int(1, 1000).log();
        /// The factor at the end.
        end_factor: f64 = 0.1, float(0.0, 0.99);
        /// 1 is a straight line.
        power: f64 = 1.0, float(0.1, 10.0).log();
    }
}

record! {
    /// end_factor + (1 - end_factor)·(1 + cos(π·t)) / 2, t going from 0 to 1 in every cycle; with restarts SGDR (Loshchilov & Hutter 2017).
    Cosine {
        /// The factor at the end of each cycle.
        end_factor: f64 = 0.0, float(0.0, 0.99);
        /// How often it starts again; the cycles fill all epochs.
        restarts: u32 = 0, int(0, 20);
        /// The length of each cycle by that of the one before it: T_mult. For `restarts` above 0.
        growth: f64 = 1.0, float(1.0, 4.0);
    }
}

record! {
    /// One cycle.
    OneCycle {
        /// The share of all steps after which the peak is reached.
        peak_at: f64 = 0.3, float(0.05, 0.95);
        /// The factor at the start.
        start_factor: f64 = 0.04, float(0.0, 1.0);
    }
}

record! {
    /// Exponential decay.
    Exponential {
        /// What an epoch multiplies the rate with.
        factor: f64 = 0.9, float(0.01, 0.999);
    }
}

record! {
    /// Step decay.
    StepDecay {
        /// Epochs between two steps; fewer than `training.epochs`.
        every: u32 = 10, int(1, 1000).log();
        /// What a step multiplies the rate with.
        factor: f64 = 0.1, float(0.001, 0.99).log();
    }
}
