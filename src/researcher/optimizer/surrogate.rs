//! The optimizer against a landscape whose truth is known, through real records and the real gate.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::choose;
use super::testing::Lab;
use super::{NAME, Optimizer};
use crate::research::gate::Design;
use crate::research::gate::tests::support::{Market, Spec as Truth, design, race};
use crate::research::rules::Rules;
use crate::research::settings::Breadth;
use crate::research::trial::{Usage, Verdict};
use crate::researcher::settings::OptimizerSettings;
use crate::spec::{Activation, Block, Dense, LossTerm, Norm, Optimizer as Rule, Spec};

const BASELINE: &str = "network:\n  - dense: { width: 32 }\n  - dense: { width: 32 }\n\
                        loss: [ mse, { pearson: { weight: 0.1 } } ]\n\
                        optimizer: { adamw: { lr: 0.0005, weight_decay: 0.0 } }\n\
                        training: { epochs: 10, batch_rows: 2048 }\n";

fn dense_blocks(blocks: &[Block]) -> Vec<&Dense> {
    blocks
        .iter()
        .flat_map(|block| match block {
            Block::Dense(dense) => vec![dense],
            other => other.inside().into_iter().flat_map(dense_blocks).collect(),
        })
        .collect()
}

/// The true payout of a spec. What the optimizer believes at first is wrong here wherever it can be: GELU, batch norm,
/// dropout, weight decay, a pure Pearson loss, the usual rate and greater width all lose. So who wins has learned.
fn truth(spec: &Spec) -> f64 {
    let blocks = dense_blocks(&spec.network);
    let mean = |of: &dyn Fn(&Dense) -> f64| blocks.iter().map(|dense| of(dense)).sum::<f64>() / blocks.len() as f64;
    let rate = match &spec.optimizer.kind {
        Rule::Adamw(adamw) => {
            -0.0004 * (adamw.lr / 0.016).log2().powi(2) - 0.004 * (adamw.weight_decay / 1e-4).min(1.0)
        }
        _ => -0.009,
    };
    let activation = mean(&|dense| match dense.activation {
        Activation::Tanh => 0.004,
        Activation::Gelu => -0.002,
        Activation::Relu => 0.0,
        _ => -0.001,
    });
    let norm = mean(&|dense| match dense.norm {
        Norm::Layer => 0.002,
        Norm::Batch => -0.002,
        Norm::None => 0.0,
    });
    let dropout = -0.02 * mean(&|dense| dense.dropout);
    let width = -0.0008 * (mean(&|dense| f64::from(dense.width).log2()) - 3.5).powi(2);
    let depth = -0.001 * (blocks.len() as f64 - 3.0).powi(2);
    let squared = if spec.loss.iter().any(|term| matches!(term, LossTerm::Mse(_))) { 0.002 } else { 0.0 };
    0.020 + (rate + activation + norm + dropout + width + depth + squared).max(-0.03)
}

/// What seeds and eras add to the truth; what eras do to all specs alike is in no difference.
const MARKET: Market = Market { folds: 2, eras_a_fold: 20, seeds: 0.0006, eras: 0.0, rest: 0.004, unlike: 1.0 };

/// Runs trials with the real gate, at a level for each; the true payout of the incumbent at the end.
fn night(seed: u64, trials: u32, breadth: Breadth, mut propose: impl FnMut(&Lab) -> Spec) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut lab = Lab::new(BASELINE);
    lab.phase.breadth = breadth;
    let flat = |spec: &Spec| Truth::flat(truth(spec), &MARKET);
    let mut incumbent = flat(&lab.incumbent);
    let mut scores = MARKET.scores(&incumbent, 0..12, &mut rng);
    for _ in 0..trials {
        let spec = propose(&lab);
        let candidate = flat(&spec);
        let rules = Design { level: 0.05, ..design(&MARKET, 12) };
        let ruling = race(rules, &MARKET, &candidate, (&incumbent, &mut scores), None, &mut rng);
        let judgement = ruling.judgement();
        let verdict = if judgement.keep { Verdict::Keep } else { Verdict::Discard };
        let mut record = lab.record(&spec.to_yaml(), verdict, judgement.delta);
        record.judgement = Some(judgement);
        if verdict == Verdict::Keep {
            incumbent = candidate;
            scores = MARKET.scores(&incumbent, 0..12, &mut rng);
        }
        lab.add(record);
    }
    truth(&lab.incumbent)
}

fn by_optimizer(seed: u64) -> impl FnMut(&Lab) -> Spec {
    let mut optimizer = Optimizer::new(&OptimizerSettings { seed });
    move |lab| {
        let proposal =
            lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("there is always something new here");
        Spec::parse(&proposal.spec, "proposal").expect("proposals are valid")
    }
}

fn by_chance(seed: u64) -> impl FnMut(&Lab) -> Spec {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |lab| lab.brief(|briefing| choose::by_chance(briefing, &mut rng)).expect("there is always something new here")
}

/// The optimizer with the ledger's measurements kept from it: what it believes at first, and nothing learned.
fn by_belief_alone(seed: u64) -> impl FnMut(&Lab) -> Spec {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |lab| {
        let chosen = lab.brief(|briefing| choose::choose(briefing, &[], &[], &mut rng));
        chosen.expect("there is always something new here").spec
    }
}

const NIGHTS: u64 = 32;

/// The nights of one way to propose, each of 32 trials.
fn nights<P: FnMut(&Lab) -> Spec>(by: impl Fn(u64) -> P + Sync) -> Vec<f64> {
    (0..NIGHTS).into_par_iter().map(|seed| night(seed, 32, Breadth::Focused, by(seed))).collect()
}

/// By how much the first nights beat the second: mean, its standard error, and how many did.
fn advantage(first: &[f64], second: &[f64]) -> (f64, f64, usize) {
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt(), differences.iter().filter(|difference| **difference > 0.0).count())
}

#[test]
fn it_learns_and_so_beats_chance_where_all_that_it_believed_is_wrong() {
    let (learned, believed) = (nights(by_optimizer), nights(by_belief_alone));
    // Chance draws from the very same moves.
    let chance = nights(by_chance);
    for (control, name) in [(&chance, "chance"), (&believed, "belief alone")] {
        let (mean, error, wins) = advantage(&learned, control);
        assert!(
            mean > 0.002 && mean > 3.0 * error && wins * 10 >= NIGHTS as usize * 7,
            "{name}: {mean:+.4} ± {error:.4}, {wins} of {NIGHTS}"
        );
    }
}

#[test]
fn the_same_ledger_and_seed_give_the_same_proposal() {
    let mut lab = Lab::new(BASELINE);
    lab.trial(&BASELINE.replace("32", "64"), Verdict::Keep, 0.002);
    lab.trial(&BASELINE.replace("32", "16"), Verdict::Discard, -0.001);
    let propose = |seed, lab: &Lab, optimizer: &mut Option<Optimizer>| {
        let optimizer = optimizer.get_or_insert_with(|| Optimizer::new(&OptimizerSettings { seed }));
        let mut proposal = lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("a proposal");
        proposal.usage = Usage::default();
        proposal
    };
    let mut used = None;
    let first = propose(1, &lab, &mut used);
    assert_eq!(first, propose(1, &lab, &mut used), "asked twice");
    assert_eq!(first, propose(1, &lab, &mut None), "asked after a restart");
    assert_eq!(first.researcher, NAME);
    let others = (2..8).map(|seed| propose(seed, &lab, &mut None).spec).filter(|spec| *spec != first.spec).count();
    assert!(others >= 4, "other seeds propose other things: {others} of 6 did");
}

#[test]
fn hundreds_of_trials_without_a_duplicate() {
    let mut lab = Lab::new(BASELINE);
    let mut propose = by_optimizer(5);
    let mut seen = std::collections::BTreeSet::from([lab.incumbent.hash()]);
    let breadths = [Breadth::Focused, Breadth::Combined, Breadth::Wide, Breadth::Narrow];
    for trial in 0..300 {
        lab.phase.breadth = breadths[(trial / 75) % breadths.len()];
        let spec = propose(&lab);
        assert!(seen.insert(spec.hash()), "trial {trial} had been tried before");
        let delta = truth(&spec) - truth(&lab.incumbent);
        let verdict = if trial % 50 == 49 { Verdict::Keep } else { Verdict::Discard };
        lab.trial(&spec.to_yaml(), verdict, delta);
    }
}

#[test]
fn what_is_ruled_out_or_too_dear_is_never_proposed() {
    let mut lab = Lab::new(BASELINE);
    let rules = "[[rule]]\nname = \"no gelu\"\nstatus = \"confidently-bad\"\nreason = \"test\"\n\
                 paths = [\"network[*].dense.activation\"]\n";
    lab.rules = Rules::parse(rules, "do_not_retry.toml").expect("rules");
    let baseline = crate::spec::cost::estimate(&lab.incumbent, &lab.facts).flops;
    lab.budget.flops = 1.5 * baseline;
    for seed in 0..12 {
        let spec = by_optimizer(seed)(&lab);
        let same = dense_blocks(&spec.network).iter().all(|dense| dense.activation == Activation::Relu);
        assert!(same, "{}", spec.to_yaml());
        assert!(crate::spec::cost::estimate(&spec, &lab.facts).flops <= lab.budget.flops);
    }
    lab.budget.flops = f64::INFINITY;
    lab.seconds_left = Some(12.0);
    for seed in 0..12 {
        let cost = crate::spec::cost::estimate(&by_optimizer(seed)(&lab), &lab.facts).flops;
        assert!(cost <= 2.0 * baseline, "as much time is left as the baseline took");
    }
}

#[test]
fn proposals_stay_near_the_baselines_cost() {
    let lab = Lab::new(BASELINE);
    let baseline = crate::spec::cost::estimate(&lab.incumbent, &lab.facts).flops;
    let ratios: Vec<f64> = (0..40)
        .map(|seed| crate::spec::cost::estimate(&by_optimizer(seed)(&lab), &lab.facts).flops / baseline)
        .collect();
    let far = ratios.iter().filter(|ratio| **ratio > 4.0).count();
    assert!(far <= 2, "{far} of 40 cost over four times the baseline: {ratios:.1?}");
}

#[test]
fn an_exhausted_neighbourhood_is_said_so() {
    let mut lab = Lab::new(BASELINE);
    lab.rules = Rules::parse(
        "[[rule]]\nname = \"all\"\nstatus = \"exhausted\"\nreason = \"test\"\npaths = [\"**\"]\n",
        "rules",
    )
    .expect("rules");
    let mut optimizer = Optimizer::new(&OptimizerSettings::default());
    let error = lab.brief(|briefing| optimizer.propose(briefing, &[])).expect_err("nothing is allowed");
    assert!(error.to_string().contains("do_not_retry.toml"), "{error}");
}

#[test]
fn a_rejected_proposal_does_not_come_again() {
    let lab = Lab::new(BASELINE);
    let mut optimizer = Optimizer::new(&OptimizerSettings::default());
    let mut rejected = Vec::new();
    let mut hashes = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let proposal = lab.brief(|briefing| optimizer.propose(briefing, &rejected)).expect("a proposal");
        let hash = Spec::parse(&proposal.spec, "test").expect("valid").hash();
        assert!(hashes.insert(hash), "{} came again", proposal.title);
        rejected.push(crate::researcher::briefing::Rejection { proposal, error: "no".into() });
    }
}
