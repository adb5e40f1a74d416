//! The learning rate over a training, as a factor of the optimizer's rate. Pure.

use std::f64::consts::PI;

use crate::spec::{Cosine, Curve, Schedule};

/// The factor at `step` of `epochs * steps_per_epoch` steps, counted from 0.
///
/// Curves follow PyTorch's and timm's schedulers of the same names, taken at every step instead of every epoch. A warm-up
/// multiplies the curve, as PyTorch's chained schedulers do, and is not put before it, as timm's is.
pub(super) fn factor(schedule: &Schedule, step: usize, steps_per_epoch: usize, epochs: u32) -> f64 {
    let per_epoch = steps_per_epoch.max(1) as f64;
    let epoch = step as f64 / per_epoch;
    let total = f64::from(epochs);
    let warmup = schedule.beside.warmup_epochs;
    let rise = if epoch < warmup { (step as f64 + 1.0) / (warmup * per_epoch) } else { 1.0 };
    let curve = match &schedule.kind {
        Curve::Constant(_) => 1.0,
        Curve::Polynomial(decay) => {
            let left = (1.0 - epoch / f64::from(decay.epochs)).max(0.0);
            decay.end_factor + (1.0 - decay.end_factor) * left.powf(decay.power)
        }
        Curve::Cosine(decay) => {
            let along = cycle(decay, (epoch / total).min(1.0));
            decay.end_factor + (1.0 - decay.end_factor) * 0.5 * (1.0 + (PI * along).cos())
        }
        Curve::OneCycle(cycle) => {
            let along = (epoch / total).min(1.0);
            if along < cycle.peak_at {
                let up = 0.5 * (1.0 - (PI * along / cycle.peak_at).cos());
                cycle.start_factor + (1.0 - cycle.start_factor) * up
            } else {
                0.5 * (1.0 + (PI * (along - cycle.peak_at) / (1.0 - cycle.peak_at)).cos())
            }
        }
        Curve::Exponential(decay) => decay.factor.powf(epoch),
        Curve::Step(decay) => decay.factor.powf((epoch / f64::from(decay.every)).floor()),
    };
    rise.min(1.0) * curve
}

/// How far a cosine's cycle is, from 0 to 1, at a share of all epochs. The cycles together fill the epochs.
fn cycle(decay: &Cosine, share: f64) -> f64 {
    let cycles = 0..=decay.restarts;
    let lengths: Vec<f64> = cycles.map(|cycle| decay.growth.powi(cycle as i32)).collect();
    let unit = lengths.iter().sum::<f64>();
    let mut start = 0.0;
    for (index, length) in lengths.iter().enumerate() {
        let along = (share * unit - start) / length;
        // A restart that falls on a step happens there, whatever the last bit says.
        if along < 1.0 - 1e-9 || index + 1 == lengths.len() {
            return along.clamp(0.0, 1.0);
        }
        start += length;
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::factor;
    use crate::spec::Spec;

    fn at(schedule: &str, epoch: f64) -> f64 {
        let text =
            format!("network: [{{ dense: {{ width: 4 }} }}]\nschedule: {schedule}\ntraining: {{ epochs: 40 }}\n");
        let spec = Spec::parse(&text, "test").expect("valid");
        factor(&spec.schedule, (epoch * 100.0) as usize, 100, 40)
    }

    #[test]
    fn curves_pass_through_their_defining_points() {
        let cases = [
            ("constant", 17.0, 1.0, "a constant stays"),
            ("{ polynomial: { epochs: 30, end_factor: 0.1 } }", 0.0, 1.0, "starts at the full rate"),
            ("{ polynomial: { epochs: 30, end_factor: 0.1 } }", 15.0, 0.55, "half way down a straight line"),
            ("{ polynomial: { epochs: 30, end_factor: 0.1 } }", 35.0, 0.1, "and stays at the end"),
            ("{ cosine: { end_factor: 0.2 } }", 20.0, 0.6, "the middle of a cosine"),
            ("{ cosine: { restarts: 1, growth: 3.0 } }", 5.0, 0.5, "the middle of the first of two cycles"),
            ("{ cosine: { restarts: 1, growth: 3.0 } }", 10.0, 1.0, "a restart at a quarter"),
            ("{ cosine: { restarts: 1, growth: 3.0 } }", 25.0, 0.5, "the middle of the second, three times as long"),
            ("{ exponential: { factor: 0.9 } }", 2.5, 0.9_f64.powf(2.5), "between two epochs"),
            ("{ step: { every: 3, factor: 0.5 } }", 8.99, 0.25, "two steps so far"),
            ("{ step: { every: 3, factor: 0.5 } }", 9.0, 0.125, "and a third"),
            ("{ exponential: { factor: 0.5 }, warmup_epochs: 2 }", 0.99, 0.5_f64.powf(0.99) * 0.5, "warm-up before it"),
            ("{ one_cycle: { peak_at: 0.25, start_factor: 0.04 } }", 0.0, 0.04, "starts low"),
            ("{ one_cycle: { peak_at: 0.25 } }", 10.0, 1.0, "peaks at a quarter"),
            ("{ one_cycle: { peak_at: 0.25 } }", 25.0, 0.5, "half way down"),
            ("{ constant: {}, warmup_epochs: 4 }", 1.99, 0.5, "half way through the warm-up"),
        ];
        for (schedule, epoch, expected, why) in cases {
            let found = at(schedule, epoch);
            assert!((found - expected).abs() < 1e-9, "{schedule} at {epoch}: {found}, wanted {expected}: {why}");
        }
    }
}
