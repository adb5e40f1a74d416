//! What a series of per-era scores comes to. Pure.

use serde::{Deserialize, Serialize};

use crate::nullable;

/// Summary of a score over eras, as Numerai users read it. NaN is written as null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over the eras.
    #[serde(with = "nullable")]
    pub mean: f64,
    /// Standard deviation over the eras, ddof 0.
    #[serde(with = "nullable")]
    pub std: f64,
    /// Mean over standard deviation, per era (not annualized).
    #[serde(with = "nullable")]
    pub sharpe: f64,
    /// The deepest fall of the cumulative sum below its running maximum, as a number ≥ 0.
    #[serde(with = "nullable")]
    pub max_drawdown: f64,
    /// Share of eras whose score is above zero.
    #[serde(with = "nullable")]
    pub positive_share: f64,
    /// Correlation of each era's score with the next one's.
    #[serde(with = "nullable")]
    pub autocorrelation: f64,
}

impl Summary {
    /// Summarizes the scores of consecutive eras. NaN scores must have been dealt with before: they spread.
    pub fn of(scores: &[f64]) -> Summary {
        let count = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let centred: Vec<f64> = scores.iter().map(|score| score - mean).collect();
        let squares: f64 = centred.iter().map(|score| score * score).sum();
        let std = (squares / count).sqrt();
        let lagged: f64 = centred.windows(2).map(|pair| pair[0] * pair[1]).sum();
        Summary {
            mean,
            std,
            sharpe: if std > 0.0 { mean / std } else { f64::NAN },
            max_drawdown: max_drawdown(scores),
            positive_share: scores.iter().filter(|&&score| score > 0.0).count() as f64 / count,
            autocorrelation: if squares > 0.0 { lagged / squares } else { f64::NAN },
        }
    }
}

/// Largest distance of the cumulative sum below its own running maximum, which starts at the first era's score.
fn max_drawdown(scores: &[f64]) -> f64 {
    let (mut total, mut peak, mut deepest) = (0.0_f64, f64::NEG_INFINITY, 0.0_f64);
    for score in scores {
        total += score;
        peak = peak.max(total);
        deepest = deepest.max(peak - total);
    }
    if scores.is_empty() || total.is_nan() { f64::NAN } else { deepest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_worked_by_hand() {
        // Cumulative sums 1, -1, 2, 1, 3: the deepest fall is from 1 to -1.
        let summary = Summary::of(&[1.0, -2.0, 3.0, -1.0, 2.0]);
        assert!((summary.mean - 0.6).abs() < 1e-12);
        assert!((summary.std - (17.2_f64 / 5.0).sqrt()).abs() < 1e-12);
        assert!((summary.sharpe - 0.6 / 3.44_f64.sqrt()).abs() < 1e-12);
        assert!((summary.max_drawdown - 2.0).abs() < 1e-12);
        assert!((summary.positive_share - 0.6).abs() < 1e-12);
        // Centred 0.4, -2.6, 2.4, -1.6, 1.4: lagged products -1.04 - 6.24 - 3.84 - 2.24.
        assert!((summary.autocorrelation + 13.36 / 17.2).abs() < 1e-12);
    }

    #[test]
    fn nothing_gives_null() {
        let text = serde_json::to_string(&Summary::of(&[])).expect("JSON");
        assert!(text.contains("\"mean\":null") && text.contains("\"max_drawdown\":null"), "{text}");
        let back: Summary = serde_json::from_str(&text).expect("read back");
        assert!(back.mean.is_nan());
    }
}
