//! How a net's parameters start, replica by replica.

use rand::{Rng, RngExt};

use super::streams::{Purpose, Replica};
use crate::spec::net::{Net, ParamShape, Start};

/// Starting values of every parameter for one replica, row-major.
pub(super) fn start(net: &Net, replica: &Replica) -> Vec<Vec<f32>> {
    let mut stream = replica.stream(Purpose::Weights);
    net.params.iter().map(|param| draw(param, &mut stream)).collect()
}

fn draw(param: &ParamShape, stream: &mut impl Rng) -> Vec<f32> {
    let count = param.rows * param.cols;
    match param.start {
        Start::Constant(value) => vec![value; count],
        Start::Uniform(bound) => (0..count).map(|_| ((stream.random::<f64>() * 2.0 - 1.0) * bound) as f32).collect(),
        Start::Normal(deviation) => (0..count).map(|_| (normal(stream) * deviation) as f32).collect(),
        Start::Truncated(deviation) => (0..count)
            .map(|_| {
                let within = std::iter::repeat_with(|| normal(stream)).find(|number| number.abs() <= 3.0);
                (within.unwrap_or(0.0) * deviation) as f32
            })
            .collect(),
        Start::Signs => (0..count).map(|_| if stream.random::<bool>() { 1.0 } else { -1.0 }).collect(),
    }
}

/// A standard normal number, by Box and Muller (1958).
fn normal(stream: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::start;
    use crate::spec::Spec;
    use crate::spec::net::{Inputs, Net};
    use crate::train::streams::Replica;

    #[test]
    fn he_uniform_has_its_variance_and_each_replica_its_own_draw() {
        let spec = Spec::parse("network: [{ dense: { width: 4096 } }]\n", "test").expect("valid");
        let net = Net::of(&spec, &Inputs { features: 10, sets: Vec::new(), targets: 3 }).expect("it can be laid out");
        let one = start(&net, &Replica { fold: 0, seed: 42, member: 0 });
        let other = start(&net, &Replica { fold: 0, seed: 42, member: 1 });
        let variance = one[0].iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / one[0].len() as f64;
        // Uniform in ±√(6/in) has variance 2/in; 40,960 draws know it to a percent or so.
        assert!((variance * 10.0 / 2.0 - 1.0).abs() < 0.03, "{variance}");
        assert_ne!(one[0], other[0]);
        assert_eq!(one, start(&net, &Replica { fold: 0, seed: 42, member: 0 }), "the same replica starts the same");
    }
}
