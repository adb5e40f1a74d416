//! Averages of the weights along the training: exponential, or equal over the last epochs.

use burn::tensor::backend::Backend;

use crate::spec::{Ema, Spec};
use crate::train::group::Weights;

/// An average of weights and running statistics, which never touches what it averages.
pub(in crate::train) struct Average<B: Backend> {
    kind: Kind,
    taken: u32,
    weights: Option<Weights<B>>,
}

/// When weights are taken, and how they count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// After every step, the average decaying.
    Steps { decay: f64 },
    /// After every epoch behind this one, all counting the same.
    Epochs { behind: u32 },
}

impl<B: Backend> Average<B> {
    /// The average that a spec asks for.
    pub(in crate::train) fn of(spec: &Spec) -> Option<Self> {
        let kind = match (&spec.optimizer.beside.ema, &spec.optimizer.beside.swa) {
            (Some(Ema { decay }), _) => Kind::Steps { decay: *decay },
            (None, Some(swa)) => Kind::Epochs { behind: swa.behind(spec.training.epochs) },
            (None, None) => return None,
        };
        Some(Self { kind, taken: 0, weights: None })
    }

    /// The average, once there is one.
    pub(in crate::train) fn weights(&self) -> Option<&Weights<B>> {
        self.weights.as_ref()
    }

    /// After a step.
    pub(in crate::train) fn after_step(&mut self, now: &Weights<B>) {
        if let Kind::Steps { decay } = self.kind {
            self.take(now, decay);
        }
    }

    /// After an epoch, counted from 1.
    pub(in crate::train) fn after_epoch(&mut self, now: &Weights<B>, epoch: u32) {
        if let Kind::Epochs { behind } = self.kind
            && epoch > behind
        {
            let taken = f64::from(self.taken);
            self.take(now, taken / (taken + 1.0));
        }
    }

    /// average ← decay·average + (1 - decay)·now; the first is taken whole.
    fn take(&mut self, now: &Weights<B>, decay: f64) {
        self.taken += 1;
        self.weights = Some(match self.weights.take() {
            Some(average) => average.blended(now.clone(), |old, new| old * decay + new * (1.0 - decay)),
            None => now.clone(),
        });
    }
}
