//! TabNet's encoder.

use burn::tensor::{Tensor, activation, backend::Backend};

use super::Walk;
use crate::spec::language::GateKind;
use crate::spec::net::{NormLayer, TabNetLayer, TabNetStep};
use crate::train::forward::Pass;
use crate::train::kernels::Operation;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// Steps that each look at masked features, and add to the output.
    pub(super) fn tabnet(&mut self, tabnet: &TabNetLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.norm(&tabnet.norm, tabnet.inputs, x);
        let mut transformed = self.transformed(tabnet, &tabnet.steps[0], x.clone());
        let mut prior: Option<Tensor<B, 3>> = None;
        let mut output: Option<Tensor<B, 3>> = None;
        for step in &tabnet.steps[1..] {
            let Some((weight, norm)) = &step.mask else { continue };
            let wish = transformed.narrow(2, tabnet.width, tabnet.attention);
            let wish = self.pass.product(wish, self.params[*weight].clone());
            let wish = self.norm(norm, tabnet.inputs, wish);
            let mask = self.pass.operate(Operation::Sparsemax { x: wish, prior: prior.clone() });
            if tabnet.sparsity > 0.0 && self.pass.learns() {
                let uncertain = self.pass.operate(Operation::Entropy { x: mask.clone() });
                let steps = (tabnet.steps.len() - 1) as f64;
                self.pass.auxiliary(uncertain * (tabnet.sparsity / steps));
            }
            let left = mask.clone().neg() + tabnet.relaxation;
            prior = Some(match prior {
                Some(prior) => prior * left,
                None => left,
            });
            transformed = self.transformed(tabnet, step, x.clone() * mask);
            let decision = activation::relu(transformed.clone().narrow(2, 0, tabnet.width));
            output = Some(match output {
                Some(sum) => sum + decision,
                None => decision,
            });
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
        self.pass.operate(Operation::Gated { x: both, bias: None, kind: GateKind::Glu, dropout: None })
    }
}
