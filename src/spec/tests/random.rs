//! Random valid specs, for property tests here and in the rooms that build on specs.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};

use crate::spec::Spec;
use crate::spec::language::*;
use crate::spec::names::{Names, Weights};
use crate::spec::piece::{Beside, standard};

/// A number of the range, its ends more often than by chance.
fn number(min: f64, max: f64) -> impl Strategy<Value = f64> {
    let log = move |share: f64| {
        let low = min.max(1e-12).ln();
        (low + share * (max.ln() - low)).exp().clamp(min, max)
    };
    prop_oneof![1 => Just(min), 1 => Just(max), 4 => (0.0..1.0).prop_map(log), 4 => min..max]
}

fn whole(min: u32, max: u32) -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(min), 1 => Just(max), 8 => min..=max]
}

/// Names of all kinds: as Numerai has them, and as only a mischievous person would choose them.
fn name() -> impl Strategy<Value = String> {
    let odd = [
        "null", "true", "no", "~", "1", "0x1f", "1e3", ".inf", "nan", "a: b", "- a", "#a", "{", "'", "\"", "a\\", "all",
    ];
    prop_oneof![
        4 => "[a-z][a-z0-9_]{0,14}",
        1 => "\\PC{1,8}",
        1 => any::<String>().prop_filter("a name", |text| !text.is_empty()),
        2 => select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

fn distinct_names() -> impl Strategy<Value = Vec<String>> {
    vec(name(), 1..5).prop_map(|mut names| {
        names.sort();
        names.dedup();
        names
    })
}

fn names() -> impl Strategy<Value = Names> {
    prop_oneof![Just(Names::All), distinct_names().prop_map(Names::Only)]
}

fn targets() -> impl Strategy<Value = Targets> {
    let weights = |names: Vec<String>| {
        let count = names.len();
        vec(number(0.0, 1e6), count).prop_map(move |mut weights| {
            weights[0] = weights[0].max(0.5);
            Weights(names.iter().cloned().zip(weights).collect())
        })
    };
    let fixed = distinct_names().prop_flat_map(move |names| {
        let all = weights(names.clone()).prop_map(|weights| Targets {
            train_on: Names::All,
            weighting: Weighting::Fixed(weights),
            ..standard()
        });
        let only = names.clone();
        let only = weights(names).prop_map(move |weights| Targets {
            train_on: Names::Only(only.clone()),
            weighting: Weighting::Fixed(weights),
            ..standard()
        });
        prop_oneof![all, only]
    });
    let free = prop_oneof![
        Just(Weighting::Uniform(Uniform {})),
        number(0.1, 100.0).prop_map(|temperature| Weighting::Learned(Learned { temperature })),
    ];
    prop_oneof![
        3 => (names(), free).prop_map(|(train_on, weighting)| Targets { train_on, weighting, ..standard() }),
        1 => fixed,
    ]
}

fn dense() -> impl Strategy<Value = Block> {
    let parts = (
        whole(1, 4096),
        select(Norm::ALL),
        select(Activation::ALL),
        number(0.0, 0.9),
        select(Init::ALL),
        any::<bool>(),
    );
    parts.prop_map(|(width, norm, activation, dropout, init, bias)| {
        Block::Dense(Dense { width, norm, activation, dropout, init, bias })
    })
}

fn network() -> impl Strategy<Value = Vec<Block>> {
    let block = dense().prop_recursive(3, 8, 3, |inner| vec(inner, 1..=3).prop_map(Block::Residual));
    vec(block, 1..=4)
}

fn losses() -> impl Strategy<Value = Vec<LossTerm>> {
    let weight = || number(1e-6, 100.0);
    let terms = (weight(), weight(), weight(), weight(), number(1e-9, 10.0), number(1e-9, 10.0)).prop_map(|w| {
        vec![
            LossTerm::Pearson(Pearson { weight: w.0, within: Within::Batch }),
            LossTerm::Pearson(Pearson { weight: w.1, within: Within::Era }),
            LossTerm::Mse(Weighted { weight: w.2 }),
            LossTerm::Mae(Weighted { weight: w.3 }),
            LossTerm::OutputL2(Penalty { weight: w.4 }),
            LossTerm::WeightL2(Penalty { weight: w.5 }),
        ]
    });
    let chosen = (subsequence((0..4).collect::<Vec<usize>>(), 1..=4), subsequence(vec![4, 5], 0..=2));
    (terms, chosen).prop_map(|(terms, (learns, penalties))| {
        learns.into_iter().chain(penalties).map(|index| terms[index].clone()).collect()
    })
}

fn optimizer() -> impl Strategy<Value = Optimization> {
    let clip = || option::of(number(1e-4, 1000.0));
    let adamw = (number(1e-7, 1.0), number(0.0, 1.0), number(0.0, 0.999), number(0.5, 0.99999), clip());
    let sgd = (number(1e-7, 10.0), number(0.0, 0.999), number(0.0, 1.0), any::<bool>(), clip());
    let kind = prop_oneof![
        adamw.prop_map(|(lr, weight_decay, beta1, beta2, clip_norm)| {
            Optimizer::Adamw(AdamW { lr, weight_decay, beta1, beta2, clip_norm, ..standard() })
        }),
        sgd.prop_map(|(lr, momentum, weight_decay, nesterov, clip_norm)| {
            Optimizer::Sgd(Sgd { lr, momentum, weight_decay, nesterov, clip_norm, ..standard() })
        }),
        Just(Optimizer::Adam(standard())),
        Just(Optimizer::Rmsprop(standard())),
        Just(Optimizer::Lion(standard())),
        Just(Optimizer::Muon(standard())),
        Just(Optimizer::Adan(standard())),
        Just(Optimizer::Lamb(standard())),
    ];
    let lookahead = option::of((whole(2, 50), number(0.05, 1.0)).prop_map(|(k, alpha)| Lookahead { k, alpha }));
    let sam = option::of((number(1e-6, 10.0), any::<bool>()).prop_map(|(rho, adaptive)| Sam { rho, adaptive }));
    let average = prop_oneof![
        Just((None, None)),
        number(0.0, 0.99999).prop_map(|decay| (Some(Ema { decay }), None)),
        number(0.0, 0.95).prop_map(|from| (None, Some(Swa { from }))),
    ];
    let noise = option::of(number(1e-12, 1.0).prop_map(|eta| GradientNoise { eta, ..standard() }));
    let rates = option::of(number(0.01, 100.0).prop_map(|output| Rates { output, ..standard() }));
    (kind, lookahead, sam, average, noise, rates).prop_map(
        |(kind, lookahead, sam, (ema, swa), gradient_noise, rates)| Beside {
            kind,
            beside: OptimizerExtras { lookahead, sam, ema, swa, gradient_noise, rates },
        },
    )
}

fn schedule(epochs: u32) -> impl Strategy<Value = Schedule> {
    let curve = prop_oneof![
        Just(Curve::Constant(Constant {})),
        (whole(1, (epochs * 10).min(1000)), number(0.0, 1.0), number(0.1, 10.0))
            .prop_map(|(epochs, end_factor, power)| Curve::Polynomial(Polynomial { epochs, end_factor, power })),
        (number(0.0, 1.0), whole(0, 20), number(1.0, 4.0))
            .prop_map(|(end_factor, restarts, growth)| Curve::Cosine(Cosine { end_factor, restarts, growth })),
        number(0.01, 1.0).prop_map(|factor| Curve::Exponential(Exponential { factor })),
        (whole(1, 1000), number(0.001, 1.0)).prop_map(|(every, factor)| Curve::Step(StepDecay { every, factor })),
        (number(0.05, 0.95), number(0.0, 1.0))
            .prop_map(|(peak_at, start_factor)| Curve::OneCycle(OneCycle { peak_at, start_factor })),
    ];
    let warmup = prop_oneof![Just(0.0), 0.0..f64::from(epochs).min(50.0)];
    (curve, warmup).prop_map(|(kind, warmup_epochs)| Beside { kind, beside: ScheduleExtras { warmup_epochs } })
}

fn training() -> impl Strategy<Value = (Schedule, Training)> {
    (whole(1, 1000), whole(32, 65536), option::of(whole(1, 1000))).prop_flat_map(|(epochs, batch_rows, patience)| {
        (schedule(epochs), Just(Training { epochs, batch_rows, patience, ..standard() }))
    })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    prop_oneof![
        Just(Aggregate::Mean(MeanOfMembers {})),
        Just(Aggregate::RankMean(MeanOfRanks {})),
        Just(Aggregate::Median(MedianOfMembers {})),
        number(0.0, 0.45).prop_map(|share| Aggregate::Trimmed(Trimmed { share })),
    ]
}

/// Any valid spec.
pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    let ensemble = (whole(1, 16), aggregate()).prop_map(|(members, aggregate)| Ensemble {
        members,
        aggregate,
        diversity: standard(),
    });
    (names(), targets(), network(), losses(), optimizer(), training(), ensemble).prop_map(
        |(sets, targets, network, loss, optimizer, (schedule, training), ensemble)| Spec {
            version: 1,
            features: Features { sets, ..standard() },
            targets,
            network,
            loss,
            optimizer,
            schedule,
            augment: Vec::new(),
            training,
            ensemble,
            post: standard(),
        },
    )
}
