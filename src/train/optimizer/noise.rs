//! Gradient noise (Neelakantan 2015), from each replica's own stream.

use burn::tensor::{Int, Tensor, backend::Backend};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::spec::GradientNoise;
use crate::train::kernels::Dropout;
use crate::train::streams::{Purpose, Replica};

/// The noise of a group of replicas.
pub(super) struct Noise {
    eta: f64,
    gamma: f64,
    streams: Vec<ChaCha8Rng>,
}

impl Noise {
    pub(super) fn new(noise: &GradientNoise, replicas: &[Replica]) -> Self {
        let streams = replicas.iter().map(|replica| replica.stream(Purpose::GradientNoise)).collect();
        Self { eta: noise.eta, gamma: noise.gamma, streams }
    }

    /// Gradients with the noise of step `number`, counted from 0.
    pub(super) fn added<B: Backend>(
        &mut self,
        gradients: Vec<Option<Tensor<B, 3>>>,
        number: i32,
    ) -> Vec<Option<Tensor<B, 3>>> {
        let deviation = (self.eta / (1.0 + f64::from(number)).powf(self.gamma)).sqrt();
        let each = gradients.into_iter().map(|gradient| {
            let (radius, angle) = (self.keys(), self.keys());
            gradient.map(|gradient| {
                let noise = normals(gradient.dims(), &radius, &angle, &gradient.device());
                gradient + noise * deviation
            })
        });
        each.collect()
    }

    fn keys(&mut self) -> Vec<[u32; 2]> {
        self.streams.iter_mut().map(|stream| [stream.next_u32(), stream.next_u32()]).collect()
    }
}

/// Standard normal numbers by Box and Muller (1958), of two hashes of each number's place: the same on every backend and
/// however replicas are grouped.
fn normals<B: Backend>(shape: [usize; 3], radius: &[[u32; 2]], angle: &[[u32; 2]], device: &B::Device) -> Tensor<B, 3> {
    const WHOLE: f64 = 4_294_967_296.0;
    let share = |hash: Tensor<B, 3, Int>| hash.float() / WHOLE;
    let radius = share(Dropout::hashes(radius, shape, device)).clamp_min(0.5 / WHOLE);
    let angle = share(Dropout::hashes(angle, shape, device)) * std::f64::consts::TAU;
    (radius.log() * -2.0).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::Tensor;

    use super::Noise;
    use crate::spec::GradientNoise;
    use crate::train::streams::Replica;

    const REPLICAS: [Replica; 2] = [Replica { fold: 0, seed: 42, member: 0 }, Replica { fold: 1, seed: 42, member: 0 }];

    fn drawn(replicas: &[Replica], gamma: f64, number: i32) -> Vec<f32> {
        let mut noise = Noise::new(&GradientNoise { eta: 0.25, gamma }, replicas);
        let nothing = Tensor::<Flex, 3>::zeros([replicas.len(), 200, 250], &Default::default());
        let noisy = noise.added(vec![Some(nothing)], number).remove(0).expect("it had a gradient");
        noisy.into_data().iter::<f32>().collect()
    }

    #[test]
    fn it_is_normal_with_its_variance_and_each_replicas_own() {
        let both = drawn(&REPLICAS, 0.55, 0);
        assert_eq!(both[..50_000], drawn(&REPLICAS[..1], 0.55, 0), "alone as in a group");
        assert_eq!(both[50_000..], drawn(&REPLICAS[1..], 0.55, 0), "alone as in a group");
        let moment = |power: i32| both.iter().map(|x| (f64::from(*x) / 0.5).powi(power)).sum::<f64>() / 1e5;
        // Of 100,000 normal numbers: 0, 1, 0, 3, with standard errors of 0.003, 0.004, 0.012, 0.03.
        for (power, wanted, tolerance) in [(1, 0.0, 0.013), (2, 1.0, 0.018), (3, 0.0, 0.05), (4, 3.0, 0.13)] {
            let found = moment(power);
            assert!((found - wanted).abs() < tolerance, "moment {power} is {found}, of a normal number {wanted}");
        }
        let pairs = both[..50_000].iter().zip(&both[50_000..]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        assert!((pairs / 0.25 / 5e4).abs() < 0.02, "replicas go together: {pairs}");
    }

    #[test]
    fn it_falls_with_the_steps() {
        let size = |number| drawn(&REPLICAS, 2.0, number).iter().map(|x| f64::from(x.abs())).sum::<f64>();
        // The same draws; the deviation is √(η / (1 + t)²).
        assert!((size(0) / size(3) - 4.0).abs() < 1e-3);
    }
}
