//! A conversation with a language model, whoever carries it: what it is told, how its reply is read, and how often it is
//! asked again.

use super::Ask;
use super::briefing::{Briefing, Rejection, Synthesis};
use super::categories;
use super::error::{ErrorKind, ResearcherError};
use super::meter::Meter;
use super::openai::completion::{self, Completion};
use super::prompt::fit::tokens;
use super::prompt::repair::Mistake;
use super::prompt::templates::Templates;
use super::prompt::{self, fence};
use super::reply::{self, Draft};
use crate::research::learnings;
use crate::research::trial::{Proposal, TrialRecord, Usage};
use crate::spec::Spec;

/// Of rejected proposals, the latest are shown again; older ones only cost tokens.
const MOST_REJECTIONS: usize = 6;
/// A reply that could not be read is shown to the model no longer than this, in characters.
const LONGEST_ECHO: usize = 4_000;
/// What rejected proposals and their errors may take of a prompt, in characters.
const LONGEST_REJECTIONS: usize = 24_000;

/// One side's words in the conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// What holds for the whole conversation.
    System(String),
    /// Ours.
    User(String),
    /// The model's.
    Assistant(String),
}

impl Said {
    /// The words.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::System(text) | Self::User(text) | Self::Assistant(text) => text,
        }
    }
}

/// What a reply shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Words.
    Text,
    /// So many proposals, in the form that the system prompt describes.
    Proposals(usize),
}

/// What a conversation has to keep to.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    /// The researcher's name, for its proposals.
    pub(super) name: &'static str,
    pub(super) templates: &'a Templates,
    /// How often an unreadable reply is asked for again.
    pub(super) repairs: u32,
    pub(super) max_prompt_tokens: u32,
    /// The setting that says so, for messages.
    pub(super) prompt_setting: &'static str,
    pub(super) max_output_tokens: u32,
    /// US dollars per million tokens, sent and received.
    pub(super) prices: (f64, f64),
    /// Where it stands what the calls have cost so far.
    pub(super) meter: &'a Meter,
}

/// Who carries a conversation to a model.
pub(super) trait Speaker {
    /// What the conversation has to keep to.
    fn manner(&self) -> Manner<'_>;

    /// The model's next words. What the call cost is added to `usage`, whatever comes of it.
    ///
    /// # Errors
    /// Why there are none.
    async fn say(&mut self, conversation: &[Said], wanted: Wanted, usage: &mut Usage) -> Result<Completion, ErrorKind>;
}

/// Proposals: at least one, at most as many as were asked for; what the call cost is divided among them. A reply in which
/// nothing can be read goes back at once, a bounded number of times; what can be read and yet not be tried comes back in
/// `ask.rejected`, by the loop.
///
/// # Errors
/// Any [`ErrorKind`] of a call; the error carries what was spent.
pub(super) async fn propose(
    speaker: &mut impl Speaker,
    briefing: &Briefing<'_>,
    ask: &Ask<'_>,
) -> Result<Vec<Proposal>, ResearcherError> {
    let count = ask.count.max(1);
    let mut conversation = conversation(&speaker.manner(), briefing, ask.rejected, count)?;
    let asked = conversation.len();
    let mut usage = Usage::default();
    // What was sent back by the loop has used repairs up, too.
    let mut left = speaker.manner().repairs.saturating_sub(u32::try_from(ask.rejected.len()).unwrap_or(u32::MAX));
    loop {
        let wanted = Wanted::Proposals(count);
        let reply = said(speaker, &conversation, wanted, &mut usage).await.map_err(|kind| kind.costing(usage))?;
        let manner = speaker.manner();
        let why = match read(&reply, count, &manner) {
            Ok(drafts) => return Ok(proposals(drafts, briefing.incumbent, manner.name, usage)),
            Err(kind) if !kind.is_the_models() || left == 0 => return Err(kind.costing(usage)),
            Err(kind) => kind.to_string(),
        };
        left -= 1;
        tracing::warn!(left, "{why}");
        let room = room_for_repair(&manner);
        let mistakes = [Mistake { title: None, error: &why }];
        let again =
            prompt::repair::repair(manner.templates, &mistakes, count, room).map_err(|kind| kind.costing(usage))?;
        // Only the latest failure is shown: the conversation stays within its limit however often it is mended.
        conversation.truncate(asked);
        let echo = fence::cut(&reply.text, room.min(LONGEST_ECHO));
        // Not every server takes an empty turn.
        conversation.push(Said::Assistant(if echo.trim().is_empty() { "(nothing)".into() } else { echo }));
        conversation.push(Said::User(again));
    }
}

/// The model's next words, on the meter.
async fn said(
    speaker: &mut impl Speaker,
    conversation: &[Said],
    wanted: Wanted,
    usage: &mut Usage,
) -> Result<Completion, ErrorKind> {
    let Manner { meter, prices, .. } = speaker.manner();
    let meter = meter.clone();
    let sent = conversation.iter().map(|said| u64::from(tokens(said.text()))).sum();
    meter.sends(completion::usage((sent, 0), prices, 0.0));
    let mut cost = Usage::default();
    let reply = speaker.say(conversation, wanted, &mut cost).await;
    meter.came(&cost);
    usage.add(&cost);
    reply
}

/// A new learnings.md, people's notes included. The caller checks it with `research::learnings::accept`.
///
/// # Errors
/// As for [`propose`].
pub(super) async fn synthesize(
    speaker: &mut impl Speaker,
    briefing: &Briefing<'_>,
    last: &TrialRecord,
) -> Result<Synthesis, ResearcherError> {
    let manner = speaker.manner();
    // The language, half of a prompt, is of no use here, and neither is the form of a proposal.
    let system = prompt::system(manner.templates, briefing.protocol_summary, "")?;
    let spent = tokens(&system);
    let room = manner.max_prompt_tokens.saturating_sub(spent);
    let request = prompt::synthesize(manner.templates, briefing, last, room);
    let request = request.map_err(|kind| in_terms_of_the_setting(kind, spent, &manner))?;
    let mut usage = Usage::default();
    let conversation = [Said::System(system), Said::User(request)];
    let reply = said(speaker, &conversation, Wanted::Text, &mut usage).await.map_err(|kind| kind.costing(usage))?;
    if reply.truncated {
        return Err(truncated(&speaker.manner()).costing(usage));
    }
    let document = reply::document(&reply.text).map_err(|why| ErrorKind::Malformed { why }.costing(usage))?;
    Ok(Synthesis { text: learnings::with_notes(briefing.learnings, &document), usage })
}

fn system(manner: &Manner<'_>, briefing: &Briefing<'_>) -> Result<String, ErrorKind> {
    prompt::system(manner.templates, briefing.protocol_summary, &crate::spec::reference::markdown())
}

fn conversation(
    manner: &Manner<'_>,
    briefing: &Briefing<'_>,
    rejected: &[Rejection],
    count: usize,
) -> Result<Vec<Said>, ErrorKind> {
    let system = system(manner, briefing)?;
    let mut repairs = Vec::new();
    let shown = &rejected[rejected.len().saturating_sub(MOST_REJECTIONS)..];
    if !shown.is_empty() {
        let room = LONGEST_REJECTIONS.min(characters(manner.max_prompt_tokens) / 8);
        repairs.push(Said::Assistant(echo(shown, room / 2)));
        let mistakes: Vec<Mistake<'_>> = shown
            .iter()
            .map(|rejection| Mistake { title: Some(&rejection.proposal.title), error: &rejection.error })
            .collect();
        repairs.push(Said::User(prompt::repair::repair(manner.templates, &mistakes, count, room / 2)?));
    }
    // What a repair may need is kept free from the start: an echo and an answer to it.
    let spent: u32 = repairs.iter().map(|said| tokens(said.text())).sum();
    let spent = spent.saturating_add(tokens(&system)).saturating_add(reserve(manner));
    let room = manner.max_prompt_tokens.saturating_sub(spent);
    let request = prompt::propose(manner.templates, briefing, count, room);
    let request = request.map_err(|kind| in_terms_of_the_setting(kind, spent, manner))?;
    let mut conversation = vec![Said::System(system), Said::User(request)];
    conversation.extend(repairs);
    Ok(conversation)
}

/// Tokens that are kept free for a repair; nothing where none is made.
fn reserve(manner: &Manner<'_>) -> u32 {
    if manner.repairs == 0 { 0 } else { (manner.max_prompt_tokens / 10).min(2_400) }
}

/// Characters for each side of a repair: the reply that failed, and why. A part stays for the template's own words.
fn room_for_repair(manner: &Manner<'_>) -> usize {
    (characters(reserve(manner)) / 2).saturating_sub(400)
}

fn characters(tokens: u32) -> usize {
    tokens as usize * prompt::fit::CHARACTERS_PER_TOKEN
}

/// What is missing is said in terms of the setting, not of what happens to be left of it.
fn in_terms_of_the_setting(kind: ErrorKind, spent: u32, manner: &Manner<'_>) -> ErrorKind {
    match kind {
        ErrorKind::PromptTooLong { needed, .. } => ErrorKind::PromptTooLong {
            setting: manner.prompt_setting,
            needed: needed.saturating_add(spent),
            limit: manner.max_prompt_tokens,
        },
        other => other,
    }
}

/// What can be read of a completion: at least one draft.
fn read(completion: &Completion, count: usize, manner: &Manner<'_>) -> Result<Vec<Draft>, ErrorKind> {
    let cut_off = completion.truncated;
    let found = reply::parse_all(&completion.text, count, cut_off).unwrap_or_else(|why| vec![Err(why)]);
    let several = found.len() > 1;
    let (mut drafts, mut complaints) = (Vec::new(), Vec::new());
    for (number, draft) in (1..).zip(found) {
        match draft {
            Ok(draft) => drafts.push(draft),
            Err(why) if several => complaints.push(format!("candidate {number}: {why}")),
            Err(why) => complaints.push(why),
        }
    }
    let why = complaints.join("\n");
    if drafts.is_empty() {
        // Half a reply is not the model's mistake, and asking again would cut it off again.
        return Err(if cut_off { truncated(manner) } else { ErrorKind::Malformed { why } });
    }
    if !why.is_empty() {
        tracing::warn!(readable = drafts.len(), "of the reply's candidates some could not be read: {why}");
    }
    Ok(drafts)
}

fn truncated(manner: &Manner<'_>) -> ErrorKind {
    ErrorKind::Truncated { limit: manner.max_output_tokens }
}

fn proposals(drafts: Vec<Draft>, incumbent: &Spec, researcher: &str, usage: Usage) -> Vec<Proposal> {
    let shares = shares(usage, drafts.len());
    drafts.into_iter().zip(shares).map(|(draft, usage)| proposal(draft, incumbent, researcher, usage)).collect()
}

fn proposal(draft: Draft, incumbent: &Spec, researcher: &str, usage: Usage) -> Proposal {
    // What a reply does not say is in its spec, and worth no further call.
    let category =
        if draft.category == categories::OTHER { categories::of_edit(incumbent, &draft.spec) } else { draft.category };
    Proposal {
        title: draft.title,
        hypothesis: draft.hypothesis,
        category,
        expected_effect: draft.expected_effect,
        spec: draft.spec,
        researcher: researcher.into(),
        parents: Vec::new(),
        usage,
    }
}

/// What a call cost, in equal shares that add up to it exactly: the first ones have a token more where it does not come
/// out even, and the last one has the rest of the dollars and seconds.
fn shares(usage: Usage, count: usize) -> Vec<Usage> {
    let count = count.max(1);
    let whole = |total: u64, index: usize| {
        let count = count as u64;
        total / count + u64::from((index as u64) < total % count)
    };
    let mut given = Usage::default();
    (0..count)
        .map(|index| {
            let last = index + 1 == count;
            let part = |total: f64, given: f64| if last { total - given } else { total / count as f64 };
            let share = Usage {
                input_tokens: whole(usage.input_tokens, index),
                output_tokens: whole(usage.output_tokens, index),
                cost_usd: part(usage.cost_usd, given.cost_usd),
                seconds: part(usage.seconds, given.seconds),
            };
            given.add(&share);
            share
        })
        .collect()
}

/// Proposals as the model wrote them, near enough, in about `limit` characters.
fn echo(rejected: &[Rejection], limit: usize) -> String {
    let each = limit / rejected.len().max(1);
    let one = |proposal: &Proposal| {
        serde_json::json!({
            "title": proposal.title,
            "hypothesis": fence::cut(&proposal.hypothesis, each / 6),
            "category": proposal.category,
            "expected_effect": proposal.expected_effect,
            "spec": fence::cut(&proposal.spec, each / 2),
        })
    };
    match rejected {
        [only] => one(&only.proposal).to_string(),
        several => {
            let list: Vec<_> = several.iter().map(|rejection| one(&rejection.proposal)).collect();
            serde_json::json!({ "candidates": list }).to_string()
        }
    }
}

#[cfg(test)]
mod tests;
