//! What estimates of one kind say together, each weighed by how much it knows.

use super::error::{Result, StatsError};
use super::interval::{Interval, student, student_quantile};
use super::shrinkage::normal_means;

/// An estimate and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, above 0.
    pub standard_error: f64,
    /// The degrees of freedom that the standard error was estimated with; infinite where it is known.
    pub degrees_of_freedom: f64,
}

/// Some estimates taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// The mean of the true effects.
    pub mean: f64,
    /// The interval of that mean.
    pub interval: Interval,
    /// The standard deviation of the true effects around their mean; None of a single estimate.
    pub spread: Option<f64>,
    /// What each effect likely is: its estimate, drawn towards the mean by as much as its error says.
    pub shrunk: Vec<f64>,
}

/// The mean of effects `θ_i ~ N(m, τ²)` of which there are estimates `y_i ~ N(θ_i, s_i²)`, by the weights
/// `w_i = 1/(s_i² + τ²)` with τ² by Paule and Mandel (1982): [`normal_means`]. So an estimate that knows little weighs little,
/// and a precise one weighs no more than the differences between the effects let it.
///
/// The interval is Student's with k − 1 degrees of freedom over `√(1/Σw)`. That is Knapp and Hartung's (2003, *Improved tests
/// for a random effects meta-regression with a single covariate*), never narrower than without it: their factor
/// `Σ w_i (y_i − m)²/(k − 1)` is 1 at Paule and Mandel's τ² by its definition, and below 1 only where τ² is 0. Of a single
/// estimate it is Student's with the estimate's own error and degrees of freedom.
///
/// A standard error that was estimated with ν degrees of freedom is widened by `t_ν/z` at the interval's confidence first, so
/// that the least lucky of few numbers does not pass for a precise one.
///
/// # Errors
/// No estimate, and those of [`normal_means`] and [`student`].
pub fn together(estimates: &[Estimate], confidence: f64) -> Result<Together> {
    if let [only] = estimates {
        let Estimate { value, standard_error, degrees_of_freedom } = *only;
        let interval = student(value, standard_error, degrees_of_freedom, confidence)?;
        return Ok(Together { mean: value, interval, spread: None, shrunk: vec![value] });
    }
    if estimates.is_empty() {
        return Err(StatsError::TooFew { what: "estimates", found: 0, needed: 1 });
    }
    let z = student_quantile(confidence, f64::INFINITY)?;
    let values: Vec<f64> = estimates.iter().map(|estimate| estimate.value).collect();
    let errors: Vec<f64> = estimates
        .iter()
        .map(|estimate| Ok(estimate.standard_error * student_quantile(confidence, estimate.degrees_of_freedom)? / z))
        .collect::<Result<_>>()?;
    let found = normal_means(&values, &errors)?;
    Ok(Together {
        mean: found.centre,
        interval: student(found.centre, found.centre_error, estimates.len() as f64 - 1.0, confidence)?,
        spread: Some(found.spread),
        shrunk: found.means,
    })
}

#[cfg(test)]
mod tests;
