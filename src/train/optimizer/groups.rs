//! Which part of the net a parameter is, by its place among the others.

use crate::spec::Rates;
use crate::spec::net::Net;

/// What an optimizer asks of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Part {
    group: Group,
    /// It has one row: a bias, a norm's scale or shift, the logits of target weights.
    vector: bool,
    /// A weight matrix of more than one row and column that is not the output's.
    pub(super) hidden_matrix: bool,
    /// Its factor of the learning rate.
    pub(super) rate: f64,
    /// Whether weight decay pulls at it.
    pub(super) decays: bool,
}

/// Where in the net a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    First,
    Body,
    Output,
    TargetWeights,
}

impl Part {
    /// Takes the rate of its group.
    pub(super) fn take(&mut self, rates: &Rates) {
        let own = match self.group {
            Group::First => rates.first,
            Group::Body => rates.body,
            Group::Output => rates.output,
            Group::TargetWeights => rates.target_weights,
        };
        let bias = self.vector && self.group != Group::TargetWeights;
        self.rate = if bias { own * rates.vectors } else { own };
        self.decays = !self.vector || rates.decay_vectors;
    }
}

/// Every parameter of a net.
pub(in crate::train) fn parts(net: &Net) -> Vec<Part> {
    let output = net.output_weight();
    let second = (0..net.params.len()).filter(|index| net.params[*index].is_weight).nth(1).unwrap_or(output);
    let parts = net.params.iter().enumerate().map(|(index, param)| {
        let group = match index {
            _ if net.target_logits == Some(index) => Group::TargetWeights,
            _ if index >= output => Group::Output,
            _ if index < second => Group::First,
            _ => Group::Body,
        };
        Part {
            group,
            // The output's bias has a row for each member of a batch ensemble.
            vector: !param.is_weight && (param.rows == 1 || group == Group::Output),
            hidden_matrix: param.is_matrix() && group != Group::Output,
            rate: 1.0,
            decays: true,
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::{Group, parts};
    use crate::spec::Spec;
    use crate::spec::net::{Inputs, Net};

    #[test]
    fn every_parameter_has_its_group() {
        let text = "network: [{ dense: { width: 8, norm: batch, bias: false } }, { residual: [{ dense: { width: 4 } }] }]\n\
                    targets: { weighting: learned }\n";
        let inputs = Inputs { features: 10, sets: Vec::new(), targets: 3 };
        let spec = Spec::parse(text, "test").expect("valid");
        let parts = parts(&Net::of(&spec, &inputs).expect("it can be laid out"));
        let found: Vec<(Group, bool, bool)> =
            parts.iter().map(|part| (part.group, part.vector, part.hidden_matrix)).collect();
        let wanted = [
            (Group::First, false, true),
            (Group::First, true, false),
            (Group::First, true, false),
            (Group::Body, false, true),
            (Group::Body, true, false),
            (Group::Body, false, true),
            (Group::Output, false, false),
            (Group::Output, true, false),
            (Group::TargetWeights, true, false),
        ];
        assert_eq!(found, wanted, "weight, scale, shift; weight, bias, projection; weight, bias; logits");
    }
}
