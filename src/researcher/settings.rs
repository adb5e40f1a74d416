//! Which researcher proposes, and how it is reached, as a person writes it in autoresearch.yaml.

use serde::{Deserialize, Serialize};

/// The researchers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The embedded optimizer: no key, no network.
    #[default]
    Optimizer,
    /// An LLM behind an OpenAI-compatible endpoint.
    Openai,
}

/// The researcher section of autoresearch.yaml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResearcherSettings {
    /// Who proposes. `autoresearch run --researcher` overrides it.
    pub kind: Kind,
    /// How often an unusable proposal goes back to its researcher with the error.
    pub repairs: u32,
    /// The optimizer's own settings.
    pub optimizer: OptimizerSettings,
    /// The endpoint.
    pub openai: OpenAiSettings,
}

impl Default for ResearcherSettings {
    fn default() -> Self {
        Self {
            kind: Kind::Optimizer,
            repairs: 3,
            optimizer: OptimizerSettings::default(),
            openai: OpenAiSettings::default(),
        }
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
    /// US dollars per million input tokens, for the cost column.
    pub input_price: f64,
    /// US dollars per million output tokens, for the cost column.
    pub output_price: f64,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            model: "gpt-5-mini".into(),
            key_variable: "OPENAI_API_KEY".into(),
            temperature: None,
            max_output_tokens: 8_000,
            max_prompt_tokens: 24_000,
            timeout_seconds: 180,
            retries: 5,
            input_price: 0.0,
            output_price: 0.0,
        }
    }
}
