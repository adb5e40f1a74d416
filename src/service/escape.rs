//! Paths as systemd reads them in a unit file: `%` begins a specifier everywhere, `$` a variable in commands, and white
//! space, quotes and backslashes are parted words, quotation and escapes where a value is a list.

use std::path::Path;

/// A word of a command line or of a list, quoted.
pub(super) fn word(text: &str, is_command: bool) -> String {
    let mut quoted = String::from("\"");
    for each in text.chars() {
        match each {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '%' => quoted.push_str("%%"),
            '$' if is_command => quoted.push_str("$$"),
            _ => quoted.push(each),
        }
    }
    quoted.push('"');
    quoted
}

/// A value that is one path to the end of its line.
pub(super) fn whole_line(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// Why a path cannot stand in a unit file at all, if so.
pub(super) fn refusal(path: &Path) -> Option<&'static str> {
    let Some(text) = path.to_str() else { return Some("is not UTF-8") };
    if text.chars().any(char::is_control) {
        return Some("holds a line break or another control character");
    }
    if !path.is_absolute() {
        return Some("is not absolute");
    }
    if text.ends_with('\\') || text.trim() != text {
        return Some("ends in white space or a backslash, which a unit file cannot hold");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_lose_their_meaning() {
        let table = [
            ("/plain", "\"/plain\"", "\"/plain\""),
            ("/a b", "\"/a b\"", "\"/a b\""),
            ("/100%", "\"/100%%\"", "\"/100%%\""),
            ("/a$b", "\"/a$$b\"", "\"/a$b\""),
            ("/a\"b\\c", "\"/a\\\"b\\\\c\"", "\"/a\\\"b\\\\c\""),
        ];
        for (text, command, list) in table {
            assert_eq!(word(text, true), command);
            assert_eq!(word(text, false), list);
        }
        assert_eq!(whole_line(Path::new("/a b/100%")), "/a b/100%%");
    }

    #[test]
    fn paths_that_would_break_the_file_are_refused() {
        for bad in ["relative", "/a\nExecStart=/bin/sh", "/ends in\\", "/ends "] {
            assert!(refusal(Path::new(bad)).is_some(), "{bad:?}");
        }
        assert_eq!(refusal(Path::new("/a b/100%/$x\"")), None);
    }
}
