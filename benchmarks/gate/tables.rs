//! The tables that benchmarks/gate.sh prints.

use std::io::Write as _;

use autoresearch::research::gate::remeasured_cells;
use autoresearch::research::gate::settings::{Claim, Control};
use autoresearch::research::gate::{Contrast, Ground, KnownEras};
use autoresearch::stats::interval::{student, wilson};
use rayon::prelude::*;

use super::market::{Luck, Market, Model, OVERLAP};
use super::night::{Ended, Night, Rules};

/// Writes a line; who reads a half of the tables may close the pipe.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = writeln!(std::io::stdout().lock(), $($words)*);
    }};
}

/// Trials of a night.
const TRIALS: usize = 100;
/// Trials that go before the one that counts: they teach the gate how noisy seeds are.
const BEFORE: usize = 12;

/// A table: its name, and what prints it for so many nights.
type Table = (&'static str, fn(usize));

/// All of them.
pub(crate) const ALL: &[Table] = &[
    ("coverage", coverage),
    ("nulls", nulls),
    ("discoveries", discoveries),
    ("power", power),
    ("thrift", thrift),
    ("racing", racing),
];

fn share(count: usize, of: usize) -> String {
    let interval = wilson(count as u64, of as u64, 0.95).expect("a share");
    let percent = |value: f64| 100.0 * value;
    format!("{:.2} [{:.2}, {:.2}]", percent(count as f64 / of as f64), percent(interval.low), percent(interval.high))
}

fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    if count > 0.0 { sum / count } else { f64::NAN }
}

/// A night of proposals whose true gain over the incumbent of their time is drawn by `gain`.
fn night(market: &Market, rules: &Rules, seed: u64, gain: fn(&mut Luck) -> f64) -> Vec<Ended> {
    let mut luck = Luck::new(seed);
    let mut night = Night::new(market, rules, &mut luck);
    (0..TRIALS)
        .map(|_| {
            let payout = night.incumbent.payout + gain(&mut luck) * market.seeds;
            let model = Model::beside(&night.incumbent, payout, market, &mut luck);
            night.trial(&model)
        })
        .collect()
}

fn many(nights: usize, market: &Market, rules: &Rules, gain: fn(&mut Luck) -> f64) -> Vec<Vec<Ended>> {
    (0..nights as u64).into_par_iter().map(|seed| night(market, rules, seed, gain)).collect()
}

/// A market after a few trials, and a proposal of a true gain.
fn prepared<'a>(market: &'a Market, rules: &'a Rules, seed: u64, gain: f64) -> (Night<'a>, Model) {
    let mut luck = Luck::new(seed + 1_000_000);
    let mut night = Night::new(market, rules, &mut luck);
    for _ in 0..BEFORE {
        let payout = night.incumbent.payout - market.seeds;
        let model = Model::beside(&night.incumbent, payout, market, &mut luck);
        night.trial(&model);
    }
    let payout = night.incumbent.payout + gain * market.seeds;
    let model = Model::beside(&night.incumbent, payout, market, &mut luck);
    (night, model)
}

/// What proposals of a night are worth, in standard deviations between repeats: most harm or do nothing.
fn mixture(luck: &mut Luck) -> f64 {
    match luck.uniform() {
        draw if draw < 0.45 => -1.0,
        draw if draw < 0.85 => 0.0,
        _ => -0.7 * luck.uniform().ln(),
    }
}

/// One proposal in five is better by two standard deviations, the others change nothing.
fn one_in_five(luck: &mut Luck) -> f64 {
    if luck.uniform() < 0.2 { 2.0 } else { 0.0 }
}

fn nothing(_: &mut Luck) -> f64 {
    0.0
}

/// How honest the standard errors are.
fn coverage(nights: usize) {
    say!("\n## Standard errors: share of 95 % intervals of the gain that hold the truth, in % [95 % interval]");
    say!(
        "candidate and incumbent under so many seeds; noise of eras in payout per era, autocorrelated as 60-day targets at every fourth week"
    );
    say!(
        "{:>10} {:>10} {:>12} {:>28} {:>28}",
        "candidate",
        "incumbent",
        "eras' noise",
        "gain in eras to come",
        "gain in these eras"
    );
    for (seeds, incumbent) in [(3, 3), (3, 12), (6, 24), (24, 48)] {
        for eras in [0.0, 0.005, 0.01, 0.03] {
            let market = Market { eras, ..Market::WRITE_UP };
            let of = |claim: Claim| {
                let covered = (0..nights as u64 * 4)
                    .into_par_iter()
                    .filter(|seed| covers(&market, seeds, incumbent, claim, *seed));
                share(covered.count(), nights * 4)
            };
            say!("{seeds:>10} {incumbent:>10} {eras:>12} {:>28} {:>28}", of(Claim::NewEras), of(Claim::TheseEras));
        }
    }
}

fn covers(market: &Market, seeds: u64, incumbent: u64, claim: Claim, seed: u64) -> bool {
    let mut luck = Luck::new(seed + 7_000_000);
    let (folds, eras) = (market.fold_eras(), KnownEras::new(OVERLAP));
    let theirs = Model::new(0.0, market, &mut luck);
    let ours = Model::beside(&theirs, 0.001, market, &mut luck);
    // Forty earlier trials of three seeds each tell of the noise between seeds.
    let pool: Vec<(f64, f64)> = (0..40)
        .filter_map(|_| {
            let scores = Model::beside(&theirs, 0.0, market, &mut luck).scores(0..3, market);
            autoresearch::research::gate::pool::of_seeds(&scores)
        })
        .collect();
    let prior = autoresearch::research::gate::pool::expected(&pool).expect("variances");
    let ground = Ground { folds: &folds, eras: &eras, prior, claim };
    let cells = remeasured_cells(&ours.scores(0..seeds, market), &ground).expect("whole seeds");
    let found = Contrast::of(&cells, &theirs.scores(0..incumbent, market), &ground).expect("comparable");
    let mut truth = 0.001;
    if claim == Claim::TheseEras {
        truth += average(ours.eras.iter().copied()) - average(theirs.eras.iter().copied());
    }
    let interval =
        student(found.delta, found.variance().sqrt(), found.degrees_of_freedom(), 0.95).expect("an interval");
    interval.low <= truth && truth <= interval.high
}

/// Nights of proposals that are no better.
fn nulls(nights: usize) {
    say!("\n## Nulls: {nights} nights of {TRIALS} proposals that are exactly as good as the incumbent");
    say!(
        "{:<16} {:<12} {:>11} {:>7} {:>6} {:>34} {:>14} {:>14} {:>16} {:>22}",
        "control",
        "claim",
        "eras' noise",
        "unlike",
        "cells",
        "nights with a false keep, in %",
        "false keeps",
        "seeds a trial",
        "of the incumbent",
        "plain rule's keeps"
    );
    // Noise of eras, claim, how unlike the specs' noise is, cells at once.
    for (eras, claim, unlike, cells_at_once) in [
        (0.0, Claim::NewEras, 1.0, 2),
        (0.0, Claim::NewEras, 1.0, 4),
        (0.01, Claim::NewEras, 1.0, 2),
        (0.01, Claim::TheseEras, 1.0, 2),
        (0.0, Claim::NewEras, 2.0, 2),
        (0.0, Claim::NewEras, 3.0, 2),
    ] {
        for control in [Control::Familywise, Control::DiscoveryRate, Control::None] {
            if (cells_at_once, unlike) != (2, 1.0) && control == Control::DiscoveryRate {
                continue;
            }
            let market = Market { eras, unlike, ..Market::WRITE_UP };
            let rules = Rules::standard().with(|gate| (gate.control, gate.claim) = (control, claim));
            let rules = Rules { cells_at_once, ..rules };
            let all = many(nights, &market, &rules, nothing);
            let is_false = |trial: &&Ended| trial.kind.keep() && trial.gain <= 0.0;
            let with_one = all.iter().filter(|night| night.iter().any(|trial| is_false(&trial))).count();
            let flat: Vec<&Ended> = all.iter().flatten().collect();
            say!(
                "{:<16} {:<12} {eras:>11} {unlike:>7} {cells_at_once:>6} {:>34} {:>14.3} {:>14.2} {:>16.2} {:>22.1}",
                format!("{control:?}"),
                format!("{claim:?}"),
                share(with_one, nights),
                flat.iter().filter(|trial| is_false(trial)).count() as f64 / nights as f64,
                average(flat.iter().map(|trial| trial.seeds)),
                average(flat.iter().map(|trial| trial.incumbent as f64)),
                flat.iter().filter(|trial| trial.plain).count() as f64 / nights as f64,
            );
        }
    }
}

/// Nights in which some proposals are better.
fn discoveries(nights: usize) {
    say!(
        "\n## Discoveries: {nights} nights of {TRIALS} proposals, one in five better by 2 standard deviations, the others exactly as good"
    );
    say!(
        "{:<16} {:>14} {:>14} {:>34} {:>14}",
        "control",
        "true keeps",
        "false keeps",
        "false among keeps, mean share in %",
        "seeds a trial"
    );
    for control in [Control::Familywise, Control::DiscoveryRate, Control::None] {
        let market = Market::WRITE_UP;
        let rules = Rules::standard().with(|gate| gate.control = control);
        let all = many(nights, &market, &rules, one_in_five);
        let count = |night: &[Ended], is_true: bool| {
            night.iter().filter(|trial| trial.kind.keep() && (trial.gain > 0.0) == is_true).count() as f64
        };
        let shares = all.iter().map(|night| {
            let (good, bad) = (count(night, true), count(night, false));
            if bad > 0.0 { bad / (good + bad) } else { 0.0 }
        });
        say!(
            "{:<16} {:>14.2} {:>14.3} {:>34.2} {:>14.2}",
            format!("{control:?}"),
            average(all.iter().map(|night| count(night, true))),
            average(all.iter().map(|night| count(night, false))),
            100.0 * average(shares),
            average(all.iter().flatten().map(|trial| trial.seeds)),
        );
    }
}

const GAINS: [f64; 8] = [-1.0, 0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];

/// How often a true gain is kept.
fn power(nights: usize) {
    say!(
        "\n## Power: % of {nights} trials that are kept (and whole seeds' training each), by true gain in standard deviations between repeats (0.0048)"
    );
    say!("familywise, 100 trials, 5 %; up to 24 seeds");
    let gains: String = GAINS.iter().map(|gain| format!(" {gain:>14}")).collect();
    say!("{:>9} {:>10} {:>11}{gains}", "futility", "incumbent", "eras' noise");
    for (futility, seeds, eras) in [
        (0.3, 12, 0.0),
        (0.2, 12, 0.0),
        (0.05, 24, 0.0),
        (0.05, 96, 0.0),
        (0.01, 96, 0.0),
        (0.3, 12, 0.005),
        (0.01, 96, 0.005),
        (0.3, 12, 0.01),
    ] {
        let market = Market { eras, ..Market::WRITE_UP };
        let rules = Rules::standard().with(|gate| (gate.futility, gate.incumbent_seeds) = (futility, seeds));
        let mut line = format!("{futility:>9} {seeds:>10} {eras:>11}");
        for gain in GAINS {
            let trials: Vec<Ended> = (0..nights as u64)
                .into_par_iter()
                .map(|seed| {
                    let (mut night, model) = prepared(&market, &rules, seed, gain);
                    night.trial(&model)
                })
                .collect();
            let kept = average(trials.iter().map(|trial| f64::from(u8::from(trial.kind.keep()))));
            line += &format!(
                " {:>14}",
                format!("{:.1} ({:.1})", 100.0 * kept, average(trials.iter().map(|trial| trial.seeds)))
            );
        }
        say!("{line}");
    }
}

/// What a night finds for what it trains.
fn thrift(nights: usize) {
    let nights = nights / 4;
    say!(
        "\n## Thrift: {nights} nights of {TRIALS} proposals: 45 % worse by 1 standard deviation, 40 % as good, 15 % better by 0.7 on average (exponential)"
    );
    say!(
        "{:>9} {:>10} {:>14} {:>14} {:>20} {:>18} {:>30}",
        "futility",
        "incumbent",
        "seeds a trial",
        "true keeps",
        "nights with a false",
        "gain of a night",
        "gain a 1000 seeds, all counted"
    );
    for futility in [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5] {
        for seeds in [12, 24] {
            let rules = Rules::standard().with(|gate| (gate.futility, gate.incumbent_seeds) = (futility, seeds));
            let market = Market::WRITE_UP;
            let all = many(nights, &market, &rules, mixture);
            let kept = |night: &[Ended]| -> f64 {
                night.iter().filter(|trial| trial.kind.keep()).map(|trial| trial.gain).sum::<f64>() / market.seeds
            };
            let gain = average(all.iter().map(|night| kept(night)));
            let cost: f64 = average(all.iter().map(|night| {
                night.iter().map(|trial| trial.seeds + trial.incumbent as f64).sum::<f64>() + f64::from(seeds)
            }));
            let is_false = |trial: &Ended| trial.kind.keep() && trial.gain <= 0.0;
            say!(
                "{futility:>9} {seeds:>10} {:>14.2} {:>14.2} {:>20} {gain:>18.2} {:>30.2}",
                average(all.iter().flatten().map(|trial| trial.seeds)),
                average(
                    all.iter()
                        .map(|night| night.iter().filter(|trial| trial.kind.keep() && trial.gain > 0.0).count() as f64)
                ),
                all.iter().filter(|night| night.iter().any(is_false)).count(),
                1000.0 * gain / cost,
            );
        }
    }
}

/// What giving up early saves, and what it costs.
fn racing(nights: usize) {
    let trials = nights * 5;
    say!(
        "\n## Racing: {trials} trials of the mixture above, each with and without stops before its three seeds are whole; the same cells are the same scores"
    );
    say!(
        "{:>9} {:>10} {:>12} {:>22} {:>22} {:>12} {:>26} {:>8} {:>16} {:>22}",
        "futility",
        "cells",
        "eras' noise",
        "seeds of discards",
        "without racing",
        "saved, %",
        "verdicts that differ, %",
        "keeps",
        "without racing",
        "without any giving up"
    );
    for (futility, cells_at_once, eras) in
        [(0.3, 1, 0.0), (0.3, 2, 0.0), (0.3, 4, 0.0), (0.2, 2, 0.0), (0.1, 2, 0.0), (0.3, 2, 0.01)]
    {
        let market = Market { eras, ..Market::WRITE_UP };
        let mut rules = Rules::standard().with(|gate| gate.futility = futility);
        rules.cells_at_once = cells_at_once;
        let without = Rules { racing: false, ..rules.clone() };
        let patient = rules.clone().with(|gate| gate.futility = 0.0);
        let pairs: Vec<(Ended, Ended, Ended)> = (0..trials as u64)
            .into_par_iter()
            .map(|seed| {
                let gain = mixture(&mut Luck::new(seed + 50_000_000));
                let (night, model) = prepared(&market, &rules, seed % 200, gain);
                // The model's luck must not repeat with the night's.
                let model = Model::beside(&night.incumbent, model.payout, &market, &mut Luck::new(seed + 90_000_000));
                (night.clone().trial(&model), night.under(&without).trial(&model), night.under(&patient).trial(&model))
            })
            .collect();
        let discards: Vec<&(Ended, Ended, Ended)> = pairs.iter().filter(|(raced, ..)| !raced.kind.keep()).collect();
        let raced = average(discards.iter().map(|(raced, ..)| raced.seeds));
        let whole = average(discards.iter().map(|(_, whole, _)| whole.seeds));
        let differ = pairs.iter().filter(|(raced, whole, _)| raced.kind.keep() != whole.kind.keep()).count();
        let keeps = |of: fn(&(Ended, Ended, Ended)) -> Ended| pairs.iter().filter(|trio| of(trio).kind.keep()).count();
        say!(
            "{futility:>9} {cells_at_once:>10} {eras:>12} {raced:>22.2} {whole:>22.2} {:>12.1} {:>26} {:>8} {:>16} {:>22}",
            100.0 * (1.0 - raced / whole),
            share(differ, trials),
            keeps(|trio| trio.0),
            keeps(|trio| trio.1),
            keeps(|trio| trio.2)
        );
    }
}
