//! TabNet's encoder.

use burn::tensor::{Tensor, activation, backend::Backend};

use super::Walk;
use crate::spec::net::{NormLayer, TabNetLayer, TabNetStep};
use crate::train::forward::Pass;

/// Keeps the logarithm of a mask finite, as in the authors' code.
const EPSILON: f64 = 1e-15;

/// Steps of Newton's method towards a sparse mask's threshold. Each leaves out units for good, and the steps end by themselves
/// when none is left to be left out; far fewer do for any but made-up numbers.
const NEWTON: usize = 20;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// Steps that each look at masked features, and add to the output.
    pub(super) fn tabnet(&mut self, tabnet: &TabNetLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.norm(&tabnet.norm, tabnet.inputs, x);
        let mut transformed = self.transformed(tabnet, &tabnet.steps[0], x.clone());
        let mut prior = x.ones_like();
        let mut output: Option<Tensor<B, 3>> = None;
        let mut entropy: Option<Tensor<B, 3>> = None;
        for step in &tabnet.steps[1..] {
            let Some((weight, norm)) = &step.mask else { continue };
            let wish = transformed.narrow(2, tabnet.width, tabnet.attention);
            let wish = self.pass.product(wish, self.params[*weight].clone());
            let mask = sparsemax(self.norm(norm, tabnet.inputs, wish) * prior.clone());
            let uncertain = (mask.clone() * (mask.clone() + EPSILON).log()).sum_dim(2).mean_dim(1);
            entropy = Some(match entropy {
                Some(sum) => sum + uncertain,
                None => uncertain,
            });
            prior = prior * (mask.clone().neg() + tabnet.relaxation);
            transformed = self.transformed(tabnet, step, x.clone() * mask);
            let decision = activation::relu(transformed.clone().narrow(2, 0, tabnet.width));
            output = Some(match output {
                Some(sum) => sum + decision,
                None => decision,
            });
        }
        if let Some(entropy) = entropy.filter(|_| tabnet.sparsity > 0.0 && self.pass.learns()) {
            let steps = (tabnet.steps.len() - 1) as f64;
            self.pass.auxiliary(entropy.neg() * (tabnet.sparsity / steps));
        }
        output.expect("one step or more")
    }

    /// The shared layers, then the step's own: gated linear units, each added to what comes in but for the very first.
    fn transformed(&mut self, tabnet: &TabNetLayer, step: &TabNetStep, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let units = tabnet.width + tabnet.attention;
        let shared = tabnet.shared.iter().zip(&step.shared_norms);
        let own = step.own.iter().map(|(weight, norm)| (weight, norm));
        let mut x = x;
        for (index, (weight, norm)) in shared.chain(own).enumerate() {
            let y = self.gated(*weight, norm, units, x.clone());
            x = if index == 0 { y } else { (x + y) * std::f64::consts::FRAC_1_SQRT_2 };
        }
        x
    }

    fn gated(&mut self, weight: usize, norm: &NormLayer, units: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let both = self.pass.product(x, self.params[weight].clone());
        let both = self.norm(norm, 2 * units, both);
        both.clone().narrow(2, 0, units) * activation::sigmoid(both.narrow(2, units, units))
    }
}

/// The nearest point of the simplex: max(z - τ, 0) with τ such that a row sums to 1 (Martins & Astudillo 2016).
pub(super) fn sparsemax<B: Backend>(z: Tensor<B, 3>) -> Tensor<B, 3> {
    // Σ max(z - τ, 0) is convex in τ, so Newton's method from below rises to its root and stays there (Michelot 1986). With the
    // largest number at 0, τ is at most -1 / units, however large the numbers were.
    let z = z.clone() - z.detach().max_dim(2);
    let given = z.clone().detach();
    let mut support = given.ones_like();
    for _ in 0..NEWTON {
        let threshold = threshold(given.clone(), support.clone());
        support = given.clone().greater(threshold.expand(given.dims())).float();
    }
    // With the support given, τ is a mean, and its gradient is that of the whole.
    let tau = threshold(z.clone(), support.clone());
    activation::relu(z - tau) * support
}

fn threshold<B: Backend>(z: Tensor<B, 3>, support: Tensor<B, 3>) -> Tensor<B, 3> {
    let count = support.clone().sum_dim(2);
    ((z * support).sum_dim(2) - 1.0) / count
}
