//! Blocked, era-purged cross-validation: which eras train, which are embargoed, which are tested. Pure.
//!
//! A target looks into the future: a 60-day target of era `e` is made of returns up to era `e + 12`. Two eras
//! closer to each other than that share returns, so a train era must keep its distance from every test era, on both
//! sides of the test block, and from the holdout. The distance is counted in era **numbers**: after every 4th era
//! was kept, 16 eras of embargo are only 4 retained ones.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::protocol::{FoldRules, HoldoutRules};

/// One fold. All numbers are era numbers, ascending. The three lists are disjoint, and together they hold every
/// retained era outside the holdout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// Number of the fold, from 0.
    pub fold: usize,
    /// Eras whose labels may be trained on.
    pub train: Vec<u32>,
    /// Eras that this fold does not touch: too close to its test block or to the holdout.
    pub embargoed: Vec<u32>,
    /// Eras that this fold is scored on: contiguous among the retained ones.
    pub test: Vec<u32>,
}

/// All folds, and the eras kept away from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldPlan {
    /// The folds, in the order of their test blocks.
    pub folds: Vec<Fold>,
    /// The last retained eras, never seen by cross-validation.
    pub holdout: Vec<u32>,
    /// Eras too close to the holdout to be trained on or tested.
    #[serde(default)]
    pub holdout_embargoed: Vec<u32>,
}

impl FoldPlan {
    /// Eras that cross-validation uses: each is tested exactly once. Ascending.
    pub fn cross_validated(&self) -> Vec<u32> {
        self.folds.iter().flat_map(|fold| fold.test.iter().copied()).collect()
    }
}

/// Cuts the retained eras into holdout and folds. `eras` may come in any order, with any gaps; duplicates count once.
///
/// # Errors
/// When there are fewer eras than the rules need, or when a fold has no train era left.
pub fn plan(eras: &[u32], folds: &FoldRules, holdout: &HoldoutRules) -> Result<FoldPlan> {
    let eras: Vec<u32> = eras.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    if eras.len() <= holdout.eras {
        return Err(Error::Plan {
            message: format!("the holdout takes {} eras, and only {} are retained", holdout.eras, eras.len()),
            hint: "lower `holdout.eras`, lower `eras.stride`, or use more data".into(),
        });
    }
    let (open, held) = eras.split_at(eras.len() - holdout.eras);
    let (usable, holdout_embargoed) = purge(open, held, holdout.embargo);
    if folds.count == 0 || usable.len() < folds.count {
        return Err(Error::Plan {
            message: format!(
                "{} folds need at least that many eras, and {} are left beside the holdout and its embargo",
                folds.count,
                usable.len()
            ),
            hint: "lower `folds.count` or `holdout.eras`, or use more data".into(),
        });
    }
    let folds = blocks(usable.len(), folds.count)
        .enumerate()
        .map(|(fold, block)| {
            let test = usable[block.clone()].to_vec();
            let outside = [&usable[..block.start], &usable[block.end..]].concat();
            let (train, mut embargoed) = purge(&outside, &test, folds.embargo);
            if train.is_empty() {
                return Err(Error::Plan {
                    message: format!(
                        "fold {fold} (test eras {} to {}) has no train era left after an embargo of {} eras",
                        test[0],
                        test[test.len() - 1],
                        folds.embargo
                    ),
                    hint: "raise `folds.count` so that test blocks are shorter, or use more data".into(),
                });
            }
            embargoed.extend_from_slice(&holdout_embargoed);
            Ok(Fold { fold, train, embargoed, test })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(FoldPlan { folds, holdout: held.to_vec(), holdout_embargoed })
}

/// Splits `train` into the eras at least `embargo + 1` era numbers away from every era of `test`, and the rest. Both
/// keep the order of `train`.
pub fn purge(train: &[u32], test: &[u32], embargo: u32) -> (Vec<u32>, Vec<u32>) {
    let test: BTreeSet<u32> = test.iter().copied().collect();
    train.iter().partition(|&&era| {
        let window = era.saturating_sub(embargo)..=era.saturating_add(embargo);
        test.range(window).next().is_none()
    })
}

/// `count` contiguous blocks over `0..length`, whose sizes differ by at most one.
fn blocks(length: usize, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..count).map(move |block| block * length / count..(block + 1) * length / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(count: usize, embargo: u32, eras: usize, holdout_embargo: u32) -> (FoldRules, HoldoutRules) {
        (FoldRules { count, embargo }, HoldoutRules { eras, embargo: holdout_embargo })
    }

    #[test]
    fn every_fourth_era_with_an_embargo_of_sixteen_drops_four_on_each_side() {
        let eras: Vec<u32> = (0..40).map(|index| 1 + 4 * index).collect();
        let (folds, holdout) = rules(4, 16, 4, 16);
        let plan = plan(&eras, &folds, &holdout).expect("a plan");
        assert_eq!(plan.holdout, [145, 149, 153, 157]);
        assert_eq!(plan.holdout_embargoed, [129, 133, 137, 141]);
        assert_eq!(plan.folds[1].test, [33, 37, 41, 45, 49, 53, 57, 61]);
        assert_eq!(plan.folds[1].train, [1, 5, 9, 13, 81, 85, 89, 93, 97, 101, 105, 109, 113, 117, 121, 125]);
        assert_eq!(plan.folds[1].embargoed, [17, 21, 25, 29, 65, 69, 73, 77, 129, 133, 137, 141]);
    }

    #[test]
    fn impossible_plans_say_why() {
        let (folds, holdout) = rules(2, 16, 2, 16);
        for (eras, expected) in [
            (vec![1, 2], "the holdout takes 2 eras"),
            (vec![1, 2, 3, 4, 5], "2 folds need at least"),
            (vec![1, 5, 9, 13, 100, 104], "has no train era left"),
        ] {
            let error = plan(&eras, &folds, &holdout).expect_err("must not work");
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.is_configuration());
        }
    }

    proptest! {
        #[test]
        fn no_train_era_is_near_a_test_era_or_the_holdout(
            mut eras in prop::collection::vec(1u32..1200, 1..160),
            count in 2usize..7,
            embargo in 0u32..40,
            held in 0usize..20,
            holdout_embargo in 0u32..40,
            shuffle in any::<u64>(),
        ) {
            let length = eras.len();
            eras.rotate_left((shuffle % length as u64) as usize);
            let (folds, holdout) = rules(count, embargo, held, holdout_embargo);
            let all: BTreeSet<u32> = eras.iter().copied().collect();
            let Ok(plan) = plan(&eras, &folds, &holdout) else { return Ok(()) };

            prop_assert_eq!(plan.folds.len(), count);
            prop_assert_eq!(plan.holdout.len(), held);
            let mut tested = Vec::new();
            for fold in &plan.folds {
                prop_assert!(!fold.train.is_empty());
                prop_assert!(!fold.test.is_empty());
                for train in &fold.train {
                    for test in &fold.test {
                        prop_assert!(train.abs_diff(*test) > embargo);
                    }
                    for era in &plan.holdout {
                        prop_assert!(train.abs_diff(*era) > holdout_embargo);
                    }
                }
                let mut together = [fold.train.clone(), fold.embargoed.clone(), fold.test.clone(), plan.holdout.clone()].concat();
                together.sort_unstable();
                prop_assert_eq!(&together, &all.iter().copied().collect::<Vec<_>>());
                let between = all.iter().filter(|era| (fold.test[0]..=fold.test[fold.test.len() - 1]).contains(era)).count();
                prop_assert_eq!(between, fold.test.len(), "a test block is contiguous");
                tested.extend_from_slice(&fold.test);
            }
            let mut expected: Vec<u32> = all.iter().copied().collect();
            expected.retain(|era| !plan.holdout.contains(era) && !plan.holdout_embargoed.contains(era));
            prop_assert_eq!(tested, expected, "every usable era is tested exactly once, in order");
        }

        #[test]
        fn purging_keeps_exactly_the_distant_eras(
            train in prop::collection::vec(0u32..300, 0..60),
            test in prop::collection::vec(0u32..300, 0..20),
            embargo in 0u32..30,
        ) {
            let (kept, dropped) = purge(&train, &test, embargo);
            prop_assert_eq!(kept.len() + dropped.len(), train.len());
            prop_assert!(kept.iter().all(|a| test.iter().all(|b| a.abs_diff(*b) > embargo)));
            prop_assert!(dropped.iter().all(|a| test.iter().any(|b| a.abs_diff(*b) <= embargo)));
        }
    }
}
