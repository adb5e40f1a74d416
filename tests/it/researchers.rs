//! Whether the optimizer is worth anything: nights on landscapes whose truth is known, through the real history, phases and
//! gate, against random edits of the very same kinds and a mix with a scripted stand-in for a model. The same code as
//! benchmarks/researchers.sh, which takes more landscapes, trials and arms.

use autoresearch::spec;
use autoresearch::stats::interval::mean_interval;
use rayon::prelude::*;

use self::arena::{Arm, night};

#[path = "../../benchmarks/researchers/arena.rs"]
mod arena;
#[path = "../../benchmarks/researchers/landscapes.rs"]
mod landscapes;
#[path = "../../benchmarks/researchers/scripted.rs"]
mod scripted;

const SEEDS: u64 = 20;
const TRIALS: u32 = 24;

#[test]
fn the_optimizer_and_the_mix_beat_chance() {
    // Where all that the optimizer believes at first is wrong, so that who is ahead has learned. The benchmark has all
    // landscapes.
    let landscape = landscapes::ALL[0];
    let ends = |arm: Arm| -> Vec<f64> {
        let last = |seed| night(&landscape, arm, seed, TRIALS).pop().unwrap_or(f64::NAN);
        (0..SEEDS).into_par_iter().map(last).collect()
    };
    let (optimizer, mix, random) = (ends(Arm::Optimizer), ends(Arm::Mix), ends(Arm::Random));
    let ahead = |arm: &[f64]| {
        let differences: Vec<f64> = arm.iter().zip(&random).map(|(one, other)| one - other).collect();
        mean_interval(&differences, 0.95).expect("twenty numbers")
    };
    let (by_optimizer, by_mix) = (ahead(&optimizer), ahead(&mix));
    assert!(by_optimizer.low > 0.0, "{}: optimizer − random {by_optimizer:?}", landscape.name);
    assert!(by_mix.low > 0.0, "{}: mix − random {by_mix:?}", landscape.name);
}

#[test]
fn a_night_is_the_same_however_often_it_is_run() {
    for arm in [Arm::Optimizer, Arm::Random, Arm::Mix, Arm::Scripted] {
        let path = night(&landscapes::ALL[2], arm, 7, 6);
        assert_eq!(path, night(&landscapes::ALL[2], arm, 7, 6), "{}", arm.name());
        assert!(path.windows(1).all(|one| one[0].is_finite()));
        let baseline = spec::Spec::parse(landscapes::ALL[2].baseline, "baseline").expect("a baseline");
        assert!(path[0] >= (landscapes::ALL[2].truth)(&baseline) - 0.002, "{}", landscapes::ALL[2].about);
    }
}
