//! What events add up to.

use proptest::prelude::*;

use super::*;
use crate::research::round::{Refused, Round};
use crate::research::sample::{baseline, ended, entered, trial};
use crate::research::trial::Origin;

fn started(number: u32) -> Event {
    Event::TrialStarted { trial: number, title: "t".into(), spec_hash: "h".into() }
}

#[test]
fn an_empty_ledger_knows_nothing() {
    let history = History::from_events(&[]);
    assert_eq!(history.next_trial(), 0);
    assert!(history.baseline().is_none() && history.incumbent().is_none() && history.phase().is_none());
    assert_eq!((history.trained(), history.discards_in_a_row()), (0, 0));
    assert!(history.verdict_counts().is_empty());
}

#[test]
fn a_session_adds_up() {
    let history = History::from_events(&[
        ended(baseline(0.010)),
        entered("explore"),
        ended(trial(1, Verdict::Discard)),
        ended(trial(2, Verdict::Blocked)),
        ended(trial(3, Verdict::Keep)),
        ended(trial(4, Verdict::Crash)),
        ended(trial(5, Verdict::Duplicate)),
        ended(trial(6, Verdict::Timeout)),
    ]);
    assert_eq!(history.baseline().map(|record| record.trial), Some(0));
    assert_eq!(history.incumbent().map(|record| record.trial), Some(3));
    assert_eq!(history.next_trial(), 7);
    assert_eq!(history.trained(), 4, "the baseline is not counted, nor what was never trained");
    assert_eq!(history.trained_in_phase(), 4);
    assert_eq!(history.discards_in_a_row(), 2, "a crash and a time-out after the keep");
    assert_eq!(history.verdict_counts().get(&Verdict::Keep), Some(&2));
    assert_eq!(history.verdict_counts().values().sum::<u32>(), 7);
    assert_eq!(history.trial(4).map(|record| record.verdict), Some(Verdict::Crash));
    assert!(history.trial(9).is_none());
}

#[test]
fn only_what_was_trained_has_been_tried() {
    let history = History::from_events(&[
        ended(trial(1, Verdict::Blocked)),
        ended(trial(2, Verdict::Discard)),
        ended({
            let mut again = trial(3, Verdict::Duplicate);
            again.spec_hash = trial(2, Verdict::Discard).spec_hash;
            again
        }),
    ]);
    let hash = |number| trial(number, Verdict::Discard).spec_hash.expect("samples have hashes");
    assert_eq!(history.find_spec(&hash(1)), None, "a rule may be lifted: blocked is not tried");
    assert_eq!(history.find_spec(&hash(2)), Some(2));
}

#[test]
fn a_phase_starts_its_counts_anew() {
    let mut history = History::from_events(&[
        ended(baseline(0.010)),
        entered("explore"),
        ended(trial(1, Verdict::Discard)),
        ended(trial(2, Verdict::Discard)),
    ]);
    history.apply(&entered("combine"));
    assert_eq!((history.trained_in_phase(), history.discards_in_a_row()), (0, 0));
    assert_eq!(history.trained_since_keep(), 2, "this one goes on over phases");
    assert_eq!(history.phase(), Some("combine"));
}

#[test]
fn phases_are_known_from_records_alone() {
    let mut late = trial(2, Verdict::Discard);
    late.phase = "combine".into();
    let history = History::from_events(&[ended(baseline(0.01)), ended(trial(1, Verdict::Discard)), ended(late)]);
    assert_eq!(history.phase(), Some("combine"));
    assert_eq!(history.trained_in_phase(), 1);
}

#[test]
fn a_number_in_flight_is_free_again_after_recovery() {
    let mut history = History::from_events(&[ended(baseline(0.01)), started(1)]);
    assert_eq!(history.in_flight().map(|flight| flight.trial), Some(1));
    assert_eq!(history.next_trial(), 1);
    history.apply(&Event::Recovered { what: "trial 1 was cut off".into() });
    assert!(history.in_flight().is_none());
    history.apply(&started(1));
    history.apply(&ended(trial(1, Verdict::Keep)));
    assert!(history.in_flight().is_none());
    assert_eq!(history.next_trial(), 2);
}

#[test]
fn every_call_is_paid_for() {
    let usage = Usage { input_tokens: 100, output_tokens: 10, cost_usd: 0.5, seconds: 2.0 };
    let mut proposed = trial(1, Verdict::Invalid);
    proposed.proposal.usage = usage;
    let history = History::from_events(&[
        ended(proposed),
        Event::TokensSpent { purpose: "synthesis".into(), researcher: None, usage },
        Event::ResearcherFailed { researcher: "openai".into(), error: "429".into(), usage },
    ]);
    let total = history.usage();
    assert_eq!((total.input_tokens, total.output_tokens), (300, 30));
    assert!((total.cost_usd - 1.5).abs() < 1e-12 && (total.seconds - 6.0).abs() < 1e-12);
}

#[test]
fn the_same_end_twice_counts_once() {
    let events = [ended(baseline(0.01)), ended(trial(1, Verdict::Discard)), ended(trial(1, Verdict::Discard))];
    let history = History::from_events(&events);
    assert_eq!((history.trained(), history.discards_in_a_row(), history.trials().len()), (1, 1, 2));
}

fn candidate(spec_hash: &str, tokens: u64) -> Candidate {
    let mut proposal = trial(1, Verdict::Discard).proposal;
    proposal.usage = Usage { input_tokens: tokens, ..Usage::default() };
    Candidate { proposal, spec_hash: spec_hash.into() }
}

/// A round of candidates that cost 100 tokens each, and one that was refused for 50.
fn proposed(round: u32, against: u32, hashes: &[&str]) -> Event {
    let candidates: Vec<Candidate> = hashes.iter().map(|hash| candidate(hash, 100)).collect();
    let refused = vec![Refused { title: "one too many".into(), verdict: Verdict::Duplicate, why: "known".into() }];
    let usage = Usage { input_tokens: 100 * hashes.len() as u64 + 50, ..Usage::default() };
    let (researcher, phase) = ("openai".into(), "explore".into());
    Event::RoundProposed { round: Round { round, researcher, against, phase, candidates, refused, usage } }
}

/// A trial of a candidate, with its share of the round's cost.
fn tried(number: u32, (round, hash): (u32, &str), against: u32) -> Event {
    let mut record = trial(number, Verdict::Discard);
    record.proposal = candidate(hash, 100).proposal;
    record.origin = Some(Origin { round, spec_hash: hash.into(), against });
    ended(record)
}

fn waiting(history: &History) -> Vec<(u32, &str)> {
    history.waiting().iter().map(|waiting| (waiting.round, waiting.candidate.spec_hash.as_str())).collect()
}

#[test]
fn a_rounds_candidates_wait_until_they_are_tried_or_dropped() {
    let mut history = History::from_events(&[ended(baseline(0.01)), proposed(1, 0, &["a", "b", "c"])]);
    assert_eq!(waiting(&history), [(1, "a"), (1, "b"), (1, "c")]);
    assert_eq!(history.waiting()[0].against, 0);
    history.apply(&tried(1, (1, "b"), 0));
    assert_eq!(waiting(&history), [(1, "a"), (1, "c")], "by where it came from, not by its place");
    // Put onto another incumbent it has another hash; where it came from stays.
    let Event::TrialEnded { mut record } = tried(2, (1, "c"), 0) else { panic!("a trial ended") };
    (record.spec_hash, record.incumbent) = (Some("c on the new one".into()), Some(1));
    history.apply(&Event::TrialEnded { record });
    assert_eq!(waiting(&history), [(1, "a")]);
    history.apply(&proposed(2, 1, &["a"]));
    let dropped = Event::CandidateDropped { round: 2, spec_hash: "a".into(), title: "t".into(), why: "w".into() };
    history.apply(&dropped);
    assert_eq!(waiting(&history), [(1, "a")], "the same model of another round");
    history.apply(&dropped);
    assert_eq!(waiting(&history), [(1, "a")], "dropped twice is dropped once");
    history.apply(&ended(trial(3, Verdict::Discard)));
    assert_eq!(waiting(&history), [(1, "a")], "a trial of nobody's round");
    history.apply(&tried(4, (1, "a"), 0));
    assert!(waiting(&history).is_empty());
    assert_eq!(history.rounds(), 2);
}

#[test]
fn a_round_is_paid_for_once() {
    let round = [ended(baseline(0.01)), proposed(1, 0, &["a", "b"])];
    let mut history = History::from_events(&round);
    assert_eq!(history.usage().input_tokens, 250, "with what was refused");
    history.apply(&tried(1, (1, "a"), 0));
    history.apply(&tried(2, (1, "b"), 0));
    assert_eq!(history.usage().input_tokens, 250, "its candidates carry shares of it");
    let mut alone = trial(3, Verdict::Discard);
    alone.proposal.usage.input_tokens = 7;
    history.apply(&ended(alone));
    assert_eq!(history.usage().input_tokens, 257, "one that was asked for alone pays for itself");
}

/// A ledger that was retold from the trials' records has no rounds; their shares are what is left of the cost.
#[test]
fn of_records_alone_rounds_go_on_where_they_were_and_shares_count() {
    let history = History::from_events(&[ended(baseline(0.01)), tried(1, (6, "a"), 0), tried(2, (7, "b"), 0)]);
    assert_eq!((history.rounds(), history.usage().input_tokens), (7, 200));
}

#[test]
fn hints_are_in_force_for_a_while() {
    let hint = |number: u32| Event::Hinted { text: format!("hint {number}") };
    let texts = |history: &History| history.hints_in_force().map(|hint| hint.text.clone()).collect::<Vec<_>>();
    let mut history = History::from_events(&[hint(0), ended(baseline(0.01)), hint(1)]);
    assert_eq!(texts(&history), ["hint 0", "hint 1"]);
    assert_eq!(history.hints()[1].after_trial, Some(0));
    for number in 1..30 {
        history.apply(&ended(trial(number, Verdict::Discard)));
    }
    assert_eq!(texts(&history), ["hint 1"], "29 trials later; the first came before the baseline");
    history.apply(&ended(trial(30, Verdict::Discard)));
    assert!(texts(&history).is_empty());
    (2..20).for_each(|number| history.apply(&hint(number)));
    assert_eq!((texts(&history).len(), texts(&history)[0].as_str()), (10, "hint 10"), "the latest ten");
    assert_eq!(history.hints().len(), 20, "none is forgotten");
}

proptest! {
    /// Counted here the slow way, from the list of verdicts.
    #[test]
    fn counts_agree_with_a_recount(verdicts in prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 0..40)) {
        let mut events = vec![ended(baseline(0.01))];
        events.extend((1u32..).zip(&verdicts).map(|(number, verdict)| ended(trial(number, *verdict))));
        let history = History::from_events(&events);
        let trained: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.was_trained()).collect();
        let row = trained.iter().rev().take_while(|verdict| ***verdict != Verdict::Keep).count();
        prop_assert_eq!(history.trained() as usize, trained.len());
        prop_assert_eq!(history.discards_in_a_row() as usize, row);
        prop_assert_eq!(history.next_trial() as usize, verdicts.len() + 1);
        let last_keep = verdicts.iter().rposition(|verdict| *verdict == Verdict::Keep).map_or(0, |index| index as u32 + 1);
        prop_assert_eq!(history.incumbent().map(|record| record.trial), Some(last_keep));
    }
}
