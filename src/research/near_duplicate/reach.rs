//! How far the noise floor reaches: by how many natural steps numbers may differ before the gate could see it.
//!
//! Along a number the payout moves by s a step; of d steps it moves by s·d. What a lab's trials say of s: a trial that turned
//! numbers alone by steps dᵢ has measured a difference whose variance is s²·Σdᵢ² and its own error's, slopes being independent.
//! Sums over the trials give s² by moments. The noise floor says what the best comparison that this lab makes is off by
//! (`NoiseFloor::comparison_error`, one standard error at the most seeds); half of that is seen by nobody.

/// Below this many natural steps in every one of its numbers a spec is another one over again, where the noise floor has not
/// been measured.
pub const DEFAULT_REACH: f64 = 0.1;

/// Differences below this share of the best comparison's standard error are out of sight.
const SHARE: f64 = 0.5;
/// Squared steps that what is believed before any trial counts as.
const BELIEVED_STEPS: f64 = 8.0;
/// A reach never leaves these bounds: knobs are not alike, and s is all of them together.
const BOUNDS: (f64, f64) = (0.05, 0.25);

/// What trials that turned numbers alone say of the slope.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slope {
    /// Σ (measured difference² - its standard error²)
    moved: f64,
    /// Σ steps²
    steps: f64,
}

impl Slope {
    /// Takes in a trial that went so many steps (squared, summed over its numbers) and measured that difference.
    pub(super) fn take(&mut self, squared_steps: f64, delta: f64, standard_error: f64) {
        let moved = delta * delta - standard_error * standard_error;
        if moved.is_finite() && squared_steps.is_finite() {
            self.moved += moved;
            self.steps += squared_steps;
        }
    }

    /// The reach in natural steps, where the best comparison's standard error is known; the usual one where it is not.
    pub(super) fn reach(&self, comparison_error: Option<f64>) -> f64 {
        let Some(noise) = comparison_error.filter(|noise| noise.is_finite() && *noise > 0.0) else {
            return DEFAULT_REACH;
        };
        let believed = (SHARE * noise / DEFAULT_REACH).powi(2);
        let squared = (BELIEVED_STEPS * believed + self.moved) / (BELIEVED_STEPS + self.steps);
        let slope = squared.max(0.0).sqrt();
        (SHARE * noise / slope.max(f64::MIN_POSITIVE)).clamp(BOUNDS.0, BOUNDS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_noise_floor_or_without_trials_it_is_the_usual_one() {
        let mut slope = Slope::default();
        assert_eq!(slope.reach(Some(0.001)), DEFAULT_REACH);
        slope.take(1.0, 0.02, 0.001);
        assert_eq!(slope.reach(None), DEFAULT_REACH);
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(slope.reach(Some(nonsense)), DEFAULT_REACH, "{nonsense}");
        }
        slope.take(f64::INFINITY, 1.0, 1.0);
        slope.take(1.0, f64::NAN, 1.0);
        assert!(slope.reach(Some(0.001)).is_finite());
    }

    #[test]
    fn it_comes_to_what_the_noise_hides_of_the_slopes_that_were_measured() {
        let noise = 0.001;
        // (true slope a step in noises, reach)
        for (slope, wanted) in [(0.1, 0.25), (3.0, 0.5 / 3.0), (5.0, 0.1), (8.0, 0.0625), (50.0, 0.05)] {
            let mut found = Slope::default();
            // Errors of ± their standard deviation: the mean square is that of any distribution.
            for error in [2.0 * noise, -2.0 * noise].into_iter().cycle().take(4_000) {
                found.take(1.0, slope * noise + error, error);
            }
            let reach = found.reach(Some(noise));
            assert!((reach / wanted - 1.0).abs() < 0.05, "slope {slope}: {reach}, not {wanted}");
        }
    }
}
