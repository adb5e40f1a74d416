//! The error of a trial, what is pooled, and the order of folds.

use crate::research::event::Event;
use crate::research::gate::level::{level, next_level, promise};
use crate::research::gate::settings::{Control, GateSettings};
use crate::research::gate::{mean, order, pool};
use crate::research::history::History;
use crate::research::sample::{baseline, ended, trial};
use crate::research::trial::{JudgementKind, Scores, SeedPayouts, TrialRecord, Verdict};
use crate::stats::online::lord_plus_plus;

fn settings(control: Control) -> GateSettings {
    GateSettings { control, alpha: 0.05, trials: 50, ..GateSettings::default() }
}

fn past(records: Vec<TrialRecord>) -> History {
    let events: Vec<Event> = records.into_iter().map(ended).collect();
    History::from_events(&events)
}

#[test]
fn familywise_is_the_same_for_all_and_none_is_alpha() {
    for tests in [0, 1, 49, 1000] {
        for rejections in [vec![], vec![1]] {
            assert_eq!(level(&settings(Control::Familywise), tests, &rejections), Ok(0.05 / 50.0));
            assert_eq!(level(&settings(Control::None), tests, &rejections), Ok(0.05));
        }
    }
    assert!(promise(&settings(Control::None)).starts_with("NOTHING IS CONTROLLED"));
    assert!(promise(&settings(Control::Familywise)).contains("50 trials"));
    assert!(promise(&settings(Control::DiscoveryRate)).contains("LORD++"));
}

#[test]
fn discoveries_earn_level() {
    let rules = settings(Control::DiscoveryRate);
    let records = |kept: &[u32]| -> Vec<TrialRecord> {
        let verdict = |number| if kept.contains(&number) { Verdict::Keep } else { Verdict::Discard };
        std::iter::once(baseline(0.01)).chain((1..=20).map(|number| trial(number, verdict(number)))).collect()
    };
    let of = |kept: &[u32]| next_level(&past(records(kept)), &rules).expect("a level");
    assert_eq!(
        next_level(&past(vec![baseline(0.01)]), &rules),
        lord_plus_plus(0.05, &[], 1),
        "the baseline is no test"
    );
    assert_eq!(of(&[]), lord_plus_plus(0.05, &[], 21).expect("a level"));
    assert_eq!(of(&[3, 20]), lord_plus_plus(0.05, &[3, 20], 21).expect("a level"));
    assert!(of(&[20]) > 3.0 * of(&[]) && of(&[3, 20]) > of(&[20]));
}

/// What was never judged is no test; a keep for its simplicity rejects nothing, and neither does one that broke a
/// constraint. Another protocol, or other data, is another stream.
#[test]
fn only_tests_of_the_stream_count() {
    let rules = settings(Control::DiscoveryRate);
    let judged = |number, verdict, kind| {
        let mut record = trial(number, verdict);
        if let Some(judged) = &mut record.judgement {
            judged.kind = kind;
        }
        record
    };
    let mut records = vec![
        baseline(0.01),
        trial(1, Verdict::Crash),
        trial(2, Verdict::Timeout),
        trial(3, Verdict::Invalid),
        judged(4, Verdict::Keep, JudgementKind::Simpler),
        judged(5, Verdict::Discard, JudgementKind::Constrained),
        judged(6, Verdict::Keep, JudgementKind::Better),
    ];
    assert_eq!(next_level(&past(records.clone()), &rules), lord_plus_plus(0.05, &[3], 4));
    let changes: [fn(&mut TrialRecord); 2] =
        [|record| record.protocol_hash = "x".into(), |record| record.data_hash = "x".into()];
    for change in changes {
        let mut anew = baseline(0.01);
        anew.trial = 7;
        change(&mut anew);
        let mut later = records.clone();
        later.push(anew);
        assert_eq!(next_level(&past(later), &rules), lord_plus_plus(0.05, &[], 1));
    }
    records.push(judged(7, Verdict::Keep, JudgementKind::Better));
    assert_eq!(next_level(&past(records), &rules), lord_plus_plus(0.05, &[3, 4], 5));
    assert_eq!(next_level(&History::default(), &rules), lord_plus_plus(0.05, &[], 1));
}

fn scores(seeds: &[&[f64]]) -> Scores {
    let eras = (0..8).map(|at| 1 + 4 * at).collect();
    let of = |(seed, payout): (u64, &&[f64])| SeedPayouts { seed, payout: payout.to_vec() };
    Scores { eras, seeds: (0..).zip(seeds).map(of).collect() }
}

#[test]
fn variances_of_all_comparable_trials_are_pooled() {
    // Means 1, 2 and 3: variance 1 with two degrees of freedom.
    let found = pool::of_seeds(&scores(&[&[1.0; 8], &[2.0; 8], &[3.0; 8]])).expect("three seeds");
    assert!((found.0 - 1.0).abs() < 1e-12 && found.1 == 2.0);
    assert_eq!(pool::of_seeds(&scores(&[&[1.0; 8]])), None);
    let with = |number, verdict, seeds: &[&[f64]]| {
        let mut record = if number == 0 { baseline(0.01) } else { trial(number, verdict) };
        if let Some(measured) = &mut record.measurement {
            measured.scores = scores(seeds);
        }
        record
    };
    let mut foreign = with(4, Verdict::Discard, &[&[0.0; 8], &[9.0; 8]]);
    foreign.data_hash = "other".into();
    let mut history = past(vec![
        with(0, Verdict::Keep, &[&[1.0; 8], &[2.0; 8], &[3.0; 8]]),
        with(1, Verdict::Discard, &[&[1.0; 8]]),
        with(2, Verdict::Discard, &[&[0.0; 8], &[2.0; 8]]),
        trial(3, Verdict::Crash),
        foreign,
    ]);
    assert_eq!(pool::seed_variances(&history), [(1.0, 2.0), (2.0, 1.0)]);
    let prior = pool::noise_between_seeds(&history).expect("numbers").expect("two groups");
    assert_eq!(prior.pooled, 3.0);
    // The incumbent's further seeds are its own: 1, 2, 3 and 2 vary by 2/3.
    let mut further = scores(&[&[2.0; 8]]);
    further.seeds[0].seed = 1001;
    history.apply(&Event::SeedsMeasured {
        trial: 0,
        purpose: crate::research::event::SeedPurpose::Comparison,
        scores: further,
        wall_seconds: 1.0,
    });
    let found = pool::seed_variances(&history);
    assert!((found[0].0 - 2.0 / 3.0).abs() < 1e-12 && found[0].1 == 3.0);
    // Alone, an incumbent has no prior but itself.
    assert_eq!(pool::noise_between_seeds(&past(vec![baseline(0.01)])), Ok(None));
}

#[test]
fn the_quietest_fold_comes_first() {
    let folds: Vec<Vec<u32>> = vec![vec![1, 5], vec![9, 13], vec![17, 21], vec![25, 29]];
    // Fold 0: eras differ by 0.2; fold 1: nothing moves; fold 2: seeds differ by 0.1; fold 3: as quiet as fold 1.
    let incumbent =
        scores(&[&[0.1, -0.1, 0.0, 0.0, 0.05, 0.05, 0.3, 0.3], &[0.1, -0.1, 0.0, 0.0, -0.05, -0.05, 0.3, 0.3]]);
    assert_eq!(order::of_folds(&folds, &incumbent), [1, 3, 2, 0]);
    assert_eq!(order::of_folds(&folds, &Scores::default()), [0, 1, 2, 3], "nothing is known: by number");
    assert_eq!(order::of_folds(&[vec![99], vec![1, 5]], &incumbent), [1, 0], "a fold without scores is last");
    assert!(order::of_folds(&[], &incumbent).is_empty());
    assert!(mean(&[]).is_nan());
}
