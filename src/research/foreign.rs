//! Text that came from outside (a researcher, an error, a file), made fit to stand in a line of ours: in a commit, in
//! learnings.md, on the screen. It can then no longer end the line, move the cursor, hide or reorder what follows.

/// One line of at most `most` characters: white space and control characters collapse into single spaces, invisible
/// and direction-changing characters go, what is too long ends in `…`.
///
/// ```
/// assert_eq!(autoresearch::research::foreign::one_line("a\n\u{1b}[31mb\u{202e}", 80), "a [31mb");
/// assert_eq!(autoresearch::research::foreign::one_line("abcdef", 4), "abc…");
/// ```
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            gap = length > 0;
        } else if !is_invisible(character) {
            if gap {
                line.push(' ');
                length += 1;
                gap = false;
            }
            line.push(character);
            length += 1;
        }
        // One more than fits is enough to know that it is too long, however much follows.
        if length > most {
            break;
        }
    }
    if length <= most {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    let kept = kept.trim_end();
    if most == 0 { String::new() } else { format!("{kept}…") }
}

/// A text without its invisible and direction-changing characters; its lines stay.
pub fn visible(text: &str) -> String {
    text.chars().filter(|character| !is_invisible(*character)).collect()
}

/// The words of one line, wrapped into lines of at most `width` characters; a longer word has a line of its own.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Characters that take no room and can make a line read otherwise than it is: zero-width ones, directional marks and
/// overrides, tags, the soft hyphen, the byte order mark.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_collapsed_and_capped() {
        let table = [
            ("  GELU in\r\n every\tblock ", 80, "GELU in every block"),
            ("one\u{2028}two\u{85}three\u{0}four", 80, "one two three four"),
            ("pay\u{200b}out \u{202e}3.0", 80, "payout 3.0"),
            ("exactly ten", 11, "exactly ten"),
            ("exactly tens", 11, "exactly te…"),
            ("ends at a space", 8, "ends at…"),
            ("größer", 4, "grö…"),
            ("anything", 0, ""),
            ("", 5, ""),
        ];
        for (text, most, wanted) in table {
            assert_eq!(one_line(text, most), wanted, "{text:?}");
        }
    }

    #[test]
    fn words_wrap() {
        assert_eq!(wrap("a bc def ghij", 6), ["a bc", "def", "ghij"]);
        assert_eq!(wrap("unbreakable it is", 4), ["unbreakable", "it", "is"]);
        assert!(wrap("", 4).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_short_line(text in any::<String>(), most in 0usize..100) {
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(|character| character.is_control() || is_invisible(character)));
            prop_assert_eq!(line.trim(), &line);
            prop_assert_eq!(one_line(&line, most), line.clone(), "a second time changes nothing");
        }
    }
}
