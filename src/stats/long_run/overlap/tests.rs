//! Expectations and degrees of freedom against matrices written out.

use super::*;

/// Sums over matrices written out, for a few eras at irregular distances.
#[test]
fn what_is_expected_is_what_matrices_say() {
    let positions = [1, 3, 4, 9, 15, 16, 22, 30, 31];
    let count = positions.len();
    let known = Overlap::new(&positions, 12).expect("valid");
    let length = count as f64;
    let product = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        (0..count).map(|i| (0..count).map(|j| (0..count).map(|k| a[i][k] * b[k][j]).sum()).collect()).collect()
    };
    let square = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        (0..count).map(|i| (0..count).map(|j| of(i, j)).collect()).collect()
    };
    let trace = |a: &[Vec<f64>]| (0..count).map(|i| a[i][i]).sum::<f64>();
    let kernel = square(&|i, j| (1.0 - i.abs_diff(j) as f64 / (known.lag as f64 + 1.0)).max(0.0));
    let centring = square(&|i, j| f64::from(u8::from(i == j)) - 1.0 / length);
    let shared = square(&|i, j| {
        let by_target = 1.0 - f64::from(positions[i].abs_diff(positions[j])) / 12.0;
        by_target.max(1.0 - i.abs_diff(j) as f64 / 3.0).max(0.0)
    });
    let form = product(&product(&centring, &kernel), &centring);
    let bartlett = trace(&product(&form, &shared)) / length;
    assert!((known.shared.bartlett - bartlett).abs() < 1e-12);
    assert!((known.own.bartlett - trace(&form) / length).abs() < 1e-12);
    let twice = product(&product(&form, &shared), &product(&form, &shared));
    let freedom = trace(&product(&form, &shared)).powi(2) / trace(&twice);
    assert!((known.freedom(1.0, 0.0) - freedom.max(1.0)).abs() < 1e-9);
    // Both parts: the form that is right for both, on 2·shared + 3·own.
    let plain = known.own.mean * known.shared.bartlett - known.shared.mean * known.own.bartlett;
    let weight = known.shared.mean * known.own.plain - known.own.mean * known.shared.plain;
    let both = square(&|i, j| plain * centring[i][j] + weight * form[i][j]);
    let model = square(&|i, j| 2.0 * shared[i][j] + 3.0 * f64::from(u8::from(i == j)));
    let once = product(&both, &model);
    let wanted = trace(&once).powi(2) / trace(&product(&once, &once));
    assert!((known.freedom(2.0, 3.0) - wanted.max(1.0)).abs() < 1e-9, "{} for {wanted}", known.freedom(2.0, 3.0));
}
