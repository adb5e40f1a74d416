//! What of a spec has an effect. Some knobs can be turned while nothing that is scored moves: a bias whose batch norm takes
//! it away again, normal scores in place of their ranks. Two specs that differ in nothing else are one experiment. (What has
//! no effect whatever it says is refused when a spec is read; these have an effect elsewhere, and defaults that do no harm.)

use super::{Spec, Value};

impl Spec {
    /// The canonical form with every knob that has no effect here at one and the same value. Predictions keep their order
    /// within each era, and so their score, whatever such a knob says; up to rounding, and to which random numbers a net
    /// starts from.
    pub fn effective(&self) -> Value {
        let mut tree = self.canonical();
        if let Some(network) = tree.get_mut("network") {
            without_lost_biases(network);
        }
        let neutralized = tree.get("post").and_then(|post| post.get("neutralize")).is_some_and(|to| *to != Value::Null);
        if let Some(kept) = tree.get_mut("post").and_then(|post| post.get_mut("gaussianize"))
            && !neutralized
        {
            // A score is of ranks.
            *kept = Value::Bool(false);
        }
        tree
    }
}

/// A batch norm takes the mean away, and with it whatever a bias has added to it. Members of a batch ensemble have biases of
/// their own, and are left as they are.
fn without_lost_biases(value: &mut Value) {
    match value {
        Value::List(items) => items.iter_mut().for_each(without_lost_biases),
        Value::Map(entries) => {
            for (key, inner) in entries.iter_mut().filter(|(key, _)| key != "batch_ensemble") {
                let normed = inner.get("norm").is_some_and(|norm| *norm == Value::Text("batch".into()));
                if let Some(bias) = inner.get_mut("bias")
                    && key == "dense"
                    && normed
                {
                    *bias = Value::Bool(false);
                }
                without_lost_biases(inner);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: &str = "network: [ { dense: { width: 8, norm: batch } } ]\n";

    fn effective(text: &str) -> Value {
        Spec::parse(text, "test").expect("a valid spec").effective()
    }

    #[test]
    fn what_moves_no_score_is_no_difference() {
        // (a spec, another, whether they are one experiment)
        let residual = "network: [ { residual: [ { dense: { width: 8, norm: batch } } ] } ]\n".to_owned();
        let ensemble =
            "network: [ { batch_ensemble: { blocks: [ { dense: { width: 8, norm: batch } } ] } } ]\n".to_owned();
        let no_bias = |text: &str| text.replace("norm: batch", "norm: batch, bias: false");
        let net = |more: &str| format!("{NET}{more}\n");
        let neutral = "neutralize: { to: features, proportion: 0.5 }";
        let table = [
            (NET.to_owned(), no_bias(NET), true),
            (residual.clone(), no_bias(&residual), true),
            (ensemble.clone(), no_bias(&ensemble), false),
            (NET.replace("batch", "layer"), NET.replace("batch", "layer, bias: false"), false),
            (NET.replace("batch", "none"), NET.replace("batch", "none, bias: false"), false),
            (NET.to_owned(), NET.replace("8", "9"), false),
            (NET.to_owned(), net("post: { gaussianize: true }"), true),
            (net(&format!("post: {{ {neutral} }}")), net(&format!("post: {{ gaussianize: true, {neutral} }}")), false),
        ];
        for (one, other, same) in table {
            assert_eq!(effective(&one) == effective(&other), same, "{one}\n{other}");
            assert_ne!(
                Spec::parse(&one, "test").map(|spec| spec.hash()),
                Spec::parse(&other, "test").map(|spec| spec.hash())
            );
        }
    }
}
