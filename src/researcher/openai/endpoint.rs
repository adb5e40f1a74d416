//! The base URL, checked once: where calls go, and whether that is this machine.

use crate::researcher::error::ErrorKind;

/// A checked base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: reqwest::Url,
}

impl Endpoint {
    /// Checks a base URL.
    ///
    /// # Errors
    /// [`ErrorKind::BaseUrl`] when it is no http or https URL with a host, or holds credentials or a query.
    pub fn parse(base_url: &str) -> Result<Self, ErrorKind> {
        let refuse = |shown: &str, why: &str| ErrorKind::BaseUrl { base_url: shown.to_owned(), why: why.to_owned() };
        let url = reqwest::Url::parse(base_url.trim().trim_end_matches('/'))
            .map_err(|error| refuse(base_url, &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(base_url, "the scheme must be http or https"));
        }
        if url.host_str().is_none() {
            return Err(refuse(base_url, "it names no host"));
        }
        // Not shown: what stands there may be a secret.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("[hidden]", "a user name or password does not belong there; use the key's variable"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("[hidden]", "it must end with the path, without `?` or `#`"));
        }
        Ok(Self { url })
    }

    /// The base URL without a slash at its end.
    pub fn base(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// What is wrong with the address where nothing was found there, if that can be told from its path; in words that go
    /// on with what to write.
    pub fn likely_mistake(&self) -> Option<String> {
        let base = self.base();
        for call in ["/chat/completions", "/completions", "/responses", "/models"] {
            if let Some(rest) = base.strip_suffix(call) {
                return Some(format!(
                    "most likely researcher.openai.base_url is too long, since `{call}` is added to it: try {rest}"
                ));
            }
        }
        let is_version = |part: &str| {
            let digits = part.strip_prefix('v').unwrap_or_default();
            digits.starts_with(|first: char| first.is_ascii_digit())
        };
        let names_a_version = self.url.path_segments().is_some_and(|mut parts| parts.any(is_version));
        (!names_a_version).then(|| {
            format!(
                "most likely researcher.openai.base_url lacks the version at its end, since /chat/completions is added to \
                 it: try {base}/v1"
            )
        })
    }

    /// Whether it is on this machine: it then needs no key, no TLS and no proxy.
    pub fn is_local(&self) -> bool {
        let Some(host) = self.url.host_str() else { return false };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether calls go through TLS.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it is OpenAI's own, which has dropped parameters that others still expect.
    pub fn is_openai(&self) -> bool {
        self.url.host_str().is_some_and(|host| host == "api.openai.com")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_likely_wrong_with_an_address() {
        let table = [
            ("http://localhost:11434", Some("try http://localhost:11434/v1")),
            ("http://localhost:11434/api", Some("try http://localhost:11434/api/v1")),
            ("https://example.com/v1/chat/completions", Some("try https://example.com/v1")),
            ("https://api.openai.com/v1", None),
            ("https://example.com/v1beta/openai", None),
            ("https://example.com/vllm", Some("try https://example.com/vllm/v1")),
        ];
        for (base, words) in table {
            let found = Endpoint::parse(base).expect(base).likely_mistake();
            match words {
                Some(words) => {
                    assert!(found.as_deref().is_some_and(|found| found.ends_with(words)), "{base}: {found:?}");
                }
                None => assert_eq!(found, None, "{base}"),
            }
        }
    }

    #[test]
    fn base_urls() {
        // (input, base or None, local, why)
        let table = [
            ("https://api.openai.com/v1", Some("https://api.openai.com/v1"), false, "the usual one"),
            ("https://api.openai.com/v1/", Some("https://api.openai.com/v1"), false, "a slash at the end is dropped"),
            ("http://localhost:11434/v1", Some("http://localhost:11434/v1"), true, "a local server"),
            ("http://127.0.0.1:8000", Some("http://127.0.0.1:8000"), true, "a local address"),
            ("http://[::1]:8000/v1", Some("http://[::1]:8000/v1"), true, "the same in IPv6"),
            ("http://localhost.example.com/v1", Some("http://localhost.example.com/v1"), false, "not this machine"),
            ("api.openai.com/v1", None, false, "no scheme"),
            ("ftp://example.com", None, false, "no HTTP"),
            ("https://user:secret@example.com/v1", None, false, "credentials"),
            ("https://example.com/v1?key=secret", None, false, "a query"),
            ("", None, false, "nothing"),
        ];
        for (input, base, local, why) in table {
            match (Endpoint::parse(input), base) {
                (Ok(endpoint), Some(base)) => {
                    assert_eq!(endpoint.base(), base, "{why}");
                    assert_eq!(endpoint.is_local(), local, "{why}");
                }
                (Err(error), None) => assert!(!error.to_string().contains("secret"), "{why}: {error}"),
                (found, _) => panic!("{why}: {found:?}"),
            }
        }
    }
}
