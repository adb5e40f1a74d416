//! The API key: read from the environment once, shown nowhere.

use std::fmt;

use crate::researcher::error::ErrorKind;

/// A key. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone)]
pub struct Key {
    secret: String,
}

impl Key {
    /// Checks a key. Surrounding white space, as files and shells leave it, is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMalformed`] when it is empty or could not stand in an HTTP header.
    pub fn new(text: &str, variable: &str) -> Result<Self, ErrorKind> {
        let secret = text.trim();
        if secret.is_empty() || !secret.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(ErrorKind::KeyMalformed { variable: variable.to_owned() });
        }
        Ok(Self { secret: secret.to_owned() })
    }

    /// Reads the key from the environment. An endpoint on this machine may go without one.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMissing`] where a key is needed and there is none; [`ErrorKind::KeyMalformed`].
    pub fn from_environment(variable: &str, base_url: &str, is_local: bool) -> Result<Option<Self>, ErrorKind> {
        // A value that is not Unicode cannot be a key either.
        let found = std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned());
        match found.filter(|text| !text.trim().is_empty()) {
            Some(text) => Self::new(&text, variable).map(Some),
            None if is_local => Ok(None),
            None => Err(ErrorKind::KeyMissing { variable: variable.to_owned(), base_url: base_url.to_owned() }),
        }
    }

    /// The key itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.secret
    }

    /// A text of somebody else's with the key taken out of it. Servers like to quote keys back.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.secret, "[key]")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key([key])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(" sk-very-secret\n", "SOME_KEY").expect("white space around a key is dropped");
        assert_eq!(key.expose(), "sk-very-secret");
        assert!(!format!("{key:?}").contains("secret"));
        assert_eq!(key.redact("Incorrect API key: sk-very-secret."), "Incorrect API key: [key].");
    }

    #[test]
    fn what_no_header_may_hold_is_refused_without_showing_it() {
        for bad in ["", "  ", "sk-a b", "sk-a\nb", "\"sk-ä\""] {
            let error = Key::new(bad, "SOME_KEY").expect_err("not a key");
            assert_eq!(error, ErrorKind::KeyMalformed { variable: "SOME_KEY".into() });
            assert!(!error.to_string().contains("sk-"));
        }
    }

    #[test]
    fn a_missing_key_is_an_error_only_for_a_distant_endpoint() {
        let variable = "AUTORESEARCH_TEST_KEY_THAT_NOBODY_SETS";
        let missing = Key::from_environment(variable, "https://api.example.com/v1", false).expect_err("no key");
        assert!(missing.to_string().contains(variable), "{missing}");
        assert!(Key::from_environment(variable, "http://localhost:1/v1", true).expect("none is needed").is_none());
    }
}
