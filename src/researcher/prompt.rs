//! What an LLM is told. Deterministic given the briefing, bounded in size however long the ledger is, and made of
//! templates that a person can read and override (`prompts/` in the lab).

pub mod fence;
pub mod fit;
pub mod incumbent;
pub mod repair;
pub mod tables;
pub mod templates;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::context;

use self::fence::{fenced, inline};
use self::fit::{Section, fitted};
use self::templates::{PROPOSE, SYNTHESIZE, SYSTEM, Templates};
use super::briefing::Briefing;
use super::categories;
use super::error::ErrorKind;
use crate::research::learnings;
use crate::research::settings::Breadth;
use crate::research::trial::TrialRecord;
use crate::research::words;

/// No section is longer than this, in characters, whatever the limit of the whole.
const LONGEST: usize = 24_000;
/// Hints are short; a whole document does not belong there.
const LONGEST_HINT: usize = 600;
/// The latest hints that are passed on.
const MOST_HINTS: usize = 10;

/// Who the model is, the language, the form of the answer: the same for every call of a session.
///
/// # Errors
/// [`ErrorKind::Template`].
pub fn system(templates: &Templates, protocol_summary: &str, spec_reference: &str) -> Result<String, ErrorKind> {
    let names = categories::ALL.map(|(name, meaning)| format!("{name} ({meaning})")).join(", ");
    templates.render(SYSTEM, context! { objective => protocol_summary, spec_reference, categories => names })
}

/// The state of the search and the request for `count` proposals, within `limit` tokens.
///
/// # Errors
/// [`ErrorKind::Template`], [`ErrorKind::PromptTooLong`].
pub fn propose(templates: &Templates, briefing: &Briefing<'_>, count: usize, limit: u32) -> Result<String, ErrorKind> {
    let fixed = BTreeMap::from([
        ("incumbent", fenced(&briefing.incumbent.to_yaml(), "yaml", LONGEST)),
        ("incumbent_result", incumbent::whole(briefing)),
        ("phase", phase(briefing)),
        ("plateau", briefing.plateau.map(|hint| inline(hint, 600)).unwrap_or_default()),
        ("hints", hints(briefing.hints)),
        ("left", left(briefing)),
        ("request", request(briefing.breadth, count)),
    ]);
    // The order in which they are cut: what is least missed comes first.
    let sections = [
        Section { name: "knobs", text: data(&tables::knobs(briefing.evidence)), floor: 800 },
        Section { name: "trials", text: data(&tables::trials(briefing.history)), floor: 1_600 },
        Section { name: "rules", text: rules(briefing), floor: 1_000 },
        Section { name: "due", text: data(&tables::due(briefing.rules)), floor: 400 },
        Section { name: "categories", text: data(&tables::categories(briefing.evidence)), floor: 800 },
        Section { name: "view", text: data(&briefing.view.map(tables::view).unwrap_or_default()), floor: 1_200 },
        Section { name: "near_misses", text: data(&tables::near_misses(briefing.near_misses)), floor: 1_000 },
        Section { name: "pending", text: data(&tables::pending(briefing.pending)), floor: 1_600 },
        Section { name: "demotions", text: data(&tables::demotions(briefing.history)), floor: 600 },
        Section { name: "learnings", text: block(briefing.learnings, "markdown"), floor: 3_000 },
        Section { name: "program", text: block(briefing.program, "markdown"), floor: 3_000 },
    ];
    fitted(templates, PROPOSE, &fixed, &sections, limit)
}

/// The request for a new learnings.md, within `limit` tokens.
///
/// # Errors
/// [`ErrorKind::Template`], [`ErrorKind::PromptTooLong`].
pub fn synthesize(
    templates: &Templates,
    briefing: &Briefing<'_>,
    last: &TrialRecord,
    limit: u32,
) -> Result<String, ErrorKind> {
    let sections = learnings::SECTIONS.map(|heading| format!("`{heading}`")).join(", ");
    let fixed = BTreeMap::from([
        ("result", trial(last)),
        // What is to be rewritten must be there whole.
        ("learnings", fenced(briefing.learnings, "markdown", LONGEST)),
        ("sections", sections),
        ("limit", (learnings::MOST_BYTES / 2).to_string()),
    ]);
    let sections = [
        Section { name: "knobs", text: data(&tables::knobs(briefing.evidence)), floor: 800 },
        Section { name: "near_misses", text: data(&tables::near_misses(briefing.near_misses)), floor: 1_000 },
        Section { name: "categories", text: data(&tables::categories(briefing.evidence)), floor: 800 },
        Section { name: "demotions", text: data(&tables::demotions(briefing.history)), floor: 600 },
    ];
    fitted(templates, SYNTHESIZE, &fixed, &sections, limit)
}

/// A table or a list as a fenced block: titles and reasons in it are other people's words.
fn data(text: &str) -> String {
    block(text, "text")
}

/// A file as a fenced block; nothing where the file says nothing.
fn block(text: &str, language: &str) -> String {
    if text.trim().is_empty() { String::new() } else { fenced(text, language, LONGEST) }
}

/// The rules without the comments that teach people to write them; nothing where there are none.
fn rules(briefing: &Briefing<'_>) -> String {
    if briefing.rules.all().is_empty() {
        return String::new();
    }
    let lines: Vec<&str> = briefing.rules_text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    block(lines.join("\n").trim_start(), "toml")
}

/// A trial for the synthesis: what it was, what it changed, how it ended.
fn trial(record: &TrialRecord) -> String {
    let proposal = &record.proposal;
    let mut text = format!("Trial {}: {}\n", record.trial, inline(&proposal.title, 120));
    let _ = writeln!(
        text,
        "Category: {}. Proposed by {}.",
        inline(&proposal.category, 32),
        inline(&proposal.researcher, 32)
    );
    let _ = writeln!(text, "Hypothesis: {}", inline(&proposal.hypothesis, 2_000));
    let _ = writeln!(text, "Changes:{}", tables::changes(&record.changes, "\n- "));
    let _ = writeln!(text, "Verdict: {}: {}", record.verdict, inline(&record.reason, 600));
    if let Some(judged) = &record.judgement {
        let _ = writeln!(
            text,
            "Difference to the incumbent: {:+.4} ± {:.4}, {}, over {}",
            judged.delta,
            judged.standard_error,
            words::p_value(judged.p_value),
            words::over(record).unwrap_or_default()
        );
    }
    if let Some(theirs) = record.compared_with() {
        let _ = writeln!(text, "The incumbent's payout over the same eras: {theirs:.4}");
    }
    if record.measurement.is_some() {
        text.push_str(&incumbent::result(record));
    }
    fenced(&text, "text", LONGEST)
}

fn phase(briefing: &Briefing<'_>) -> String {
    let phase = briefing.phase;
    let breadth = match briefing.breadth {
        Breadth::Narrow => "one knob, a small step",
        Breadth::Focused => "one or two focused changes of any size",
        Breadth::Combined => "two or three changes together, near misses among them",
        Breadth::Wide => "anything that the language can say",
    };
    let mut out = format!("{}: {}\nHow far to go: {breadth}.", inline(&phase.name, 60), inline(&phase.brief, 2_000));
    if let Some(why) = briefing.widened {
        let _ = write!(out, " That is wider than the phase alone would have it: {}.", inline(why, 300));
    }
    if let Some(share) = phase.combinations {
        let _ = write!(out, " Of the proposals, about {:.0} % put earlier trials together.", share * 100.0);
    }
    if !phase.categories.is_empty() {
        let _ = write!(out, " Preferred categories: {}.", inline(&phase.categories.join(", "), 300));
    }
    out
}

/// What is asked for: one proposal, or several, alike or unlike by how far they may go.
fn request(breadth: Breadth, count: usize) -> String {
    if count < 2 {
        return "Propose the next trial now, as one JSON object.".into();
    }
    let kind = match breadth {
        Breadth::Narrow => {
            "variants of one idea. Each differs from the incumbent in one number alone: the same knob at several \
             values, or one small step on each of several knobs that belong together"
        }
        Breadth::Focused => "different ideas, each one focused change, no two on the same knob",
        Breadth::Combined => "different combinations, no two of which have more than one change in common",
        Breadth::Wide => "ideas that differ in kind, from each other as much as from the incumbent",
    };
    format!(
        "Propose {count} candidates now: {kind}. Each is an edit of the incumbent above, is trained and judged on its \
         own, and must not build on another of them. The most promising comes first. Reply with one JSON object with the \
         key `candidates`, a list of {count}."
    )
}

fn hints(hints: &[String]) -> String {
    let latest = &hints[hints.len().saturating_sub(MOST_HINTS)..];
    let lines: Vec<String> = latest.iter().map(|hint| format!("- {}", inline(hint, LONGEST_HINT))).collect();
    if lines.is_empty() { String::new() } else { fenced(&lines.join("\n"), "text", LONGEST) }
}

fn left(briefing: &Briefing<'_>) -> String {
    let number = |left: u32, word| words::count(usize::try_from(left).unwrap_or(usize::MAX), word);
    let trials = briefing.trials_left.map_or_else(|| "no limit of trials".into(), |left| number(left, "trial"));
    let time = match briefing.seconds_left {
        Some(seconds) => words::count((seconds / 60.0).round().max(0.0) as usize, "minute"),
        None => "no limit of time".into(),
    };
    // Nothing is said of a budget that nobody set.
    let tokens =
        briefing.tokens_left.map_or_else(String::new, |left| format!(", {left} tokens of proposals and their replies"));
    let usd = briefing.usd_left.map_or_else(String::new, |left| format!(", {left:.2} US dollars for proposals"));
    let cost = crate::spec::cost::estimate(briefing.incumbent, briefing.facts);
    let budget = briefing.budget;
    format!(
        "{trials}, {time}{tokens}{usd}. A keep needs a gain of at least {} in payout, proven at a level of {:.1e} by as many seeds as that \
         takes. One net of the incumbent has {} \
         parameters, and a trial of it takes about {:.1e} operations; the most that a trial may have is {} parameters a \
         net and {:.1e} operations. A trial that costs twice as much leaves room for half as many.",
        briefing.min_effect, briefing.level, cost.params, cost.flops, budget.params, budget.flops,
    )
}
