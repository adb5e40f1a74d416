//! The optimizer against a landscape whose truth is known, through real records and the real gate. Its control arm and a
//! mix are put beside it on all landscapes in tests/it/researchers.rs.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use self::landscapes::ALL;
use super::choose;
use super::pool::Known;
use super::testing::Lab;
use super::{NAME, Optimizer};
use crate::research::gate::Design;
use crate::research::gate::tests::support::{Market, Spec as Truth, design, race};
use crate::research::near_duplicate::{Measured, Neighbours};
use crate::research::rules::Rules;
use crate::research::settings::Breadth;
use crate::research::trial::{Usage, Verdict};
use crate::researcher::settings::OptimizerSettings;
use crate::spec;
use crate::spec::{Activation, Block, Dense, Spec};

/// The same that the benchmark and the comparison of the arms use.
#[path = "../../../benchmarks/researchers/landscapes.rs"]
mod landscapes;

/// Where all that the optimizer believes at first is wrong, so that who wins has learned.
const BASELINE: &str = ALL[0].baseline;

fn truth(spec: &Spec) -> f64 {
    (ALL[0].truth)(spec)
}

fn dense_blocks(blocks: &[Block]) -> Vec<&Dense> {
    blocks
        .iter()
        .flat_map(|block| match block {
            Block::Dense(dense) => vec![dense],
            other => other.inside().into_iter().flat_map(dense_blocks).collect(),
        })
        .collect()
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
    proposals(Optimizer::new(&OptimizerSettings { seed }))
}

fn proposals(mut optimizer: Optimizer) -> impl FnMut(&Lab) -> Spec {
    move |lab| {
        let proposal =
            lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("there is always something new here");
        Spec::parse(&proposal.spec, "proposal").expect("proposals are valid")
    }
}

/// The optimizer with the ledger's measurements kept from it: what it believes at first, and nothing learned.
fn by_belief_alone(seed: u64) -> impl FnMut(&Lab) -> Spec {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |lab| {
        let known =
            Known { observations: &[], measured: &Measured::default(), waiting: &Neighbours::default(), rejected: &[] };
        let chosen = lab.brief(|briefing| choose::choose(briefing, known, &mut rng));
        chosen.expect("there is always something new here").spec
    }
}

const NIGHTS: u64 = 32;

/// The nights of one way to propose, each of 24 trials.
fn nights<P: FnMut(&Lab) -> Spec>(by: impl Fn(u64) -> P + Sync) -> Vec<f64> {
    (0..NIGHTS).into_par_iter().map(|seed| night(seed, 24, Breadth::Focused, by(seed))).collect()
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
    let chance = nights(|seed| proposals(Optimizer::random(&OptimizerSettings { seed })));
    for (control, name) in [(&believed, "belief alone"), (&chance, "chance")] {
        let (mean, error, wins) = advantage(&learned, control);
        assert!(
            mean > 0.002 && mean > 3.0 * error && wins * 3 >= NIGHTS as usize * 2,
            "on {} ({}), {name}: {mean:+.4} ± {error:.4}, {wins} of {NIGHTS}",
            ALL[0].name,
            ALL[0].about
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

#[test]
fn what_is_pending_is_neither_proposed_nor_crowded() {
    let lab = Lab::new(BASELINE);
    let mut optimizer = Optimizer::new(&OptimizerSettings::default());
    let first = lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("a proposal");
    let mut lab = lab;
    let mut titles = vec![first.title];
    lab.wait(&Spec::parse(&first.spec, "test").expect("valid"));
    for _ in 0..7 {
        let proposal = lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("a proposal");
        let spec = Spec::parse(&proposal.spec, "test").expect("valid");
        assert!(lab.pending.iter().all(|pending| pending.spec_hash != spec.hash()), "{} waits already", proposal.title);
        assert!(proposal.hypothesis.contains("Evidence: none yet"), "nothing was measured: {}", proposal.hypothesis);
        titles.push(proposal.title);
        lab.wait(&spec);
    }
    let kinds: std::collections::BTreeSet<&String> =
        lab.pending.iter().flat_map(|it| &it.changes).map(|it| &it.path).collect();
    assert!(kinds.len() >= 6, "they turn different knobs: {titles:?}");
}

#[test]
fn a_change_too_small_to_be_seen_is_never_proposed() {
    let mut lab = Lab::new(BASELINE);
    lab.phase.breadth = Breadth::Narrow;
    for seed in 0..15 {
        let spec = by_optimizer(seed)(&lab);
        let known = crate::research::near_duplicate::near_duplicate(
            &lab.history,
            &spec,
            &lab.history.incumbent().expect("the baseline").protocol_hash,
            &lab.history.incumbent().expect("the baseline").data_hash,
        );
        assert_eq!(known, None, "{}", spec.to_yaml());
        lab.trial(&spec.to_yaml(), Verdict::Discard, -0.0001);
    }
}

#[test]
fn a_phase_that_wants_combinations_gets_so_many_and_their_parents_are_told() {
    let mut lab = Lab::new(BASELINE);
    for (index, change) in ["epochs: 20", "epochs: 15"].into_iter().enumerate() {
        lab.trial(&BASELINE.replace("epochs: 10", change), Verdict::Discard, 0.0008 + 0.0001 * index as f64);
    }
    lab.trial(&BASELINE.replace("lr: 0.0005", "lr: 0.002"), Verdict::Discard, 0.0009);
    let mut count = |share: Option<f64>| {
        lab.phase.combinations = share;
        let propose = |seed| {
            let mut optimizer = Optimizer::new(&OptimizerSettings { seed });
            lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("a proposal")
        };
        (0..16).filter(|seed| !propose(*seed).parents.is_empty()).count()
    };
    assert_eq!(count(Some(1.0)), 16);
    assert_eq!(count(Some(0.0)), 0);
    // 16 coins of 0.5: outside 3 to 13 once in two hundred times, and the seeds are fixed.
    assert!((3..=13).contains(&count(Some(0.5))));
}

#[test]
fn the_control_arm_believes_nothing_and_says_so() {
    let lab = Lab::new(BASELINE);
    let mut random = Optimizer::random(&OptimizerSettings::default());
    let proposal = lab.brief(|briefing| random.propose(briefing, &[])).expect("a proposal");
    assert_eq!((proposal.researcher.as_str(), proposal.expected_effect), ("random", None));
    assert!(proposal.hypothesis.contains("Drawn by lot"), "{}", proposal.hypothesis);
}

#[test]
fn the_first_of_each_family_is_tried_early_where_the_search_may_go_anywhere() {
    let mut lab = Lab::new(BASELINE);
    lab.phase.breadth = Breadth::Wide;
    let mut propose = by_optimizer(3);
    let mut families = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let spec = propose(&lab);
        let text = spec.to_yaml();
        for kind in ["gate:", "cross:", "mixture_of_experts:", "batch_ensemble:", "tabnet:", "attention:", "residual:"]
        {
            if text.contains(kind) {
                families.insert(kind);
            }
        }
        lab.trial(&text, Verdict::Discard, -0.0005);
    }
    assert!(families.len() >= 4, "{families:?}");
}
