//! Which phase the search is in, and when it moves on. Phases are data in autoresearch.yaml; here is the rule that
//! leads through them: the first at the start, the next after a plateau or after a phase's own number of trials, and
//! after the last what the configuration says. Within a phase it is a ladder: a row of failures widens what may be
//! proposed, a keep brings it back.

use super::history::History;
use super::near_miss::came_close;
use super::odds::Outlook;
use super::settings::{Breadth, PhaseSettings, WhenConverged};
use super::words::count;

/// After so many failures in a row a phase's breadth is one step wider, after twice as many two.
const FAILURES_A_STEP: usize = 3;
/// A phase stays itself: it is never wider by more steps.
const MOST_STEPS: usize = 2;

/// What to do before the next proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseMove {
    /// The phase goes on.
    Stay,
    /// Another begins.
    Enter {
        /// Its name.
        phase: String,
        /// Why, for the ledger: `session start`, `plateau: 15 discards in a row`, …
        why: String,
    },
    /// All phases are through, and the configuration says to stop then.
    Converged {
        /// Why.
        why: String,
    },
}

/// Decides whether the search moves on. `plateau` is the session's limit of discards in a row, for phases that have
/// none of their own; limits of 0 count as 1. Without any phase there is nowhere to go: [`PhaseMove::Stay`].
pub fn next_phase(
    history: &History,
    phases: &[PhaseSettings],
    plateau: u32,
    when_converged: WhenConverged,
) -> PhaseMove {
    let Some(first) = phases.first() else { return PhaseMove::Stay };
    let Some(current) = history.phase() else {
        return PhaseMove::Enter { phase: first.name.clone(), why: "session start".into() };
    };
    let Some(index) = phases.iter().position(|phase| phase.name == current) else {
        let why = format!("`{current}` is not among the phases of autoresearch.yaml any more");
        return PhaseMove::Enter { phase: first.name.clone(), why };
    };
    let Some(why) = end_of_phase(history, &phases[index], plateau) else { return PhaseMove::Stay };
    match (phases.get(index + 1), when_converged) {
        (Some(next), _) => PhaseMove::Enter { phase: next.name.clone(), why },
        (None, WhenConverged::Continue) => PhaseMove::Enter {
            phase: first.name.clone(),
            why: format!("{why}; all phases are through, from the first again"),
        },
        (None, WhenConverged::Stop) => {
            PhaseMove::Converged { why: format!("{why} in the last phase, `{current}`: the search has converged") }
        }
    }
}

/// What the researcher is told once a plateau is reached: nothing has been kept for as many trials as the current
/// phase's limit (or the session's). None before that.
pub fn plateau_hint(history: &History, phases: &[PhaseSettings], plateau: u32) -> Option<String> {
    let limit = phases
        .iter()
        .find(|phase| history.phase() == Some(&phase.name))
        .and_then(|phase| phase.plateau)
        .unwrap_or(plateau)
        .max(1);
    let count = history.trained_since_keep();
    (count >= limit).then(|| {
        let incumbent = history.incumbent().map_or_else(String::new, |record| format!(" Trial {} still stands.", record.trial));
        format!(
            "Plateau: the last {count} trained trials were not kept.{incumbent} More of the same will hardly help: leave the neighbourhood of what was tried, question what every trial so far had in common, or combine near misses."
        )
    })
}

/// How far proposals may go now, and why it is further than the phase says; None while it is not.
///
/// Trained trials of the phase since it was entered count, the latest ones in a row that failed: discards that did not come
/// close ([`came_close`]), crashes and time-outs. Three of them widen the breadth by one step (narrow, focused, combined,
/// wide), six by two; a keep brings it back, and a near miss as well, for it says that the search is on to something.
pub fn breadth_now(history: &History, phase: &PhaseSettings) -> (Breadth, Option<String>) {
    let as_it_is = (phase.breadth, None);
    let row = history.discards_in_a_row() as usize;
    if history.phase() != Some(&phase.name) || row < FAILURES_A_STEP {
        return as_it_is;
    }
    let outlook = Outlook::of(history);
    let close = |record| outlook.as_ref().is_some_and(|outlook| came_close(record, history, outlook));
    let trained = history.records().rev().filter(|record| record.verdict.was_trained()).take(row);
    // More than widen it as far as it goes need not be counted.
    let failures = trained.take(FAILURES_A_STEP * MOST_STEPS).take_while(|record| !close(record)).count();
    let now = phase.breadth.widened(failures / FAILURES_A_STEP);
    if now == phase.breadth {
        return as_it_is;
    }
    let why = format!(
        "the last {failures} trained trials of `{}` failed without coming close: {} in place of {}, until something is kept",
        phase.name,
        now.word(),
        phase.breadth.word()
    );
    (now, Some(why))
}

fn end_of_phase(history: &History, phase: &PhaseSettings, plateau: u32) -> Option<String> {
    let limit = phase.plateau.unwrap_or(plateau).max(1);
    if history.discards_in_a_row() >= limit {
        return Some(format!("plateau: {} in a row", count(history.discards_in_a_row() as usize, "discard")));
    }
    let most = phase.trials?.max(1);
    let trained = history.trained_in_phase();
    (trained >= most).then(|| format!("{} in `{}`", count(trained as usize, "trial"), phase.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::event::Event;
    use crate::research::sample::{baseline, ended, entered, judged, trial};
    use crate::research::trial::Verdict::{self, Blocked, Crash, Discard, Duplicate, Invalid, Keep, Timeout};

    fn phase(name: &str, trials: Option<u32>, plateau: Option<u32>) -> PhaseSettings {
        PhaseSettings { trials, plateau, ..PhaseSettings::new(name, Breadth::Focused) }
    }

    fn enter(phase: &str, why: &str) -> PhaseMove {
        PhaseMove::Enter { phase: phase.into(), why: why.into() }
    }

    /// A baseline, then a phase, then verdicts in it.
    fn past(phase: Option<&str>, verdicts: &[Verdict]) -> History {
        let mut events: Vec<Event> = vec![ended(baseline(0.01))];
        events.extend(phase.map(entered));
        for (number, verdict) in (1..).zip(verdicts) {
            let mut record = trial(number, *verdict);
            record.phase = phase.unwrap_or_default().into();
            events.push(ended(record));
        }
        History::from_events(&events)
    }

    /// Current phase, verdicts in it, what happens at the end, what is expected, why.
    type Row = (Option<&'static str>, Vec<Verdict>, WhenConverged, PhaseMove, &'static str);

    #[test]
    fn the_search_moves_through_its_phases() {
        use WhenConverged::{Continue, Stop};
        let plain =
            vec![phase("explore", Some(5), None), phase("combine", None, Some(2)), phase("exploit", None, None)];
        let table: Vec<Row> = vec![
            (None, vec![], Stop, enter("explore", "session start"), "the first phase at the start"),
            (Some("explore"), vec![], Stop, PhaseMove::Stay, "nothing has happened in it yet"),
            (Some("explore"), vec![Discard; 2], Stop, PhaseMove::Stay, "below the session's plateau of 3"),
            (
                Some("explore"),
                vec![Discard; 3],
                Stop,
                enter("combine", "plateau: 3 discards in a row"),
                "the session's plateau",
            ),
            (
                Some("explore"),
                vec![Crash; 3],
                Stop,
                enter("combine", "plateau: 3 discards in a row"),
                "a crash was trained and not kept",
            ),
            (
                Some("explore"),
                vec![Invalid, Blocked, Discard, Discard],
                Stop,
                PhaseMove::Stay,
                "what was not trained does not count",
            ),
            (Some("explore"), vec![Discard, Discard, Keep, Discard], Stop, PhaseMove::Stay, "a keep resets the count"),
            (
                Some("explore"),
                vec![Discard, Discard, Keep, Discard, Discard],
                Stop,
                enter("combine", "5 trials in `explore`"),
                "the phase's own number of trials",
            ),
            (
                Some("explore"),
                vec![Keep; 5],
                Stop,
                enter("combine", "5 trials in `explore`"),
                "it ends a phase that goes well too",
            ),
            (Some("combine"), vec![Discard], Stop, PhaseMove::Stay, "below its own plateau of 2"),
            (
                Some("combine"),
                vec![Discard; 2],
                Stop,
                enter("exploit", "plateau: 2 discards in a row"),
                "its own plateau, not the session's",
            ),
            (Some("combine"), vec![Keep; 40], Stop, PhaseMove::Stay, "no number of trials: only a plateau ends it"),
            (
                Some("exploit"),
                vec![Discard; 3],
                Stop,
                PhaseMove::Converged {
                    why: "plateau: 3 discards in a row in the last phase, `exploit`: the search has converged".into(),
                },
                "after the last phase it stops, if told to",
            ),
            (
                Some("exploit"),
                vec![Discard; 3],
                Continue,
                enter("explore", "plateau: 3 discards in a row; all phases are through, from the first again"),
                "or it begins again",
            ),
            (
                Some("renamed"),
                vec![Discard],
                Stop,
                enter("explore", "`renamed` is not among the phases of autoresearch.yaml any more"),
                "a person took the phase out of the configuration",
            ),
        ];
        for (current, verdicts, when, wanted, why) in table {
            assert_eq!(next_phase(&past(current, &verdicts), &plain, 3, when), wanted, "{why}");
        }
    }

    #[test]
    fn limits_of_nothing() {
        assert_eq!(next_phase(&past(None, &[]), &[], 3, WhenConverged::Stop), PhaseMove::Stay, "no phases");
        let one = [phase("only", Some(0), Some(0))];
        assert_eq!(
            next_phase(&past(Some("only"), &[]), &one, 0, WhenConverged::Continue),
            PhaseMove::Stay,
            "0 counts as 1"
        );
        assert!(matches!(
            next_phase(&past(Some("only"), &[Keep]), &one, 0, WhenConverged::Continue),
            PhaseMove::Enter { .. }
        ));
    }

    #[test]
    fn entering_a_phase_gives_it_its_own_room() {
        let phases = [phase("explore", None, None), phase("combine", None, None)];
        let mut history = past(Some("explore"), &[Discard; 3]);
        assert!(matches!(next_phase(&history, &phases, 3, WhenConverged::Stop), PhaseMove::Enter { .. }));
        history.apply(&entered("combine"));
        assert_eq!(next_phase(&history, &phases, 3, WhenConverged::Stop), PhaseMove::Stay);
    }

    /// Verdicts in the phase, its own breadth, what it is then, why.
    #[test]
    fn a_row_of_failures_widens_a_phase() {
        use Breadth::{Combined, Focused, Narrow, Wide};
        let table: Vec<(Vec<Verdict>, Breadth, Breadth, &str)> = vec![
            (vec![], Narrow, Narrow, "nothing has happened"),
            (vec![Discard; 2], Narrow, Narrow, "two are no row"),
            (vec![Discard, Crash, Timeout], Narrow, Focused, "three failures, whatever kind"),
            (
                vec![Discard, Invalid, Discard, Blocked, Duplicate],
                Narrow,
                Narrow,
                "what was not trained does not count",
            ),
            (vec![Discard; 5], Narrow, Focused, "still one step"),
            (vec![Discard; 6], Narrow, Combined, "two steps"),
            (vec![Discard; 40], Narrow, Combined, "and never more"),
            (vec![Discard; 6], Focused, Wide, "from where the phase begins"),
            (vec![Discard; 6], Combined, Wide, "as far as there is anything wider"),
            (vec![Discard; 6], Wide, Wide, "nothing is wider"),
            (vec![Discard, Discard, Discard, Keep], Narrow, Narrow, "a keep brings it back"),
            (vec![Discard, Discard, Keep, Discard, Discard], Narrow, Narrow, "and the count begins anew"),
        ];
        for (verdicts, own, wanted, why) in table {
            let phase = PhaseSettings { breadth: own, ..phase("exploit", None, None) };
            let (found, said) = breadth_now(&past(Some("exploit"), &verdicts), &phase);
            assert_eq!(found, wanted, "{why}");
            assert_eq!(said.is_some(), found != own, "{why}: {said:?}");
        }
        let phase = PhaseSettings { breadth: Narrow, ..phase("exploit", None, None) };
        assert_eq!(breadth_now(&past(Some("another"), &[Discard; 6]), &phase), (Narrow, None), "not its own trials");
        let (_, said) = breadth_now(&past(Some("exploit"), &[Discard; 4]), &phase);
        let wanted = "the last 4 trained trials of `exploit` failed without coming close: focused in place of narrow";
        assert!(said.as_ref().is_some_and(|said| said.starts_with(wanted)), "{said:?}");
    }

    #[test]
    fn a_near_miss_is_no_failure_and_a_phase_counts_its_own() {
        let narrow = PhaseSettings { breadth: Breadth::Narrow, ..phase("explore", None, None) };
        let mut history = past(Some("explore"), &[Discard; 4]);
        assert_eq!(breadth_now(&history, &narrow).0, Breadth::Focused);
        history.apply(&ended(judged(5, "loss", &[], (false, 0.002, 0.02))));
        assert_eq!(breadth_now(&history, &narrow).0, Breadth::Narrow, "it came close");
        for number in 6..9 {
            history.apply(&ended(trial(number, Discard)));
        }
        assert_eq!(breadth_now(&history, &narrow).0, Breadth::Focused, "three since");
        history.apply(&entered("explore"));
        assert_eq!(breadth_now(&history, &narrow).0, Breadth::Narrow, "entered anew");
    }

    #[test]
    fn the_researcher_hears_of_a_plateau_and_across_phases() {
        let phases = [phase("explore", None, None), phase("combine", None, None)];
        let mut history = past(Some("explore"), &[Discard; 2]);
        assert_eq!(plateau_hint(&history, &phases, 3), None);
        history.apply(&ended(trial(3, Discard)));
        history.apply(&entered("combine"));
        let hint = plateau_hint(&history, &phases, 3).expect("three trials without a keep");
        assert!(hint.contains("last 3 trained trials") && hint.contains("Trial 0 still stands"), "{hint}");
        history.apply(&ended(trial(4, Keep)));
        assert_eq!(plateau_hint(&history, &phases, 3), None, "a keep ends it");
    }
}
