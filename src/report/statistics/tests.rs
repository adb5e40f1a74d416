//! The layout, whole; a lab without anything says next to nothing.

use super::*;
use crate::research::gate::settings::Control;
use crate::research::session_statistics::{BestOfNull, FreshScore};

fn found() -> SessionStatistics {
    let gain = |trial, kind, shrunk| KeptGain {
        trial,
        title: "t".into(),
        kind,
        delta: 0.00612,
        standard_error: 0.0012,
        shrunk,
        interval: shrunk.map(|_| (0.0011, 0.0079)),
        fresh_gain: None,
        fresh_gain_error: None,
        demoted: false,
    };
    let effect = |category: &str, trials| CategoryEffect {
        category: category.into(),
        trials,
        keeps: 1,
        effect: -0.0004,
        interval: (-0.0021, 0.0013),
        spread: None,
    };
    SessionStatistics {
        error_control: Some(ErrorControl {
            control: Control::Familywise,
            promise: "PROMISE".into(),
            next_level: Some(0.0005),
        }),
        best_of_null: Some(BestOfNull {
            trials: 42,
            best: 7,
            observed: 4.2,
            expected: 2.2,
            deflated: 0.97,
            by_chance: 0.0006,
        }),
        overfitting: Overfitting { probability: Some(0.125), trials: 9, measured: 46, splits: 12870 },
        effects: (0..6).map(|index| effect(["loss", "architecture"][index % 2], index)).collect(),
        keeps: vec![
            KeptGain {
                demoted: true,
                fresh_gain: Some(0.0001),
                fresh_gain_error: Some(0.002),
                ..gain(3, JudgementKind::Better, Some(0.0049))
            },
            gain(7, JudgementKind::Simpler, None),
        ],
        fresh: Some(FreshScore {
            selected: 0.0182,
            selected_seeds: 6,
            payout: 0.0175,
            standard_error: Some(0.003),
            seeds: 12,
        }),
        ..SessionStatistics::default()
    }
}

#[test]
fn each_number_has_its_words() {
    let rows: Vec<String> =
        of_statistics(&found(), true).into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
    let wanted = [
        "gate: PROMISE; the next trial's level is 5.0e-4",
        "fresh: the incumbent's payout is 0.01750 ± 0.00300 on 12 seeds measured since it was kept, 0.01820 on the 6 it was kept by",
        "luck: the best of 42 trials is 4.2 standard errors ahead (000007); the best of as many without any effect: 2.2 on average, 4.2 with a chance of 6.0e-4",
        "overfit: the best trial of one half of the eras is below the median on the other half in 12 % of 12870 splits, over the 9 of 46 measured trials with the protocol's seeds whole; the 37 that fell before are not in it, though the best was picked from among them too",
    ];
    assert_eq!(rows, wanted);
    assert_eq!(of_statistics(&SessionStatistics::default(), false), vec![]);
    let before = SessionStatistics { error_control: found().error_control, ..SessionStatistics::default() };
    assert_eq!(of_statistics(&before, false), vec![("gate", "PROMISE".to_owned())]);
}

#[test]
fn too_few_trials_tell_nothing_of_overfitting() {
    let few = Overfitting { probability: None, trials: 4, measured: 46, splits: 0 };
    assert_eq!(
        overfitting(&few),
        "too few to tell: 4 of 46 measured trials have the protocol's seeds whole (most fall before), and it takes 8"
    );
}

#[test]
fn tables_are_short() {
    let text = anstream::adapter::strip_str(&tables_of(&found())).to_string();
    let wide = text.lines().filter(|line| !line.ends_with("demoted")).map(|line| line.chars().count()).max();
    assert!(wide <= Some(80), "fits a terminal: {text}");
    for line in [
        "kept      gain measured        likely true (95 %)             fresh seeds",
        "  000003  +0.00612 ± 0.00120   +0.00490 (+0.0011 to +0.0079)  +0.00010 ± 0.00200  demoted",
        "  000007  +0.00612 ± 0.00120   kept as simpler                -",
        "  architecture        1     1  -0.00040 (-0.0021 to +0.0013)",
        "  … and 2 more (--json)",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    assert_eq!(tables_of(&SessionStatistics::default()), "");
}
