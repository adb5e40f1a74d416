//! learnings.md: rendered, kept within bounds, and a model's version accepted or refused.

use proptest::prelude::*;

use super::*;
use crate::research::event::Event;
use crate::research::evidence::evidence;
use crate::research::sample::{baseline, change, ended, fallen, judged, remeasured, trial};

const NOTE: &str = "## Notes by people\n\nTry  wider nets.\n\n## What works\n\nMine:   believe me.  \n";

fn past() -> Vec<Event> {
    let width = |to: &str| [change("network[0].dense.width", Some("64"), Some(to))];
    let silu = [change("network[0].dense.activation", Some("relu"), Some("silu"))];
    let mut crash = trial(7, Verdict::Crash);
    crash.reason = "the loss is not a number in epoch 3".into();
    let mut close =
        judged(8, "loss", &[change("loss[0].pearson.weight", Some("1.0"), Some("2.0"))], (false, 0.0008, 0.09));
    close.incumbent = Some(2);
    vec![
        ended(baseline(0.010)),
        ended(judged(1, "architecture", &width("128"), (false, 0.0010, 0.12))),
        ended(judged(2, "architecture", &width("256"), (true, 0.0030, 0.004))),
        ended(judged(3, "activation", &silu, (false, -0.0040, 0.99))),
        ended(judged(4, "activation", &silu, (false, -0.0042, 0.99))),
        ended(judged(5, "activation", &silu, (false, -0.0041, 0.99))),
        ended(judged(6, "targets", &[change("targets.train_on", Some("all"), Some("[a]"))], (false, -0.0001, 0.5))),
        ended(crash),
        ended(close),
    ]
}

fn rendered(events: &[Event]) -> String {
    let history = History::from_events(events);
    render(&history, &evidence(&history))
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(heading).expect(heading) + heading.len();
    text[start..].split("\n## ").next().unwrap_or_default()
}

#[test]
fn every_section_says_what_the_ledger_says() {
    let text = rendered(&past());
    assert!(text.contains("After 8 trained trials: 1 kept, 6 discarded, 1 failed. Baseline: payout 0.0100 over 3 seeds. Incumbent: trial 2, change 2, payout 0.0130 over 3 seeds."), "{text}");
    assert!(
        section(&text, "## What works").contains(
            "- Kept, trial 2: change 2 (architecture): +0.0030 ± 0.0006, p 0.004; network[0].dense.width 64 → 256."
        ),
        "{text}"
    );
    assert!(section(&text, "## What works").contains("- Category architecture: 1 of 3 kept, 1 failed"), "{text}");
    assert!(
        section(&text, "## Confidently bad").contains("- Category activation: 0 of 3 kept, mean -0.0041"),
        "{text}"
    );
    assert!(
        section(&text, "## Confidently bad").contains("- `network[*].dense.activation` set to silu: 0 of 3 kept"),
        "{text}"
    );
    assert!(
        section(&text, "## Ambiguous")
            .contains("- Category targets: 0 of 1 kept, mean -0.0001 (-0.0013 to +0.0011); trials 6."),
        "{text}"
    );
    assert!(
        section(&text, "## Near misses").contains(
            "- Trial 8: change 8 (odds 8.5; +0.0008 ± 0.0006, p 0.090, 3 seeds); loss[0].pearson.weight 1.0 → 2.0."
        ),
        "{text}"
    );
    assert!(!section(&text, "## Near misses").contains("Trial 1:"), "its incumbent is gone: {text}");
    assert!(
        section(&text, "## Open questions")
            .contains("Trial 7 (change 7) ended in a crash, so its idea is untested: the loss is not a number"),
        "{text}"
    );
    assert!(section(&text, "## Open questions").contains("last 6 trained trials"), "{text}");
}

#[test]
fn a_demoted_keep_does_not_stand_under_what_works() {
    let mut events = past();
    events.push(Event::Remeasured { found: Box::new(remeasured(2, -0.0012, Some(0))) });
    events.push(ended(fallen(9, 0.011, 0.0007)));
    let text = rendered(&events);
    assert!(text.contains(": 0 kept, 1 kept and demoted since, 7 discarded, 1 failed."), "{text}");
    assert!(text.contains("Incumbent: trial 0, baseline, payout 0.0100 over 3 seeds."), "{text}");
    assert!(!section(&text, "## What works").contains("trial 2"), "{text}");
    let ambiguous = section(&text, "## Ambiguous");
    assert!(
        ambiguous.contains("- Kept at +0.0030, and demoted when measured again: -0.0012 ± 0.0008, p 0.900 on 2 fresh seeds: trial 2: change 2 (architecture); network[0].dense.width 64 → 256."),
        "{text}"
    );
    assert!(
        ambiguous.contains("- Category architecture: 0 of 3 kept, 1 kept and demoted since, 1 failed, mean "),
        "{text}"
    );
    let misses = section(&text, "## Near misses");
    assert!(misses.contains("- Trial 1: change 1 (odds 12; +0.0010 ± 0.0006"), "its incumbent is back: {text}");
    assert!(
        misses.contains("- Trial 9: change 9 (odds 5.1; +0.0007 ± 0.0006, p 0.900, 1 of 2 folds of seed 42)."),
        "{text}"
    );
    assert!(!text.contains("p 0.000") && !text.contains("seeds 0"), "{text}");
}

#[test]
fn what_is_confidently_bad_keeps_the_assumption_that_would_revive_it() {
    let mut events = past();
    let Event::TrialEnded { record } = &mut events[2] else { panic!("a trial ended") };
    record.proposal.spec = "network: [{ dense: { width: 8, activation: relu } }]\nloss: [mse]\n".into();
    for number in 9..12 {
        let dropout = [change("network[0].dense.dropout", Some("0.0"), Some("0.5"))];
        let mut record = judged(number, "regularization", &dropout, (false, -0.0040, 0.99));
        record.incumbent = Some(2);
        events.push(ended(record));
    }
    let text = rendered(&events);
    let bad = section(&text, "## Confidently bad");
    let line = bad.lines().find(|line| line.contains("dropout")).expect("it is bad");
    assert!(
        line.contains("All tried with 1 dense block, relu, mse, adamw, ") && line.ends_with("may revive it."),
        "{line}"
    );
    let silu = bad.lines().find(|line| line.contains("activation` set to silu")).expect("it is bad");
    assert!(!silu.contains("All tried with"), "a spec that cannot be read says nothing: {silu}");
}

#[test]
fn before_the_first_trial_the_file_is_whole_all_the_same() {
    let text = rendered(&[]);
    for heading in SECTIONS {
        assert_eq!(section(&text, heading).trim(), "Nothing yet.");
    }
    assert_eq!(accept("", &text), Ok(()));
}

#[test]
fn notes_are_kept_word_for_word() {
    let history = History::from_events(&past());
    let old = format!("# Learnings\n\nold\n\n{NOTE}");
    let new = update(&old, &history, &evidence(&history));
    assert!(new.ends_with(NOTE), "{new}");
    assert_eq!(update(&new, &history, &evidence(&history)), new, "a second time changes nothing");
    assert_eq!(accept(&old, &new), Ok(()));
}

#[test]
fn a_file_without_notes_gets_room_for_them() {
    let new = with_notes("# Learnings\n", "# Learnings\n\n## What works\n\nx\n");
    assert!(new.ends_with(NEW_NOTES), "{new}");
    assert_eq!(with_notes(&new, "# Learnings\n\n## What works\n\nx\n"), new);
}

#[test]
fn notes_that_a_model_wrote_or_misplaced_give_way_to_the_persons() {
    let old = format!("# Learnings\n\n{NOTE}");
    let new =
        with_notes(&old, "# Learnings\n\n## What works\n\nx\n\n## Notes by people\n\nforged\n\n## Ambiguous\n\ny\n");
    assert_eq!(new, format!("# Learnings\n\n## What works\n\nx\n\n## Ambiguous\n\ny\n\n{NOTE}"));
}

#[test]
fn what_is_refused() {
    let long: String = (0..40).map(|index| format!("- a fact with a number: {index}\n")).collect();
    let old = format!("# Learnings\n\n## What works\n\n{long}\n## Ambiguous\n\n{long}\n{NOTE}");
    let whole = |works: &str, ambiguous: &str| {
        format!("# Learnings\n\n## What works\n\n{works}\n## Ambiguous\n\n{ambiguous}\n{NOTE}")
    };
    let table: Vec<(String, Option<&str>, &str)> = vec![
        (old.clone(), None, "unchanged"),
        (whole(&long, "- new\n"), Some("shrank"), "half of it is gone"),
        (whole(&long, &long[..long.len() / 2]), None, "a little shorter"),
        (String::new(), Some("empty"), "nothing"),
        (NOTE.to_owned(), Some("empty"), "only notes"),
        (old.replace("# Learnings", "Here is the file:\n\n# Learnings"), Some("title line"), "words around it"),
        (format!("```markdown\n{old}```\n"), Some("title line"), "a fence around it"),
        (whole(&format!("{long}```\n"), &long), Some("not closed"), "cut off in a fence"),
        (old.replace("## Ambiguous", "## Unclear"), Some("`## Ambiguous` is missing"), "a section renamed"),
        (whole(&format!("{long}\n## Ambiguous\n\n"), &long), Some("comes twice"), "a section twice"),
        (old.replace("believe me", "do not believe me"), Some("belongs to people"), "notes changed"),
        (old.replace(NOTE, ""), Some("belongs to people"), "notes dropped"),
        (whole(&long, &long.repeat(40)), Some("synthesize"), "appended and appended"),
        (whole(&long, &format!("{long}\u{0}")), Some("U+0000"), "a control character"),
    ];
    for (new, wanted, why) in table {
        let found = accept(&old, &new);
        match wanted {
            None => assert_eq!(found, Ok(()), "{why}"),
            Some(wanted) => {
                let error = found.expect_err(why);
                assert!(error.contains(wanted), "{why}: {error}");
            }
        }
    }
    assert!(accept("", "# Learnings\n\nno sections\n").expect_err("no sections").contains("no sections"));
}

#[test]
fn it_stays_small_however_long_the_ledger_is() {
    let mut events = vec![ended(baseline(0.010))];
    for number in 1..=3000 {
        let path = format!("network[{}].dense.{}", number % 7, "knob".repeat(1 + number as usize % 40));
        let changes: Vec<_> =
            (0..20).map(|index| change(&format!("{path}{index}"), Some("1"), Some(&"9".repeat(300)))).collect();
        let kept = number % 9 == 0;
        let mut record = judged(number, &format!("category {}", number % 300), &changes, (kept, 0.001, 0.2));
        record.proposal.title = "a title that goes on ".repeat(50);
        record.incumbent = Some((number - 1) / 9 * 9);
        if number % 5 == 0 {
            record.verdict = Verdict::Crash;
            record.reason = "a reason that goes on ".repeat(100);
        }
        events.push(ended(record));
    }
    let text = rendered(&events);
    assert!(text.len() < MOST_BYTES, "{} bytes", text.len());
    assert!(text.len() > 4_000, "{} bytes: the lists are not empty", text.len());
    assert_eq!(accept(&text, &text), Ok(()));
}

proptest! {
    #[test]
    fn no_text_of_a_researcher_makes_a_heading_or_touches_notes(title in any::<String>(), reason in "(\n## [A-Z][a-z ]{1,12}|\n```|[a-z]{1,9}){0,9}", notes in "(\n|#{1,3} ?|[a-zé ]{1,9}|  ){0,20}") {
        let mut crash = trial(9, Verdict::Crash);
        crash.proposal.title = title;
        crash.reason = reason;
        let mut events = past();
        events.push(ended(crash));
        let history = History::from_events(&events);
        let old = format!("# Learnings\n\n{NOTES}\n{notes}");
        let new = update(&old, &history, &evidence(&history));
        let own = format!("{NOTES}\n{notes}");
        prop_assert!(new.ends_with(&own));
        let headings: Vec<&str> = split(&new).0.lines().filter(|line| line.starts_with('#')).collect();
        let wanted: Vec<&str> = std::iter::once("# Learnings").chain(SECTIONS).collect();
        prop_assert_eq!(headings, wanted);
    }
}
