//! Activations and their slopes on single numbers, written so that loops over them vectorize: no branch, no call, no
//! conversion that saturates.

/// How a processor multiplies and adds.
pub(super) trait Level {
    /// a · b + c
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// In one instruction, rounding once.
pub(super) struct Fused;

impl Level for Fused {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// In two, rounding twice.
pub(super) struct Plain;

impl Level for Plain {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// An activation.
pub(super) trait Curve {
    /// The value at x.
    fn value<L: Level>(x: f32) -> f32;
    /// The slope at x.
    fn slope<L: Level>(x: f32) -> f32;
}

/// eˣ to about 2 units in the last place for -87 ≤ x ≤ 88, and the ends of that range beyond (Cephes' polynomial). The
/// exponent is read off the bits of a sum with 1.5·2²³, which rounds to the nearest whole number.
#[inline(always)]
pub(super) fn exp<L: Level>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = L::fma(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = L::fma(whole, 2.121_944_4e-4, L::fma(whole, -0.693_359_4, x));
    let p = 1.987_569_1e-4;
    let p = L::fma(p, r, 1.398_199_9e-3);
    let p = L::fma(p, r, 8.333_452e-3);
    let p = L::fma(p, r, 4.166_579_6e-2);
    let p = L::fma(p, r, 1.666_666_5e-1);
    let p = L::fma(p, r, 0.5);
    let p = L::fma(p * r, r, r + 1.0);
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// The normal distribution function and e^(-x²/2): Abramowitz & Stegun 7.1.26, which needs no other exponential. Absolute
/// error below 1e-7.
#[inline(always)]
fn normal<L: Level>(x: f32) -> (f32, f32) {
    let e = exp::<L>(-0.5 * x * x);
    let t = 1.0 / L::fma(0.231_641_9, x.abs(), 1.0);
    let p = 0.530_702_7;
    let p = L::fma(p, t, -0.726_576);
    let p = L::fma(p, t, 0.710_706_9);
    let p = L::fma(p, t, -0.142_248_37);
    let p = L::fma(p, t, 0.127_414_8);
    let upper = p * t * e;
    (if x < 0.0 { upper } else { 1.0 - upper }, e)
}

macro_rules! curves {
    ($( $(#[doc = $doc:literal])+ $name:ident: |$x:ident| $value:expr, $slope:expr; )+) => {
        $(
            $(#[doc = $doc])+
            pub(super) struct $name;
            impl Curve for $name {
                #[inline(always)]
                fn value<L: Level>($x: f32) -> f32 { $value }
                #[inline(always)]
                fn slope<L: Level>($x: f32) -> f32 { $slope }
            }
        )+
    };
}

/// ln(1 + u) for 0 ≤ u ≤ 1: 2·artanh(u / (2 + u)), whose series ends below 5e-9 after seven terms.
#[inline(always)]
fn ln_1p<L: Level>(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let q = s * s;
    let p = 1.0 / 13.0;
    let p = L::fma(p, q, 1.0 / 11.0);
    let p = L::fma(p, q, 1.0 / 9.0);
    let p = L::fma(p, q, 1.0 / 7.0);
    let p = L::fma(p, q, 1.0 / 5.0);
    let p = L::fma(p, q, 1.0 / 3.0);
    2.0 * s * L::fma(p, q, 1.0)
}

/// SELU's α and λ (Klambauer et al. 2017).
const ALPHA: f32 = 1.673_263_2;
const LAMBDA: f32 = 1.050_701;

curves! {
    /// x
    Identity: |x| x, { let _ = x; 1.0 };
    /// max(x, 0); NaN stays NaN.
    Relu: |x| if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 };
    /// x where positive, else 0.01·x
    LeakyRelu: |x| if x < 0.0 { 0.01 * x } else { x }, if x > 0.0 { 1.0 } else { 0.01 };
    /// x·Φ(x)
    Gelu: |x| x * normal::<L>(x).0, { let (phi, e) = normal::<L>(x); L::fma(x * e, 0.398_942_3, phi) };
    /// x·sigmoid(x)
    Silu: |x| x / (1.0 + exp::<L>(-x)), { let s = 1.0 / (1.0 + exp::<L>(-x)); s * (1.0 + x * (1.0 - s)) };
    /// 1 / (1 + e⁻ˣ), of gates
    Sigmoid: |x| 1.0 / (1.0 + exp::<L>(-x)), { let s = 1.0 / (1.0 + exp::<L>(-x)); s * (1.0 - s) };
    /// x·tanh(ln(1 + eˣ)) = x·n / (n + 2) with n = eˣ(eˣ + 2)
    Mish: |x| {
        let e = exp::<L>(x.min(20.0));
        let n = e * (e + 2.0);
        x * (n / (n + 2.0))
    }, {
        let e = exp::<L>(x.min(20.0));
        let n = e * (e + 2.0);
        let t = n / (n + 2.0);
        t + x * (1.0 - t * t) * (e / (1.0 + e))
    };
    /// x·min(max(x + 3, 0), 6) / 6
    Hardswish: |x| {
        let gate = if x < -3.0 { 0.0 } else if x > 3.0 { 6.0 } else { x + 3.0 };
        x * gate * (1.0 / 6.0)
    }, if x < -3.0 { 0.0 } else if x > 3.0 { 1.0 } else { L::fma(x, 2.0, 3.0) * (1.0 / 6.0) };
    /// tanh(x); x·0 keeps NaN.
    Tanh: |x| 1.0 - 2.0 / (exp::<L>(2.0 * x) + 1.0) + x * 0.0, { let t = 1.0 - 2.0 / (exp::<L>(2.0 * x) + 1.0); 1.0 - t * t };
    /// x where positive, else eˣ - 1
    Elu: |x| if x > 0.0 { x } else { exp::<L>(x) - 1.0 + x * 0.0 }, if x > 0.0 { 1.0 } else { exp::<L>(x) };
    /// λ·(x where positive, else α·(eˣ - 1))
    Selu: |x| if x > 0.0 { LAMBDA * x } else { LAMBDA * ALPHA * (exp::<L>(x) - 1.0) + x * 0.0 },
        if x > 0.0 { LAMBDA } else { LAMBDA * ALPHA * exp::<L>(x) };
    /// ln(1 + eˣ) = max(x, 0) + ln(1 + e^-|x|), which overflows for no x; x·0 keeps NaN.
    Softplus: |x| (if x > 0.0 { x } else { 0.0 }) + ln_1p::<L>(exp::<L>(-x.abs())) + x * 0.0, 1.0 / (1.0 + exp::<L>(-x));
}

#[cfg(test)]
mod tests {
    use super::{
        Curve, Elu, Fused, Gelu, Hardswish, LeakyRelu, Level, Mish, Plain, Relu, Selu, Sigmoid, Silu, Softplus, Tanh,
    };

    /// Value against its definition in f64, and slope against a central difference of that definition.
    fn agrees<C: Curve>(name: &str, exact: impl Fn(f64) -> f64) {
        agrees_at::<C, Fused>(name, &exact);
        agrees_at::<C, Plain>(name, &exact);
    }

    fn agrees_at<C: Curve, L: Level>(name: &str, exact: &impl Fn(f64) -> f64) {
        for step in -2_000..=2_000 {
            let x = f64::from(step) * 0.01 + 0.003;
            let value = f64::from(C::value::<L>(x as f32));
            assert!((value - exact(x)).abs() < 4e-7 * (1.0 + x.abs()), "{name}({x}): {value}, wanted {}", exact(x));
            let slope = (exact(x + 1e-6) - exact(x - 1e-6)) / 2e-6;
            let found = f64::from(C::slope::<L>(x as f32));
            assert!((found - slope).abs() < 2e-6, "{name}'({x}): {found}, wanted {slope}");
        }
    }

    /// erf by its Maclaurin series, or 1 - e^(-z²)·continued fraction for large z: independent of the kernel's formula.
    fn erf(z: f64) -> f64 {
        if z.abs() > 3.0 {
            let mut fraction = 0.0;
            for k in (1..60).rev() {
                fraction = f64::from(k) / 2.0 / (z.abs() + fraction);
            }
            return z.signum() * (1.0 - (-z * z).exp() / ((z.abs() + fraction) * std::f64::consts::PI.sqrt()));
        }
        let (mut term, mut sum) = (z, z);
        for n in 1..120 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn values_and_slopes_follow_their_definitions() {
        agrees::<Gelu>("gelu", |x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)));
        agrees::<Sigmoid>("sigmoid", |x| 1.0 / (1.0 + (-x).exp()));
        agrees::<Silu>("silu", |x| x / (1.0 + (-x).exp()));
        agrees::<Mish>("mish", |x| x * x.exp().ln_1p().tanh());
        agrees::<Tanh>("tanh", f64::tanh);
        agrees::<Elu>("elu", |x| if x > 0.0 { x } else { x.exp_m1() });
        agrees::<Selu>("selu", |x| 1.050_700_987 * if x > 0.0 { x } else { 1.673_263_242 * x.exp_m1() });
        agrees::<Softplus>("softplus", |x| x.max(0.0) + (-x.abs()).exp().ln_1p());
        agrees::<Relu>("relu", |x| x.max(0.0));
        agrees::<Hardswish>("hardswish", |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0);
        agrees::<LeakyRelu>("leaky_relu", |x| if x > 0.0 { x } else { 0.01 * x });
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let found = [
            Gelu::value::<Plain>(f32::NAN),
            Silu::value::<Plain>(f32::NAN),
            Mish::value::<Plain>(f32::NAN),
            Tanh::value::<Plain>(f32::NAN),
            Elu::value::<Plain>(f32::NAN),
            Selu::value::<Plain>(f32::NAN),
            Relu::value::<Plain>(f32::NAN),
            Softplus::value::<Plain>(f32::NAN),
        ];
        assert!(found.iter().all(|value| value.is_nan()), "{found:?}");
    }
}
