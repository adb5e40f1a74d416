//! The inner split of a fold's training eras: what early stopping watches. Pure.

use prepare::folds::purge;

/// The share of the training eras that early stopping watches.
const WATCHED: f64 = 0.15;

/// Training eras divided into those that are learned from and those that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InnerSplit {
    /// Eras that gradients come from.
    pub(super) learn: Vec<u32>,
    /// Eras that early stopping watches, the last ones, purged from `learn` by the embargo.
    pub(super) watch: Vec<u32>,
}

/// Takes the last eras of `train` for watching and purges the others around them.
///
/// # Errors
/// Too few eras to leave anything to learn from.
pub(super) fn inner_split(train: &[u32], embargo: u32) -> Result<InnerSplit, String> {
    let watched = ((train.len() as f64 * WATCHED).round() as usize).max(2);
    if train.len() < watched + 2 {
        return Err(format!(
            "{} training eras are too few for early stopping; set training.patience to null",
            train.len()
        ));
    }
    let (learn, watch) = train.split_at(train.len() - watched);
    let (kept, _) = purge(learn, watch, embargo);
    if kept.is_empty() {
        return Err(format!(
            "early stopping leaves no era to learn from ({} training eras, embargo {embargo}); set training.patience to null",
            train.len()
        ));
    }
    Ok(InnerSplit { learn: kept, watch: watch.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::inner_split;

    #[test]
    fn watched_eras_are_the_last_and_an_embargo_away() {
        let train: Vec<u32> = (0..60).map(|index| 1 + 4 * index).collect();
        let split = inner_split(&train, 16).expect("enough eras");
        assert_eq!(split.watch, train[51..], "15 % of 60 eras are 9");
        let gap = split.watch[0] - split.learn.last().expect("not empty");
        assert_eq!(gap, 20, "17 eras away at least, and the next of every fourth era is 20 away");
    }

    #[test]
    fn too_few_eras_are_refused_with_the_way_out() {
        let error = inner_split(&[1, 5, 9, 13], 16).expect_err("nothing is left");
        assert!(error.contains("patience"), "{error}");
    }
}
