//! Several numbers at once, by the processor's own instructions: for loops so dense that a compiler's guess at their vectors
//! decides their speed. Each kind of processor is a token that only a check of the processor gives out.
#![expect(unsafe_code, reason = "a processor's instructions may be used only where it has them")]

use super::tail::Mask;
use crate::train::kernels::Dropout;

/// Numbers side by side, and what is done to all of them.
pub(super) trait Vectors: Copy {
    /// So many numbers.
    type Numbers: Copy;
    /// As many whole numbers.
    type Wholes: Copy;
    const LANES: usize;

    /// The same number everywhere.
    fn all(self, x: f32) -> Self::Numbers;
    /// a + b
    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// a - b
    fn sub(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// a · b
    fn mul(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// a · b + c
    fn fma(self, a: Self::Numbers, b: Self::Numbers, c: Self::Numbers) -> Self::Numbers;
    /// The larger one, and b where one is NaN.
    fn larger(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// 2ⁿ of x = 1.5·2²³ + n.
    fn power(self, x: Self::Numbers) -> Self::Numbers;
    /// start, start + apart, start + 2·apart, …
    fn places(self, start: u32, apart: u32) -> Self::Wholes;
    /// x, dropped and scaled as the mask says of these places, `ahead` of each.
    fn drop(self, x: Self::Numbers, mask: Mask, places: Self::Wholes, ahead: u32) -> Self::Numbers;

    /// eˣ for x ≤ 0, and e⁻⁸⁷ below -87: [`super::curves::exp`].
    #[inline(always)]
    fn exp(self, x: Self::Numbers) -> Self::Numbers {
        let all = |x: f32| self.all(x);
        let round = all(12_582_912.0);
        let x = self.larger(x, all(-87.0));
        let shifted = self.fma(x, all(std::f32::consts::LOG2_E), round);
        let whole = self.sub(shifted, round);
        let r = self.fma(whole, all(2.121_944_4e-4), self.fma(whole, all(-0.693_359_4), x));
        let terms = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
        let p = terms.into_iter().fold(all(1.987_569_1e-4), |p, term| self.fma(p, r, all(term)));
        let p = self.fma(self.mul(p, r), r, self.add(r, all(1.0)));
        self.mul(p, self.power(shifted))
    }

    /// The numbers one by one: each vector's after those of the one before.
    #[inline(always)]
    fn singly(self, vectors: &[Self::Numbers]) -> &[f32] {
        // SAFETY: a vector is `LANES` numbers without any padding (asserted), and may be read as such.
        unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), Self::singles(vectors.len())) }
    }

    /// [`Self::singly`], for writing.
    #[inline(always)]
    fn singly_mut(self, vectors: &mut [Self::Numbers]) -> &mut [f32] {
        // SAFETY: as in `singly`; any numbers make a vector.
        unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), Self::singles(vectors.len())) }
    }

    /// How many numbers so many vectors are.
    #[inline(always)]
    fn singles(vectors: usize) -> usize {
        const { assert!(size_of::<Self::Numbers>() == Self::LANES * size_of::<f32>()) };
        vectors * Self::LANES
    }
}

/// Any processor: what the compiler makes of arrays.
#[derive(Clone, Copy)]
pub(super) struct Any;

impl Vectors for Any {
    type Numbers = [f32; 8];
    type Wholes = [u32; 8];
    const LANES: usize = 8;

    #[inline(always)]
    fn all(self, x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn fma(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn larger(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn power(self, x: [f32; 8]) -> [f32; 8] {
        x.map(|x| f32::from_bits((x.to_bits() << 23).wrapping_add(127 << 23)))
    }

    #[inline(always)]
    fn places(self, start: u32, apart: u32) -> [u32; 8] {
        std::array::from_fn(|lane| start.wrapping_add(apart.wrapping_mul(lane as u32)))
    }

    #[inline(always)]
    fn drop(self, x: [f32; 8], mask: Mask, places: [u32; 8], ahead: u32) -> [f32; 8] {
        std::array::from_fn(|lane| {
            let kept = Dropout::keeps(mask.key, mask.threshold, places[lane].wrapping_add(ahead));
            x[lane] * if kept { mask.scale } else { 0.0 }
        })
    }
}

/// What [`Vectors`] says, by the instructions of one kind of processor. The hash of a drop is [`Dropout::hash`].
#[cfg(target_arch = "x86_64")]
macro_rules! vectors {
    (
        $(#[doc = $doc:literal])+ $name:ident: $features:literal, $lanes:literal of $numbers:ident and $wholes:ident;
        $set1:ident $add:ident $sub:ident $mul:ident $fma:ident $max:ident
        $set1_whole:ident $add_whole:ident $mul_whole:ident $left:ident $right:ident
        $to_whole:ident $to_number:ident $load_whole:ident;
        |$hash:ident, $threshold:ident, $x:ident| $kept:expr
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy)]
        pub(in crate::train::kernels::loops) struct $name(());

        impl $name {
            #[doc = concat!("# Safety\nThe processor has ", $features, ".")]
            #[inline(always)]
            pub(in crate::train::kernels::loops) unsafe fn new() -> Self {
                Self(())
            }
        }

        impl Vectors for $name {
            type Numbers = $numbers;
            type Wholes = $wholes;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn all(self, x: f32) -> $numbers {
                // SAFETY: here and below: there is no such token without the processor's having the instructions.
                unsafe { $set1(x) }
            }

            #[inline(always)]
            fn add(self, a: $numbers, b: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: $numbers, b: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: $numbers, b: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn fma(self, a: $numbers, b: $numbers, c: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            fn larger(self, a: $numbers, b: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $max(a, b) }
            }

            #[inline(always)]
            fn power(self, x: $numbers) -> $numbers {
                // SAFETY: as above.
                unsafe { $to_number($add_whole($left::<23>($to_whole(x)), $set1_whole(127 << 23))) }
            }

            #[inline(always)]
            fn places(self, start: u32, apart: u32) -> $wholes {
                let places: [u32; $lanes] =
                    std::array::from_fn(|lane| start.wrapping_add(apart.wrapping_mul(lane as u32)));
                // SAFETY: as above; the array holds as many numbers as are loaded, and needs no alignment.
                unsafe { $load_whole(places.as_ptr().cast()) }
            }

            #[inline(always)]
            fn drop(self, $x: $numbers, mask: Mask, places: $wholes, ahead: u32) -> $numbers {
                let [first, second, third] = Dropout::MIX.map(u32::cast_signed);
                let [key, more] = mask.key.map(u32::cast_signed);
                // SAFETY: as above.
                unsafe {
                    let place = $add_whole(places, $set1_whole(ahead.cast_signed()));
                    let hash = $add_whole($mul_whole(place, $set1_whole(first)), $set1_whole(key));
                    let upper = $add_whole($right::<16>(hash), $set1_whole(second));
                    let hash = $add_whole($mul_whole(hash, upper), $set1_whole(more));
                    let $hash = $mul_whole(hash, $add_whole($right::<16>(hash), $set1_whole(third)));
                    let $threshold = $set1_whole(mask.threshold.cast_signed());
                    let $x = $mul($x, $set1(mask.scale));
                    $kept
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Dropout, Mask, Vectors};

    vectors! {
        /// Sixteen at once.
        Avx512: "avx512f", 16 of __m512 and __m512i;
        _mm512_set1_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps _mm512_max_ps
        _mm512_set1_epi32 _mm512_add_epi32 _mm512_mullo_epi32 _mm512_slli_epi32 _mm512_srli_epi32
        _mm512_castps_si512 _mm512_castsi512_ps _mm512_loadu_si512;
        |hash, threshold, x| _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(hash, threshold), x)
    }

    vectors! {
        /// Eight at once.
        Avx2: "avx2 and fma", 8 of __m256 and __m256i;
        _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps _mm256_max_ps
        _mm256_set1_epi32 _mm256_add_epi32 _mm256_mullo_epi32 _mm256_slli_epi32 _mm256_srli_epi32
        _mm256_castps_si256 _mm256_castsi256_ps _mm256_loadu_si256;
        |hash, threshold, x| {
            // Unsigned numbers are compared for equality alone.
            let kept = _mm256_cmpeq_epi32(_mm256_max_epu32(hash, threshold), hash);
            _mm256_and_ps(x, _mm256_castsi256_ps(kept))
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// Declares a function that is compiled once for each kind of [`Vectors`] and dispatched at run time. The body must be
/// `#[inline(always)]`, and takes the token first.
macro_rules! vectorized {
    ($(#[doc = $doc:literal])+ $visibility:vis $name:ident = $body:ident ( $($argument:ident : $ty:ty),* $(,)? )) => {
        $(#[doc = $doc])+
        $visibility fn $name($($argument: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::train::kernels::loops::vectors::{Avx2, Avx512};
                #[target_feature(enable = "avx512f")]
                fn avx512(token: Avx512, $($argument: $ty),*) { $body(token, $($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2(token: Avx2, $($argument: $ty),*) { $body(token, $($argument),*) }
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the processor has just been asked for the feature.
                    return unsafe { avx512(Avx512::new(), $($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { avx2(Avx2::new(), $($argument),*) };
                }
            }
            $body($crate::train::kernels::loops::vectors::Any, $($argument),*)
        }
    };
}
pub(super) use vectorized;
