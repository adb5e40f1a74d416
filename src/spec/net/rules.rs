//! What could be laid out but would learn nothing: constants, parts that are thrown away, powers beyond all numbers.

use super::builder::Builder;
use crate::spec::language::{Block, CodeOutput, Norm};

/// The highest power of x. On the demo market nets of widths 8 to 256 that go beyond, by 7 or 8 gates or crossings one after
/// another, whether x is added to each or not, end in constants or in no numbers under the default optimizer; six train.
const MOST_POWER: u64 = 64;

/// What blocks have made of x on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// The power to which it has been raised since the last norm.
    pub(super) power: u64,
    /// Whether the first token knows of the others.
    pub(super) mixed: bool,
    /// Whether the first token is a class token.
    pub(super) class_token: bool,
}

impl Growth {
    /// Of features as they come in.
    pub(super) const NONE: Self = Self { power: 1, mixed: false, class_token: false };

    /// Of what comes out of a branch, added to what came in.
    pub(super) fn added_to(self, before: Self) -> Self {
        Self::joined(&[before, self], false)
    }

    /// Of branches' outputs, one after another or added up.
    pub(super) fn joined(branches: &[Self], in_a_row: bool) -> Self {
        let knows = if in_a_row { &branches[..1] } else { branches };
        Self {
            power: branches.iter().map(|branch| branch.power).max().unwrap_or(1),
            mixed: knows.iter().any(|branch| branch.mixed),
            class_token: branches[0].class_token,
        }
    }
}

impl Builder<'_> {
    /// x is raised to a power.
    pub(super) fn raise(&mut self, power: u64, path: &str) {
        self.growth.power *= power;
        if self.growth.power > MOST_POWER {
            let message = format!(
                "gates and crossings raise x to the power of {}, and with it numbers beyond all bounds; at most {MOST_POWER}, \
                 so put a norm between them",
                self.growth.power
            );
            self.refuse(path, message);
            self.growth.power = 1;
        }
    }

    /// Over one unit a layer norm is a constant.
    pub(super) fn refuse_norm_of_one(&mut self, kind: Norm, width: usize, path: &str) {
        if kind == Norm::Layer && width == 1 {
            let message = "a layer norm over one unit is a constant; take batch, or a larger width before it";
            self.refuse(path, message.into());
        }
    }

    /// A block may put something else in the place of x only where nothing has been made of x before, or where another branch
    /// keeps it.
    pub(super) fn refuse_throwing_away(&mut self, block: &Block, something_before: bool, path: &str) {
        if something_before && replaces(block) {
            let message = "all that comes before it is thrown away; put it first, or in a branch of `parallel`";
            self.refuse(&format!("{path}.{}", block.word()), message.into());
        }
    }
}

/// Whether what a block gives does not depend on what it is given.
fn replaces(block: &Block) -> bool {
    match block {
        Block::Inputs(_) | Block::Benchmark(_) => true,
        // Only what stands first in a list: elsewhere it is refused there.
        Block::Parallel(parallel) => parallel.branches.iter().all(|branch| branch.first().is_some_and(replaces)),
        Block::Autoencoder(autoencoder) => autoencoder.output == CodeOutput::Code && replaces(&autoencoder.encoder[0]),
        // A residual keeps x, a mixture's gate reads it, a repetition may not begin so; all others compute with it.
        _ => false,
    }
}
