//! Which researcher proposes, and how it is reached, as a person writes it in autoresearch.yaml.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The researchers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The embedded optimizer: no key, no network.
    #[default]
    Optimizer,
    /// An LLM behind an OpenAI-compatible endpoint.
    Openai,
    /// A command line agent: prompt on standard input, reply on standard output.
    Command,
    /// Several of the others, by shares.
    Mix,
    /// Random edits: the control arm. What does not beat it is not worth its cost.
    Random,
}

impl Kind {
    /// Its name, as it stands in the configuration, in commits and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Optimizer => "optimizer",
            Self::Openai => "openai",
            Self::Command => "command",
            Self::Mix => "mix",
            Self::Random => "random",
        }
    }

    /// Whether it answers at once, without a model somewhere else.
    pub fn is_instant(self) -> bool {
        matches!(self, Self::Optimizer | Self::Random)
    }
}

/// The researcher section of autoresearch.yaml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResearcherSettings {
    /// Who proposes. `autoresearch run --researcher` overrides it.
    pub kind: Kind,
    /// How often an unusable proposal goes back to its researcher with the error.
    pub repairs: u32,
    /// Who proposes while a researcher cannot (an outage, a quota, an endpoint that hangs), the first that can. The
    /// optimizer always can.
    pub ladder: Vec<Kind>,
    /// Seconds that an idle device waits for a researcher before the next on the ladder proposes.
    pub patience_seconds: u64,
    /// Seconds that a researcher is left alone after a failure, doubled with each further one in a row, an hour at most.
    pub rest_seconds: u64,
    /// A language model writes learnings.md anew after so many trained trials; 0: never, it is rendered from the evidence.
    pub learnings_every: u32,
    /// Who proposes how much, for the kind `mix`.
    pub mix: MixSettings,
    /// The optimizer's own settings.
    pub optimizer: OptimizerSettings,
    /// The endpoint.
    pub openai: OpenAiSettings,
    /// The agent.
    pub command: CommandSettings,
    /// US dollars per million tokens, by the model's name; a model that is not listed costs nothing, and that is said.
    pub prices: BTreeMap<String, Price>,
}

impl Default for ResearcherSettings {
    fn default() -> Self {
        Self {
            kind: Kind::Optimizer,
            repairs: 3,
            ladder: vec![Kind::Optimizer],
            patience_seconds: 120,
            rest_seconds: 30,
            learnings_every: 1,
            mix: MixSettings::default(),
            command: CommandSettings::default(),
            prices: BTreeMap::new(),
            optimizer: OptimizerSettings::default(),
            openai: OpenAiSettings::default(),
        }
    }
}

/// US dollars per million tokens of one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the reply, thoughts included.
    pub output: f64,
}

/// Who proposes how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixSettings {
    /// Share of the trials that each researcher proposes; they need not add up to one.
    pub shares: BTreeMap<Kind, f64>,
    /// Whether those who do better get more: shares then follow the share of keeps, and the status says so.
    pub bandit: bool,
}

impl Default for MixSettings {
    fn default() -> Self {
        Self { shares: BTreeMap::from([(Kind::Openai, 0.5), (Kind::Optimizer, 0.5)]), bandit: false }
    }
}

/// A command line agent, for example `claude -p`, `codex exec` or `gemini -p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandSettings {
    /// Program and arguments. No shell reads them. The prompt goes to standard input, the reply comes from standard output.
    pub run: Vec<String>,
    /// Names of the environment variables that it may see, beside PATH, HOME, LANG and the like.
    pub environment: Vec<String>,
    /// Seconds before it and everything that it started is killed.
    pub timeout_seconds: u64,
    /// The most tokens of one prompt, estimated at four characters a token.
    pub max_prompt_tokens: u32,
    /// The model's name in `prices`; None: what it costs is not counted.
    pub model: Option<String>,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self { run: Vec::new(), environment: Vec::new(), timeout_seconds: 600, max_prompt_tokens: 24_000, model: None }
    }
}

/// Settings of the embedded optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// Seed of its generator. Its state is otherwise a pure function of the ledger.
    pub seed: u64,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self { seed: 20_260_301 }
    }
}

/// An OpenAI-compatible endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAiSettings {
    /// Base URL, up to and including the version: `https://api.openai.com/v1`, `http://localhost:11434/v1`, …
    pub base_url: String,
    /// Name of the model.
    pub model: String,
    /// The environment variable that holds the key. The key itself never stands in a file of the lab.
    pub key_variable: String,
    /// A file outside the lab that holds the key instead, readable by its owner alone: absolute, or beginning with `~/`.
    pub key_file: Option<PathBuf>,
    /// Sampling temperature; None leaves it to the server (some models refuse any).
    pub temperature: Option<f64>,
    /// The most tokens of one reply.
    pub max_output_tokens: u32,
    /// The most tokens of one prompt, estimated at four characters a token; what matters least is cut first.
    pub max_prompt_tokens: u32,
    /// Seconds before a call is given up.
    pub timeout_seconds: u64,
    /// How often a call that failed for a passing reason is made again, with back-off.
    pub retries: u32,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            model: "gpt-5-mini".into(),
            key_variable: "OPENAI_API_KEY".into(),
            key_file: None,
            temperature: None,
            max_output_tokens: 8_000,
            max_prompt_tokens: 24_000,
            timeout_seconds: 180,
            retries: 5,
        }
    }
}
