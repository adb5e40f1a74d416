//! The API key: read from the environment or from a file of its owner's, once, and shown nowhere.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::endpoint::Endpoint;
use crate::researcher::error::ErrorKind;
use crate::researcher::settings::OpenAiSettings;

/// No key is longer than this many bytes.
const LONGEST: u64 = 16 << 10;

/// A key. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone)]
pub struct Key {
    secret: String,
}

impl Key {
    /// Checks a key from `place`. Surrounding white space, as files and shells leave it, is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMalformed`] when it is empty or could not stand in an HTTP header.
    pub fn new(text: &str, place: &str) -> Result<Self, ErrorKind> {
        let secret = text.trim();
        if secret.is_empty() || !secret.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(ErrorKind::KeyMalformed { place: place.to_owned() });
        }
        Ok(Self { secret: secret.to_owned() })
    }

    /// The key that the settings speak of: in the file if one is named, else in the environment.
    ///
    /// # Errors
    /// As [`Key::from_file`] and [`Key::from_environment`].
    pub fn of(settings: &OpenAiSettings, endpoint: &Endpoint) -> Result<Option<Self>, ErrorKind> {
        match &settings.key_file {
            Some(path) => Self::from_file(path).map(Some),
            None => Self::from_environment(&settings.key_variable, endpoint.base(), endpoint.is_local()),
        }
    }

    /// Where the settings say that the key is, for messages.
    pub fn place(settings: &OpenAiSettings) -> String {
        settings.key_file.as_ref().map_or_else(|| settings.key_variable.clone(), |path| path.display().to_string())
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

    /// Reads the key from a file that belongs to this user and that nobody else may read.
    ///
    /// # Errors
    /// [`ErrorKind::KeyFile`], which says what to do; [`ErrorKind::KeyMalformed`].
    pub fn from_file(path: &Path) -> Result<Self, ErrorKind> {
        let shown = path.display().to_string();
        let refuse = |why: String| ErrorKind::KeyFile { path: shown.clone(), why };
        let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
        let full = expanded(path).ok_or_else(|| refuse("begins with `~/`, and HOME is not set".into()))?;
        // A pipe would be waited for; a folder gives an error that explains nothing.
        if !std::fs::metadata(&full).map_err(unreadable)?.is_file() {
            return Err(refuse("is no file".into()));
        }
        let file = File::open(&full).map_err(unreadable)?;
        // Of what was opened, not of what stands there by now.
        let found = file.metadata().map_err(unreadable)?;
        let me = nix::unistd::geteuid().as_raw();
        if found.uid() != me {
            return Err(refuse(format!(
                "belongs to user {}, and this is user {me}; run `chown {me} {shown}`, or copy it and run `chmod 600` on the copy",
                found.uid()
            )));
        }
        if found.mode() & 0o077 != 0 {
            return Err(refuse(format!(
                "may be used by others (its mode is {:04o}); run `chmod 600 {shown}`",
                found.mode() & 0o7777
            )));
        }
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LONGEST {
            return Err(refuse(format!("has more than {LONGEST} bytes; it must hold the key and nothing else")));
        }
        Self::new(&text, &shown)
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

/// `~/` as the shell would read it; None without a home.
pub fn expanded(path: &Path) -> Option<PathBuf> {
    match path.strip_prefix("~") {
        Ok(rest) => std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(rest)),
        Err(_) => Some(path.to_path_buf()),
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key([key])")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

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
            assert_eq!(error, ErrorKind::KeyMalformed { place: "SOME_KEY".into() });
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

    #[test]
    fn a_file_that_only_its_owner_can_read_holds_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        write(&path, "sk-from-a-file\n").expect("written");
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
            match Key::from_file(&path) {
                Ok(key) => assert!(fine && key.expose() == "sk-from-a-file", "{mode:o}"),
                Err(error) => {
                    let (words, advice) = (error.to_string(), format!("run `chmod 600 {}`", path.display()));
                    assert!(!fine && words.contains(&advice) && words.contains(&format!("{mode:04o}")), "{words}");
                    assert!(!words.contains("sk-"), "{words}");
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_keys_file_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let private = |name: &str, bytes: &[u8]| {
            write(path(name), bytes).expect("written");
            set_permissions(path(name), Permissions::from_mode(0o600)).expect("changed");
        };
        private("empty", b"\n");
        private("two-lines", b"sk-a\nsk-b\n");
        private("large", &[b'k'; LONGEST as usize + 1]);
        private("binary", &[0xff, 0xfe]);
        let table = [
            ("absent", "cannot be read: No such file"),
            (".", "is no file"),
            ("empty", "is empty, or holds"),
            ("two-lines", "is empty, or holds"),
            ("large", "more than 16384 bytes"),
            ("binary", "cannot be read"),
        ];
        for (name, part) in table {
            let words = Key::from_file(&path(name)).expect_err(part).to_string();
            assert!(words.contains(part) && words.contains(&path(name).display().to_string()), "{name}: {words}");
            assert!(!words.contains("sk-") && !words.contains("kkk"), "{words}");
        }
        // The superuser owns everything that no other user here does.
        if nix::unistd::geteuid().as_raw() != 0 {
            let words = Key::from_file(Path::new("/etc/passwd")).expect_err("root's").to_string();
            assert!(words.contains("belongs to user"), "{words}");
        }
    }
}
