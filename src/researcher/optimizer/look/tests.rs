//! What the view says of pasts whose truth is known.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::Optimizer;
use super::super::belief::{Belief, Change, standard_normal};
use super::super::testing::Lab;
use super::*;
use crate::research::trial::Verdict;
use crate::researcher::settings::OptimizerSettings;
use crate::spec::Spec;

const BASE: &str = "network: [ { dense: { width: 64 } } ]\noptimizer: { adamw: { lr: 1e-3 } }\n";

fn viewed(lab: &Lab) -> View {
    let mut optimizer = Optimizer::new(&OptimizerSettings::default());
    lab.brief(|briefing| optimizer.view(briefing))
}

fn tried() -> Lab {
    let mut lab = Lab::new(BASE);
    for (rate, delta) in [("2e-3", 0.004), ("4e-3", 0.006), ("5e-4", -0.004), ("2.5e-4", -0.007)] {
        lab.trial(&BASE.replace("1e-3", rate), Verdict::Discard, delta);
    }
    for (width, delta) in [("128", 0.0001), ("32", -0.0001), ("256", 0.0)] {
        lab.trial(&BASE.replace("64", width), Verdict::Discard, delta);
    }
    lab.trial(&BASE.replace("64", "64, activation: gelu"), Verdict::Discard, 0.003);
    lab.trial(&BASE.replace("64", "64, activation: tanh"), Verdict::Discard, -0.003);
    lab
}

#[test]
fn what_matters_comes_first_with_an_interval_and_where_it_is_best() {
    let view = viewed(&tried());
    assert_eq!(view.trials, 9);
    let knob = |name: &str| view.knobs.iter().find(|knob| knob.knob == name).expect(name);
    assert_eq!(view.knobs[0].knob, "optimizer.adamw.lr");
    let (rate, width, activation) =
        (knob("optimizer.adamw.lr"), knob("network.dense.width"), knob("network.dense.activation"));
    assert_eq!((rate.tries, width.tries, activation.tries), (4, 3, 2));
    assert!(rate.importance > 2.0 * width.importance, "{rate:?} {width:?}");
    for knob in &view.knobs {
        assert!(0.0 < knob.interval.0 && knob.interval.0 <= knob.importance && knob.importance <= knob.interval.1);
    }
    // Where it was measured the rate moved the payout by 0.005 (the deviation of 0.006, 0.004, 0, -0.004, -0.007).
    assert!(rate.interval.0 < 0.0050 && 0.0050 < rate.interval.1 + 0.001, "{rate:?}");
    assert!(rate.best.starts_with("about 0.00") && rate.best.contains("(now 0.001): +0.00"), "{}", rate.best);
    assert!(activation.best.starts_with("about GELU (now ReLU): +0.00"), "{}", activation.best);
}

#[test]
fn leads_are_good_and_different_and_what_was_never_turned_is_named() {
    let view = viewed(&tried());
    assert!((2..=MOST_LEADS).contains(&view.best.len()), "{:?}", view.best);
    assert!(view.best.windows(2).all(|pair| pair[0].expected >= pair[1].expected));
    assert!(view.best[0].expected > 0.0 && view.best.iter().all(|lead| lead.deviation > 0.0));
    assert!(!view.untried.is_empty() && view.untried.len() <= MOST_UNTRIED);
    assert!(view.untried.iter().any(|knob| knob == "optimizer.adamw.weight_decay"), "{:?}", view.untried);
    for turned in ["optimizer.adamw.lr", "network.dense.width", "network.dense.activation"] {
        assert!(!view.untried.iter().any(|knob| knob == turned), "{turned} was");
    }
}

#[test]
fn the_same_ledger_gives_the_same_view_and_an_empty_one_is_no_trouble() {
    let lab = tried();
    assert_eq!(viewed(&lab), viewed(&lab));
    let empty = viewed(&Lab::new(BASE));
    assert_eq!((empty.trials, empty.knobs.len()), (0, 0));
    assert!(!empty.best.is_empty() && empty.untried.len() == MOST_UNTRIED);
}

#[test]
fn it_stays_small_however_much_was_tried() {
    let mut lab = Lab::new(BASE);
    let mut optimizer = Optimizer::random(&OptimizerSettings::default());
    lab.phase.breadth = crate::research::settings::Breadth::Wide;
    for _ in 0..25 {
        let proposal = lab.brief(|briefing| optimizer.propose(briefing, &[])).expect("a proposal");
        lab.trial(&proposal.spec, Verdict::Discard, -0.0002);
    }
    let view = viewed(&lab);
    assert_eq!(view.knobs.len(), MOST_KNOBS);
    assert!(view.best.len() <= MOST_LEADS && view.untried.len() <= MOST_UNTRIED);
    let text = serde_json::to_string(&view).expect("JSON");
    assert!(text.len() < 8_000, "{} bytes", text.len());
}

/// Truths drawn from the belief's own prior, noisy trials of them, and the interval around the importance: it holds the true
/// one as often as it says (Talts and others 2018, simulation-based calibration). That the belief guesses the size of
/// effects from the trials makes it less than exact; far under the stated share would be a lie.
#[test]
fn the_interval_holds_the_true_importance() {
    let places: Vec<f64> = vec![-2.0, -1.0, 1.0, 2.0, 3.0];
    let shift = |to: f64| Shift { dimension: "x.width".into(), from: Some(0.0), to: Some(to) };
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (min_effect, noise) = (0.0005, 0.0006);
    let nothing = Belief::new(&[], min_effect);
    let (nights, mut held) = (300, 0);
    for _ in 0..nights {
        let prior = nothing.effects(places.iter().map(|to| vec![shift(*to)]).collect());
        let truth = prior.draw(1.0, &mut rng);
        let seen: Vec<Observation> = places
            .iter()
            .zip(&truth)
            .map(|(to, truth)| Observation {
                trial: 1,
                change: Change::new(vec![shift(*to)]),
                delta: truth + noise * standard_normal(&mut rng),
                standard_error: noise,
                effect: None,
            })
            .collect();
        let belief = Belief::new(&seen, min_effect);
        let outlook = belief.effects(places.iter().map(|to| vec![shift(*to)]).collect());
        let mut draws: Vec<f64> = (0..200).map(|_| spread(&outlook.draw(1.0, &mut rng))).collect();
        draws.sort_by(f64::total_cmp);
        held += usize::from((draws[5]..=draws[194]).contains(&spread(&truth)));
    }
    let share = held as f64 / f64::from(nights);
    assert!(share > 0.85, "it held {share:.2} of the time");
}

#[test]
fn a_profile_knows_the_kinds_of_its_blocks() {
    let spec = Spec::parse("network: [ { cross: { layers: 1 } }, { dense: { width: 8 } } ]\n", "test").expect("valid");
    let profile = Profile::of(&spec, &super::super::testing::facts());
    assert_eq!((profile.get("network=cross"), profile.get("network=gate")), (Some(2.0), Some(0.0)));
}
