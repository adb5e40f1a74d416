//! What stands on the screen of trials that fell early, and of keeps that were taken back.

use super::*;
use crate::report::holdout::HoldoutFacts;
use crate::report::status::{Found, Near, line, status};
use crate::report::wrap::wrap;
use crate::research::event::{Event, SeedPurpose};
use crate::research::sample::{baseline, ended, fallen, judged, remeasured};
use crate::research::trial::{Scores, SeedPayouts};

fn history(events: &[Event]) -> History {
    History::from_events(events)
}

#[test]
fn one_that_fell_in_its_first_seed_is_compared_over_its_folds() {
    let mut early = fallen(1, 0.008, -0.001);
    early.started = "2026-03-01T22:00:00.987654321Z".into();
    if let Some(judged) = &mut early.judgement {
        (judged.between_eras, judged.bound) = (Some(0.0), None);
    }
    let past = history(&[ended(baseline(0.010)), ended(early.clone())]);
    let text = anstream_free(&trial_text(&early, &past));
    for words in [
        "from 2026-03-01T22:00:01Z to 2026-03-01T22:00:12Z",
        "all of it over 1 of 2 folds of seed 42; the incumbent's payout over the same eras 0.00900",
        "gain       -0.00100 ± 0.00060 over 1 of 2 folds of seed 42",
        "noise      of seeds 0.00050, of eras too small to tell",
        "bound      none: it ended between looks",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let text = anstream_free(&trial_line(&line(&early, &past)));
    assert!(text.contains("   1/2 ") && !text.contains("0.00800"), "{text}");
}

#[test]
fn a_demoted_keep_says_what_was_left() {
    let keep = judged(1, "loss", &[], (true, 0.004, 0.001));
    let again = Event::Remeasured { found: Box::new(remeasured(1, -0.0012, Some(0))) };
    let past = history(&[ended(baseline(0.010)), ended(keep.clone()), again]);
    let text = anstream_free(&trial_line(&line(&keep, &past)));
    assert!(text.ends_with("change 1 (demoted: -0.00120 when measured again)"), "{text}");
    let text = anstream_free(&trial_text(&keep, &past));
    assert!(text.contains("demoted     measured again 2026-03-02T07:30:01Z: sample"), "{text}");
}

/// The seeds that a spec was kept by are luckier than the next.
#[test]
fn the_gain_over_the_baseline_is_of_all_seeds_of_both() {
    let further = |trial: u32, payout: f64| Event::SeedsMeasured {
        trial,
        purpose: SeedPurpose::Comparison,
        scores: Scores {
            eras: (0..8).map(|index| 1 + 4 * index).collect(),
            seeds: (1001..1004).map(|seed| SeedPayouts { seed, payout: vec![payout; 8] }).collect(),
        },
        wall_seconds: 1.0,
    };
    let demoted = Event::Remeasured { found: Box::new(remeasured(2, -0.0012, Some(1))) };
    let past = history(&[
        ended(baseline(0.050)),
        ended(judged(1, "loss", &[], (true, 0.0685, 0.001))),
        ended(judged(2, "loss", &[], (true, 0.0700, 0.001))),
        further(0, 0.048),
        further(1, 0.0515),
        demoted,
    ]);
    let found = status(Found { waiting_hints: vec!["try GELU".into()], ..empty_found(&past) });
    let text = anstream_free(&status_text(&found));
    // (0.0785 + 0.0515)/2 and (0.050 + 0.048)/2.
    for words in [
        "000001 change 1: payout 0.06500 ±",
        " over all its 6 seeds",
        "payout 0.04900 over all its 6 seeds; the incumbent is +0.01600 above",
        "2 keep (1 of the keeps demoted since)",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

fn empty_found(past: &History) -> Found<'_> {
    Found {
        entries: &[],
        history: past,
        holder: None,
        live: None,
        branch: None,
        plateau: 15,
        overlap: 4,
        required_seeds: 3,
        gate: None,
        waiting_hints: Vec::new(),
        holdout: HoldoutFacts::default(),
        warnings: Vec::new(),
        now: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn status_fits_eighty_columns_and_promises_nothing() {
    let past = history(&[ended(baseline(0.050)), ended(judged(1, "loss", &[], (false, 0.0013, 0.2)))]);
    let mut found = status(empty_found(&past));
    found.best_near_misses = vec![Near {
        trial: 1,
        title: "One cycle schedule of the rate and ensemble members 1 → 3".into(),
        odds: 2.4,
        against: 0,
        delta: 0.01231,
        p_value: 0.218,
        seeds: 1,
        cells: None,
        over: "1 seed and 1 of 4 folds of seed 17".into(),
        demoted: false,
    }];
    (found.trials_per_hour, found.seconds_of_rate) = (Some(8997.0), 2.0);
    let text = anstream_free(&wrap(&status_text(&found), 80));
    assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{text}");
    assert!(text.contains("baseline   payout 0.05000 over all its 3 seeds; it is the incumbent\n"), "{text}");
    assert!(!text.contains("an hour"), "two seconds say nothing of an hour: {text}");
    let mut lines = text.lines().skip_while(|line| !line.starts_with("  000001  odds 2.4"));
    assert!(lines.next().is_some() && lines.next().is_some_and(|line| line.starts_with("          ")), "{text}");
    found.seconds_of_rate = 61.0;
    assert!(anstream_free(&status_text(&found)).contains("speed      8997 trials an hour"));
}

/// Without the colours.
fn anstream_free(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
