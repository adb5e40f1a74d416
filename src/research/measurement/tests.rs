//! Which seeds the gate gets to see.

use prepare::EraScore;

use super::*;

fn cell(fold: usize, seed: u64, eras: &[u32]) -> CellScore {
    let score = |era: &u32| EraScore { era: *era, corr: 0.0, bmc: 0.0, payout: f64::from(*era) + seed as f64 / 100.0 };
    CellScore { fold, seed, eras: eras.iter().map(score).collect(), corr_with_benchmark: vec![0.1; eras.len()] }
}

#[test]
fn only_whole_seeds_count_in_the_order_of_their_training() {
    let cells =
        [cell(1, 42, &[9, 13]), cell(0, 42, &[1, 5]), cell(0, 17, &[1, 5]), cell(1, 7, &[9, 13]), cell(0, 7, &[1, 5])];
    let found = scores(&cells, 2);
    assert_eq!(found.eras, [1, 5, 9, 13]);
    assert_eq!(found.seeds.iter().map(|own| own.seed).collect::<Vec<_>>(), [42, 7]);
    assert_eq!(found.seeds[1].payout, [1.07, 5.07, 9.07, 13.07]);
    // A trial that fell in its first seed has no whole one, and no eras.
    assert_eq!(scores(&cells[..1], 2), Scores::default());
    assert_eq!(scores(&[], 2), Scores::default());
}
