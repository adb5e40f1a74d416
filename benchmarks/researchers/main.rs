//! Who gets further in a night: the optimizer, random edits of the very same kinds, a mix of the optimizer and a scripted
//! stand-in for a model. Run by benchmarks/researchers.sh.

mod arena;
mod landscapes;
mod scripted;

use std::io::Write as _;

use autoresearch::spec;
use autoresearch::stats::interval::mean_interval;
use rayon::prelude::*;

use self::arena::{Arm, night};

/// A line of the result. A reader that has gone away is no reason to fail.
macro_rules! say {
    ($($words:tt)*) => {
        let _ = writeln!(std::io::stdout().lock(), $($words)*);
    };
}

/// Seeds that nothing was tuned on.
const FIRST_SEED: u64 = 1_000;

const ARMS: [Arm; 4] = [Arm::Optimizer, Arm::Mix, Arm::Scripted, Arm::Random];

fn main() {
    // cargo bench adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number =
        |index: usize, default: usize| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seeds, trials) = (number(0, 20) as u64, number(1, 60));
    let only = arguments.get(2..).unwrap_or_default();
    say!(
        "True gain of the incumbent over the baseline, in payout: mean over {seeds} seeds and its 95 % interval (Student)."
    );
    say!("The gate is the program's own at its default settings; a seed's noise is 0.0012, an era's 0.004.");
    let mut over_random = Vec::new();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    for landscape in landscapes::ALL.iter().filter(|landscape| wanted(landscape.name)) {
        say!("\n{}: {}", landscape.name, landscape.about);
        let start = (landscape.truth)(&spec::Spec::parse(landscape.baseline, "baseline").expect("a baseline"));
        let mut paths: Vec<(Arm, Vec<Vec<f64>>)> = Vec::new();
        for arm in ARMS {
            let nights = (FIRST_SEED..FIRST_SEED + seeds)
                .into_par_iter()
                .map(|seed| night(landscape, arm, seed, trials as u32))
                .collect();
            paths.push((arm, nights));
        }
        let at: Vec<usize> = [10, 20, 40, 60].into_iter().filter(|at| *at <= trials).collect();
        let heads: String = at.iter().map(|at| format!("{:>29}", format!("after {at} trials"))).collect();
        say!("  {:<22}{heads}", "");
        for (arm, nights) in &paths {
            let cells: String = at
                .iter()
                .map(|at| shown(&nights.iter().map(|path| path[at - 1] - start).collect::<Vec<_>>()))
                .collect();
            say!("  {:<22}{cells}", arm.name());
        }
        let of = |arm: Arm| paths.iter().find(|(one, _)| *one == arm).map(|(_, nights)| nights);
        for (arm, control) in [
            (Arm::Optimizer, Arm::Random),
            (Arm::Mix, Arm::Random),
            (Arm::Optimizer, Arm::Scripted),
            (Arm::Optimizer, Arm::Mix),
        ] {
            let (Some(first), Some(second)) = (of(arm), of(control)) else { continue };
            let differences = |at: usize| -> Vec<f64> {
                first.iter().zip(second).map(|(first, second)| first[at - 1] - second[at - 1]).collect()
            };
            let cells: String = at.iter().map(|at| shown(&differences(*at))).collect();
            say!("  {:<22}{cells}", format!("{} − {}", arm.name(), control.name()));
            if (arm, control) == (Arm::Optimizer, Arm::Random) {
                let end = differences(trials);
                let wins = end.iter().filter(|difference| **difference > 0.0).count();
                over_random.push((landscape.name, end, wins));
            }
        }
    }
    say!("\noptimizer − random after {trials} trials, paired by seed");
    for (name, end, wins) in over_random {
        say!("  {name:<22}{}   ahead in {wins} of {seeds}", shown(&end));
    }
}

fn shown(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let interval = mean_interval(values, 0.95)
        .map_or_else(|_| String::new(), |found| format!(" ({:+.4} to {:+.4})", found.low, found.high));
    format!("{:>29}", format!("{mean:+.4}{interval}"))
}
