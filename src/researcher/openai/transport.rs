//! One exchange with the endpoint: bounded in time and size, repeated with back-off where that can help, its failures
//! named. It sits below async-openai's client as the service that carries its requests, in place of the crate's own
//! retry layer, so that there is one place that sees status, headers and body together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;

use super::backoff::{Backoff, reset_after, retry_after};
use super::endpoint::Endpoint;
use super::key::Key;
use super::said::{Said, one_line};
use crate::researcher::error::ErrorKind;

/// A reply larger than this is no proposal.
pub const MAX_REPLY_BYTES: usize = 1 << 20;
/// Of an error page, this much is read.
const MAX_ERROR_BYTES: usize = 1 << 16;
/// A call that ran into its time limit is made once more, not as often as a short failure.
const TIMEOUT_RETRIES: u32 = 1;
/// All attempts of a call together, pauses among them, take no longer than so many times the limit of one.
const MOST_TIMEOUTS: u32 = 3;

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What carries requests to the endpoint.
#[derive(Clone, Debug)]
pub struct Transport {
    client: reqwest::Client,
    endpoint: Endpoint,
    key: Option<Key>,
    /// Where the key comes from, for messages.
    key_place: String,
    model: String,
    timeout: Duration,
    retries: u32,
    backoff: Backoff,
    /// Attempts since they were last [taken](Transport::take_unbilled) that the server had the prompt of, and of which no bill
    /// came back. Clones count together.
    unbilled: Arc<AtomicU32>,
}

/// What went wrong in one attempt, and whether another may help.
struct Failure {
    kind: ErrorKind,
    again: Again,
    /// The server had the prompt and did not refuse it: it may have been paid for.
    sent: bool,
}

enum Again {
    No,
    Yes { wait: Option<Duration> },
    AfterTimeout,
}

impl Transport {
    /// A transport to an endpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Client`] when the HTTP client cannot be made.
    pub fn new(
        endpoint: Endpoint,
        key: Option<Key>,
        settings: &crate::researcher::settings::OpenAiSettings,
        backoff: Backoff,
    ) -> Result<Self, ErrorKind> {
        // Fails only where a provider is installed already, which serves as well.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let timeout = Duration::from_secs(settings.timeout_seconds.max(1));
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(15)))
            // A redirect of an API is a wrong base URL; following it would carry the prompt to another host.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("autoresearch/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_local() {
            builder = builder.no_proxy();
        }
        if !endpoint.is_encrypted() {
            // A machine without certificates can still talk to a local server.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| ErrorKind::Client { why: chain(&error) })?;
        Ok(Self {
            client,
            endpoint,
            key,
            key_place: Key::place(settings),
            model: settings.model.clone(),
            timeout,
            retries: settings.retries,
            backoff,
            unbilled: Arc::default(),
        })
    }

    /// How many attempts have reached the server since this was last asked, of which nobody knows what they cost: cut off,
    /// timed out, or garbled.
    pub fn take_unbilled(&self) -> u32 {
        self.unbilled.swap(0, Ordering::Relaxed)
    }

    /// The same without retries, for a check that a person waits for.
    pub fn once(&self) -> Self {
        Self { retries: 0, ..self.clone() }
    }

    async fn exchange(&self, requests: &HttpRequestFactory) -> Result<reqwest::Response, ErrorKind> {
        let end = Instant::now() + self.timeout * MOST_TIMEOUTS;
        let mut attempt = 1;
        let mut timeouts = 0;
        loop {
            // The last attempt has what is left of the whole.
            let left = end.saturating_duration_since(Instant::now());
            let attempted = tokio::time::timeout(left, self.attempt(requests, attempt)).await;
            let failure = match attempted.unwrap_or_else(|_| Err(self.timed_out(attempt))) {
                Ok(body) => return Ok(reqwest::Response::from(http::Response::new(body))),
                Err(failure) => failure,
            };
            if failure.sent {
                self.unbilled.fetch_add(1, Ordering::Relaxed);
            }
            let wait = match failure.again {
                Again::No => return Err(failure.kind),
                Again::AfterTimeout if timeouts >= TIMEOUT_RETRIES => return Err(failure.kind),
                Again::AfterTimeout => {
                    timeouts += 1;
                    None
                }
                Again::Yes { wait } => wait,
            };
            // A server that asks for more patience than a call has is left alone; the loop decides what comes next.
            if attempt > self.retries || wait.is_some_and(|wait| wait > self.backoff.longest) {
                return Err(failure.kind);
            }
            let pause = self.backoff.pause(attempt, wait);
            if Instant::now() + pause >= end {
                return Err(failure.kind);
            }
            tracing::warn!(attempt, pause_ms = pause.as_millis() as u64, "{}", failure.kind);
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One attempt; a success is a body that is JSON.
    async fn attempt(&self, requests: &HttpRequestFactory, attempt: u32) -> Result<Vec<u8>, Failure> {
        let mut request = requests.build().await.map_err(|error| self.unsent(&error))?;
        if self.key.is_none() {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let mut response = self.client.execute(request).await.map_err(|error| self.broken(&error, attempt))?;
        let status = response.status();
        if status.is_success() {
            let body = self.read(&mut response, MAX_REPLY_BYTES, attempt).await?;
            let body = body.ok_or_else(|| Failure {
                kind: ErrorKind::TooLarge { endpoint: self.endpoint.base().into(), limit: MAX_REPLY_BYTES },
                again: Again::No,
                sent: true,
            })?;
            return match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                Ok(_) => self.without_error(body, attempt),
                Err(error) => Err(self.not_json(&body, &error, attempt)),
            };
        }
        let now = jiff::Timestamp::now();
        let asked = retry_after(response.headers(), now);
        let wait =
            asked.or_else(|| reset_after(response.headers(), now).filter(|_| matches!(status.as_u16(), 402 | 429)));
        let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        // What cannot be read of an error page is not worth an error of its own.
        let body = self.read(&mut response, MAX_ERROR_BYTES, attempt).await.ok().flatten().unwrap_or_default();
        let mut said = Said::read(&String::from_utf8_lossy(&body));
        if let Some(location) = location.filter(|_| status.is_redirection()) {
            said.message = format!("it redirects to {location}; is that the right base_url?");
        }
        said.message = self.redact(&said.message);
        Err(self.refused(status, said, wait, attempt))
    }

    /// A body that is no error: gateways like to report those of the server behind them as a success.
    fn without_error(&self, body: Vec<u8>, attempt: u32) -> Result<Vec<u8>, Failure> {
        let reply: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let status = reply
            .get("error")
            .filter(|error| error.is_object() && reply.get("choices").is_none())
            .and_then(|error| error.get("code").or_else(|| error.get("status")))
            .and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()))
            .and_then(|code| u16::try_from(code).ok().filter(|code| (400..600).contains(code)))
            .and_then(|code| StatusCode::from_u16(code).ok());
        let Some(status) = status else { return Ok(body) };
        let mut said = Said::read(&String::from_utf8_lossy(&body));
        said.message = self.redact(&said.message);
        Err(self.refused(status, said, None, attempt))
    }

    /// The body, or None where it is larger than `limit`.
    async fn read(
        &self,
        response: &mut reqwest::Response,
        limit: usize,
        attempt: u32,
    ) -> Result<Option<Vec<u8>>, Failure> {
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error, attempt))? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    fn redact(&self, text: &str) -> String {
        one_line(&self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text)))
    }

    fn unsent(&self, error: &OpenAIError) -> Failure {
        let message = self.redact(&error.to_string());
        Failure {
            kind: ErrorKind::Request { endpoint: self.endpoint.base().into(), status: 0, message },
            again: Again::No,
            sent: false,
        }
    }

    fn timed_out(&self, attempt: u32) -> Failure {
        let endpoint = self.endpoint.base().to_owned();
        let kind = ErrorKind::Timeout { endpoint, seconds: self.timeout.as_secs(), attempts: attempt };
        Failure { kind, again: Again::AfterTimeout, sent: true }
    }

    fn broken(&self, error: &reqwest::Error, attempt: u32) -> Failure {
        let endpoint = self.endpoint.base().to_owned();
        if error.is_timeout() {
            return Failure { sent: !error.is_connect(), ..self.timed_out(attempt) };
        }
        let message = self.redact(&chain(error));
        Failure {
            kind: ErrorKind::Network { endpoint, attempts: attempt, message },
            again: if error.is_builder() { Again::No } else { Again::Yes { wait: None } },
            sent: !error.is_builder() && !error.is_connect(),
        }
    }

    /// What is cut off is whole the next time, perhaps; what is something else altogether is not.
    fn not_json(&self, body: &[u8], error: &serde_json::Error, attempt: u32) -> Failure {
        let start = self.redact(&String::from_utf8_lossy(&body[..body.len().min(200)]));
        let message = format!("its reply is no JSON ({error}); it begins: {start}");
        Failure {
            kind: ErrorKind::Garbled { endpoint: self.endpoint.base().into(), attempts: attempt, message },
            again: if error.is_eof() { Again::Yes { wait: None } } else { Again::No },
            sent: true,
        }
    }

    /// A server that names the model has the address right.
    fn not_found(&self, status: u16, message: &str, code: &str) -> ErrorKind {
        let knows_the_address = code.contains("model") || message.contains(self.model.as_str());
        let advice = match self.endpoint.likely_mistake().filter(|_| !knows_the_address) {
            Some(mistake) => mistake,
            None => "check researcher.openai.model and base_url (up to and including the version, such as /v1)".into(),
        };
        ErrorKind::ModelNotFound {
            endpoint: self.endpoint.base().into(),
            model: self.model.clone(),
            status,
            message: format!("{message}; {advice}"),
        }
    }

    fn refused(&self, status: StatusCode, said: Said, wait: Option<Duration>, attempt: u32) -> Failure {
        let endpoint = self.endpoint.base().to_owned();
        let Said { message, code } = said;
        let number = status.as_u16();
        let (kind, again) = match number {
            // A server of this machine may be asked without a key.
            401 | 403 if self.key.is_none() => {
                let variable = self.key_place.clone();
                (ErrorKind::KeyWanted { endpoint, status: number, message, variable }, Again::No)
            }
            401 | 403 => {
                (ErrorKind::Auth { endpoint, status: number, message, place: self.key_place.clone() }, Again::No)
            }
            402 => (ErrorKind::Quota { endpoint, message, retry_after: wait }, Again::No),
            429 if code.contains("insufficient_quota") || code.contains("billing") => {
                (ErrorKind::Quota { endpoint, message, retry_after: wait }, Again::No)
            }
            429 => (
                ErrorKind::RateLimited { endpoint, attempts: attempt, message, retry_after: wait },
                Again::Yes { wait },
            ),
            408 | 500..=599 => {
                let kind =
                    ErrorKind::Server { endpoint, attempts: attempt, status: number, message, retry_after: wait };
                (kind, Again::Yes { wait })
            }
            // One that has something else at this address says that it does not take a POST.
            404 | 405 => (self.not_found(number, &message, &code), Again::No),
            _ if code.contains("model_not_found") => (self.not_found(number, &message, &code), Again::No),
            _ => (ErrorKind::Request { endpoint, status: number, message }, Again::No),
        };
        Failure { kind, again, sent: false }
    }
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = reqwest::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, requests: HttpRequestFactory) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move { transport.exchange(&requests).await.map_err(|kind| Box::new(kind) as BoxError) })
    }
}

/// An error and its causes on one line. URLs are left out: they say nothing that the endpoint's name does not.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    if let Some(url) = error.url() {
        text = text.replace(&format!(" for url ({url})"), "");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}
