//! The spec language: what a researcher can say about a model. Data only; nothing here can name a file or run code.

mod augment;
mod data;
mod ensemble;
mod loss;
mod network;
mod optimizer;
mod post;
mod schedule;
mod training;
mod wrappers;

pub use augment::*;
pub use data::*;
pub use ensemble::*;
pub use loss::*;
pub use network::*;
pub use optimizer::*;
pub use post::*;
pub use schedule::*;
pub use training::*;
pub use wrappers::*;

use super::declare::record;
use super::piece::{Beside, int, list, standard};

record! {
    /// A model, whole: what it reads, what it learns from, the net, and how the net is trained.
    Spec {
        /// Version of the language.
        version: u32 = 1, int(1, 1);
        /// What the net reads.
        features: Features = standard(), ();
        /// What the net learns from.
        targets: Targets = standard(), ();
        /// The blocks, from the features to the last hidden layer. A linear layer with one output a training target follows.
        network: Vec<Block>, list(1, 32);
        /// The weighted terms that are minimized together.
        loss: Vec<LossTerm> = vec![LossTerm::Pearson(standard())], list(1, 16);
        /// How weights follow gradients.
        optimizer: Optimization = Beside { kind: Optimizer::Adamw(standard()), beside: standard() }, ();
        /// How the learning rate moves over the epochs.
        schedule: Schedule = Beside { kind: Curve::Constant(Constant {}), beside: standard() }, ();
        /// What is done to a batch before it is learned from.
        augment: Vec<Augment> = Vec::new(), list(0, 6);
        /// Epochs, batches, early stopping.
        training: Training = standard(), ();
        /// How many nets, and how their predictions become one.
        ensemble: Ensemble = standard(), ();
        /// What happens to predictions before they are scored.
        post: Post = standard(), ();
    }
}
