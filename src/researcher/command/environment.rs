//! What an agent sees of the environment: what a program needs to run at all, and the variables that were named. The
//! values of the latter are secrets; nothing that it prints is passed on with them.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::researcher::secret::without_keys;

/// What every program may see.
const ALWAYS: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TERM", "USER", "TMPDIR"];
/// And everything that begins so.
const ALWAYS_PREFIX: &str = "XDG_";
/// A shorter value is no secret: to take every `1` out of a text would only garble it.
const SHORTEST_SECRET: usize = 6;

/// The environment of an agent. Its `Debug` shows names alone.
#[derive(Clone)]
pub(super) struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// The longest first, so that no part of one stays when another is a part of it.
    secrets: Vec<String>,
}

impl Environment {
    /// Of all variables, those that are always there and those that are named.
    pub(super) fn new(named: &[String], all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let (mut variables, mut secrets) = (Vec::new(), Vec::new());
        for (name, value) in all {
            let Some(word) = name.to_str() else { continue };
            let always = ALWAYS.contains(&word) || word.starts_with(ALWAYS_PREFIX);
            if !always && named.iter().any(|other| other == word) {
                secrets.push(value.to_string_lossy().trim().to_owned());
            } else if !always {
                continue;
            }
            variables.push((name, value));
        }
        variables.push(("NO_COLOR".into(), "1".into()));
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { variables, secrets }
    }

    /// Every variable that the agent gets.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// A text of the agent's with the secrets taken out of it, and with everything that looks like a key: it may have
    /// keys of its own.
    pub(super) fn redact(&self, text: &str) -> String {
        let known = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[key]"));
        without_keys(&known)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(named: &[&str]) -> Environment {
        let all = [
            ("PATH", "/bin"),
            ("XDG_CONFIG_HOME", "/home/me/.config"),
            ("MY_KEY", "abc-secret"),
            ("MY_OTHER_KEY", "abc-secret-longer"),
            ("FLAG", "1"),
            ("DATABASE_PASSWORD", "hunter2"),
        ];
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        Environment::new(&named, all.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn an_agent_sees_what_was_named_and_no_more() {
        let found = environment(&["MY_KEY", "FLAG", "ABSENT"]);
        let names: Vec<&str> = found.variables().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(names, ["PATH", "XDG_CONFIG_HOME", "MY_KEY", "FLAG", "NO_COLOR"]);
        assert_eq!(found.get("MY_KEY"), Some(OsStr::new("abc-secret")));
    }

    #[test]
    fn what_was_named_is_taken_out_of_what_it_prints() {
        let found = environment(&["MY_KEY", "MY_OTHER_KEY", "FLAG"]);
        assert_eq!(found.redact("abc-secret-longer, abc-secret, 1, /bin"), "[key], [key], 1, /bin");
        assert_eq!(found.redact("mine is sk-0123456789abcdef"), "mine is [key]");
        let shown = format!("{found:?}");
        assert!(shown.contains("MY_KEY") && !shown.contains("secret"), "{shown}");
    }
}
