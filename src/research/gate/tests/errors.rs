//! Wrong input is an error with a name, and says whose, which seed, which era.

use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Contrast, Design, GateError, Ground, KnownEras, Race, Side, Step, standard_error};
use crate::research::trial::{Scores, SeedPayouts};
use crate::stats::StatsError;

use super::support::{Market, OVERLAP, design};

const MARKET: Market = Market { folds: 2, eras_a_fold: 10, seeds: 0.0, eras: 0.0, rest: 0.0, unlike: 1.0 };

fn incumbent() -> Scores {
    let seeds = (100..104).map(|seed| SeedPayouts { seed, payout: vec![0.01; 20] }).collect();
    Scores { eras: MARKET.fold_eras().concat(), seeds }
}

fn cells() -> Cells {
    let mut cells = Cells::none(2);
    for seed in 0..3 {
        for fold in 0..2 {
            cells.add(fold, seed, vec![0.012; 10]).expect("each once");
        }
    }
    cells
}

fn compared(cells: &Cells, incumbent: &Scores, folds: &[Vec<u32>], claim: Claim) -> Result<Contrast, GateError> {
    let eras = KnownEras::new(OVERLAP);
    Contrast::of(cells, incumbent, &Ground { folds, eras: &eras, prior: None, claim })
}

#[test]
fn a_wrong_incumbent_is_named() {
    let found = |change: &dyn Fn(&mut Scores)| {
        let mut scores = incumbent();
        change(&mut scores);
        compared(&cells(), &scores, &MARKET.fold_eras(), Claim::NewEras)
    };
    assert!(found(&|_| ()).is_ok());
    let side = Side::Incumbent;
    assert!(matches!(
        found(&|scores| scores.seeds[2].payout[4] = f64::NAN),
        Err(GateError::NotFinite { side: Side::Incumbent, seed: 102, era: 17, .. })
    ));
    assert!(matches!(
        found(&|scores| scores.seeds[0].payout[19] = f64::NEG_INFINITY),
        Err(GateError::NotFinite { seed: 100, era: 77, .. })
    ));
    assert_eq!(
        found(&|scores| {
            scores.seeds[1].payout.pop();
        }),
        Err(GateError::Misaligned { side, seed: 101, found: 19, wanted: 20 })
    );
    assert_eq!(found(&|scores| scores.seeds[3].seed = 100), Err(GateError::RepeatedSeed { side, seed: 100 }));
    assert_eq!(found(&|scores| scores.eras.swap(3, 4)), Err(GateError::UnorderedEras { side, era: 13 }));
    assert_eq!(
        found(&|scores| scores.eras[19] = 78),
        Err(GateError::DifferentEras { candidate: 20, incumbent: 20, first: 77 })
    );
    for few in [0, 1] {
        assert_eq!(found(&|scores| scores.seeds.truncate(few)), Err(GateError::TooFewSeeds { found: few, needed: 2 }));
    }
}

#[test]
fn a_wrong_candidate_is_named() {
    let found = |change: &dyn Fn(&mut Cells)| {
        let mut cells = cells();
        change(&mut cells);
        compared(&cells, &incumbent(), &MARKET.fold_eras(), Claim::NewEras)
    };
    assert!(matches!(
        found(&|cells| cells.folds[1][2].1[3] = f64::NAN),
        Err(GateError::NotFinite { side: Side::Candidate, seed: 2, era: 53, .. })
    ));
    assert_eq!(
        found(&|cells| {
            cells.folds[1][0].1.pop();
        }),
        Err(GateError::StrayCell { fold: 1, seed: 0, what: "has not the fold's eras" })
    );
    assert_eq!(found(&|cells| *cells = Cells::none(2)), Err(GateError::TooFewEras { found: 0 }));
    let mut twice = cells();
    assert!(matches!(twice.add(0, 1, vec![0.0; 10]), Err(GateError::StrayCell { fold: 0, seed: 1, .. })));
    assert!(matches!(twice.add(2, 1, vec![0.0; 10]), Err(GateError::StrayCell { fold: 2, seed: 1, .. })));
    assert_eq!(twice, cells(), "what was refused is not in");
    // Cells of a protocol with another number of folds.
    for folds in [1, 3] {
        let mut other = Cells::none(folds);
        other.add(0, 0, vec![0.0; 10]).expect("the first fold is there");
        let error =
            compared(&other, &incumbent(), &MARKET.fold_eras(), Claim::TheseEras).expect_err("of another protocol");
        assert!(matches!(error, GateError::Plan(_)), "{error:?}");
    }
}

#[test]
fn eras_that_do_not_fit_are_named() {
    let folds = |eras: &[&[u32]]| eras.iter().map(|fold| fold.to_vec()).collect::<Vec<_>>();
    // Too few for any comparison, and so close that every two overlap.
    for (eras, claim) in [((1..8).collect::<Vec<u32>>(), Claim::TheseEras), ((1..10).collect(), Claim::NewEras)] {
        let scores = Scores {
            eras: eras.clone(),
            seeds: (0..3).map(|seed| SeedPayouts { seed, payout: vec![0.01; eras.len()] }).collect(),
        };
        let mut cells = Cells::none(1);
        cells.add(0, 7, vec![0.0; eras.len()]).expect("there");
        let error = compared(&cells, &scores, std::slice::from_ref(&eras), claim).expect_err("too few");
        match claim {
            Claim::TheseEras => assert_eq!(error, GateError::TooFewEras { found: 7 }),
            Claim::NewEras => {
                assert_eq!(error, GateError::Statistics(StatsError::AllOverlap { reach: 8, overlap: OVERLAP }));
            }
        }
    }
    let mut shifted = MARKET.fold_eras();
    shifted[1][9] = 99;
    assert_eq!(
        compared(&cells(), &incumbent(), &shifted, Claim::NewEras),
        Err(GateError::DifferentEras { candidate: 20, incumbent: 20, first: 99 })
    );
    assert_eq!(
        compared(&cells(), &incumbent(), &folds(&[&[5, 1], &[9]]), Claim::NewEras),
        Err(GateError::UnorderedEras { side: Side::Candidate, era: 1 })
    );
    let first = MARKET.fold_eras()[..1].to_vec();
    let mut of_first = Cells::none(1);
    of_first.add(0, 0, vec![0.0; 10]).expect("there");
    assert_eq!(
        compared(&of_first, &incumbent(), &first, Claim::NewEras),
        Err(GateError::DifferentEras { candidate: 10, incumbent: 20, first: 41 })
    );
}

#[test]
fn payouts_that_are_too_large_are_an_error_and_no_number() {
    for huge in [1e160, 1e300, f64::MAX] {
        for claim in [Claim::NewEras, Claim::TheseEras] {
            let mut cells = cells();
            for (seed, payout) in cells.folds.iter_mut().flatten() {
                payout.fill(if *seed == 0 { huge } else { -huge / 2.0 });
            }
            assert!(compared(&cells, &incumbent(), &MARKET.fold_eras(), claim).is_err(), "{huge:e}");
        }
        let mut scores = incumbent();
        scores.seeds[0].payout[3] = huge;
        assert!(standard_error(&scores, &KnownEras::new(OVERLAP), None).is_err(), "{huge:e}");
    }
    let none = Scores { seeds: Vec::new(), ..incumbent() };
    assert_eq!(
        standard_error(&none, &KnownEras::new(OVERLAP), None),
        Err(GateError::TooFewSeeds { found: 0, needed: 1 })
    );
}

#[test]
fn a_race_that_makes_no_sense_does_not_begin() {
    let good = design(&MARKET, 6);
    assert!(Race::new(good.clone()).is_ok());
    let changes: [fn(&mut Design); 14] = [
        |design| design.folds.clear(),
        |design| design.order = vec![0, 0],
        |design| design.order = vec![0],
        |design| design.seeds = vec![1, 2, 2, 3],
        |design| design.seeds = vec![1, 2],
        |design| design.required = 0,
        |design| design.level = 0.0,
        |design| design.level = 1.0,
        |design| design.level = f64::NAN,
        |design| design.futility = 1.0,
        |design| design.futility = -0.1,
        |design| design.futility = f64::NAN,
        |design| design.min_effect = f64::NAN,
        |design| design.simplify = Some((f64::NAN, 0.05)),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut wrong = good.clone();
        change(&mut wrong);
        assert!(matches!(Race::new(wrong), Err(GateError::Plan(_))), "change {number}");
    }
}

#[test]
fn a_race_takes_in_what_it_asks_for() {
    let mut race = Race::new(design(&MARKET, 6)).expect("sensible");
    let before = race.cells().clone();
    // A seed that is none of the candidate's, a fold that is none of the protocol's, other eras than the fold's.
    for (fold, seed, eras) in [(0, 99, 10), (2, 0, 10), (1, 0, 9)] {
        let error = race.add(fold, seed, vec![0.01; eras]).expect_err("a stray cell");
        assert!(matches!(error, GateError::StrayCell { .. }), "{error:?}");
    }
    assert_eq!(*race.cells(), before);
    race.add(0, 0, vec![0.01; 10]).expect("asked for");
    // The incumbent comes first: it has four seeds, and the design asks for twelve.
    let (folds, eras) = (MARKET.fold_eras(), KnownEras::new(OVERLAP));
    let ground = Ground { folds: &folds, eras: &eras, prior: None, claim: Claim::NewEras };
    assert_eq!(race.step(&incumbent(), &ground), Ok(Step::Incumbent(12)));
}
