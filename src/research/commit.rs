//! A trial as a page of the lab notebook: the subject, body and trailers of its commit.
//!
//! Titles, hypotheses, categories and reasons come from researchers and from training. They are put on lines of ours
//! (see [`super::foreign`]), and no line of the body can be taken for a trailer, a comment or a divider.

mod result;

use std::fmt;

use super::foreign::{one_line, wrap};
use super::remeasure::Remeasurement;
use super::trial::{JudgementKind, TrialRecord, Usage, Verdict};
use super::words::{self, over, phase, round, unsigned_zero};

/// Titles are cut to this many characters in subjects.
pub const TITLE: usize = 60;

const BODY_WIDTH: usize = 76;
const HYPOTHESIS: usize = 2_000;
const MOST_CHANGES: usize = 40;

/// A commit message in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitMessage {
    /// `keep 000042: GELU in every block (payout 0.0182, +0.0013)`
    pub subject: String,
    /// Hypothesis, what changed, result, why; without an empty line at either end.
    pub body: String,
    /// Names and values, in the notebook's order.
    pub trailers: Vec<(&'static str, String)>,
}

/// The whole message as git stores it, ending in a newline.
impl fmt::Display for CommitMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n\n{}\n\n", self.subject, self.body)?;
        for (name, value) in &self.trailers {
            writeln!(formatter, "{name}: {value}")?;
        }
        Ok(())
    }
}

/// Writes up a trial. `incumbent` is the record of the trial that it was compared with, for the result table.
pub fn message(record: &TrialRecord, incumbent: Option<&TrialRecord>) -> CommitMessage {
    CommitMessage { subject: subject(record), body: body(record, incumbent), trailers: trailers(record) }
}

/// Writes up a re-measurement: a page of its own kind, without a trial's trailers.
pub fn remeasurement(found: &Remeasurement, title: &str) -> CommitMessage {
    let word = if found.demoted_to.is_some() { "demote" } else { "remeasure" };
    let result = format!("selected at {}, {} on fresh seeds", plain(found.selected), plain(found.fresh));
    let reason = wrap(&one_line(&found.reason, HYPOTHESIS), BODY_WIDTH);
    let seeds = found.seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut body: Vec<String> = reason.iter().map(|line| guarded(line)).collect();
    body.push(String::new());
    body.push("On seeds that nothing was selected by".into());
    body.push(format!("  {:<16}{:>10}", "selected", plain(found.selected)));
    body.push(format!("  {:<16}{:>10} ± {}", "fresh", plain(found.fresh), plain(found.standard_error)));
    if let (Some(gain), Some(error)) = (found.gain, found.gain_error) {
        body.push(format!("  {:<16}{:>10} ± {}", "gain", signed(gain), plain(error)));
    }
    body.extend(wrap(&format!("seeds {seeds}"), BODY_WIDTH - 2).iter().map(|line| format!("  {line}")));
    let six = |value: f64| format!("{:.6}", unsigned_zero(value, 6));
    CommitMessage {
        subject: format!("{word} {:06}: {} ({result})", found.trial, or(one_line(title, TITLE), "untitled")),
        body: body.join("\n"),
        trailers: vec![
            ("Remeasured", found.trial.to_string()),
            // A baseline has nobody to stand against.
            ("Stands", found.predecessor.map_or("-", |_| if found.demoted_to.is_some() { "no" } else { "yes" }).into()),
            ("Incumbent", found.demoted_to.unwrap_or(found.trial).to_string()),
            ("Selected-Payout", number(Some(found.selected), six)),
            ("Fresh-Payout", number(Some(found.fresh), six)),
            ("P-Value", number(found.p_value, p_value)),
        ],
    }
}

fn subject(record: &TrialRecord) -> String {
    let title = or(one_line(&record.proposal.title, TITLE), "untitled");
    let simplify = record.judgement.as_ref().is_some_and(|judged| judged.keep && judged.kind == JudgementKind::Simpler);
    let simplify = if simplify { ", simplify" } else { "" };
    let result = match (record.payout(), delta(record)) {
        (Some(payout), Some(delta)) => format!(" (payout {}, {}{simplify})", plain(payout), signed(delta)),
        (Some(payout), None) => format!(" (payout {})", plain(payout)),
        (None, Some(delta)) => {
            let over = over(record).unwrap_or_else(|| "its first seed".into());
            format!(" ({} over {over})", signed(delta))
        }
        (None, None) => String::new(),
    };
    format!("{} {}: {title}{result}", record.verdict, record.folder())
}

fn body(record: &TrialRecord, incumbent: Option<&TrialRecord>) -> String {
    let hypothesis = or(one_line(&record.proposal.hypothesis, HYPOTHESIS), "No hypothesis was given.");
    let mut sections = vec![wrap(&hypothesis, BODY_WIDTH).iter().map(|line| guarded(line)).collect::<Vec<_>>()];
    if !record.changes.is_empty() {
        let against = record.incumbent.map_or_else(String::new, |trial| format!(" against {trial:06}"));
        let mut lines = vec![format!("What changed{against}")];
        let shown = record.changes.iter().take(MOST_CHANGES);
        lines.extend(shown.map(|change| format!("  {}", one_line(&change.to_string(), 160))));
        if record.changes.len() > MOST_CHANGES {
            lines.push(format!("  … and {} more", record.changes.len() - MOST_CHANGES));
        }
        sections.push(lines);
    }
    let result = result::table(record, incumbent);
    if !result.is_empty() {
        sections.push(result);
    }
    let mut why = vec![why_heading(record.verdict).to_owned()];
    let reason = or(one_line(&record.reason, HYPOTHESIS), "No reason was recorded.");
    why.extend(wrap(&reason, BODY_WIDTH - 2).iter().map(|line| format!("  {line}")));
    sections.push(why);
    let whence = whence(record);
    if !whence.is_empty() {
        sections.push(whence);
    }
    sections.iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n")
}

/// The phase and why the search was in it, and the round. Indented like everything else, so that the last paragraph of the
/// message holds the only lines that are trailers.
fn whence(record: &TrialRecord) -> Vec<String> {
    let phase = record.phase_why.as_ref().map(|_| format!("Phase: {}", phase(record)));
    let round = round(record).map(|text| text.replacen('r', "R", 1));
    let told: Vec<String> = phase.into_iter().chain(round).collect();
    if told.is_empty() {
        return told;
    }
    let wrapped = told.iter().flat_map(|text| wrap(text, BODY_WIDTH - 2));
    std::iter::once("Where it came from".to_owned()).chain(wrapped.map(|line| format!("  {line}"))).collect()
}

fn why_heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Keep => "Why it was kept",
        Verdict::Discard => "Why it was discarded",
        Verdict::Crash => "Why it crashed",
        Verdict::Timeout => "Why it was stopped",
        Verdict::Invalid => "Why it is invalid",
        Verdict::Duplicate => "Why it is a duplicate",
        Verdict::Blocked => "Why it was blocked",
    }
}

fn trailers(record: &TrialRecord) -> Vec<(&'static str, String)> {
    let word = |text: &str| or(one_line(text, 60), "-");
    let Usage { input_tokens, output_tokens, .. } = record.proposal.usage;
    vec![
        ("Trial", record.trial.to_string()),
        ("Verdict", record.verdict.to_string()),
        (
            "Payout",
            // That of a part of the folds is none to be compared.
            number(record.payout(), |payout| format!("{:.6}", unsigned_zero(payout, 6))),
        ),
        ("Delta", number(delta(record), |delta| format!("{:+.6}", unsigned_zero(delta, 6)))),
        ("P-Value", number(record.judgement.as_ref().map(|judgement| judgement.p_value), p_value)),
        ("Phase", word(&record.phase)),
        ("Category", word(&record.proposal.category)),
        ("Researcher", word(&record.proposal.researcher)),
        ("Wall-Seconds", number(Some(record.wall_seconds), |seconds| format!("{seconds:.1}"))),
        ("Tokens", input_tokens.saturating_add(output_tokens).to_string()),
        ("Spec-Hash", word(record.spec_hash.as_deref().unwrap_or_default())),
        ("Protocol-Hash", word(&record.protocol_hash)),
        ("Data-Hash", word(&record.data_hash)),
    ]
}

fn delta(record: &TrialRecord) -> Option<f64> {
    record.judgement.as_ref().map(|judgement| judgement.delta)
}

/// A number that exists and is one, or `-`.
fn number(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".into(), text)
}

fn plain(value: f64) -> String {
    if value.is_finite() { format!("{:.4}", unsigned_zero(value, 4)) } else { "-".into() }
}

fn signed(value: f64) -> String {
    if value.is_finite() { words::signed(value, 4) } else { "-".into() }
}

fn p_value(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value != 0.0 && value < 1e-4 => format!("{value:.1e}"),
        value => format!("{value:.4}"),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

/// A line of foreign text, indented where a reader of the log could take it for something else: a trailer, a comment,
/// a divider, a diff.
fn guarded(line: &str) -> String {
    let name = line.split(':').next().unwrap_or_default();
    let trailer = line.contains(':') && name.trim_end().chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let other = line.starts_with(['#', '-', ';', '(', '>', '+', '@', '=', '<']) || line.starts_with("diff ");
    if trailer || other { format!("  {line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests;
