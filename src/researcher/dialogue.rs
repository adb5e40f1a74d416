//! A conversation with a language model, whoever carries it: what it is told, how its reply is read, and how often it is
//! asked again.

use super::Ask;
use super::briefing::{Briefing, Rejection, Synthesis};
use super::error::{ErrorKind, ResearcherError};
use super::openai::completion::Completion;
use super::prompt::fit::tokens;
use super::prompt::templates::Templates;
use super::prompt::{self, fence};
use super::reply::{self, Draft};
use crate::research::learnings;
use crate::research::trial::{Proposal, TrialRecord, Usage};

/// Of rejected proposals, the latest are shown again; older ones only cost tokens.
const MOST_REJECTIONS: usize = 2;
/// A reply that could not be read is shown to the model no longer than this.
const LONGEST_ECHO: usize = 4_000;

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

/// What a conversation has to keep to.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    /// The researcher's name, for its proposals.
    pub(super) name: &'static str,
    pub(super) templates: &'a Templates,
    /// How often an unreadable reply is asked for again.
    pub(super) repairs: u32,
    pub(super) max_prompt_tokens: u32,
    pub(super) max_output_tokens: u32,
}

/// Who carries a conversation to a model.
pub(super) trait Speaker {
    /// What the conversation has to keep to.
    fn manner(&self) -> Manner<'_>;

    /// The model's next words. What the call cost is added to `usage`, whatever comes of it.
    ///
    /// # Errors
    /// Why there are none.
    async fn say(&mut self, conversation: &[Said], as_json: bool, usage: &mut Usage) -> Result<Completion, ErrorKind>;
}

/// Proposals. Replies that cannot be read go back at once, a bounded number of times; what can be read and yet not be
/// tried comes back in `ask.rejected`, by the loop.
///
/// # Errors
/// Any [`ErrorKind`] of a call; the error carries what was spent.
pub(super) async fn propose(
    speaker: &mut impl Speaker,
    briefing: &Briefing<'_>,
    ask: &Ask<'_>,
) -> Result<Vec<Proposal>, ResearcherError> {
    let mut conversation = conversation(&speaker.manner(), briefing, ask.rejected)?;
    let mut usage = Usage::default();
    let mut left = speaker.manner().repairs;
    loop {
        let reply = speaker.say(&conversation, true, &mut usage).await.map_err(|kind| kind.costing(usage))?;
        let manner = speaker.manner();
        let why = match read(&reply, &manner) {
            Ok(draft) => return Ok(vec![proposal(draft, manner.name, usage)]),
            Err(kind) if !kind.is_the_models() || left == 0 => return Err(kind.costing(usage)),
            Err(kind) => kind.to_string(),
        };
        left -= 1;
        tracing::warn!(left, "{why}");
        let again = prompt::repair(manner.templates, &why).map_err(|kind| kind.costing(usage))?;
        conversation.push(Said::Assistant(fence::cut(&reply.text, LONGEST_ECHO)));
        conversation.push(Said::User(again));
    }
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
    let system = system(&manner, briefing)?;
    let room = manner.max_prompt_tokens.saturating_sub(tokens(&system));
    let request = prompt::synthesize(manner.templates, briefing, last, room)?;
    let mut usage = Usage::default();
    let conversation = [Said::System(system), Said::User(request)];
    let reply = speaker.say(&conversation, false, &mut usage).await.map_err(|kind| kind.costing(usage))?;
    if reply.truncated {
        return Err(truncated(&speaker.manner()).costing(usage));
    }
    let document = reply::document(&reply.text).map_err(|why| ErrorKind::Malformed { why }.costing(usage))?;
    Ok(Synthesis { text: learnings::with_notes(briefing.learnings, &document), usage })
}

fn system(manner: &Manner<'_>, briefing: &Briefing<'_>) -> Result<String, ErrorKind> {
    prompt::system(manner.templates, briefing.protocol_summary, &crate::spec::reference::markdown())
}

fn conversation(manner: &Manner<'_>, briefing: &Briefing<'_>, rejected: &[Rejection]) -> Result<Vec<Said>, ErrorKind> {
    let system = system(manner, briefing)?;
    let mut repairs = Vec::new();
    for rejection in &rejected[rejected.len().saturating_sub(MOST_REJECTIONS)..] {
        repairs.push(Said::Assistant(echo(&rejection.proposal)));
        repairs.push(Said::User(prompt::repair(manner.templates, &rejection.error)?));
    }
    let spent: u32 = repairs.iter().map(|said| tokens(said.text())).sum();
    let spent = spent.saturating_add(tokens(&system));
    let room = manner.max_prompt_tokens.saturating_sub(spent);
    // What is missing is said in terms of the setting, not of what happens to be left of it.
    let request = prompt::propose(manner.templates, briefing, room).map_err(|kind| match kind {
        ErrorKind::PromptTooLong { needed, .. } => {
            ErrorKind::PromptTooLong { needed: needed.saturating_add(spent), limit: manner.max_prompt_tokens }
        }
        other => other,
    })?;
    let mut conversation = vec![Said::System(system), Said::User(request)];
    conversation.extend(repairs);
    Ok(conversation)
}

/// A proposal from a completion.
fn read(completion: &Completion, manner: &Manner<'_>) -> Result<Draft, ErrorKind> {
    reply::parse(&completion.text).map_err(|why| {
        // Half a reply is not the model's mistake, and asking again would cut it off again.
        if completion.truncated { truncated(manner) } else { ErrorKind::Malformed { why } }
    })
}

fn truncated(manner: &Manner<'_>) -> ErrorKind {
    ErrorKind::Truncated { limit: manner.max_output_tokens }
}

fn proposal(draft: Draft, researcher: &str, usage: Usage) -> Proposal {
    Proposal {
        title: draft.title,
        hypothesis: draft.hypothesis,
        category: draft.category,
        expected_effect: draft.expected_effect,
        spec: draft.spec,
        researcher: researcher.into(),
        parents: Vec::new(),
        usage,
    }
}

/// A proposal as the model wrote it, near enough.
fn echo(proposal: &Proposal) -> String {
    serde_json::json!({
        "title": proposal.title,
        "hypothesis": fence::cut(&proposal.hypothesis, 1_000),
        "category": proposal.category,
        "expected_effect": proposal.expected_effect,
        "spec": fence::cut(&proposal.spec, 3 * LONGEST_ECHO),
    })
    .to_string()
}
