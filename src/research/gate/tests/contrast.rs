//! The contrast against numpy and scipy, and by hand.

use serde::Deserialize;

use crate::research::gate::settings::Claim;
use crate::research::gate::{Cells, Contrast, Ground, KnownEras};
use crate::research::trial::{Scores, SeedPayouts};
use crate::stats::moderated::Prior;

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    folds: Vec<Vec<u32>>,
    overlap: u32,
    claim: Claim,
    prior: Option<Known>,
    cells: Vec<Vec<(u64, Vec<f64>)>>,
    incumbent: Scores,
    expected: Expected,
}

#[derive(Deserialize)]
struct Known {
    variance: f64,
    /// None: infinite.
    freedom: Option<f64>,
    pooled: f64,
}

#[derive(Deserialize)]
struct Expected {
    delta: f64,
    era_variance: f64,
    era_variance_now: f64,
    candidate_variance: f64,
    incumbent_variance: f64,
    candidate_seeds: f64,
    incumbent_seeds: f64,
    variance: f64,
    freedom: f64,
    lag: usize,
    eras: usize,
    deviate: f64,
    deviate_above: f64,
    p_value: f64,
}

/// Numbers of `tests/fixtures/make_gate.py`. Both sides work in f64, with sums of at most a few hundred terms and one
/// solution of two equations; a relative 1e-9 leaves room for rounding and none for another formula. What is near zero is
/// compared with the size of what it is a part of.
#[test]
fn agrees_with_numpy_and_scipy() {
    let text = include_str!("../../../../tests/fixtures/gate.json");
    let fixtures: Fixtures = serde_json::from_str(text).expect("the fixture is JSON of this shape");
    assert!(fixtures.cases.len() >= 18);
    for case in &fixtures.cases {
        let known = case.prior.as_ref().map(|known| Prior {
            variance: known.variance,
            freedom: known.freedom.unwrap_or(f64::INFINITY),
            pooled: known.pooled,
        });
        let eras = KnownEras::new(case.overlap);
        let ground = Ground { folds: &case.folds, eras: &eras, prior: known, claim: case.claim };
        let cells = Cells { folds: case.cells.clone() };
        let found = Contrast::of(&cells, &case.incumbent, &ground).expect("comparable");
        let wanted = &case.expected;
        assert_eq!((found.lag, found.eras), (wanted.lag, wanted.eras), "{}", case.name);
        let deviate = |threshold| found.deviate(threshold).expect("a number");
        for (what, found, wanted, size) in [
            ("delta", found.delta, wanted.delta, 0.01),
            ("eras", found.era_variance, wanted.era_variance, wanted.variance),
            ("eras now", found.era_variance_now, wanted.era_variance_now, wanted.variance),
            ("candidate", found.candidate_variance, wanted.candidate_variance, 0.0),
            ("incumbent", found.incumbent_variance, wanted.incumbent_variance, 0.0),
            ("candidate's seeds", found.candidate_seeds, wanted.candidate_seeds, 0.0),
            ("incumbent's seeds", found.incumbent_seeds, wanted.incumbent_seeds, 0.0),
            ("variance", found.variance(), wanted.variance, 0.0),
            ("freedom", found.degrees_of_freedom(), wanted.freedom, 0.0),
            ("deviate", deviate(0.0), wanted.deviate, 0.0),
            ("deviate above 0.001", deviate(0.001), wanted.deviate_above, 0.0),
            ("p", found.p_value(0.0).expect("a number"), wanted.p_value, 0.0),
        ] {
            // Deviates go through two quantile functions that are not the same ones.
            let tolerance = if what.starts_with('d') || what == "p" { 1e-8 } else { 1e-9 };
            assert!(
                (found - wanted).abs() <= tolerance * wanted.abs().max(size),
                "{}: {what} {found} for {wanted}",
                case.name
            );
        }
    }
}

fn scores(eras: &[u32], rows: &[&[f64]]) -> Scores {
    let seeds = (100..).zip(rows).map(|(seed, payout)| SeedPayouts { seed, payout: payout.to_vec() }).collect();
    Scores { eras: eras.to_vec(), seeds }
}

/// Two folds of four eras, claim about these eras, by hand. Incumbent: seed means 0.01, 0.02, 0.03 (each the same in all
/// eras), variance 1e-4. Candidate: seed means 0.03 and 0.05, variance 2e-4, nothing known beforehand, so moderated with
/// 2 degrees of freedom at 1e-4: (2·1e-4 + 1·2e-4)/3, capped at the incumbent's 2 degrees of freedom. delta 0.02,
/// variance (4/3)e-4/2 + 1e-4/3 = 1e-4; Satterthwaite 1/((2/3)²/2 + (1/3)²/2) = 18/5.
#[test]
fn by_hand() {
    let eras: Vec<u32> = (0..8).map(|at| 1 + 4 * at).collect();
    let folds = [eras[..4].to_vec(), eras[4..].to_vec()];
    let incumbent = scores(&eras, &[&[0.01; 8], &[0.02; 8], &[0.03; 8]]);
    let mut cells = Cells::none(2);
    for (seed, payout) in [(1, 0.03), (2, 0.05)] {
        for fold in 0..2 {
            cells.add(fold, seed, vec![payout; 4]).expect("each once");
        }
    }
    let known = KnownEras::new(12);
    let ground = Ground { folds: &folds, eras: &known, prior: None, claim: Claim::TheseEras };
    let found = Contrast::of(&cells, &incumbent, &ground).expect("comparable");
    let near = |found: f64, wanted: f64| assert!((found / wanted - 1.0).abs() < 1e-12, "{found} for {wanted}");
    near(found.delta, 0.02);
    near(found.candidate_variance, 4e-4 / 3.0);
    near(found.incumbent_variance, 1e-4);
    near(found.candidate_seeds, 2.0);
    near(found.incumbent_seeds, 3.0);
    near(found.variance(), 1e-4);
    near(found.degrees_of_freedom(), 18.0 / 5.0);
    // At other numbers of seeds the same variances count by these numbers.
    near(found.variance_at(4, 6), 4e-4 / 12.0 + 1e-4 / 6.0);
    near(found.seed_variance(1.0, 1.0), 7e-4 / 3.0);
    assert_eq!(found.era_variance, 0.0);
}

/// A cell is a run of its own. Of four equal folds each has a quarter of the eras: one cell's mean varies as four times
/// a whole seed's, two cells of two folds as twice, a whole seed and a half of the next as 3/4 (two folds have two
/// cells): Σ (1/4)²/S_f / Σ (1/4)² = (1/2 + 1/2 + 1 + 1)/4.
#[test]
fn parts_of_the_cells_by_hand() {
    let eras: Vec<u32> = (0..32).map(|at| 1 + 4 * at).collect();
    let folds: Vec<Vec<u32>> = eras.chunks(8).map(<[u32]>::to_vec).collect();
    let rows: Vec<Vec<f64>> =
        (0..4).map(|seed| (0..32).map(|at| f64::from(at % 5 + seed % 3) * 1e-3).collect()).collect();
    let incumbent = scores(&eras, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let known = KnownEras::new(12);
    let prior = Prior { variance: 1e-6, freedom: 10.0, pooled: 30.0 };
    let ground = Ground { folds: &folds, eras: &known, prior: Some(prior), claim: Claim::NewEras };
    let found = |seeds: [u64; 4]| {
        let mut cells = Cells::none(4);
        for (fold, seeds) in seeds.into_iter().enumerate() {
            for seed in 0..seeds {
                cells.add(fold, seed, vec![0.01 * (seed + 1) as f64; 8]).expect("each once");
            }
        }
        Contrast::of(&cells, &incumbent, &ground).expect("comparable")
    };
    for (seeds, candidate, incumbent) in [
        ([1, 0, 0, 0], 0.25, 1.0),
        ([0, 1, 1, 0], 0.5, 2.0),
        ([1, 1, 1, 1], 1.0, 4.0),
        ([2, 2, 1, 1], 4.0 / 3.0, 4.0),
        ([3, 3, 3, 3], 3.0, 4.0),
    ] {
        let contrast = found(seeds);
        assert!((contrast.candidate_seeds - candidate).abs() < 1e-12, "{seeds:?}: {}", contrast.candidate_seeds);
        assert!((contrast.incumbent_seeds - incumbent).abs() < 1e-12, "{seeds:?}: {}", contrast.incumbent_seeds);
        // A single whole seed has no variance of its own: what is known beforehand stands in.
        if seeds.iter().min() <= Some(&1) {
            assert_eq!(contrast.candidate_variance, 1e-6);
        }
    }
    // Over a part of the eras the noise of eras is larger, by their number.
    let one = found([1, 0, 0, 0]);
    assert_eq!(one.eras, 8);
    assert!((one.era_variance - one.era_variance_now / 4.0).abs() <= 1e-18);
}

/// What `t_at` asks for is what `deviate` gives back: Student's t and the normal deviate with one p-value.
#[test]
fn student_and_normal_deviates_are_inverses() {
    let eras: Vec<u32> = (0..8).map(|at| 1 + 4 * at).collect();
    let folds = [eras.clone()];
    let known = KnownEras::new(12);
    let incumbent = scores(&eras, &[&[0.01; 8], &[0.013; 8], &[0.011; 8], &[0.009; 8]]);
    let ground = Ground { folds: &folds, eras: &known, prior: None, claim: Claim::TheseEras };
    let mut cells = Cells::none(1);
    for seed in 0..3 {
        cells.add(0, seed, vec![0.02; 8]).expect("each once");
    }
    let contrast = Contrast::of(&cells, &incumbent, &ground).expect("comparable");
    for z in [-3.0, -0.5, 0.0, 1.0, 1.96, 3.3, 6.0] {
        let t = contrast.t_at(z, 3, 4).expect("a number");
        let back = contrast.deviate(contrast.delta - t * contrast.variance().sqrt()).expect("a number");
        assert!((back - z).abs() < 1e-6, "{z} → {t} → {back}");
        assert!(t.abs() >= z.abs(), "few degrees of freedom ask for more");
    }
    assert_eq!(contrast.t_at(f64::INFINITY, 3, 4), Ok(f64::INFINITY));
}
