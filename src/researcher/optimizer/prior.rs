//! What is believed before the ledger says anything: the facts of the 358-trial session that this project starts from
//! (see program.md), as gains in units of one typical effect. They are weak on purpose: a handful of measured trials
//! outweighs them.

use super::profile::Shift;

/// Most changes lose, the more so the more there are of them at once.
const PER_CHANGE: f64 = -0.06;

/// The gain that a set of shifts is expected to bring, in typical effects. What comes or goes with its owner (the width of
/// a gate, the momentum of an optimizer) is no change of its own.
pub(super) fn gain(shifts: &[Shift]) -> f64 {
    let changes = shifts.iter().filter(|shift| shift.sign() != 0).count();
    lean(shifts) + PER_CHANGE * changes as f64
}

/// The same without what is held against changes as such.
pub(super) fn lean(shifts: &[Shift]) -> f64 {
    shifts.iter().map(|shift| worth(&shift.dimension, shift.to) - worth(&shift.dimension, shift.from)).sum()
}

/// What a coordinate is worth. Coordinates are those of `scale`: log₂ for widths and rates, log₃ for weight decay,
/// tenths for dropout, 2 for a word or a flag that holds everywhere.
fn worth(dimension: &str, coordinate: Option<f64>) -> f64 {
    let Some(x) = coordinate else { return 0.0 };
    let share = x / 2.0;
    let near = |centre: f64, width: f64| (-((x - centre) / width).powi(2)).exp();
    match dimension {
        // Pure Pearson in place of a mix with the absolute error: from negative to positive.
        "loss=pearson" => 0.5 * share,
        "loss=mae" | "loss=mse" => -0.8 * share,
        // Lost there, and last of all families on the demo market (benchmarks/results/families.txt).
        "network=tabnet" => -0.4 * share,
        "network=attention" => -0.2 * share,
        // +2.4 %
        "loss=output_l2" => 0.2 * share,
        // +42 %, at 1.2e-4: ln(1.3e-4) / ln 3 = -8.1
        "optimizer.adamw.weight_decay" => 0.4 * near(-8.1, 3.0),
        // 1e-3: log₂ = -10
        "optimizer.adamw.lr" => 0.5 * near(-10.0, 2.5),
        // GELU +13 %; Swish -35 %; Mish -67 %
        "network.dense.activation=gelu" => 0.6 * share,
        "network.dense.activation=silu" => -0.3 * share,
        "network.dense.activation=mish" | "network.dense.activation=identity" => -0.5 * share,
        // The winner's blocks.
        "network.dense.norm=batch" => 0.5 * share,
        "network.dense.norm=layer" => 0.2 * share,
        "network.dense.dropout" => 0.4 * near(2.0, 1.5),
        // Seed averaging: +9 % for four, with the usual 1 - 1/n.
        "ensemble.members" => 1.2 * (1.0 - (-x).exp2()),
        "ensemble.aggregate=rank_mean" => -0.15 * share,
        // Larger batches +3 %.
        "training.batch_rows" => 0.05 * x,
        "targets.weighting=learned" => 0.15 * share,
        "schedule=polynomial" => 0.2 * share,
        "schedule=cosine" | "schedule=one_cycle" => 0.1 * share,
        "optimizer=sgd" => -0.6 * share,
        "network.dense.width" => 0.1 * x,
        // What is left out cannot be learned from.
        _ if dimension.starts_with("features.sets=") || dimension.starts_with("targets.train_on=") => 0.15 * share,
        _ => 0.0,
    }
}

/// How much a dimension is expected to matter, good or bad: a factor on the spread of the belief about it.
pub(super) fn relevance(dimension: &str) -> f64 {
    let path = dimension.split('=').next().unwrap_or(dimension);
    // What was hardly tried in that session, or is a fine point of something else.
    const FINE: [&str; 6] =
        ["ensemble.diversity", "post", "augment", "features.", "optimizer.rates", "optimizer.gradient_noise"];
    if FINE.iter().any(|part| path.starts_with(part)) && !path.starts_with("features.sets") {
        return 0.4;
    }
    match path.rsplit('.').next().unwrap_or(path) {
        "lr" | "weight_decay" | "activation" | "norm" | "dropout" | "width" | "depth" | "members" | "loss" => 1.0,
        "init" | "bias" | "beta1" | "beta2" | "momentum" | "aggregate" | "taper" | "peak_at" | "start_factor" => 0.4,
        "clip_value" | "batches" | "era_weighting" | "transform" | "residual" | "sam" | "swa" | "ema" | "lookahead" => {
            0.5
        }
        _ => 0.65,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(dimension: &str, from: f64, to: f64) -> Shift {
        Shift { dimension: dimension.into(), from: Some(from), to: Some(to) }
    }

    #[test]
    fn what_is_known_leans_the_right_way() {
        let table = [
            (
                vec![
                    shift("network.dense.activation=gelu", 0.0, 2.0),
                    shift("network.dense.activation=relu", 2.0, 0.0),
                ],
                true,
                "GELU for ReLU",
            ),
            (
                vec![
                    shift("network.dense.activation=mish", 0.0, 2.0),
                    shift("network.dense.activation=relu", 2.0, 0.0),
                ],
                false,
                "Mish for ReLU",
            ),
            (vec![shift("ensemble.members", 0.0, 2.0)], true, "four members"),
            (vec![shift("loss=mae", 0.0, 2.0)], false, "an absolute error beside"),
            (vec![shift("network.dense.dropout", 2.0, 8.0)], false, "dropout 0.8"),
            (vec![shift("something.new", 0.0, 1.0)], false, "what nobody knows, slightly"),
        ];
        for (shifts, good, why) in table {
            assert_eq!(gain(&shifts) > 0.0, good, "{why}: {}", gain(&shifts));
        }
    }
}
