//! What the gate promises, on simulated markets: intervals that cover, a test of its size, and power.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::support::{Market, OVERLAP, design, race_over};
use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Contrast, Design, Ground, Kind, KnownEras, Ruling};
use crate::stats::moderated::{Prior, prior};

/// Noise of all three kinds, and eras whose targets overlap.
const MARKET: Market = Market { folds: 4, eras_a_fold: 25, seeds: 0.003, eras: 0.006, rest: 0.01, unlike: 1.0 };

/// What a ledger of many trials would have found.
fn known(market: &Market, rng: &mut ChaCha8Rng) -> Prior {
    let spec = market.spec(0.0, rng);
    let trials: Vec<(f64, f64)> =
        (0..40).filter_map(|_| crate::research::gate::pool::of_seeds(&market.scores(&spec, 0..3, rng))).collect();
    prior(&trials).expect("numbers").expect("forty groups")
}

/// The share of 95 % intervals of delta that hold the true difference.
fn coverage(cells: impl Fn(&mut Cells) + Sync, seeds: u64, incumbent: u64, pooled: bool, claim: Claim) -> f64 {
    let market = if claim == Claim::TheseEras { Market { eras: 0.0, ..MARKET } } else { MARKET };
    let folds = market.fold_eras();
    let eras = KnownEras::new(OVERLAP);
    let draws = 3000;
    let covered = (0..draws)
        .into_par_iter()
        .filter(|draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(*draw);
            let prior = pooled.then(|| known(&market, &mut rng));
            let (own, theirs) = (market.spec(0.002, &mut rng), market.spec(0.0, &mut rng));
            let mut of_candidate = market.cells(&own, seeds, &mut rng);
            cells(&mut of_candidate);
            let scores = market.scores(&theirs, 100..100 + incumbent, &mut rng);
            let ground = Ground { folds: &folds, eras: &eras, prior, claim };
            let found = Contrast::of(&of_candidate, &scores, &ground).expect("comparable");
            let student = StudentsT::new(0.0, 1.0, found.degrees_of_freedom()).expect("at least 1");
            (found.delta - 0.002).abs() <= student.inverse_cdf(0.975) * found.variance().sqrt()
        })
        .count();
    covered as f64 / draws as f64
}

/// Of 3000 draws a share of 0.95 has a standard error of 0.004: the limits, 93 and 97 %, are five of those away.
#[test]
fn intervals_are_honest() {
    let whole = |_: &mut Cells| ();
    let mut found = Vec::new();
    for (seeds, incumbent) in [(3, 12), (6, 12), (12, 24), (24, 48)] {
        found.push((format!("{seeds} seeds"), coverage(whole, seeds, incumbent, true, Claim::NewEras)));
    }
    found.push(("3 seeds, nothing pooled".into(), coverage(whole, 3, 12, false, Claim::NewEras)));
    found.push(("these eras".into(), coverage(whole, 3, 12, true, Claim::TheseEras)));
    let without = |folds: &'static [usize], seed: u64| {
        move |cells: &mut Cells| folds.iter().for_each(|fold| cells.folds[*fold].retain(|(own, _)| *own < seed))
    };
    found.push(("two of four folds".into(), coverage(without(&[0, 2], 0), 1, 12, true, Claim::NewEras)));
    found.push(("five seeds and a quarter".into(), coverage(without(&[1, 2, 3], 5), 6, 12, true, Claim::NewEras)));
    for (what, share) in &found {
        assert!((0.93..=0.97).contains(share), "{what}: {share}; all: {found:?}");
    }
}

/// Races of candidates that are better by `gain`, each against an incumbent of its own. Noise of seeds alone, so that
/// what is seen is the test's size.
fn races(count: u64, market: Market, gain: f64, rules: impl Fn(Design) -> Design + Sync, most: u64) -> Vec<Ruling> {
    let eras = KnownEras::new(OVERLAP);
    (0..count)
        .into_par_iter()
        .map(|draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(1_000_000 + draw);
            let prior = known(&market, &mut rng);
            let (own, theirs) = (market.spec(gain, &mut rng), market.spec(0.0, &mut rng));
            let mut scores = market.scores(&theirs, 100..112, &mut rng);
            let rules = rules(Design { cells_at_once: 4 * most as usize, ..design(&market, most) });
            let sides = (&theirs, &mut scores);
            race_over(&eras, Claim::NewEras, rules, &market, &own, sides, Some(prior), &mut rng)
        })
        .collect()
}

fn share(rulings: &[Ruling], kind: impl Fn(&Ruling) -> bool) -> f64 {
    rulings.iter().filter(|ruling| kind(ruling)).count() as f64 / rulings.len() as f64
}

/// At level 0.05 with nobody given up, the share of false keeps is the size of the test: at most the level, but for three
/// standard errors of 2000 draws (0.0049), and not far below it.
#[test]
fn false_keeps_are_as_rare_as_the_level_says() {
    for (market, most, least) in
        [(Market { eras: 0.0, ..MARKET }, 3, 0.035), (Market { eras: 0.0, ..MARKET }, 6, 0.035), (MARKET, 6, 0.025)]
    {
        let rulings = races(2000, market, 0.0, |rules| Design { futility: 0.0, ..rules }, most);
        let rate = share(&rulings, |ruling| ruling.kind.keep());
        assert!(rate <= 0.05 + 3.0 * 0.0049, "{rate} false keeps with up to {most} seeds, {market:?}");
        assert!(rate >= least, "so strict that little can pass: {rate} with up to {most} seeds, {market:?}");
        // Giving up early can only take keeps away.
        let early = races(400, market, 0.0, |rules| Design { futility: 0.2, ..rules }, most);
        let kept = |rulings: &[Ruling]| rulings.iter().filter(|ruling| ruling.kind.keep()).count();
        assert!(kept(&early) <= kept(&rulings[..400]), "{} of {}", kept(&early), kept(&rulings[..400]));
        let seeds = |rulings: &[Ruling]| {
            rulings.iter().map(|ruling| ruling.cells).sum::<usize>() as f64 / 4.0 / rulings.len() as f64
        };
        assert!(seeds(&early) < 0.75 * most as f64, "null proposals cost {} seeds", seeds(&early));
    }
}

/// A gain of four standard errors of the last look (seeds 0.0033 a seed, √(1/6 + 1/12)) is kept nearly always, and of one
/// that is a loss of as much nothing is.
#[test]
fn a_real_gain_is_found() {
    let market = Market { eras: 0.0, ..MARKET };
    let gain = 4.0 * 0.0033 * (1.0 / 6.0 + 1.0 / 12.0_f64).sqrt();
    let strict = |rules| Design { level: 0.001, futility: 0.1, ..rules };
    let found = races(300, market, gain, strict, 6);
    let power = share(&found, |ruling| ruling.kind == Kind::Better);
    // Φ(4 − 3.1) = 0.82 by the normal law, a little less by Student's and by the early stop.
    assert!(power > 0.65, "{power}");
    assert_eq!(share(&races(100, market, -gain, strict, 6), |ruling| ruling.kind.keep()), 0.0);
}
