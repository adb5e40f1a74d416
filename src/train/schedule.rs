//! The learning rate over a training, as a factor of the optimizer's rate. Pure.

use std::f64::consts::PI;

use crate::spec::{Curve, Schedule};

/// The factor at `step` of `epochs * steps_per_epoch` steps, counted from 0.
///
/// Curves follow PyTorch's schedulers of the same names, taken at every step instead of every epoch.
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
            let along = (epoch / total).min(1.0);
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
    };
    rise.min(1.0) * curve
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
