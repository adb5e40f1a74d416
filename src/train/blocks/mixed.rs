//! Gates, excitations, crossings, autoencoders.

use burn::tensor::{Tensor, activation, backend::Backend};

use super::{Walk, by_rows};
use crate::spec::language::CodeOutput;
use crate::spec::net::{AutoencoderLayer, CrossLayer, ExciteLayer, GateLayer};
use crate::train::forward::Pass;
use crate::train::kernels::Operation;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// (x·W + b) ⊙ σ(x·V + c), one product for both.
    pub(super) fn gate(&mut self, gate: &GateLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        by_rows(x, gate.inputs, |x| {
            let both = self.pass.product(x, self.params[gate.weight].clone());
            let bias = gate.bias.map(|bias| self.params[bias].clone());
            let dropout = self.pass.made(gate.dropout);
            self.pass.operate(Operation::Gated { x: both, bias, kind: gate.kind, dropout })
        })
    }

    /// x ⊙ sigmoid(W₂·relu(W₁·s)).
    pub(super) fn excite(&mut self, excite: &ExciteLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let squeezed = match excite.tokens {
            None => x.clone(),
            Some((count, width)) => {
                x.clone().reshape([replicas, rows, count, width]).mean_dim(3).reshape([replicas, rows, count])
            }
        };
        let hidden = activation::relu(self.linear(excite.squeeze, excite.squeeze_bias, squeezed));
        let logits = self.linear(excite.excite, excite.excite_bias, hidden);
        self.pass.operate(Operation::Excited { x, logits })
    }

    /// xₗ₊₁ = x₀ ⊙ (xₗ·Wₗ + bₗ) + xₗ.
    pub(super) fn cross(&mut self, layers: &[CrossLayer], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let Some(first) = layers.first() else { return x };
        let width = self.params[first.bias].dims()[2];
        by_rows(x, width, |start| {
            layers.iter().fold(start.clone(), |x, layer| {
                let product = layer
                    .weights
                    .iter()
                    .fold(x.clone(), |x, weight| self.pass.product(x, self.params[*weight].clone()));
                let bias = self.params[layer.bias].clone();
                self.pass.operate(Operation::Crossed { start: start.clone(), product, bias, x })
            })
        })
    }

    /// The code, and how well x can be told from it.
    pub(super) fn autoencoder(&mut self, autoencoder: &AutoencoderLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let code = self.layers(&autoencoder.encoder, x.clone());
        let weight = autoencoder.weight;
        if self.pass.learns() {
            let back = self.layers(&autoencoder.decoder, code.clone());
            // x is what is to be told, so no gradient reaches it from here.
            let error = self.pass.operate(Operation::MeanSquare { x: back, target: x.clone() });
            self.pass.auxiliary(error * weight);
        }
        match autoencoder.output {
            CodeOutput::Code => code,
            CodeOutput::Both => Tensor::cat(vec![x, code], 2),
        }
    }
}
