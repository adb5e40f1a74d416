//! From many outputs to one prediction a row: targets within a net, then members within a cell. Plain arithmetic.

use std::ops::Range;

use crate::spec::Aggregate;

/// One net's prediction: each target's output is standardized within its era, then averaged by the targets' weights.
/// Standardizing first makes the weights mean what they say: a correlation loss leaves the outputs' scales arbitrary.
///
/// `outputs` is `[row, target]`, `weights` `[target]`, `eras` the row ranges; the result is `[row]`.
pub(super) fn combine_targets(outputs: &[f32], weights: &[f32], eras: &[Range<usize>]) -> Vec<f32> {
    let targets = weights.len();
    let mut combined = vec![0.0_f32; outputs.len() / targets.max(1)];
    for era in eras {
        for (target, weight) in weights.iter().enumerate() {
            let column: Vec<f32> = era.clone().map(|row| outputs[row * targets + target]).collect();
            for (row, value) in era.clone().zip(standardized(&column)) {
                combined[row] += weight * value;
            }
        }
    }
    combined
}

/// A cell's prediction from its members', each `[row]`.
pub(super) fn combine_members(members: &[Vec<f32>], how: &Aggregate, eras: &[Range<usize>]) -> Vec<f32> {
    if let [only] = members {
        return only.clone();
    }
    // How many are left out at each end; the median is the mean of the middle one or two.
    let cut = match how {
        Aggregate::Mean(_) | Aggregate::RankMean(_) => 0,
        Aggregate::Median(_) => (members.len().max(1) - 1) / 2,
        Aggregate::Trimmed(trimmed) => trimmed.cut(members.len()),
    };
    let mut combined = vec![0.0_f32; members.first().map_or(0, Vec::len)];
    let share = 1.0 / (members.len() - 2 * cut) as f32;
    for era in eras {
        let columns: Vec<Vec<f32>> = (members.iter())
            .map(|member| match how {
                Aggregate::RankMean(_) => ranks(&member[era.clone()]).into_iter().map(|rank| rank as f32).collect(),
                _ => standardized(&member[era.clone()]),
            })
            .collect();
        let mut values = vec![0.0_f32; members.len()];
        for (place, row) in era.clone().enumerate() {
            values.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[place]);
            if cut > 0 {
                values.sort_by(f32::total_cmp);
            }
            combined[row] = values[cut..members.len() - cut].iter().map(|value| share * value).sum();
        }
    }
    combined
}

/// (x - mean) / standard deviation; constant values become 0.
fn standardized(values: &[f32]) -> Vec<f32> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    let scale = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
    values.iter().map(|v| ((f64::from(*v) - mean) * scale) as f32).collect()
}

/// Average ranks as shares in (0, 1): (rank - 0.5) / count.
pub(super) fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + end) as f64 / 2.0 / values.len() as f64;
        for index in &order[start..end] {
            ranks[*index] = rank;
        }
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::{combine_members, combine_targets};
    use crate::spec::{Aggregate, Spec};

    fn aggregate(word: &str) -> Aggregate {
        let text = format!("network: [{{ dense: {{ width: 4 }} }}]\nensemble: {{ members: 16, aggregate: {word} }}\n");
        Spec::parse(&text, "test").expect("valid").ensemble.aggregate
    }

    #[test]
    fn an_outputs_scale_does_not_change_what_it_counts() {
        let outputs = [1.0, 100.0, 2.0, 300.0, 3.0, 200.0];
        let scaled: Vec<f32> = outputs.iter().enumerate().map(|(i, v)| if i % 2 == 0 { v * 7.0 } else { *v }).collect();
        let one_era = std::slice::from_ref(&(0..3));
        let combine = |outputs: &[f32]| combine_targets(outputs, &[0.5, 0.5], one_era);
        let (a, b) = (combine(&outputs), combine(&scaled));
        assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-6), "{a:?} {b:?}");
        // (−1.2247, 0, 1.2247) and (−1.2247, 1.2247, 0), halved and added.
        let expected = [-1.224_744_9, 0.612_372_4, 0.612_372_4];
        assert!(a.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6), "{a:?}");
    }

    #[test]
    fn rank_mean_sees_only_order_within_each_era() {
        let members = vec![vec![1.0, 2.0, 9.0, 8.0], vec![10.0, 1000.0, 3.0, 3.0]];
        let combined = combine_members(&members, &aggregate("rank_mean"), &[0..2, 2..4]);
        assert_eq!(combined, vec![0.25, 0.75, 0.625, 0.375], "ties share their average rank");
    }

    /// Against numpy and scipy (tests/fixtures/make_post.py).
    #[test]
    fn means_medians_and_trimmed_means_are_numpys_and_scipys() {
        #[derive(serde::Deserialize)]
        struct Fixture {
            members: Vec<Case>,
        }
        #[derive(serde::Deserialize)]
        struct Case {
            members: Vec<Vec<f32>>,
            share: f64,
            mean: Vec<f32>,
            median: Vec<f32>,
            trimmed: Vec<f32>,
        }
        let fixture: Fixture = serde_json::from_str(include_str!("../../tests/fixtures/post.json")).expect("a fixture");
        for case in fixture.members {
            let trimmed = format!("{{ trimmed: {{ share: {} }} }}", case.share);
            for (how, wanted) in [("mean", &case.mean), ("median", &case.median), (&trimmed, &case.trimmed)] {
                let rows = case.members[0].len();
                let found = combine_members(&case.members, &aggregate(how), std::slice::from_ref(&(0..rows)));
                // Single precision.
                let near = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6);
                assert!(near, "{how} of {}: {found:?}, wanted {wanted:?}", case.members.len());
            }
        }
    }
}
