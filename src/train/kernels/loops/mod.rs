//! The fused loops, on plain slices of one replica: `[row, unit]`, row-major.
//!
//! Each loop is compiled for several instruction sets and chosen at run time, so that one binary serves old and new
//! processors. No sum is reordered between them; they differ in roundings only, where one instruction multiplies and adds.

pub(super) mod attention;
pub(super) mod correlation;
mod curves;
pub(super) mod elementwise;
pub(super) mod embedding;
pub(super) mod errors;
pub(in crate::train) mod features;
pub(super) mod gate;
pub(in crate::train) mod noise;
pub(in crate::train) mod products;
pub(super) mod row_norm;
pub(super) mod sparsemax;
pub(super) mod steps;
pub(super) mod tail;
mod vectors;

/// Sums of units are kept in f32 over so many rows, then added up in f64.
const ROWS_A_SUM: usize = 64;

/// Sums of a row are kept in so many parts, so that they vectorize.
const LANES: usize = 16;

/// total += part, number by number.
#[inline(always)]
fn add_up(part: &[f32], total: &mut [f64]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += f64::from(*part);
    }
}

/// Declares a function that is compiled once a level and dispatched at run time. The body must be `#[inline(always)]`, and
/// takes the level as its first generic.
macro_rules! dispatched {
    ($(#[doc = $doc:literal])+ $visibility:vis $name:ident = $body:ident $(<$generic:ident: $bound:path>)? ( $($argument:ident : $ty:ty),* $(,)? ) $(-> $out:ty)?) => {
        $(#[doc = $doc])+
        $visibility fn $name $(<$generic: $bound>)? ($($argument: $ty),*) $(-> $out)? {
            use $crate::train::kernels::loops::curves::Plain;
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::train::kernels::loops::curves::Fused;
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512 $(<$generic: $bound>)? ($($argument: $ty),*) $(-> $out)? { $body::<Fused $(, $generic)?>($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$generic: $bound>)? ($($argument: $ty),*) $(-> $out)? { $body::<Fused $(, $generic)?>($($argument),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has just been asked for every feature that the function is compiled for.
                    return unsafe { avx512 $(::<$generic>)? ($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { avx2 $(::<$generic>)? ($($argument),*) };
                }
            }
            $body::<Plain $(, $generic)?>($($argument),*)
        }
    };
}
use dispatched;

/// Runs a function for the curve of an activation.
macro_rules! for_curve {
    ($kind:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        use $crate::spec::net::Pointwise;
        use $crate::train::kernels::loops::curves;
        match $kind {
            Pointwise::Relu => $function::<curves::Relu>($($argument),*),
            Pointwise::Gelu => $function::<curves::Gelu>($($argument),*),
            Pointwise::Silu => $function::<curves::Silu>($($argument),*),
            Pointwise::Mish => $function::<curves::Mish>($($argument),*),
            Pointwise::Selu => $function::<curves::Selu>($($argument),*),
            Pointwise::Elu => $function::<curves::Elu>($($argument),*),
            Pointwise::LeakyRelu => $function::<curves::LeakyRelu>($($argument),*),
            Pointwise::Tanh => $function::<curves::Tanh>($($argument),*),
            Pointwise::Softplus => $function::<curves::Softplus>($($argument),*),
            Pointwise::Hardswish => $function::<curves::Hardswish>($($argument),*),
            Pointwise::Identity => $function::<curves::Identity>($($argument),*),
        }
    }};
}
use for_curve;
