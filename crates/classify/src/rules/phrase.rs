//! A phrase: pieces that follow each other, and where they stand in a text.

use std::ops::Range;

/// How far apart the pieces of a phrase with a `*` may lie, in bytes.
const GAP: usize = 90;

/// One phrase of a rule.
#[derive(Debug)]
pub(super) struct Phrase {
    /// The rule's place in its set.
    pub(super) rule: usize,
    /// How long the first piece is, and its last letter: most phrases that begin alike fail by it, and none but these
    /// two needs to be looked at for that.
    first: (usize, Option<u8>),
    pieces: Vec<Piece>,
    open_end: bool,
}

/// Words without a gap, and which of their ends is a border that a text must have too.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    words: String,
    starts_word: bool,
    ends_word: bool,
}

impl Piece {
    fn new(words: String) -> Self {
        Self { starts_word: words.starts_with(is_word), ends_word: words.ends_with(is_word), words }
    }

    fn stands_at(&self, text: &[u8], at: usize) -> bool {
        text.get(at..at + self.words.len()) == Some(self.words.as_bytes())
    }

    fn starts_word(&self, text: &[u8], at: usize) -> bool {
        !(self.starts_word && at > 0 && text.get(at - 1).is_some_and(u8::is_ascii_alphanumeric))
    }

    fn ends_word(&self, text: &[u8], end: usize) -> bool {
        !(self.ends_word && text.get(end).is_some_and(u8::is_ascii_alphanumeric))
    }
}

impl Phrase {
    /// `*` between words is a gap; at the end of a word it lets the word go on.
    pub(super) fn new(rule: usize, words: &str) -> Self {
        let open_end = words.ends_with('*');
        let pieces = words.split('*').map(|piece| piece.trim().to_ascii_lowercase());
        let pieces: Vec<Piece> = pieces.filter(|piece| !piece.is_empty()).map(Piece::new).collect();
        let first = pieces.first().map_or("", |piece| piece.words.as_str());
        Self { rule, first: (first.len(), first.bytes().last()), pieces, open_end }
    }

    /// What the automaton looks for: enough of the first piece to make a hit rare, and no more, which keeps the
    /// automaton small enough for the cache.
    pub(super) fn head(&self) -> &str {
        const HEAD: usize = 10;
        let first = self.pieces.first().map_or("", |piece| piece.words.as_str());
        first.get(..first.floor_char_boundary(HEAD)).unwrap_or_default()
    }

    /// Whether it has no gap.
    pub(super) fn is_whole(&self) -> bool {
        self.pieces.len() == 1
    }

    /// A text that says no more than the phrase.
    pub(super) fn spoken(&self) -> String {
        self.joined(" ")
    }

    /// The phrase as a rule would write it.
    pub(super) fn written(&self) -> String {
        self.joined(" * ")
    }

    fn joined(&self, gap: &str) -> String {
        self.pieces.iter().map(|piece| piece.words.as_str()).collect::<Vec<_>>().join(gap)
    }

    /// Whether both are the same words with the same gaps.
    pub(super) fn says_what(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }

    /// The whole of the phrase, given where its first piece begins.
    pub(super) fn complete(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let (length, last) = self.first;
        if bytes.get((start + length).wrapping_sub(1)).copied() != last {
            return None;
        }
        let (first, rest) = self.pieces.split_first()?;
        if !first.stands_at(bytes, start) || !first.starts_word(bytes, start) {
            return None;
        }
        let mut end = start + first.words.len();
        if !rest.is_empty() && !first.ends_word(bytes, end) {
            return None;
        }
        let mut last = first;
        for (index, piece) in rest.iter().enumerate() {
            let reach = text.floor_char_boundary(end + GAP);
            let is_last = index + 1 == rest.len() && !self.open_end;
            let mut places = text.get(end..reach)?.match_indices(piece.words.as_str()).map(|(at, _)| end + at);
            let at = places.find(|at| {
                piece.starts_word(bytes, *at) && (!is_last || piece.ends_word(bytes, at + piece.words.len()))
            })?;
            end = at + piece.words.len();
            last = piece;
        }
        (self.open_end || last.ends_word(bytes, end)).then_some(start..end)
    }
}

/// Only scripts that part their words with spaces have borders to respect.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
