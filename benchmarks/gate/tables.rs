//! The tables that benchmarks/gate.sh prints.

use autoresearch::research::gate::settings::{Claim, Control};
use rayon::prelude::*;

use super::market::{Luck, Market, Model};
use super::night::{Ended, Night, Rules};

/// Trials of a night.
const TRIALS: usize = 100;

/// A table: its name, and what prints it.
type Table = (&'static str, fn(usize));

pub const ALL: &[Table] = &[("nulls", nulls), ("power", power), ("debug", debug)];

fn share(count: usize, of: usize) -> String {
    let (p, n) = (count as f64 / of as f64, of as f64);
    // Wilson's interval.
    let z = 1.96f64;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    format!("{:6.2} % [{:5.2}, {:5.2}]", 100.0 * p, 100.0 * (centre - half), 100.0 * (centre + half))
}

fn night(market: &Market, rules: &Rules, seed: u64, mut gain: impl FnMut(&mut Luck) -> f64) -> Vec<Ended> {
    let mut luck = Luck::new(seed);
    let mut night = Night::new(market, rules, &mut luck);
    (0..TRIALS)
        .map(|_| {
            let payout = night.incumbent.payout + gain(&mut luck);
            let mut model = Model::new(payout, market, &mut luck);
            if market.eras == 0.0 {
                model.eras.clone_from(&night.incumbent.eras);
            }
            night.trial(&model, &mut luck)
        })
        .collect()
}

/// Nights of proposals that are no better.
fn nulls(nights: usize) {
    println!("\nNulls: nights of {TRIALS} proposals that are exactly as good as the incumbent");
    println!("{:<58}{:>26}{:>12}{:>12}{:>22}", "", "nights with a false keep", "keeps", "seeds", "plain rule keeps");
    for (eras, claim) in [(0.0, Claim::NewEras), (0.0, Claim::TheseEras), (0.01, Claim::NewEras), (0.02, Claim::NewEras)] {
        for control in [Control::Familywise, Control::DiscoveryRate, Control::None] {
            let market = Market { eras, ..Market::WRITE_UP };
            let rules = Rules::standard().with(|gate| (gate.control, gate.claim) = (control, claim));
            let all: Vec<Vec<Ended>> =
                (0..nights as u64).into_par_iter().map(|seed| night(&market, &rules, seed, |_| 0.0)).collect();
            let kept = |trial: &&Ended| trial.kind.keep() && trial.gain <= 0.0;
            let false_nights = all.iter().filter(|night| night.iter().any(|trial| kept(&trial))).count();
            let flat: Vec<&Ended> = all.iter().flatten().collect();
            let count = flat.len() as f64;
            println!(
                "{:<58}{:>26}{:>12.3}{:>12.2}{:>22.1}",
                format!("{control:?}, {claim:?}, eras {eras}"),
                share(false_nights, nights),
                flat.iter().filter(|trial| kept(trial)).count() as f64 / nights as f64,
                flat.iter().map(|trial| trial.seeds).sum::<f64>() / count,
                flat.iter().filter(|trial| trial.plain).count() as f64 / nights as f64,
            );
        }
    }
}

/// How often a true gain is kept.
fn power(nights: usize) {
    println!("\nPower: the share of trials that are kept, by true gain in repeat-noise standard deviations (0.0048)");
    for (futility, seeds) in [(0.2, 12), (0.05, 96), (0.01, 96)] {
        for eras in [0.0, 0.01] {
            let market = Market { eras, ..Market::WRITE_UP };
            let rules = Rules::standard().with(|gate| {
                gate.futility = futility;
                gate.incumbent_seeds = seeds;
            });
            let mut line = format!("futility {futility}, incumbent {seeds}, eras {eras}:");
            for gain in [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0] {
                let trials: Vec<Ended> = (0..nights as u64)
                    .into_par_iter()
                    .map(|seed| {
                        let mut luck = Luck::new(seed + 1_000_000);
                        let mut night = Night::new(&market, &rules, &mut luck);
                        // Twenty trials that teach the pool, then the one that counts.
                        for _ in 0..12 {
                            let mut model = Model::new(-0.0048, &market, &mut luck);
                            if eras == 0.0 {
                                model.eras.clone_from(&night.incumbent.eras);
                            }
                            night.trial(&model, &mut luck);
                        }
                        let mut model = Model::new(night.incumbent.payout + gain * market.seeds, &market, &mut luck);
                        if eras == 0.0 {
                            model.eras.clone_from(&night.incumbent.eras);
                        }
                        night.trial(&model, &mut luck)
                    })
                    .collect();
                let kept = trials.iter().filter(|trial| trial.kind.keep()).count();
                let cost = trials.iter().map(|trial| trial.seeds).sum::<f64>() / trials.len() as f64;
                line += &format!("  {gain}: {:.1} % {cost:.2}", 100.0 * kept as f64 / trials.len() as f64);
            }
            println!("{line}");
        }
    }
}

/// debug
fn debug(nights: usize) {
    let market = Market::WRITE_UP;
    let rules = Rules::standard().with(|gate| {
        gate.futility = 0.05;
        gate.incumbent_seeds = 96;
    });
    for seed in 0..nights as u64 {
        let mut luck = Luck::new(seed + 1_000_000);
        let mut night = Night::new(&market, &rules, &mut luck);
        let mut model = Model::new(night.incumbent.payout + 3.0 * market.seeds, &market, &mut luck);
        model.eras.clone_from(&night.incumbent.eras);
        let ended = night.trial(&model, &mut luck);
        if !ended.kind.keep() {
            println!("{:?}", ended);
        }
    }
}
