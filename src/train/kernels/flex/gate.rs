//! Bias, gate and dropout as one step.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorMetadata;

use super::step::{Step, recorded};
use super::{Tail, Tracked, ordered, tensor, values};
use crate::spec::language::GateKind;
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::gate::{backward, forward, learn};
use crate::train::kernels::loops::tail::sums;
use crate::train::kernels::{Dropout, buffers};

/// [`crate::train::kernels::Operation::Gated`].
pub(super) fn gated(x: Tracked, bias: Option<Tracked>, kind: GateKind, dropout: Option<Dropout>) -> Tracked {
    let [replicas, rows, both] = x.dims();
    let tail = Tail { replicas, rows, units: both / 2, curve: Pointwise::Identity, dropout };
    match bias {
        Some(bias) => recorded([x, bias], |[x, bias], learns| run(x, Some(&bias), kind, tail, learns)),
        None => recorded([x], |[x], learns| run(x, None, kind, tail, learns)),
    }
}

fn run(x: FlexTensor, bias: Option<&FlexTensor>, kind: GateKind, tail: Tail, learns: bool) -> (FlexTensor, Gated) {
    let Tail { replicas, rows, units, .. } = tail;
    let mut y = buffers::take(replicas * rows * units);
    let learns = learns || tail.dropout.is_some();
    let mut slopes = if learns { buffers::take(2 * y.len()) } else { Vec::new() };
    let zeros = vec![0.0; 2 * units];
    for replica in 0..replicas {
        let all = tail.rows_of(replica);
        let both = 2 * all.start..2 * all.end;
        let bias = bias.map_or(&zeros[..], |bias| &values(bias)[2 * units * replica..][..2 * units]);
        let x = &values(&x)[both.clone()];
        if learns {
            learn(x, bias, (&mut y[all], &mut slopes[both]), kind, tail.mask(replica));
        } else {
            forward(x, bias, &mut y[all], kind);
        }
    }
    buffers::give_tensor(x);
    (tensor(y, [replicas, rows, units]), Gated { slopes, tail })
}

/// ∂y/∂x, by halves.
#[derive(Clone, Debug)]
struct Gated {
    slopes: Vec<f32>,
    tail: Tail,
}

impl Gated {
    fn by_x(&mut self, gradient: FlexTensor) -> FlexTensor {
        let Tail { replicas, rows, units, .. } = self.tail;
        let gradient = ordered(gradient);
        let mut slopes = std::mem::take(&mut self.slopes);
        backward(values(&gradient), &mut slopes, units);
        buffers::give_tensor(gradient);
        tensor(slopes, [replicas, rows, 2 * units])
    }
}

impl Step<1> for Gated {
    fn pull(mut self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(self.by_x(gradient))]
    }

    fn release(self) {
        buffers::give(self.slopes);
    }
}

impl Step<2> for Gated {
    fn pull(mut self, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let by_x = self.by_x(gradient);
        let [replicas, _, both] = by_x.shape().dims();
        let by_unit = || {
            let each = values(&by_x).chunks_exact(self.tail.rows * both).flat_map(|rows| sums(rows, both));
            tensor(each.map(|sum| sum as f32).collect(), [replicas, 1, both])
        };
        let by_bias = wanted[1].then(by_unit);
        [Some(by_x), by_bias]
    }

    fn release(self) {
        buffers::give(self.slopes);
    }
}
