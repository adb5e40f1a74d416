//! Rules of the loss.

use super::Refuse;
use crate::spec::language::{Batches, Block, LossTerm, Spec, Transform, Within};
use crate::spec::piece::{Piece, Union};
use crate::spec::value::Value;

/// Between the terms, and between them and the targets and the net.
pub(super) fn rules(spec: &Spec, refuse: &mut Refuse<'_>) {
    if !spec.loss.iter().any(LossTerm::learns) {
        let message = "no term looks at a target; add pearson, rank, mse, mae, huber, bmc or cross_entropy";
        refuse("loss", message.into());
    }
    for (index, term) in spec.loss.iter().enumerate() {
        let (path, before) = (format!("loss[{index}]"), &spec.loss[..index]);
        if before.iter().any(|other| unweighted(other) == unweighted(term)) {
            refuse(&path, "the same term stands twice; add the weights up".into());
        }
        if matches!(spec.training.batches, Batches::Era(_)) && term.within() == Some(Within::Era) {
            let message = "a batch is one era already (training.batches: era); leave `within` out";
            refuse(&format!("{path}.{}.within", term.write_as().0), message.into());
        }
        match term {
            LossTerm::CrossEntropy(_) => {
                let another = before
                    .iter()
                    .any(|other| matches!(other, LossTerm::CrossEntropy(_)) && unweighted(other) != unweighted(term));
                if another {
                    refuse(&path, "the outputs are logits of one number of bins; keep one cross_entropy".into());
                }
                if spec.targets.transform == Transform::Gaussian || spec.targets.residual > 0.0 {
                    let message = "cross_entropy needs labels from 0 to 1, which neither `targets.transform: gaussian` nor \
                                   `targets.residual` above 0 leaves them; allowed with it: transform none or rank, residual 0";
                    refuse(&path, message.into());
                }
            }
            LossTerm::NegativeCorrelation(_) if !members_inside(spec) => {
                let message = "negative_correlation needs members that train inside one net; make batch_ensemble the last \
                               block";
                refuse(&path, message.into());
            }
            _ => {}
        }
    }
}

/// Whether one net holds several members, each with outputs of its own.
pub(super) fn members_inside(spec: &Spec) -> bool {
    matches!(spec.network.last(), Some(Block::BatchEnsemble(_)))
}

/// A term's canonical form without its weight: two that agree in it are one term with the sum of their weights.
fn unweighted(term: &LossTerm) -> Value {
    match term.write() {
        Value::Map(kinds) => Value::Map(
            kinds
                .into_iter()
                .map(|(word, fields)| match fields {
                    Value::Map(mut fields) => {
                        fields.retain(|(name, _)| name != "weight");
                        (word, Value::Map(fields))
                    }
                    fields => (word, fields),
                })
                .collect(),
        ),
        bare => bare,
    }
}
