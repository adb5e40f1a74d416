//! ψ′ and ψ″ of positive numbers, and the inverse of ψ′.

/// Where the asymptotic series have more digits than a double: the first neglected term is below 1e-17 of the first.
const FAR: f64 = 20.0;

/// ψ′(x), x > 0: by `ψ′(x) = ψ′(x + 1) + 1/x²` and the asymptotic series (Abramowitz and Stegun 1964, 6.4.6, 6.4.12).
pub(super) fn trigamma(x: f64) -> f64 {
    let (mut sum, mut far) = (0.0, x);
    while far < FAR {
        sum += 1.0 / (far * far);
        far += 1.0;
    }
    let r = 1.0 / far;
    let q = r * r;
    let series = 1.0 / 6.0 - q * (1.0 / 30.0 - q * (1.0 / 42.0 - q * (1.0 / 30.0 - q * (5.0 / 66.0))));
    sum + r + q / 2.0 + r * q * series
}

/// ψ″(x), x > 0: by `ψ″(x) = ψ″(x + 1) − 2/x³` and the asymptotic series (6.4.6, 6.4.13).
pub(super) fn tetragamma(x: f64) -> f64 {
    let (mut sum, mut far) = (0.0, x);
    while far < FAR {
        sum -= 2.0 / (far * far * far);
        far += 1.0;
    }
    let r = 1.0 / far;
    let q = r * r;
    let series = 0.5 - q * (1.0 / 6.0 - q * (1.0 / 6.0 - q * (3.0 / 10.0 - q * (5.0 / 6.0))));
    sum - q - r * q - q * q * series
}

/// The x with ψ′(x) = y > 0: Newton's method on 1/ψ′, which is convex and nearly linear, from below (Smyth 2004,
/// appendix).
pub(super) fn trigamma_inverse(y: f64) -> f64 {
    if y > 1e7 {
        return 1.0 / y.sqrt();
    }
    if y < 1e-6 {
        return 1.0 / y;
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..50 {
        let value = trigamma(x);
        let step = value * (1.0 - value / y) / tetragamma(x);
        x += step;
        if -step / x < 1e-12 {
            break;
        }
    }
    x
}
