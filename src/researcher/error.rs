//! What can go wrong with a researcher, said so that a person can act on it and the loop can decide what to do.
//!
//! No message holds the key: the text of a server's reply goes through [`crate::researcher::openai::key::Key::redact`]
//! before it gets here, and what an agent prints through the same for every secret that it was given.

use std::time::Duration;

use crate::research::trial::Usage;
use crate::research::words::count;

/// A call of a researcher that gave nothing usable, and what it cost all the same.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ResearcherError {
    /// What happened.
    pub kind: ErrorKind,
    /// Tokens and seconds that were spent on it.
    pub usage: Usage,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ErrorKind {
    /// The environment variable of the key is not set.
    #[error(
        "no API key: the environment variable {variable} is not set, and {base_url} is not on this machine. Set \
         {variable}, name another variable in researcher.openai.key_variable or a file in researcher.openai.key_file, \
         or use `--researcher optimizer`, which needs no key"
    )]
    KeyMissing {
        /// Name of the variable.
        variable: String,
        /// The endpoint.
        base_url: String,
    },
    /// The key holds characters that no HTTP header may hold.
    #[error(
        "the API key in {place} is empty, or holds a space, a line break or another character that no key has; set it \
         anew, without quotes"
    )]
    KeyMalformed {
        /// Name of the variable, or path of the file.
        place: String,
    },
    /// The key's file cannot be read, or others can read it.
    #[error("the key's file {path} (researcher.openai.key_file) {why}")]
    KeyFile {
        /// The file, as configured.
        path: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The base URL is none.
    #[error(
        "researcher.openai.base_url is `{base_url}`: {why}; it must look like https://api.openai.com/v1 or \
         http://localhost:11434/v1"
    )]
    BaseUrl {
        /// As configured.
        base_url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {why}; on a bare system the package ca-certificates may be missing")]
    Client {
        /// What it said.
        why: String,
    },
    /// 401 or 403.
    #[error("{endpoint} refused the key ({status}): {message}; check the key in {place} and what it may use")]
    Auth {
        /// The endpoint.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// Where the key comes from: name of the variable, or path of the file.
        place: String,
    },
    /// 401 or 403, to a call without a key.
    #[error(
        "{endpoint} wants a key ({status}): {message}; none was sent, because the environment variable {variable} is not \
         set: set it, or name a file with the key in researcher.openai.key_file"
    )]
    KeyWanted {
        /// The endpoint.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// The variable that would hold it.
        variable: String,
    },
    /// 404, or an error that names the model.
    #[error("{endpoint} does not know the model `{model}`, or has no chat completions there ({status}): {message}")]
    ModelNotFound {
        /// The endpoint.
        endpoint: String,
        /// The model asked for.
        model: String,
        /// HTTP status.
        status: u16,
        /// What the server said, and what to look at first.
        message: String,
    },
    /// The account has no credit left.
    #[error("{endpoint} has no credit left for this key: {message}; top it up, or use `--researcher optimizer`")]
    Quota {
        /// The endpoint.
        endpoint: String,
        /// What the server said.
        message: String,
        /// When the quota is there again, if it said.
        retry_after: Option<Duration>,
    },
    /// 429, and the retries did not outlast it.
    #[error("{endpoint} takes no more calls at the moment, its limit of rate is reached ({}): {message}", tries(*attempts))]
    RateLimited {
        /// The endpoint.
        endpoint: String,
        /// How often it was tried.
        attempts: u32,
        /// What the server said.
        message: String,
        /// How long the server asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// 5xx, and the retries did not outlast it.
    #[error("{endpoint} failed {}, last with {status}: {message}; it is the server's trouble, try later", times(*attempts))]
    Server {
        /// The endpoint.
        endpoint: String,
        /// How often it was tried.
        attempts: u32,
        /// HTTP status of the last attempt.
        status: u16,
        /// What the server said.
        message: String,
        /// How long the server asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// Any other refusal of the request.
    #[error("{endpoint} did not accept the request ({status}): {message}")]
    Request {
        /// The endpoint.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// A success, said the server, and sent something else than a whole chat completion.
    #[error("{endpoint} sent no chat completion ({}): {message}", tries(*attempts))]
    Garbled {
        /// The endpoint.
        endpoint: String,
        /// How often it was tried.
        attempts: u32,
        /// What is wrong with it, and how it begins.
        message: String,
    },
    /// No whole reply within the time limit.
    #[error(
        "{endpoint} gave no whole reply within {seconds} s ({}); raise researcher.openai.timeout_seconds if the model \
         is slow",
        tries(*attempts)
    )]
    Timeout {
        /// The endpoint.
        endpoint: String,
        /// The limit of one attempt.
        seconds: u64,
        /// How often it was tried.
        attempts: u32,
    },
    /// The connection could not be made, or was cut.
    #[error("{endpoint} could not be reached ({}): {message}; check the network and base_url", tries(*attempts))]
    Network {
        /// The endpoint.
        endpoint: String,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong.
        message: String,
    },
    /// The model, or a filter before it, declined to answer.
    #[error("the model declined to answer: {message}; reword program.md or the hint that it may have stumbled over")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The reply hit the token limit before it was whole.
    #[error(
        "the reply was cut off at researcher.openai.max_output_tokens ({limit}); raise it (a reasoning model spends \
         most of it on thinking)"
    )]
    Truncated {
        /// The limit.
        limit: u32,
    },
    /// The reply is larger than any proposal can be.
    #[error("{endpoint} sent more than {limit} bytes, which no proposal has; the reply was dropped")]
    TooLarge {
        /// The endpoint, or the agent.
        endpoint: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The reply is not what the protocol or the prompt asks for.
    #[error("the reply could not be read: {why}")]
    Malformed {
        /// What is wrong, in words that help the model as well as a person.
        why: String,
    },
    /// No agent is configured.
    #[error(
        "researcher.command.run is empty; it must name the agent's program and its arguments, for example [claude, -p]"
    )]
    AgentUnset,
    /// There is no such program, or it must not be started.
    #[error("the agent `{program}` cannot be started: {why}; check researcher.command.run and PATH")]
    AgentMissing {
        /// The program, as configured.
        program: String,
        /// Why.
        why: String,
    },
    /// The agent ended with a failure.
    #[error("the agent `{program}` failed ({how}) and said: {said}")]
    AgentFailed {
        /// The program.
        program: String,
        /// Its exit code or signal.
        how: String,
        /// The end of its standard error.
        said: String,
    },
    /// The agent did not end in time.
    #[error(
        "the agent `{program}` was not done within {seconds} s and was stopped, with everything that it had started; \
         raise researcher.command.timeout_seconds if it is only slow. It said: {said}"
    )]
    AgentTimeout {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
        /// The end of its standard error.
        said: String,
    },
    /// The agent ended well and printed nothing.
    #[error("the agent `{program}` printed nothing on standard output, where its reply belongs, and said: {said}")]
    AgentSilent {
        /// The program.
        program: String,
        /// The end of its standard error.
        said: String,
    },
    /// A prompt template is wrong.
    #[error("prompts/{name}{}: {why}", line.map_or_else(String::new, |line| format!(":{line}")))]
    Template {
        /// File name of the template.
        name: String,
        /// Line, where known.
        line: Option<usize>,
        /// What is wrong.
        why: String,
    },
    /// Even the shortest prompt is over the limit.
    #[error(
        "the shortest prompt needs about {needed} tokens, but {setting} is {limit}; raise it to {needed} or more, or \
         shorten the templates in prompts/"
    )]
    PromptTooLong {
        /// Which setting limits it.
        setting: &'static str,
        /// Tokens of the shortest prompt.
        needed: u32,
        /// The configured limit.
        limit: u32,
    },
    /// What `doctor` says in the end; what is wrong stands above it.
    #[error("the researcher is not fit for a night (see above)")]
    Unfit,
    /// The optimizer found no spec that is new, allowed and within the budget.
    #[error(
        "no new proposal: {tried} edits of the incumbent were drawn, of which {duplicate} had been tried before, \
         {blocked} fell under do_not_retry.toml, {costly} were over the budget and {invalid} were not valid; loosen the \
         rules or the budget, or enter a broader phase"
    )]
    Exhausted {
        /// How many were drawn.
        tried: usize,
        /// How many had been tried before.
        duplicate: usize,
        /// How many a rule forbids.
        blocked: usize,
        /// How many cost too much.
        costly: usize,
        /// How many are no valid spec.
        invalid: usize,
    },
}

impl ErrorKind {
    /// Whether asking the model once more, with the error, may help at once.
    pub fn is_the_models(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }

    /// Whether only a person can mend it: asking again soon is of no use.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::KeyMissing { .. }
            | Self::KeyMalformed { .. }
            | Self::KeyFile { .. }
            | Self::BaseUrl { .. }
            | Self::Client { .. }
            | Self::Auth { .. }
            | Self::KeyWanted { .. }
            | Self::ModelNotFound { .. }
            | Self::AgentUnset
            | Self::AgentMissing { .. }
            | Self::Template { .. }
            | Self::PromptTooLong { .. } => true,
            Self::Quota { .. }
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Request { .. }
            | Self::Garbled { .. }
            | Self::Timeout { .. }
            | Self::Network { .. }
            | Self::TooLarge { .. }
            | Self::AgentFailed { .. }
            | Self::AgentTimeout { .. }
            | Self::AgentSilent { .. }
            // What a model says depends on what it is told, and on chance.
            | Self::Refused { .. }
            | Self::Truncated { .. }
            | Self::Malformed { .. }
            | Self::Exhausted { .. }
            | Self::Unfit => false,
        }
    }

    /// How long the server asked to be left alone: the wait that goes with a limit of rate or with its trouble, or until
    /// a quota's reset. None where it did not say.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::Quota { retry_after, .. }
            | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// One that gave no answer in time, whatever it is.
    pub fn slow(name: &str, limit: Duration) -> Self {
        Self::Timeout { endpoint: name.to_owned(), seconds: limit.as_secs(), attempts: 1 }
    }

    /// The error, of a call that cost nothing.
    pub fn free(self) -> ResearcherError {
        self.costing(Usage::default())
    }

    /// The error, with what the call cost.
    pub fn costing(self, usage: Usage) -> ResearcherError {
        ResearcherError { kind: self, usage }
    }
}

/// `1 attempt`, `3 attempts`
fn tries(attempts: u32) -> String {
    count(attempts as usize, "attempt")
}

/// `1 time`, `3 times`
fn times(attempts: u32) -> String {
    count(attempts as usize, "time")
}

impl From<ErrorKind> for ResearcherError {
    fn from(kind: ErrorKind) -> Self {
        kind.free()
    }
}
