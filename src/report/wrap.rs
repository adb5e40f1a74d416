//! Long lines broken between words, each going on under where its text began. Pure.

/// The width of what is laid out where there is no terminal.
pub const WIDTH: usize = 100;
/// What a broken line must leave for its text.
const LEAST: usize = 24;
/// How far in a line goes on that neither is indented nor has columns.
const HANG: usize = 2;
/// What ends a style.
const RESET: &str = "\u{1b}[0m";

/// Breaks every line of `text` that is wider than `width`, at spaces only: no number is cut, and none parted from its
/// `±` or `%`. The rest of a line goes on in the column in which its text begins: behind the last gap of two spaces or
/// more (a row's name, the columns of a table), behind a name in a style of its own, or behind its indentation; of a line
/// that has nothing of these, a little further in. Escape sequences have no width.
pub fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if columns(line) <= width {
            out.push_str(line);
        } else {
            broken(line, width, &mut out);
        }
        out.push_str(end);
    }
    out
}

fn broken(line: &str, width: usize, out: &mut String) {
    let (start, hang) = text_begins(line, width);
    out.push_str(&line[..start]);
    let (mut at, mut empty) = (columns(&line[..start]), true);
    for piece in pieces(&line[start..]) {
        let wide = columns(&piece);
        if !empty && at + 1 + columns(piece.trim_end()) > width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            (at, empty) = (hang, true);
        }
        if !empty {
            out.push(' ');
            at += 1;
        }
        out.push_str(&piece);
        (at, empty) = (at + wide, false);
    }
}

/// Where the text of a line begins, as byte, and the column in which it goes on: behind its last wide gap that leaves
/// enough room. Where a style ends, one space is a gap.
fn text_begins(line: &str, width: usize) -> (usize, usize) {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let (mut found, mut spaces) = ((indent, if indent > 0 { indent } else { HANG }), 0);
    let (mut escaped, mut named) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '\u{1b}' => (escaped, named) = (true, named || line[at..].starts_with(RESET)),
            'm' if escaped => escaped = false,
            _ if escaped => {}
            ' ' => spaces += 1,
            _ => {
                let column = columns(&line[..at]);
                if column > 0 && (spaces > 1 || named && spaces == 1) && column + LEAST <= width {
                    found = (at, column);
                }
                (spaces, named) = (0, false);
            }
        }
    }
    found
}

/// The words of a text; what belongs to a number is one with it.
fn pieces(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let joins = word.starts_with(['%', '±']) || found.last().is_some_and(|last| last.ends_with('±'));
        match found.last_mut() {
            // One of several spaces.
            Some(last) if word.is_empty() => last.push(' '),
            Some(last) if joins => {
                last.push(' ');
                last.push_str(word);
            }
            _ => found.push(word.to_owned()),
        }
    }
    found
}

/// The columns that a text takes on a terminal.
fn columns(text: &str) -> usize {
    let (mut count, mut escaped) = (0, false);
    for letter in text.chars() {
        match letter {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_goes_on_under_its_text() {
        let row =
            "noise      0.00480 between seeds; by that alone a gain of 0.00580 ± 0.00310 is found with 80 % power\n";
        let lines = [
            "noise      0.00480 between seeds; by",
            "           that alone a gain of",
            "           0.00580 ± 0.00310 is found",
            "           with 80 % power\n",
        ];
        assert_eq!(wrap(row, 40), lines.join("\n"));
        assert_eq!(wrap(row, 200), row);
        let trial = "  000042 keep     \u{1b}[32m  0.01820  +0.00130\u{1b}[0m     3      24 s  GELU in every block but the last one";
        let lines = wrap(trial, 90).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(columns(&lines[0]) - columns("GELU in every block but the last"), lines[1].len() - "one".len());
    }

    /// A name that fills its column is a name all the same, and its style no part of the column.
    #[test]
    fn a_styled_name_and_a_bare_line_hang() {
        let row = "\u{1b}[1mincumbent \u{1b}[0m 000001 Pearson loss: payout 0.07625 ± 0.00988 over all its 12 seeds";
        let broken = wrap(row, 60);
        assert_eq!(broken.lines().nth(1), Some("           over all its 12 seeds"), "{broken}");
        let row = "\u{1b}[1mproposed by\u{1b}[0m a language model behind an endpoint, category loss";
        let broken = wrap(row, 40);
        assert_eq!(broken.lines().nth(1), Some("            endpoint, category loss"), "{broken}");
        let bare = "notebook autoresearch/2026-11-22; training on cpu, 2 threads; optimizer proposes";
        let broken = wrap(bare, 60);
        assert_eq!(broken.lines().nth(1), Some("  threads; optimizer proposes"), "{broken}");
    }

    #[test]
    fn a_number_stays_with_its_sign() {
        let wrapped = wrap("x          about 0.01820 ± 0.00300 and 95 % of it", 36);
        assert_eq!(wrapped, "x          about 0.01820 ± 0.00300\n           and 95 % of it");
    }

    proptest! {
        /// Nothing is lost or added but line breaks and spaces, and no line is too wide but where one word is.
        #[test]
        fn words_are_kept_and_lines_are_short(
            words in prop::collection::vec("[a-z0-9.+-]{1,20}|±|%|  |\u{1b}\\[1m", 0..40),
            width in 30_usize..120,
        ) {
            let text = format!("name       {}\n", words.join(" "));
            let wrapped = wrap(&text, width);
            let flat = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(flat(&wrapped), flat(&text));
            for line in wrapped.lines().filter(|line| columns(line.trim_end()) > width) {
                let (start, _) = text_begins(line, width);
                let longest = pieces(&line[start..]).len();
                prop_assert!(longest <= 1, "{:?} is wider than {}", line, width);
            }
        }
    }
}
