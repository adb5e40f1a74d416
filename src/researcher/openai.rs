//! An LLM behind an OpenAI-compatible endpoint: prompts out, proposals in.
//!
//! Calls go through async-openai's client, carried by [`transport`], which bounds time and size, retries what passes,
//! and names what does not. Neither prompts nor replies nor the key are logged.

pub mod backoff;
pub mod completion;
pub mod dialect;
pub mod endpoint;
pub mod key;
pub mod said;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
pub mod transport;

use std::time::Instant;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, ResponseFormat,
};
use serde_json::{Value, json};

use self::backoff::Backoff;
use self::completion::Completion;
use self::dialect::Dialect;
use self::endpoint::Endpoint;
use self::key::Key;
use self::said::one_line;
use self::transport::Transport;
use super::dialogue::{Manner, Said, Speaker, Wanted};
use super::error::{ErrorKind, ResearcherError};
use super::meter::Meter;
use super::prompt::fit::tokens;
use super::prompt::templates::Templates;
use super::settings::{OpenAiSettings, Price, ResearcherSettings};
use crate::research::trial::Usage;

/// The name in commits and in the ledger.
pub const NAME: &str = "openai";

/// An LLM behind an endpoint.
#[derive(Clone, Debug)]
pub struct OpenAi {
    client: Client<OpenAIConfig>,
    config: OpenAIConfig,
    transport: Transport,
    endpoint: Endpoint,
    key: Option<Key>,
    dialect: Dialect,
    settings: OpenAiSettings,
    templates: Templates,
    /// How often an unreadable reply is asked for again.
    repairs: u32,
    /// US dollars per million tokens; None where the configuration does not say.
    price: Option<Price>,
    /// What its calls have cost so far.
    pub(super) meter: Meter,
}

impl OpenAi {
    /// A researcher at the configured endpoint; the key is read now.
    ///
    /// # Errors
    /// [`ErrorKind::BaseUrl`], those of [`Key::of`], [`ErrorKind::Client`].
    pub fn new(settings: &ResearcherSettings, templates: Templates) -> Result<Self, ResearcherError> {
        let price = settings.prices.get(&settings.openai.model).copied();
        let (repairs, settings) = (settings.repairs, &settings.openai);
        let endpoint = Endpoint::parse(&settings.base_url)?;
        let key = Key::of(settings, &endpoint)?;
        let mut openai = Self::with_key(settings, repairs, templates, key, Backoff::default())?;
        openai.price = price;
        Ok(openai)
    }

    fn with_key(
        settings: &OpenAiSettings,
        repairs: u32,
        templates: Templates,
        key: Option<Key>,
        backoff: Backoff,
    ) -> Result<Self, ResearcherError> {
        let endpoint = Endpoint::parse(&settings.base_url)?;
        // Set one by one: the crate's defaults read variables of the environment that were not asked for.
        let config = OpenAIConfig::new()
            .with_api_base(endpoint.base())
            .with_api_key(key.as_ref().map_or("", Key::expose))
            .with_org_id("")
            .with_project_id("");
        let transport = Transport::new(endpoint.clone(), key.clone(), settings, backoff)?;
        Ok(Self {
            client: Client::with_config(config.clone()).with_http_service(transport.clone()),
            config,
            transport,
            dialect: Dialect::new(endpoint.is_openai()),
            endpoint,
            key,
            settings: settings.clone(),
            templates,
            repairs,
            price: None,
            meter: Meter::default(),
        })
    }

    /// Whether endpoint, key and model work, in one small call without retries. For `doctor`.
    ///
    /// # Errors
    /// As for [`OpenAi::propose`].
    pub async fn check(&self) -> Result<(String, Usage), ResearcherError> {
        let mut probe = self.clone();
        probe.client = Client::with_config(self.config.clone()).with_http_service(self.transport.once());
        // Room enough for a model that thinks before it says OK.
        probe.settings.max_output_tokens = self.settings.max_output_tokens.min(256);
        let mut usage = Usage::default();
        let conversation = [Said::User("Reply with the word OK.".into())];
        probe.ask(&conversation, Wanted::Text, &mut usage).await.map_err(|kind| kind.costing(usage))?;
        let key = match self.key {
            Some(_) => format!("with the key in {}", Key::place(&self.settings)),
            None => "without a key".to_owned(),
        };
        let words =
            format!("{} at {} answered in {:.1} s, {key}", self.settings.model, self.endpoint.base(), usage.seconds);
        Ok((words, usage))
    }

    /// One call, made again in another dialect where the server does not take this one.
    async fn ask(&mut self, conversation: &[Said], wanted: Wanted, usage: &mut Usage) -> Result<Completion, ErrorKind> {
        loop {
            let started = Instant::now();
            let format = match wanted {
                Wanted::Text => None,
                Wanted::Proposals(count) => self.dialect.response_format(count),
            };
            let request = self.request(conversation, format);
            let outcome: Result<Value, OpenAIError> = self.client.chat().create_byot(&request).await;
            let seconds = started.elapsed().as_secs_f64();
            // A prompt that arrived has been paid for, though nothing came back.
            let unbilled = u64::from(self.transport.take_unbilled());
            usage.add(&completion::usage((unbilled * sent(conversation), 0), self.prices(), 0.0));
            let kind = match outcome {
                Ok(reply) => return self.completion(&reply, conversation, seconds, usage),
                Err(error) => self.named(error),
            };
            usage.seconds += seconds;
            let may_help = match &kind {
                ErrorKind::Request { status, message, .. } | ErrorKind::Server { status, message, .. } => {
                    self.dialect.learn(*status, message)
                }
                _ => false,
            };
            if !may_help {
                return Err(kind);
            }
            tracing::info!(form = ?self.dialect.form, "the endpoint does not take a parameter; asking again without it");
        }
    }

    fn completion(
        &self,
        reply: &Value,
        conversation: &[Said],
        seconds: f64,
        usage: &mut Usage,
    ) -> Result<Completion, ErrorKind> {
        let read = Completion::read(reply).map_err(|why| ErrorKind::Garbled {
            endpoint: self.endpoint.base().into(),
            attempts: 1,
            message: self.redacted(&why),
        });
        // Where the server does not count, the same estimate serves as for the prompt's limit.
        let estimate = |text: &str| (sent(conversation), u64::from(tokens(text)));
        let counted = read.as_ref().map_or((0, 0), |found| found.tokens.unwrap_or_else(|| estimate(&found.text)));
        usage.add(&completion::usage(counted, self.prices(), seconds));
        let mut completion = read?;
        if let Some(key) = &self.key {
            // What a server echoes must not end in a commit.
            completion.text = key.redact(&completion.text);
        }
        match &completion.refusal {
            Some(message) => Err(ErrorKind::Refused { message: self.redacted(message) }),
            None => Ok(completion),
        }
    }

    fn request(&self, conversation: &[Said], response_format: Option<ResponseFormat>) -> Value {
        let limit = Some(self.settings.max_output_tokens);
        let request = CreateChatCompletionRequest {
            model: self.settings.model.clone(),
            messages: conversation.iter().map(message).collect(),
            response_format,
            temperature: self.settings.temperature.filter(|_| self.dialect.temperature).map(|value| value as f32),
            max_completion_tokens: limit.filter(|_| self.dialect.new_limit_name),
            ..CreateChatCompletionRequest::default()
        };
        // A struct of strings and numbers is always JSON.
        let mut body = serde_json::to_value(request).unwrap_or_default();
        if let (Value::Object(fields), false) = (&mut body, self.dialect.new_limit_name) {
            fields.insert("max_tokens".into(), json!(self.settings.max_output_tokens));
        }
        body
    }

    /// The transport's own error, which the client has carried through; others are the client's.
    fn named(&self, error: OpenAIError) -> ErrorKind {
        let message = match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<ErrorKind>() {
                Ok(kind) => return *kind,
                Err(other) => other.to_string(),
            },
            // Its text would hold the whole reply.
            OpenAIError::JSONDeserialize(error, _) => format!("the reply is no JSON: {error}"),
            other => other.to_string(),
        };
        ErrorKind::Request { endpoint: self.endpoint.base().into(), status: 0, message: self.redacted(&message) }
    }

    /// US dollars per million tokens, of input and of output.
    fn prices(&self) -> (f64, f64) {
        self.price.map_or((0.0, 0.0), |price| (price.input, price.output))
    }

    fn redacted(&self, text: &str) -> String {
        one_line(&self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text)))
    }
}

/// Tokens of a conversation, estimated.
fn sent(conversation: &[Said]) -> u64 {
    conversation.iter().map(|said| u64::from(tokens(said.text()))).sum()
}

/// One side's words as the client sends them.
fn message(said: &Said) -> ChatCompletionRequestMessage {
    match said {
        Said::System(text) => ChatCompletionRequestSystemMessage::from(text.as_str()).into(),
        Said::User(text) => ChatCompletionRequestUserMessage::from(text.as_str()).into(),
        Said::Assistant(text) => ChatCompletionRequestAssistantMessage::from(text.as_str()).into(),
    }
}

impl Speaker for OpenAi {
    fn manner(&self) -> Manner<'_> {
        Manner {
            name: NAME,
            templates: &self.templates,
            repairs: self.repairs,
            max_prompt_tokens: self.settings.max_prompt_tokens,
            prompt_setting: "researcher.openai.max_prompt_tokens",
            max_output_tokens: self.settings.max_output_tokens,
            prices: self.prices(),
            meter: &self.meter,
        }
    }

    async fn say(&mut self, conversation: &[Said], wanted: Wanted, usage: &mut Usage) -> Result<Completion, ErrorKind> {
        self.ask(conversation, wanted, usage).await
    }
}
