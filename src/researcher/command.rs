//! A command line agent (`claude -p`, `codex exec`, `gemini -p`): the prompt is its standard input, its reply is its
//! standard output. No shell is between us and it.
//!
//! It runs in a process group of its own, in an empty folder of its own outside the lab, sees a few variables of the
//! environment, and has a limit of time and of output. None of this is a sandbox: an agent runs with the rights of its
//! user, and what it may do with them is for its own options to say.

mod environment;
mod process;
mod program;
#[cfg(test)]
mod tests;
mod transcript;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::environment::Environment;
use self::process::{Failure, Limits};
use super::dialogue::{Manner, Said, Speaker, Wanted};
use super::error::{ErrorKind, ResearcherError};
use super::meter::Meter;
use super::openai::completion::{self, Completion};
use super::prompt::fit::tokens;
use super::prompt::templates::Templates;
use super::settings::{CommandSettings, Price, ResearcherSettings};
use crate::research::trial::Usage;

/// The name in commits and in the ledger.
pub const NAME: &str = "command";

/// A reply larger than this is no proposal.
pub const MAX_REPLY_BYTES: usize = 1 << 20;
/// Of what it says on standard error, the end is kept.
const LONGEST_WORDS: usize = 2 << 10;

/// A command line agent.
#[derive(Clone, Debug)]
pub struct Agent {
    settings: CommandSettings,
    templates: Templates,
    environment: Environment,
    /// Where each call gets a folder of its own.
    folders: PathBuf,
    /// How often an unreadable reply is asked for again.
    repairs: u32,
    /// US dollars per million tokens; None where the configuration does not say.
    price: Option<Price>,
    /// What its calls have cost so far.
    pub(super) meter: Meter,
}

impl Agent {
    /// The configured agent; the variables that it may see are read now.
    ///
    /// # Errors
    /// [`ErrorKind::AgentUnset`].
    pub fn new(settings: &ResearcherSettings, templates: Templates) -> Result<Self, ResearcherError> {
        let command = &settings.command;
        if command.run.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(ErrorKind::AgentUnset.free());
        }
        Ok(Self {
            environment: Environment::new(&command.environment, std::env::vars_os()),
            // Outside the lab: an agent that looks around for a project finds none.
            folders: std::env::temp_dir(),
            repairs: settings.repairs,
            price: command.model.as_ref().and_then(|model| settings.prices.get(model)).copied(),
            meter: Meter::default(),
            settings: command.clone(),
            templates,
        })
    }

    /// Whether the program is there and answers, in one small call. For `doctor` and a session's start.
    ///
    /// # Errors
    /// As for a proposal.
    pub async fn check(&self) -> Result<(String, Usage), ResearcherError> {
        let mut usage = Usage::default();
        let conversation = [Said::User("Reply with the word OK.".into())];
        self.call(&conversation, &mut usage).await.map_err(|kind| kind.costing(usage))?;
        let priced = match (&self.settings.model, self.price) {
            (_, Some(_)) => "",
            (Some(_), None) => "; its model has no entry in `prices`, so that its cost is not counted",
            (None, None) => "; researcher.command.model names no model, so that its cost is not counted",
        };
        Ok((format!("`{}` answered in {:.1} s{priced}", self.program(), usage.seconds), usage))
    }

    async fn call(&self, conversation: &[Said], usage: &mut Usage) -> Result<Completion, ErrorKind> {
        let prompt = transcript::transcript(conversation);
        let started = Instant::now();
        let reply = self.run(&prompt).await;
        // Nobody counts the tokens of an agent. What was sent counts whatever came of it, if it was.
        let sent = if matches!(reply, Err(ErrorKind::AgentMissing { .. })) { 0 } else { u64::from(tokens(&prompt)) };
        let received = reply.as_ref().map_or(0, |text| u64::from(tokens(text)));
        let prices = self.price.map_or((0.0, 0.0), |price| (price.input, price.output));
        usage.add(&completion::usage((sent, received), prices, started.elapsed().as_secs_f64()));
        reply.map(|text| Completion { text, ..Completion::default() })
    }

    async fn run(&self, prompt: &str) -> Result<String, ErrorKind> {
        let program = || self.program().to_owned();
        let missing = |why: String| ErrorKind::AgentMissing { program: program(), why };
        let path = program::find(self.program(), self.environment.get("PATH"), self.environment.get("HOME"));
        let path = path.map_err(missing)?;
        let failed = |how: String, said: String| ErrorKind::AgentFailed { program: program(), how, said };
        let folder = tempfile::Builder::new()
            .prefix("autoresearch-agent-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&self.folders)
            .map_err(|error| failed(format!("no folder for it in {}: {error}", self.folders.display()), nothing()))?;
        let limits = Limits { time: Duration::from_secs(self.settings.timeout_seconds.max(1)), bytes: MAX_REPLY_BYTES };
        let arguments = &self.settings.run[1..];
        let ended = process::run(&path, arguments, &self.environment, folder.path(), prompt, limits).await;
        let said = |words: &[u8]| self.said(words);
        match ended {
            Ok(ended) if !ended.status.success() => Err(failed(ended.status.to_string(), said(&ended.words))),
            Ok(ended) => {
                // What it echoes must not end in a commit.
                let reply = self.environment.redact(&String::from_utf8_lossy(&ended.reply));
                if reply.trim().is_empty() {
                    return Err(ErrorKind::AgentSilent { program: program(), said: said(&ended.words) });
                }
                Ok(reply)
            }
            Err(Failure::Start(error)) if is_lasting(&error) => Err(missing(error.to_string())),
            Err(Failure::Start(error) | Failure::Pipes(error)) => Err(failed(error.to_string(), nothing())),
            Err(Failure::Timeout { words }) => {
                Err(ErrorKind::AgentTimeout { program: program(), seconds: limits.time.as_secs(), said: said(&words) })
            }
            Err(Failure::TooLarge) => {
                Err(ErrorKind::TooLarge { endpoint: format!("the agent `{}`", self.program()), limit: limits.bytes })
            }
        }
    }

    fn program(&self) -> &str {
        self.settings.run.first().map_or("", String::as_str)
    }

    /// The end of what it said on standard error: on one line, without secrets.
    fn said(&self, words: &[u8]) -> String {
        let clean = self.environment.redact(&String::from_utf8_lossy(words));
        let clean: String = clean.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            return nothing();
        }
        let from = line.len().saturating_sub(LONGEST_WORDS);
        let from = (from..line.len()).find(|index| line.is_char_boundary(*index)).unwrap_or(0);
        if from == 0 { line } else { format!("… {}", &line[from..]) }
    }
}

/// What an agent said that said nothing.
fn nothing() -> String {
    "(nothing)".into()
}

/// Whether a program that did not start will not start the next time either. (Others are a machine that is out of
/// processes or memory.)
fn is_lasting(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidInput, NotFound, PermissionDenied};
    // ENOEXEC: neither a program nor a script with a first line that says what runs it.
    matches!(error.kind(), NotFound | PermissionDenied | InvalidInput) || error.raw_os_error() == Some(8)
}

impl Speaker for Agent {
    fn manner(&self) -> Manner<'_> {
        Manner {
            name: NAME,
            templates: &self.templates,
            repairs: self.repairs,
            max_prompt_tokens: self.settings.max_prompt_tokens,
            prompt_setting: "researcher.command.max_prompt_tokens",
            max_output_tokens: u32::MAX,
            prices: self.price.map_or((0.0, 0.0), |price| (price.input, price.output)),
            meter: &self.meter,
        }
    }

    async fn say(&mut self, conversation: &[Said], _: Wanted, usage: &mut Usage) -> Result<Completion, ErrorKind> {
        self.call(conversation, usage).await
    }
}
