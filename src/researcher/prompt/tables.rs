//! The tables of a prompt: trials, evidence, near misses, what is under way, the optimizer's view. Each is bounded,
//! however long the ledger is.

use std::fmt::Write as _;

use super::fence::inline;
use crate::research::effect::Effect;
use crate::research::evidence::{CategoryEvidence, Evidence, KnobEvidence, Standing};
use crate::research::history::History;
use crate::research::learnings::{demoted, demotion};
use crate::research::near_miss::NearMiss;
use crate::research::rules::Rules;
use crate::research::trial::{KnobChange, TrialRecord, Verdict};
use crate::research::words;
use crate::researcher::briefing::Pending;
use crate::researcher::optimizer::view::View;

/// The latest trials that are listed.
const LATEST: usize = 30;
/// Older ones that were kept, and so are steps of the way to here.
const OLDER_KEEPS: usize = 20;
const MOST_KNOBS: usize = 30;
const MOST_CATEGORIES: usize = 30;
const MOST_MISSES: usize = 8;
const MOST_PENDING: usize = 24;
const MOST_DUE: usize = 8;
/// Of the optimizer's view: knobs, leads, and names of what was never tried.
const MOST_VIEWED: usize = 16;
const MOST_LEADS: usize = 8;
const MOST_UNTRIED: usize = 40;
/// Of one trial's changes, so many are listed.
const MOST_CHANGES: usize = 12;

/// The latest trials, and before them the steps that were kept.
pub fn trials(history: &History) -> String {
    let all: Vec<&TrialRecord> = history.records().collect();
    let (older, latest) = all.split_at(all.len().saturating_sub(LATEST));
    let keeps: Vec<&TrialRecord> = older.iter().copied().filter(|record| record.verdict == Verdict::Keep).collect();
    let keeps = &keeps[keeps.len().saturating_sub(OLDER_KEEPS)..];
    if all.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "| trial | verdict | payout | Δ | p | over | category | what |\n|---|---|---|---|---|---|---|---|\n",
    );
    for record in keeps.iter().chain(latest) {
        let again = history.remeasurement(record.trial);
        let effect = Effect::of(record, history);
        let demoted = if history.is_demoted(record.trial) { ", demoted" } else { "" };
        let over = match again {
            Some(again) => Some(words::count(again.seeds.len(), "fresh seed")),
            None => words::over(record),
        };
        let _ = writeln!(
            out,
            "| {} | {}{demoted} | {} | {} | {} | {} | {} | {} |",
            record.trial,
            record.verdict,
            number(again.map(|again| again.fresh).or_else(|| record.payout()), 4),
            effect.map_or_else(|| "-".into(), |found| format!("{:+.4} ± {:.4}", found.delta, found.standard_error)),
            effect.map_or_else(|| "-".into(), |found| words::probability(found.p_value)),
            over.unwrap_or_else(|| "-".into()),
            inline(&record.proposal.category, 24),
            what(record),
        );
    }
    let untold = older.len() - keeps.len();
    if untold > 0 {
        let _ = writeln!(
            out,
            "\nBeside these, {} that were not kept are counted in the evidence below.",
            words::count(untold, "older trial")
        );
    }
    out
}

fn what(record: &TrialRecord) -> String {
    let title = inline(&record.proposal.title, 90);
    match record.verdict {
        Verdict::Keep | Verdict::Discard => title,
        // What went wrong is worth more than numbers that are not there.
        _ => format!("{title} ({})", inline(&record.reason, 120)),
    }
}

/// Keeps that did not stand when they were measured again, the latest first.
pub fn demotions(history: &History) -> String {
    let lines = demoted(history).rev().take(MOST_MISSES).map(|record| {
        let text = inline(&demotion(record, history), 300);
        format!("{text}{}\n", changes(&record.changes, "\n  - "))
    });
    lines.collect()
}

/// Evidence by category.
pub fn categories(evidence: &Evidence) -> String {
    let row = |found: &CategoryEvidence| {
        (
            inline(&found.category, 32),
            found.tries,
            kept(found.kept, found.demoted),
            found.mean_delta,
            found.best_delta,
            found.interval,
            found.standing,
        )
    };
    table("category", evidence.categories.iter().take(MOST_CATEGORIES).map(row))
}

/// Evidence by knob and direction.
pub fn knobs(evidence: &Evidence) -> String {
    let row = |found: &KnobEvidence| {
        let name = format!("{} {}", inline(&found.path, 60), inline(&found.aim, 30));
        let kept = kept(found.kept, found.demoted);
        (name, found.tries, kept, found.mean_delta, found.best_delta, found.interval, found.standing)
    };
    table("knob", evidence.knobs.iter().take(MOST_KNOBS).map(row))
}

fn kept(stand: u32, demoted: u32) -> String {
    if demoted > 0 { format!("{stand}, {demoted} demoted") } else { stand.to_string() }
}

type Row = (String, u32, String, Option<f64>, Option<f64>, Option<(f64, f64)>, Standing);

fn table(heading: &str, rows: impl Iterator<Item = Row>) -> String {
    let mut lines = String::new();
    for (name, tries, kept, mean, best, interval, standing) in rows {
        let interval = interval.map_or_else(|| "-".into(), |(low, high)| format!("{low:+.4} to {high:+.4}"));
        let standing = match standing {
            Standing::ConfidentlyBad => "confidently bad",
            Standing::Ambiguous => "ambiguous",
            Standing::Promising => "promising",
        };
        let signed = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:+.4}"));
        let _ = writeln!(
            lines,
            "| {name} | {tries} | {kept} | {} | {} | {interval} | {standing} |",
            signed(mean),
            signed(best)
        );
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "| {heading} | tries | kept | mean Δ | best likely Δ | 95 % interval | standing |\n|---|---|---|---|---|---|---|\n{lines}"
    )
}

/// The closest discards, with what they changed.
pub fn near_misses(misses: &[NearMiss]) -> String {
    let mut out = String::new();
    for miss in misses.iter().take(MOST_MISSES) {
        let _ = writeln!(
            out,
            "- trial {} ({}; {:+.4} ± {:.4}, {}, {}{}): {}{}",
            miss.trial,
            words::odds(miss.odds),
            miss.delta,
            miss.standard_error,
            words::p_value(miss.p_value),
            miss.over,
            if miss.demoted { "; kept once, and demoted when measured again" } else { "" },
            inline(&miss.title, 90),
            changes(&miss.changes, "\n  - "),
        );
    }
    out
}

/// The rules that let one retry through now.
pub fn due(rules: &Rules) -> String {
    let mut out = String::new();
    for rule in rules.due().take(MOST_DUE) {
        let trials: Vec<String> = rule.evidence.iter().rev().take(MOST_CHANGES).rev().map(u32::to_string).collect();
        let revisit =
            rule.revisit.as_deref().map_or_else(String::new, |when| format!("; revisit {}", inline(when, 200)));
        let _ = writeln!(
            out,
            "- {}: {} (trials {}){revisit}",
            inline(&rule.name, 60),
            inline(&rule.reason, 200),
            trials.join(", ")
        );
    }
    let more = rules.due().count().saturating_sub(MOST_DUE);
    if more > 0 {
        let _ = writeln!(out, "- … and {more} more");
    }
    out
}

/// What has no verdict yet.
pub fn pending(pending: &[Pending]) -> String {
    let mut out = String::new();
    for one in pending.iter().take(MOST_PENDING) {
        let (title, category) = (inline(&one.title, 90), inline(&one.category, 24));
        let _ = writeln!(out, "- {title} ({category}){}", changes(&one.changes, "\n  - "));
    }
    if pending.len() > MOST_PENDING {
        let _ = writeln!(out, "- … and {} more", pending.len() - MOST_PENDING);
    }
    out
}

/// What the optimizer makes of the ledger: which knobs matter and where they look best, changes that look good, and what
/// was never tried. Nothing where it rests on no trial.
pub fn view(view: &View) -> String {
    let mut out = String::new();
    let knobs: Vec<String> = view
        .knobs
        .iter()
        .take(MOST_VIEWED)
        .map(|knob| {
            let (low, high) = knob.interval;
            let (name, best) = (inline(&knob.knob, 60), inline(&knob.best, 80));
            format!("| {name} | {} | {:.4} | {low:.4} to {high:.4} | {best} |\n", knob.tries, knob.importance)
        })
        .collect();
    if !knobs.is_empty() {
        let _ = writeln!(
            out,
            "Over {}. Importance: by how much of the payout a knob seems to move it, as a standard deviation.\n\n\
             | knob | tries | importance | 95 % interval | looks best |\n|---|---|---|---|---|\n{}",
            words::count(view.trials, "trial"),
            knobs.concat()
        );
    }
    if !view.best.is_empty() {
        out.push_str("Changes of the incumbent that look best (expected gain ± its standard deviation):\n");
        for lead in view.best.iter().take(MOST_LEADS) {
            let change = inline(&lead.change, 160);
            let _ = writeln!(out, "- {change}: {:+.4} ± {:.4}", lead.expected, lead.deviation);
        }
        out.push('\n');
    }
    if !view.untried.is_empty() {
        let names: Vec<String> = view.untried.iter().take(MOST_UNTRIED).map(|name| inline(name, 60)).collect();
        let more = view.untried.len().saturating_sub(MOST_UNTRIED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let _ = writeln!(out, "Never tried: {}{more}.", names.join(", "));
    }
    out
}

/// What a trial changed, one line each after `lead`.
pub fn changes(changes: &[KnobChange], lead: &str) -> String {
    let mut out = String::new();
    for change in changes.iter().take(MOST_CHANGES) {
        let _ = write!(out, "{lead}{}", inline(&change.to_string(), 160));
    }
    if changes.len() > MOST_CHANGES {
        let _ = write!(out, "{lead}… and {} more", changes.len() - MOST_CHANGES);
    }
    out
}

/// A number with so many decimals, or a dash.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}
