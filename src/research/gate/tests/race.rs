//! The race, step by step.

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::support::{Market, OVERLAP, Spec, design};
use crate::research::gate::race::looks;
use crate::research::gate::settings::Claim;
use crate::research::gate::{Design, Ground, Kind, KnownEras, Race, Ruling, Step};
use crate::research::trial::{JudgementKind, Scores, SeedPayouts};
use crate::stats::moderated::Prior;

const MARKET: Market = Market { folds: 4, eras_a_fold: 12, seeds: 0.002, eras: 0.001, rest: 0.002, unlike: 1.0 };
const QUIET: Market = Market { seeds: 1e-6, eras: 0.0, rest: 1e-6, ..MARKET };

/// A race from its first step to its last.
struct Course {
    steps: Vec<Step>,
    ruling: Ruling,
    /// Seeds of the incumbent in the end.
    incumbent: usize,
}

impl Course {
    fn batches(&self) -> Vec<&Vec<(usize, u64)>> {
        self.steps.iter().filter_map(|step| if let Step::Train(cells) = step { Some(cells) } else { None }).collect()
    }

    /// Seeds of the incumbent that were asked for, and the candidate's cells by then.
    fn asked(&self) -> Vec<(usize, usize)> {
        let mut trained = 0;
        let mut found = Vec::new();
        for step in &self.steps {
            match step {
                Step::Train(cells) => trained += cells.len(),
                Step::Incumbent(seeds) => found.push((*seeds, trained)),
                Step::Done(_) => {}
            }
        }
        found
    }
}

/// Runs a race of a candidate that is better by `gain`, from an incumbent with so many seeds.
fn course_from(design: Design, market: &Market, claim: Claim, gain: f64, seed: u64, incumbent: u64) -> Course {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (own, theirs) = (market.spec(0.01 + gain, &mut rng), market.spec(0.01, &mut rng));
    let mut scores = market.scores(&theirs, 100..100 + incumbent, &mut rng);
    let folds = design.folds.clone();
    let eras = KnownEras::new(OVERLAP);
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim };
    let mut race = Race::new(design).expect("sensible");
    let mut steps = Vec::new();
    loop {
        let step = race.step(&scores, &ground).expect("comparable");
        assert_eq!(race.step(&scores, &ground).as_ref(), Ok(&step), "asked twice, the same answer");
        steps.push(step.clone());
        match step {
            Step::Done(ruling) => return Course { steps, ruling: *ruling, incumbent: scores.seeds.len() },
            Step::Incumbent(wanted) => {
                let more = 100 + scores.seeds.len() as u64..100 + wanted as u64;
                scores.seeds.extend(market.scores(&theirs, more, &mut rng).seeds);
            }
            Step::Train(cells) => {
                assert!(!cells.is_empty(), "something is wanted, or it is decided");
                for (fold, seed) in cells {
                    race.add(fold, seed, market.cell(&own, fold, &mut rng)).expect("asked for, and not there yet");
                }
            }
        }
    }
}

fn course(design: Design, market: &Market, gain: f64, seed: u64) -> Course {
    course_from(design, market, Claim::NewEras, gain, seed, 3)
}

/// A training of the incumbent that failed must not end the candidate's race.
#[test]
fn an_incumbent_that_cannot_be_measured_further_is_taken_as_it_is() {
    let design = design(&MARKET, 12);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (own, theirs) = (MARKET.spec(0.05, &mut rng), MARKET.spec(0.01, &mut rng));
    let scores = MARKET.scores(&theirs, 100..103, &mut rng);
    let folds = design.folds.clone();
    let eras = KnownEras::new(OVERLAP);
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let mut race = Race::new(design).expect("sensible");
    assert!(matches!(race.step(&scores, &ground), Ok(Step::Incumbent(_))), "it asks first");
    race.take_the_incumbent_as_it_is();
    let ruling = loop {
        match race.step(&scores, &ground).expect("comparable") {
            Step::Done(ruling) => break ruling,
            Step::Incumbent(wanted) => panic!("asked again for {wanted}"),
            Step::Train(cells) => {
                for (fold, seed) in cells {
                    race.add(fold, seed, MARKET.cell(&own, fold, &mut rng)).expect("asked for");
                }
            }
        }
    };
    assert_eq!(ruling.kind, Kind::Better, "{}", ruling.words);
    let alone = Scores { seeds: scores.seeds[..1].to_vec(), ..scores };
    assert!(race.step(&alone, &ground).is_err(), "one seed is too few for any comparison");
}

#[test]
fn looks_double_up_to_the_most() {
    for (required, most, wanted) in [
        (3, 24, vec![3, 6, 12, 24]),
        (3, 12, vec![3, 6, 12]),
        (3, 10, vec![3, 6, 10]),
        (3, 3, vec![3]),
        (3, 4, vec![3, 4]),
        (5, 24, vec![5, 10, 20, 24]),
    ] {
        assert_eq!(looks(required, most), wanted);
    }
    let race = Race::new(design(&MARKET, 24)).expect("sensible");
    assert_eq!((race.looks(), race.next_look()), ([3, 6, 12, 24].as_slice(), 3));
}

#[test]
fn a_huge_gain_is_kept_at_the_first_look() {
    let found = course(design(&MARKET, 24), &MARKET, 0.1, 1);
    assert_eq!((found.ruling.kind, found.ruling.seeds, found.ruling.cells), (Kind::Better, 3, 12));
    assert!(found.ruling.bound.is_some_and(|bound| found.ruling.p_value < bound), "{:?}", found.ruling);
    let judged = found.ruling.judgement();
    assert!(judged.keep && judged.kind == JudgementKind::Better && judged.level == Some(0.05));
    assert!(judged.reason.starts_with("better than the incumbent: +0.1"), "{}", judged.reason);
    assert_eq!(found.asked(), [(12, 0)], "the incumbent is measured before anything is compared with it");
}

#[test]
fn a_huge_loss_ends_after_the_first_batch() {
    for cells_at_once in [1, 2, 4, 16] {
        let rules = Design { cells_at_once, ..design(&MARKET, 24) };
        let found = course(rules, &MARKET, -0.1, 2);
        assert_eq!((found.ruling.kind, found.ruling.cells), (Kind::Worse, cells_at_once.min(4)));
        assert_eq!(found.batches().len(), 1);
        let judged = found.ruling.judgement();
        assert!(!judged.keep && judged.reason.starts_with("no better than the incumbent: -0.1"), "{}", judged.reason);
    }
    // At a threshold of 0 nobody is given up.
    let found = course(Design { futility: 0.0, ..design(&MARKET, 6) }, &MARKET, -0.1, 2);
    assert_eq!((found.ruling.kind, found.ruling.seeds), (Kind::Worse, 6));
}

#[test]
fn the_order_of_folds_is_the_order_of_training() {
    let rules =
        Design { order: vec![2, 0, 3, 1], cells_at_once: 3, seeds: vec![42, 17, 73, 1, 2, 3], ..design(&MARKET, 6) };
    let found = course(Design { futility: 0.0, ..rules }, &MARKET, 0.0, 3);
    let cells: Vec<(usize, u64)> = found.batches().into_iter().flatten().copied().collect();
    let wanted: Vec<(usize, u64)> =
        [42, 17, 73, 1, 2, 3].iter().flat_map(|seed| [2, 0, 3, 1].map(|fold| (fold, *seed))).collect();
    assert_eq!(cells, wanted);
    // The first seed alone comes first: a batch does not reach into the second.
    let sizes: Vec<usize> = found.batches().into_iter().map(Vec::len).collect();
    assert_eq!(sizes[..3], [3, 1, 3]);
}

/// At the first look it has as many as its settings say, at later ones twice as many as the candidate; it is never asked
/// for what it has, and never measured for a candidate that is not escalated.
#[test]
fn the_incumbent_grows_with_the_looks() {
    let rules = Design { futility: 0.0, level: 1e-6, ..design(&MARKET, 12) };
    let found = course(rules.clone(), &MARKET, 0.0, 4);
    assert_eq!((found.ruling.seeds, found.incumbent), (12, 24));
    let asked = found.asked();
    assert_eq!(asked[0], (12, 0));
    assert!(asked[1..].iter().all(|(seeds, cells)| *cells > 24 && *seeds <= cells / 2), "{asked:?}");
    assert!(asked.windows(2).all(|pair| pair[0].0 < pair[1].0), "{asked:?}");
    let many = course_from(rules.clone(), &MARKET, Claim::NewEras, 0.0, 4, 30);
    assert_eq!((many.asked(), many.incumbent), (Vec::new(), 30));
    let few = course(Design { incumbent_seeds: 3, seeds: (0..3).collect(), ..rules }, &MARKET, 0.0, 4);
    assert_eq!((few.asked(), few.incumbent), (Vec::new(), 3));
}

#[test]
fn a_gain_that_is_sure_and_small_is_not_kept() {
    let rules = |futility| Design { min_effect: 0.0005, futility, ..design(&QUIET, 12) };
    assert_eq!(course(rules(0.0), &QUIET, 0.0006, 5).ruling.kind, Kind::Better);
    let small = course(rules(0.0), &QUIET, 0.0004, 5).ruling;
    assert_eq!((small.kind, small.seeds), (Kind::Small, 3));
    assert!(small.p_value < 1e-6 && !small.judgement().keep);
    assert!(small.judgement().reason.starts_with("smaller than the minimum effect 0.0005: +0.0004"));
    // With a threshold for hope, that is seen before the first look.
    let early = course(rules(0.05), &QUIET, 0.0004, 5).ruling;
    assert_eq!((early.kind, early.seeds), (Kind::Futile, 1));
}

#[test]
fn a_smaller_model_is_kept_when_it_is_as_good() {
    let rules = Design { min_effect: 0.0005, simplify: Some((0.001, 0.05)), ..design(&QUIET, 12) };
    for (gain, kind) in [
        (0.0, Kind::Simpler),
        (-0.0009, Kind::Simpler),
        (0.0004, Kind::Simpler),
        (0.0006, Kind::Better),
        (-0.0011, Kind::Worse),
    ] {
        let found = course(rules.clone(), &QUIET, gain, 6).ruling;
        assert_eq!(found.kind, kind, "{gain}");
        assert_eq!(found.judgement().kind == JudgementKind::Simpler, kind == Kind::Simpler);
        assert_eq!(found.judgement().keep, kind != Kind::Worse);
    }
    // One that is not smaller must be better.
    assert!(!course(Design { simplify: None, ..rules }, &QUIET, 0.0, 6).ruling.kind.keep());
}

#[test]
fn ahead_and_not_proven_at_the_most_seeds_is_undecided() {
    let rules = Design { futility: 0.0, level: 1e-6, ..design(&MARKET, 6) };
    let mut undecided = 0;
    for seed in 0..20 {
        let found = course(rules.clone(), &MARKET, 0.001, seed).ruling;
        assert_eq!(found.seeds, 6);
        let ahead = found.contrast.delta > 0.0;
        assert_eq!(found.kind, if ahead { Kind::Undecided } else { Kind::Worse });
        let judged = found.judgement();
        assert!(!judged.keep);
        if ahead {
            undecided += 1;
            assert_eq!(judged.kind, JudgementKind::Undecided);
            assert!(judged.reason.starts_with("still undecided at the most seeds: +"), "{}", judged.reason);
        }
    }
    assert!(undecided > 5, "{undecided}");
}

/// Noise that all eras of both specs have in common is in no claim about these eras.
#[test]
fn a_claim_about_these_eras_does_not_count_their_noise() {
    let wild = Market { seeds: 1e-4, eras: 0.03, rest: 1e-4, ..MARKET };
    let kinds = |claim| {
        let found = (0..12).map(|seed| course_from(design(&wild, 6), &wild, claim, 0.003, seed, 12).ruling.kind);
        found.collect::<Vec<_>>()
    };
    let (these, new) = (kinds(Claim::TheseEras), kinds(Claim::NewEras));
    let kept = |kinds: &[Kind]| kinds.iter().filter(|kind| kind.keep()).count();
    // Eras move the difference of two specs by 0.03·√2/√(48/3) or so: its sign is decided, in these eras.
    assert!(kept(&these) >= 4, "{these:?}");
    assert!(kept(&new) <= 2, "{new:?}");
}

/// Payouts that are all alike: there is no noise, nothing is proven, and nothing breaks.
#[test]
fn without_any_noise_nothing_is_kept_by_rounding() {
    let folds = MARKET.fold_eras();
    let eras = KnownEras::new(OVERLAP);
    let known = Prior { variance: 1e-6, freedom: 5.0, pooled: 20.0 };
    for payout in [0.0, 0.1, -0.1, 0.0123, 1.0 / 3.0, 1e-9, 7.7] {
        for (claim, prior) in [(Claim::NewEras, None), (Claim::TheseEras, None), (Claim::NewEras, Some(known))] {
            for futility in [0.0, 0.2] {
                let seeds = (100..125).map(|seed| SeedPayouts { seed, payout: vec![payout; 48] }).collect();
                let scores = Scores { eras: folds.concat(), seeds };
                let ground = Ground { folds: &folds, eras: &eras, prior, claim };
                let mut race = Race::new(Design { futility, ..design(&MARKET, 12) }).expect("sensible");
                let ruling = loop {
                    match race.step(&scores, &ground).expect("comparable") {
                        Step::Done(ruling) => break ruling,
                        Step::Incumbent(wanted) => panic!("{wanted} of 25 seeds"),
                        Step::Train(cells) => {
                            for (fold, seed) in cells {
                                race.add(fold, seed, vec![payout; 12]).expect("asked for");
                            }
                        }
                    }
                };
                assert!(!ruling.kind.keep(), "{payout} {claim:?} {prior:?}: {ruling:?}");
                assert!(ruling.p_value.is_finite() && ruling.judgement().standard_error.is_finite());
            }
        }
    }
}

#[test]
fn the_incumbents_own_predictions_are_no_effect() {
    let folds = MARKET.fold_eras();
    let eras = KnownEras::new(OVERLAP);
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let scores = MARKET.scores(&MARKET.spec(0.01, &mut rng), 0..24, &mut rng);
    let cell = |fold: usize, seed: u64| -> Vec<f64> { scores.seeds[seed as usize].payout[fold * 12..][..12].to_vec() };
    // What is done to the cells, and whether that is an effect.
    for (far, nudge, simplify, same) in [
        (0, 0.0, None, true),
        (0, 1e-9, None, false),
        // Another seed's payouts are another net's.
        (1, 0.0, None, false),
        (0, 0.0, Some((0.0005, 0.05)), false),
    ] {
        let rules = Design { futility: 0.0, cells_at_once: 1, simplify, ..design(&MARKET, 12) };
        let mut race = Race::new(rules).expect("sensible");
        let ruling = loop {
            match race.step(&scores, &ground).expect("comparable") {
                Step::Done(ruling) => break ruling,
                Step::Incumbent(wanted) => panic!("{wanted} of 24 seeds"),
                Step::Train(cells) => {
                    for (fold, seed) in cells {
                        let mut payout = cell(fold, seed + far);
                        payout[0] += nudge;
                        race.add(fold, seed, payout).expect("asked for");
                    }
                }
            }
        };
        assert_eq!(ruling.kind == Kind::Same, same, "{far} {nudge} {simplify:?}: {ruling:?}");
        let judged = ruling.judgement();
        if same {
            assert_eq!((ruling.cells, judged.keep, judged.delta, judged.standard_error), (2, false, 0.0, 0.0));
            assert_eq!(
                judged.reason,
                "no effect: the incumbent's own predictions over 2 of 4 folds of seed 0 and 24 eras"
            );
        }
    }
}

#[test]
fn races_over_few_eras_that_overlap_wait_for_a_whole_seed() {
    // Of five eras a fold, one fold is not enough to estimate any noise; two are too few, too.
    let short = Market { folds: 4, eras_a_fold: 3, ..MARKET };
    let found = course(Design { cells_at_once: 1, ..design(&short, 6) }, &short, -0.5, 7);
    assert_eq!((found.ruling.kind, found.ruling.cells), (Kind::Worse, 3));
    assert_eq!(found.batches().len(), 3);
}

fn spread() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 1e-5..0.02_f64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 5, ..ProptestConfig::default() })]

    /// Whatever the payouts: the first seed alone comes first, batches are no larger than allowed, no cell is trained twice
    /// or beyond the most, and a keep is made at a look, over whole seeds, with the incumbent that belongs to it.
    #[test]
    fn every_race_keeps_its_rules(
        seed in any::<u64>(),
        gain in prop_oneof![Just(0.0), -0.02..0.02_f64, -1.0..1.0_f64],
        (runs, eras, rest) in (spread(), spread(), spread()),
        (cells_at_once, most, incumbent) in (1_usize..9, 3_u64..14, 2_u64..16),
        (level, futility, min_effect) in (1e-5..0.3_f64, prop_oneof![Just(0.0), 0.0..0.9_f64], 0.0..0.002_f64),
        simplify in prop::option::of((0.0..0.003_f64, 0.01..0.3_f64)),
        (folds, eras_a_fold) in (1_usize..5, 6_usize..14),
    ) {
        prop_assume!(folds * eras_a_fold >= 8);
        let market = Market { folds, eras_a_fold, seeds: runs, eras, rest, unlike: 1.0 };
        let rules = Design {
            cells_at_once, level, futility, min_effect, simplify, incumbent_seeds: 5, ..design(&market, most)
        };
        let found = course_from(rules.clone(), &market, Claim::NewEras, gain, seed, incumbent);
        let batches = found.batches();
        let cells: Vec<(usize, u64)> = batches.iter().flat_map(|batch| batch.iter().copied()).collect();
        for batch in &batches {
            prop_assert!(batch.len() <= cells_at_once);
        }
        prop_assert!(cells.iter().take(folds).all(|(_, seed)| *seed == 0));
        prop_assert!(batches.iter().all(|batch| !batch.iter().any(|(_, seed)| *seed == 0) || batch.iter().all(|(_, seed)| *seed == 0)));
        prop_assert!(cells.len() <= folds * most as usize);
        let unique: std::collections::BTreeSet<_> = cells.iter().collect();
        prop_assert_eq!(unique.len(), cells.len());
        let ruling = &found.ruling;
        prop_assert_eq!(ruling.cells, cells.len());
        prop_assert!(ruling.p_value.is_finite() && (0.0..=1.0).contains(&ruling.chance) && ruling.contrast.delta.is_finite());
        if ruling.kind.keep() {
            prop_assert!(ruling.seeds >= 3 && looks(3, most as usize).contains(&ruling.seeds));
            prop_assert_eq!(ruling.cells, ruling.seeds * folds);
            prop_assert!(ruling.seeds <= 3 || found.incumbent >= 2 * ruling.seeds);
            prop_assert!(ruling.kind != Kind::Better || (ruling.contrast.delta >= min_effect && ruling.contrast.delta > 0.0));
            prop_assert!(ruling.kind != Kind::Better || ruling.bound.is_some_and(|bound| ruling.p_value <= bound * (1.0 + 1e-9) && bound <= level));
        }
        prop_assert!(ruling.kind != Kind::Simpler || simplify.is_some());
        if futility == 0.0 && !ruling.kind.keep() && ruling.kind != Kind::Small {
            prop_assert_eq!(ruling.seeds, most as usize);
        }
        let again = course_from(rules, &market, Claim::NewEras, gain, seed, incumbent);
        prop_assert_eq!(again.steps, found.steps);
    }
}

/// The truth moves nothing but the payouts: a candidate that is better by more never fares worse under the same luck at
/// the only look.
#[test]
fn a_better_candidate_never_fares_worse() {
    for seed in 0..10 {
        let mut last = f64::INFINITY;
        for gain in [-0.01, -0.001, 0.0, 0.0005, 0.001, 0.002, 0.004, 0.01] {
            let found = course(Design { futility: 0.0, ..design(&MARKET, 3) }, &MARKET, gain, seed).ruling;
            assert!(found.p_value <= last * (1.0 + 1e-9), "{gain}: {} after {last}", found.p_value);
            last = found.p_value;
        }
    }
}

/// A spec is as good as itself.
#[test]
fn a_copy_is_never_better_by_its_own_scores() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let spec = Spec::flat(0.01, &MARKET);
    let scores = MARKET.scores(&spec, 0..12, &mut rng);
    let folds = MARKET.fold_eras();
    let eras = KnownEras::new(OVERLAP);
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    let cells = crate::research::remeasure::cells(&scores, &ground).expect("whole");
    let found = crate::research::gate::Contrast::of(&cells, &scores, &ground).expect("comparable");
    assert!(found.delta.abs() < 1e-16 && found.deviate(0.0).expect("a number").abs() < 1e-9, "{found:?}");
}
