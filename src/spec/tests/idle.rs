//! Nothing that is written does nothing: what would leave the model as it is, and change its hash, is refused at its place.

use super::refused;
use crate::spec::knobs::{self, Domain};
use crate::spec::{Spec, Value};

/// (the rest of a spec, where it is refused), each the same model as one without that part, or as another that says it.
const IDLE: &[(&str, &str)] = &[
    // Strengths of nothing.
    ("training: { era_weighting: { volatility: { power: 0 } } }", "training.era_weighting.volatility.power"),
    ("post: { neutralize: { proportion: 0 } }", "post.neutralize.proportion"),
    ("loss: [mse]\naugment: [{ label_smoothing: { amount: 0 } }]", "augment[0].label_smoothing.amount"),
    ("loss: [pearson, { output_l2: { weight: 0 } }]", "loss[1].output_l2.weight"),
    ("augment: [{ mixup: { alpha: 0 } }]", "augment[0].mixup.alpha"),
    ("optimizer: { adamw: {}, lookahead: { alpha: 1 } }", "optimizer.lookahead.alpha"),
    ("optimizer: { adamw: {}, lookahead: { k: 1 } }", "optimizer.lookahead.k"),
    ("optimizer: { adamw: {}, ema: { decay: 0 } }", "optimizer.ema.decay"),
    ("optimizer: { adamw: {}, sam: { rho: 0 } }", "optimizer.sam.rho"),
    ("optimizer: { adamw: {}, gradient_noise: { eta: 0 } }", "optimizer.gradient_noise.eta"),
    // Curves that are constant.
    ("schedule: { polynomial: { end_factor: 1 } }", "schedule.polynomial.end_factor"),
    ("schedule: { cosine: { end_factor: 1 } }", "schedule.cosine.end_factor"),
    ("schedule: { exponential: { factor: 1 } }", "schedule.exponential.factor"),
    ("schedule: { step: { factor: 1 } }", "schedule.step.factor"),
    ("schedule: { step: { every: 20 } }\ntraining: { epochs: 20 }", "schedule.step.every"),
    // What only changes something that is not there.
    ("schedule: { cosine: { growth: 2 } }", "schedule.cosine.growth"),
    ("optimizer: { sgd: { momentum: 0, nesterov: true } }", "optimizer.sgd.nesterov"),
    ("optimizer: { muon: { momentum: 0 } }", "optimizer.muon.nesterov"),
    ("optimizer: { adamw: {}, rates: { target_weights: 2 } }", "optimizer.rates.target_weights"),
    ("optimizer: { adamw: {}, rates: { decay_vectors: true } }", "optimizer.rates"),
    ("optimizer: { adam: {}, rates: {} }", "optimizer.rates"),
    ("optimizer: { adam: {}, rates: { first: 2, decay_vectors: true } }", "optimizer.rates.decay_vectors"),
    ("optimizer: { adamw: {}, swa: { from: 0.75 } }\ntraining: { epochs: 4 }", "optimizer.swa.from"),
    // One target, one member, members that are alike.
    ("targets: { train_on: [a], weighting: learned }", "targets.weighting"),
    ("targets: { train_on: [a], weighting: { fixed: { a: 2 } } }", "targets.weighting"),
    ("targets: { train_on: [a, b], weighting: { fixed: { a: 2, b: 2 } } }", "targets.weighting.fixed"),
    ("ensemble: { aggregate: rank_mean }", "ensemble.aggregate"),
    ("ensemble: { members: 2, aggregate: median }", "ensemble.aggregate"),
    ("ensemble: { members: 6, aggregate: { trimmed: { share: 0 } } }", "ensemble.aggregate.trimmed.share"),
    ("ensemble: { members: 3, aggregate: trimmed }", "ensemble.aggregate.trimmed.share"),
    ("ensemble: { members: 4, aggregate: trimmed }", "ensemble.aggregate.trimmed.share"),
    ("ensemble: { diversity: { rate: 2 } }", "ensemble.diversity"),
    ("ensemble: { members: 2, diversity: { width: 1.01 } }", "ensemble.diversity.width"),
    ("ensemble: { members: 2, diversity: { schedules: [cosine, cosine] } }", "ensemble.diversity.schedules"),
    (
        "ensemble: { members: 2, diversity: { schedules: [cosine, constant, one_cycle] } }",
        "ensemble.diversity.schedules[2]",
    ),
    ("schedule: cosine\nensemble: { members: 2, diversity: { schedules: [cosine, constant] } }", "schedule"),
    // Two ways to say that a correlation is taken within an era.
    ("loss: [{ pearson: { within: era } }]\ntraining: { batches: era }", "loss[0].pearson.within"),
];

/// The same of blocks.
const IDLE_BLOCKS: &[(&str, &str)] = &[
    ("{ repeat: { times: 1, blocks: [{ dense: { width: 8 } }] } }", "network[0].repeat.times"),
    ("{ dropout: 0 }", "network[0].dropout"),
    ("{ noise: 0 }", "network[0].noise"),
    ("{ norm: none }", "network[0].norm"),
    ("{ activation: identity }", "network[0].activation"),
    ("stop_gradient", "network[0].stop_gradient"),
    (
        "{ mixture_of_experts: { experts: 4, top_k: 4, expert: [{ dense: { width: 8 } }] } }",
        "network[0].mixture_of_experts.top_k",
    ),
    ("{ parallel: { branches: [[{ dense: { width: 8 } }]] } }", "network[0].parallel.branches"),
];

#[test]
fn what_would_do_nothing_is_refused_at_its_place() {
    let block = |(block, path): &(&str, &'static str)| (format!("network: [{block}]\n"), *path);
    let rest =
        |(rest, path): &(&str, &'static str)| (format!("network: [{{ dense: {{ width: 8 }} }}]\n{rest}\n"), *path);
    for (text, path) in IDLE.iter().map(rest).chain(IDLE_BLOCKS.iter().map(block)) {
        let errors = refused(&text);
        let paths: Vec<&str> = errors.errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, [path], "{errors}\nfor\n{text}");
    }
}

#[test]
fn what_is_off_unless_it_is_written_is_written_as_off_too() {
    // These stand in every spec, so 0 is how they are off, and the hash is that of the spec without them.
    let read = |text: &str| Spec::parse(text, "test").expect("valid");
    let plain = read("network: [{ dense: { width: 8 } }]\n");
    let spelled_out = "network: [{ dense: { width: 8, dropout: 0 } }]\nfeatures: { noise: 0, mask: 0, benchmark: false }\n\
                       targets: { residual: 0, transform: none }\nschedule: { constant: {}, warmup_epochs: 0 }\n\
                       augment: []\noptimizer: { adamw: { clip_norm: null }, ema: null, rates: null }\n\
                       ensemble: { members: 1, aggregate: mean, diversity: { rate: 1, width: 1, dropout: 0, features: 1 } }\n\
                       post: { gaussianize: false, neutralize: null }\n";
    assert_eq!(read(spelled_out).hash(), plain.hash());
}

#[test]
fn what_can_be_switched_on_does_something_by_its_defaults() {
    let spec = Spec::parse("network: [{ dense: { width: 8 } }]\n", "test").expect("valid");
    let switches = knobs::knobs(&spec).into_iter().filter(|knob| knob.domain == Domain::Bool);
    for knob in switches {
        if let Err(errors) = knobs::with(&spec, &knob.path, Value::Bool(true)) {
            panic!("{} is refused: {errors}", knob.path);
        }
    }
}
