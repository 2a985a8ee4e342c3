//! A phrase: pieces that follow each other, and where they stand in a text.

use std::ops::Range;

/// How far apart the pieces of a phrase with a `*` may lie, in bytes.
const GAP: usize = 90;

/// One phrase of a rule.
#[derive(Debug)]
pub(super) struct Phrase {
    /// The rule's place in its set.
    pub(super) rule: usize,
    pieces: Vec<String>,
    open_end: bool,
}

impl Phrase {
    /// `*` between words is a gap; at the end of a word it lets the word go on.
    pub(super) fn new(rule: usize, words: &str) -> Self {
        let open_end = words.ends_with('*');
        let pieces =
            words.split('*').map(|piece| piece.trim().to_ascii_lowercase()).filter(|piece| !piece.is_empty()).collect();
        Self { rule, pieces, open_end }
    }

    /// What the automaton looks for: enough of the first piece to make a hit rare, and no more, which keeps the
    /// automaton small enough for the cache.
    pub(super) fn head(&self) -> &str {
        const HEAD: usize = 10;
        let first = self.pieces.first().map_or("", String::as_str);
        first.get(..first.floor_char_boundary(HEAD)).unwrap_or_default()
    }

    /// Whether it has no gap.
    pub(super) fn is_whole(&self) -> bool {
        self.pieces.len() == 1
    }

    /// A text that says no more than the phrase.
    pub(super) fn spoken(&self) -> String {
        self.pieces.join(" ")
    }

    /// The phrase as a rule would write it.
    pub(super) fn written(&self) -> String {
        self.pieces.join(" * ")
    }

    /// Whether both are the same words with the same gaps.
    pub(super) fn says_what(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }

    /// The whole of the phrase, given where its first piece begins.
    pub(super) fn complete(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let (first, rest) = self.pieces.split_first()?;
        if !text.get(start..)?.starts_with(first.as_str()) {
            return None;
        }
        let mut end = start + first.len();
        if !starts_word(text, start, first) || (!rest.is_empty() && !ends_word(text, end, first)) {
            return None;
        }
        let mut last = first;
        for (index, piece) in rest.iter().enumerate() {
            let reach = text.floor_char_boundary(end + GAP);
            let at = text.get(end..reach)?.match_indices(piece.as_str()).map(|(at, _)| end + at);
            let is_last = index + 1 == rest.len() && !self.open_end;
            let at = at
                .into_iter()
                .find(|at| starts_word(text, *at, piece) && (!is_last || ends_word(text, at + piece.len(), piece)))?;
            end = at + piece.len();
            last = piece;
        }
        (self.open_end || ends_word(text, end, last)).then_some(start..end)
    }
}

fn starts_word(text: &str, at: usize, piece: &str) -> bool {
    !(piece.starts_with(is_word) && text[..at].ends_with(is_word))
}

fn ends_word(text: &str, at: usize, piece: &str) -> bool {
    !(piece.ends_with(is_word) && text[at..].starts_with(is_word))
}

/// Only scripts that part their words with spaces have borders to respect.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
