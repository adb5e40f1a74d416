//! Text that looks like a key, found by how keys begin: it must not stand in a file of the lab, and what an agent prints
//! goes without it.

/// How the keys of well-known services begin.
const PREFIXES: [&str; 10] = ["sk-", "sk_", "pk-", "ghp_", "github_pat_", "AIza", "xai-", "gsk_", "hf_", "glpat-"];
/// What follows has at least so many characters; a shorter word is a name.
const SHORTEST: usize = 16;

/// Whether a key seems to stand somewhere in a text.
pub fn looks_like_a_key(text: &str) -> bool {
    next_key(text).is_some()
}

/// A text with everything that looks like a key taken out of it.
pub fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = next_key(rest) {
        out.push_str(&rest[..start]);
        out.push_str("[key]");
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Where the first key begins and ends.
fn next_key(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some((start, prefix)) =
        PREFIXES.iter().filter_map(|prefix| Some((from + text[from..].find(prefix)?, prefix))).min()
    {
        let inside = start + prefix.len();
        let of_a_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let end = text[inside..].find(|letter| !of_a_word(letter)).map_or(text.len(), |length| inside + length);
        // In the middle of a word it is a part of a name: `task-…`.
        let begins = text[..start].chars().next_back().is_none_or(|before| !of_a_word(before));
        if begins && end - inside >= SHORTEST && text[inside..end].chars().any(|letter| letter.is_ascii_digit()) {
            return Some((start, end));
        }
        // The rest of the word begins nothing: on to its end, so that no text is gone over twice.
        from = end.max(inside);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_and_what_is_none() {
        let table = [
            ("Incorrect API key: sk-proj-a1b2c3d4e5f6g7h8.", "Incorrect API key: [key]."),
            ("--api-key=ghp_0123456789abcdefABCDEF", "--api-key=[key]"),
            ("AIzaSyA0123456789abcdef and gsk_0123456789abcdef", "[key] and [key]"),
            ("sk-short", "sk-short"),
            ("a task-force-of-one-hundred-1234567890123", "a task-force-of-one-hundred-1234567890123"),
            ("--sk-is-not-a-key-of-anybody", "--sk-is-not-a-key-of-anybody"),
            ("claude -p --model claude-sonnet-4-5-20250929", "claude -p --model claude-sonnet-4-5-20250929"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(without_keys(text), expected);
            assert_eq!(looks_like_a_key(text), text != expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_is_taken_out(text in "(sk-|hf_|[a-z0-9ä ]|-){0,40}") {
            let clean = without_keys(&text);
            prop_assert!(!looks_like_a_key(&clean), "{}", clean);
            if !looks_like_a_key(&text) {
                prop_assert_eq!(clean, text);
            }
        }
    }
}
