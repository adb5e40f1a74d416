//! learnings.md: what the trials so far teach, synthesized anew each time and never appended to, so that it stays short
//! enough to be read before every proposal. Here by template from the counted evidence; a language model's version has
//! to pass [`accept`]. What people write under [`NOTES`] is theirs: it is carried over word for word, always.

use std::fmt::Write as _;

use super::assumptions::Assumptions;
use super::effect::Effect;
use super::evidence::{CategoryEvidence, Evidence, KnobEvidence, Standing};
use super::foreign::one_line;
use super::history::History;
use super::near_miss::near_misses;
use super::trial::{TrialRecord, Verdict};
use super::words;

/// The synthesized sections, in their order.
pub const SECTIONS: [&str; 5] =
    ["## What works", "## Confidently bad", "## Ambiguous", "## Near misses", "## Open questions"];

/// The heading of the section that belongs to people. It comes last: everything from it to the file's end is theirs.
pub const NOTES: &str = "## Notes by people";

/// The synthesized part is never larger, in bytes.
pub const MOST_BYTES: usize = 24_000;

/// An answer that keeps less than this share of the old synthesized part has lost something.
const LEAST_SHARE: f64 = 0.6;

/// An old part with less text than this, in characters without white space, may shrink as it likes.
const SMALL: usize = 600;

const NEW_NOTES: &str = "## Notes by people\n\nWhat stands below this heading is kept as it is.\n";

/// Synthesizes the file without its notes; put them back with [`with_notes`], or use [`update`].
pub fn render(history: &History, evidence: &Evidence) -> String {
    let mut text = String::from("# Learnings\n\n");
    let mut lists = [
        works(history, evidence),
        bad(history, evidence),
        ambiguous(history, evidence),
        misses(history),
        questions(history, evidence),
    ];
    text.push_str(&summary(history));
    for (heading, entries) in SECTIONS.iter().zip(&mut lists) {
        if entries.is_empty() {
            entries.push("Nothing yet.".into());
        }
        // Writing into a string does not fail.
        let _ = write!(text, "\n{heading}\n\n{}\n", entries.join("\n"));
    }
    text
}

/// The new learnings.md by template: synthesized anew, with the old file's notes.
pub fn update(old: &str, history: &History, evidence: &Evidence) -> String {
    with_notes(old, &render(history, evidence))
}

/// `new` with the notes of `old` at its end, word for word, in place of any notes of its own. A file that never had
/// notes gets an empty section for them.
pub fn with_notes(old: &str, new: &str) -> String {
    let (before, own) = split(new);
    // Synthesized sections that stand behind a notes heading in the new text are not notes.
    let behind = own
        .lines()
        .position(is_section)
        .map_or_else(String::new, |first| own.lines().skip(first).map(|line| format!("{line}\n")).collect::<String>());
    let mut text = before.trim_end().to_owned();
    text.push_str("\n\n");
    if !behind.trim().is_empty() {
        text.push_str(behind.trim_end());
        text.push_str("\n\n");
    }
    let notes = split(old).1;
    text.push_str(if notes.is_empty() { NEW_NOTES } else { notes });
    text
}

/// Whether a language model's new learnings.md may replace the old one. Put the notes back first ([`with_notes`]).
///
/// # Errors
/// What is wrong with it: empty, malformed, a section missing or double, over the size, shrunk to a fraction, notes
/// touched.
pub fn accept(old: &str, new: &str) -> Result<(), String> {
    let ((old_part, old_notes), (part, notes)) = (split(old), split(new));
    if part.trim().is_empty() {
        return Err("it is empty".into());
    }
    if part.len() > MOST_BYTES {
        return Err(format!("it has {} bytes where {MOST_BYTES} are allowed: synthesize, do not append", part.len()));
    }
    if let Some(odd) = new.chars().find(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
    {
        return Err(format!("it holds the control character U+{:04X}", u32::from(odd)));
    }
    if !part.trim_start().starts_with("# ") {
        return Err("it does not begin with a title line (`# Learnings`): answer with the file itself, without a fence or words around it".into());
    }
    if part.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1 {
        return Err("a code fence (```) is not closed: the answer was probably cut off".into());
    }
    let headings = |text: &str| {
        text.lines().map(str::trim_end).filter(|line| line.starts_with("## ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let found = headings(part);
    if let Some(missing) = headings(old_part).iter().find(|heading| !found.contains(heading)) {
        return Err(format!("the section `{missing}` is missing"));
    }
    if found.is_empty() {
        return Err(format!("it has no sections: {} are expected", SECTIONS.join(", ")));
    }
    if let Some((_, double)) = found.iter().enumerate().find(|(index, heading)| found[..*index].contains(heading)) {
        return Err(format!("the section `{double}` comes twice"));
    }
    if !old_notes.is_empty() && old_notes.trim_end() != notes.trim_end() {
        return Err(format!("the section `{NOTES}` was changed; it belongs to people"));
    }
    let size = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
    let (before, after) = (size(old_part), size(part));
    if before > SMALL && (after as f64) < LEAST_SHARE * before as f64 {
        return Err(format!("it shrank from {before} to {after} characters: what was learned must not get lost"));
    }
    Ok(())
}

/// The synthesized part and the notes; these from their heading to the end, empty where there are none.
fn split(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == NOTES {
            return text.split_at(at);
        }
        at += line.len();
    }
    (text, "")
}

fn is_section(line: &str) -> bool {
    SECTIONS.contains(&line.trim_end())
}

fn summary(history: &History) -> String {
    let (Some(baseline), Some(incumbent)) = (history.baseline(), history.incumbent()) else {
        return "No baseline has been measured yet.\n".into();
    };
    let payout = |record: &TrialRecord| {
        history.payout(record.trial).map_or_else(
            || "unknown".into(),
            |(payout, seeds)| format!("{payout:.4} over {}", words::count(seeds, "seed")),
        )
    };
    let counts = history.verdict_counts();
    let count = |verdict| counts.get(&verdict).copied().unwrap_or_default();
    let kept = history.trials().iter().filter(|record| history.stands(record)).count();
    let demoted = match demoted(history).count() {
        0 => String::new(),
        count => format!(", {count} kept and demoted since"),
    };
    format!(
        "After {} trained trials: {kept} kept{demoted}, {} discarded, {} failed. Baseline: payout {}. Incumbent: trial {}, {}, payout {}.\n",
        history.trained(),
        count(Verdict::Discard),
        count(Verdict::Crash) + count(Verdict::Timeout),
        payout(baseline),
        incumbent.trial,
        title(incumbent),
        payout(incumbent),
    )
}

/// Keeps that did not stand when they were measured again, oldest first.
pub fn demoted(history: &History) -> impl DoubleEndedIterator<Item = &TrialRecord> {
    history.records().filter(|record| history.is_demoted(record.trial))
}

/// A keep that did not stand, in a line: what it was kept for, and what was left of it.
pub fn demotion(record: &TrialRecord, history: &History) -> String {
    let by = record.judgement.as_ref().map_or_else(String::new, |judged| format!(" at {:+.4}", judged.delta));
    let found = Effect::of(record, history).filter(|found| found.fresh).map_or_else(String::new, |found| {
        let seeds = history.remeasurement(record.trial).map_or(0, |again| again.seeds.len());
        format!(": {} on {}", effect(&found), words::count(seeds, "fresh seed"))
    });
    format!("- Kept{by}, and demoted when measured again{found}: trial {}: {}", record.trial, title(record))
}

/// `+0.0030 ± 0.0006, p 0.004`
fn effect(found: &Effect) -> String {
    format!("{:+.4} ± {:.4}, {}", found.delta, found.standard_error, words::p_value(found.p_value))
}

fn ambiguous(history: &History, evidence: &Evidence) -> Vec<String> {
    let mut entries: Vec<String> = demoted(history)
        .rev()
        .take(6)
        .map(|record| format!("{} ({}){}", demotion(record, history), category(record), changes(record)))
        .collect();
    entries.extend(standing(evidence, Standing::Ambiguous, 14));
    entries
}

fn works(history: &History, evidence: &Evidence) -> Vec<String> {
    let kept: Vec<&TrialRecord> = history.records().filter(|record| history.stands(record)).collect();
    let mut entries: Vec<String> = kept
        .iter()
        .rev()
        .take(12)
        .map(|record| {
            let judged = Effect::of(record, history).map_or_else(String::new, |found| {
                format!(": {}{}", effect(&found), if found.fresh { " on fresh seeds" } else { "" })
            });
            format!(
                "- Kept, trial {}: {} ({}){judged}{}",
                record.trial,
                title(record),
                category(record),
                changes(record)
            )
        })
        .collect();
    if kept.len() > entries.len() {
        entries.push(format!("- … and {} earlier keeps.", kept.len() - entries.len()));
    }
    entries.extend(standing(evidence, Standing::Promising, 10));
    entries
}

/// What always lost, and what all of its tries took for granted: where that falls, it may be revived.
fn bad(history: &History, evidence: &Evidence) -> Vec<String> {
    let mut assumptions = Assumptions::new(history);
    let mut add = |line: String, trials: &[u32]| match assumptions.of(trials) {
        Some(held) => format!("{line} All tried with {}: another of these may revive it.", one_line(&held, 160)),
        None => line,
    };
    standing_with(evidence, Standing::ConfidentlyBad, 14, &mut add)
}

/// Categories and knobs of one standing, what was tried most first.
fn standing(evidence: &Evidence, standing: Standing, most: usize) -> Vec<String> {
    standing_with(evidence, standing, most, &mut |line, _| line)
}

/// The same, with what `add` makes of each line and its trials.
fn standing_with(
    evidence: &Evidence,
    standing: Standing,
    most: usize,
    add: &mut dyn FnMut(String, &[u32]) -> String,
) -> Vec<String> {
    let categories = evidence.categories.iter().filter(|found| found.standing == standing);
    let mut entries: Vec<String> =
        categories.take(most / 2).map(|found| add(category_line(found), &found.trials)).collect();
    // One try of a knob says nothing, unless it was kept.
    let knobs = evidence.knobs.iter().filter(|found| found.standing == standing && (found.tries > 1 || found.kept > 0));
    entries.extend(knobs.take(most - entries.len()).map(|found| add(knob_line(found), &found.trials)));
    entries
}

fn category_line(found: &CategoryEvidence) -> String {
    let name = format!("Category {}", found.category);
    let counts = Counts {
        tries: found.tries,
        kept: found.kept,
        demoted: found.demoted,
        failed: found.failed,
        measured: found.measured,
    };
    line(&name, &counts, (found.mean_delta, found.best_delta, found.interval), &found.trials)
}

fn knob_line(found: &KnobEvidence) -> String {
    let name = format!("`{}` {}", one_line(&found.path, 80), one_line(&found.aim, 60));
    let counts = Counts {
        tries: found.tries,
        kept: found.kept,
        demoted: found.demoted,
        failed: found.failed,
        measured: found.measured,
    };
    line(&name, &counts, (found.mean_delta, found.best_delta, found.interval), &found.trials)
}

type Deltas = (Option<f64>, Option<f64>, Option<(f64, f64)>);

struct Counts {
    tries: u32,
    kept: u32,
    demoted: u32,
    failed: u32,
    measured: u32,
}

fn line(name: &str, counts: &Counts, (mean, best, interval): Deltas, trials: &[u32]) -> String {
    let Counts { tries, kept, demoted, failed, measured } = *counts;
    let mut text = format!("- {name}: {kept} of {tries} kept");
    if demoted > 0 {
        let _ = write!(text, ", {demoted} kept and demoted since");
    }
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if let (Some(mean), Some(best), Some((low, high))) = (mean, best, interval) {
        let _ = write!(text, ", mean {mean:+.4} ({low:+.4} to {high:+.4})");
        if measured > 1 {
            let _ = write!(text, ", best likely {best:+.4}");
        }
    }
    let _ = write!(text, "; trials {}.", numbers(trials));
    text
}

fn misses(history: &History) -> Vec<String> {
    near_misses(history, 8)
        .iter()
        .map(|miss| {
            let record = history.trial(miss.trial);
            let now = history.incumbent().map(|incumbent| incumbent.trial);
            let earlier = now != Some(miss.against) && !miss.demoted;
            let against = if earlier { format!(", against trial {}", miss.against) } else { String::new() };
            format!(
                "- Trial {}: {} ({}; {:+.4} ± {:.4}, {}, {}{against}{}){}",
                miss.trial,
                one_line(&miss.title, 100),
                words::odds(miss.odds),
                miss.delta,
                miss.standard_error,
                words::p_value(miss.p_value),
                miss.over,
                if miss.demoted { "; kept once, and demoted" } else { "" },
                record.map_or_else(String::new, changes)
            )
        })
        .collect()
}

fn questions(history: &History, evidence: &Evidence) -> Vec<String> {
    let mut entries = Vec::new();
    let close: Vec<u32> = near_misses(history, 4).iter().map(|miss| miss.trial).collect();
    if close.len() > 1 {
        entries.push(format!("- Do the near misses of trials {} add up, if they are tried together?", numbers(&close)));
    }
    let few: Vec<String> = evidence
        .categories
        .iter()
        .filter(|found| found.tries < 3)
        .take(8)
        .map(|found| format!("{} ({})", found.category, found.tries))
        .collect();
    if !few.is_empty() {
        // A knob may have been moved more often, in trials of another category.
        entries.push(format!("- Categories with fewer than three trials of their own: {}.", few.join(", ")));
    }
    let failed =
        history.trials().iter().rev().filter(|record| matches!(record.verdict, Verdict::Crash | Verdict::Timeout));
    entries.extend(failed.take(4).map(|record| {
        format!(
            "- Trial {} ({}) ended in a {}, so its idea is untested: {}",
            record.trial,
            title(record),
            record.verdict,
            one_line(&record.reason, 160)
        )
    }));
    let since = history.trained_since_keep();
    if since >= 5 {
        entries.push(format!(
            "- Nothing was kept in the last {since} trained trials: what did all of them have in common?"
        ));
    }
    entries
}

fn title(record: &TrialRecord) -> String {
    one_line(&record.proposal.title, 100)
}

fn category(record: &TrialRecord) -> String {
    one_line(&record.proposal.category, 40)
}

/// `; a 1 → 2, b 3 → 4`, at most four of them.
fn changes(record: &TrialRecord) -> String {
    if record.changes.is_empty() {
        return ".".into();
    }
    let shown: Vec<String> = record.changes.iter().take(4).map(|change| one_line(&change.to_string(), 90)).collect();
    let more = record.changes.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("; {}{more}.", shown.join(", "))
}

/// The last trials' numbers, at most eight, and how many there are beside.
fn numbers(trials: &[u32]) -> String {
    let first = trials.len().saturating_sub(8);
    let shown: Vec<String> = trials[first..].iter().map(ToString::to_string).collect();
    format!("{}{}", shown.join(", "), if first > 0 { format!(" and {first} earlier") } else { String::new() })
}

#[cfg(test)]
mod tests;
