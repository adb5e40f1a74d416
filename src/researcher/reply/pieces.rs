//! The parts of a reply that may hold a proposal: fenced blocks, objects in prose, and the objects of a list that is
//! broken somewhere.

/// Of fenced blocks, and of objects, no more are looked at.
const MOST: usize = 32;
/// What a proposal may begin with.
const FIRST_KEYS: [&str; 5] = ["title", "hypothesis", "category", "expected_effect", "spec"];

/// A fenced block.
pub(super) struct Block<'a> {
    /// What stands inside.
    pub(super) text: &'a str,
    /// Where that begins in the whole.
    pub(super) start: usize,
}

/// The insides of fences of three or more backticks that start a line. Of a reply that was cut off, a fence that is still
/// open holds half of something, and is left out.
pub(super) fn fenced_blocks(text: &str, cut_off: bool) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let ticks = line.trim_start().chars().take_while(|letter| *letter == '`').count();
        match open {
            None if ticks >= 3 => open = Some((ticks, offset + line.len())),
            Some((fence, start)) if ticks >= fence && line.trim().chars().all(|letter| letter == '`') => {
                blocks.push(Block { text: &text[start..offset], start });
                open = None;
            }
            _ => {}
        }
        offset += line.len();
        if blocks.len() >= MOST {
            return blocks;
        }
    }
    if let (Some((_, start)), false) = (open, cut_off) {
        blocks.push(Block { text: &text[start.min(text.len())..], start: start.min(text.len()) });
    }
    blocks
}

/// What looks like objects in a text that is no JSON as a whole. Each is to be read on its own: one that is broken takes
/// no other with it.
pub(super) fn objects(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text
        .match_indices('{')
        .map(|(index, _)| index)
        .filter(|index| begins_a_proposal(&text[index + 1..]))
        .take(MOST)
        .collect();
    if starts.is_empty() {
        return side_by_side(text);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let segments = starts.iter().zip(ends).map(|(start, end)| &text[*start..end]);
    segments.map(|segment| closed(segment).unwrap_or(segment)).collect()
}

fn begins_a_proposal(inside: &str) -> bool {
    let Some(rest) = inside.trim_start().strip_prefix('"') else { return false };
    FIRST_KEYS.iter().any(|key| rest.strip_prefix(key).is_some_and(|rest| rest.starts_with('"')))
}

/// Objects one after another, whatever they hold; the last may be open.
fn side_by_side(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let (Some(start), true) = (rest.find('{'), found.len() < MOST) {
        rest = &rest[start..];
        let object = closed(rest).unwrap_or(rest);
        found.push(object);
        rest = &rest[object.len()..];
    }
    found
}

/// From the brace that a text begins with to the one that closes it, strings skipped.
fn closed(text: &str) -> Option<&str> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(&text[..=index]);
                }
            }
            _ => {}
        }
    }
    None
}
