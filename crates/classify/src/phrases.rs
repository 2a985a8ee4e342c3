//! The phrases of `rules/phrases.toml`, found in a text in one pass.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use rebound_domain::BounceCause;
use serde::Deserialize;

use crate::words::addresses_in;

/// How far apart the pieces of a phrase with a `*` may lie, in bytes.
const GAP: usize = 90;

/// A group of phrases that mean the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    cause: BounceCause,
    /// 100 says it in so many words; 20 is a hint.
    weight: u32,
    /// Who says it. For the reader of the rules.
    #[serde(default)]
    #[expect(dead_code, reason = "documents the rule where it stands")]
    says: String,
    #[serde(default)]
    detail: Option<String>,
    words: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    phrase: Vec<Group>,
}

/// One phrase of the rules.
#[derive(Debug)]
pub(crate) struct Phrase {
    pub(crate) cause: BounceCause,
    pub(crate) weight: u32,
    pub(crate) detail: Option<String>,
    pub(crate) words: String,
    pieces: Vec<String>,
    open_end: bool,
}

/// All phrases, and the automaton that finds their first pieces.
pub(crate) struct Phrases {
    phrases: Vec<Phrase>,
    automaton: Option<AhoCorasick>,
}

impl Phrases {
    /// The rules built into the program.
    pub(crate) fn built_in() -> &'static Self {
        static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
            // A test reads the file, so that an unreadable one never leaves the workshop.
            Phrases::parse(include_str!("../rules/phrases.toml"))
                .unwrap_or(Phrases { phrases: Vec::new(), automaton: None })
        });
        &PHRASES
    }

    fn parse(source: &str) -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(source)?;
        let phrases: Vec<_> = file.phrase.into_iter().flat_map(Group::into_phrases).collect();
        let heads = phrases.iter().map(|phrase| phrase.pieces.first().map_or("", String::as_str));
        let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(heads).ok();
        Ok(Self { phrases, automaton })
    }

    /// Every phrase that occurs in a text, with its place.
    pub(crate) fn find(&self, text: &str) -> Vec<(&Phrase, Range<usize>)> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        // ASCII folding keeps every byte where it is, so places hold in the text as it was.
        let folded = text.to_ascii_lowercase();
        let addresses = addresses_in(text);
        let mut found: Vec<(&Phrase, Range<usize>)> = Vec::new();
        for head in automaton.find_overlapping_iter(&folded) {
            let Some(phrase) = self.phrases.get(head.pattern().as_usize()) else { continue };
            let Some(range) = phrase.complete(&folded, head.start()) else { continue };
            let in_address = addresses.iter().any(|address| address.start <= range.start && range.end <= address.end);
            if !in_address && !found.iter().any(|(known, _)| std::ptr::eq(*known, phrase)) {
                found.push((phrase, range));
            }
        }
        found
    }
}

impl Group {
    fn into_phrases(self) -> Vec<Phrase> {
        let Self { cause, weight, detail, words, .. } = self;
        words.into_iter().map(|words| Phrase::new(cause, weight, detail.clone(), words)).collect()
    }
}

impl Phrase {
    /// `*` between words is a gap; at the end of a word it lets the word go on.
    fn new(cause: BounceCause, weight: u32, detail: Option<String>, words: String) -> Self {
        let open_end = words.ends_with('*');
        let pieces =
            words.split('*').map(|piece| piece.trim().to_ascii_lowercase()).filter(|piece| !piece.is_empty()).collect();
        Self { cause, weight, detail, words, pieces, open_end }
    }

    /// The whole of the phrase, given where its first piece begins.
    fn complete(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let (first, rest) = self.pieces.split_first()?;
        let mut end = start + first.len();
        if !starts_word(text, start, first) || (!rest.is_empty() && !ends_word(text, end, first)) {
            return None;
        }
        let mut last = first;
        for piece in rest {
            let reach = text.floor_char_boundary(end + GAP);
            let at = text.get(end..reach)?.match_indices(piece.as_str()).map(|(at, _)| end + at);
            let at = at.into_iter().find(|at| starts_word(text, *at, piece))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_can_be_read_and_every_phrase_finds_itself() {
        let phrases = Phrases::parse(include_str!("../rules/phrases.toml")).unwrap();
        assert!(phrases.phrases.len() > 300);
        for phrase in &phrases.phrases {
            let text = phrase.words.replace('*', " ");
            assert!(phrases.find(&text).iter().any(|(found, _)| found.words == phrase.words), "{}", phrase.words);
        }
    }

    #[test]
    fn no_phrase_stands_twice() {
        let phrases = Phrases::parse(include_str!("../rules/phrases.toml")).unwrap();
        let mut words: Vec<_> = phrases.phrases.iter().map(|phrase| phrase.words.to_lowercase()).collect();
        words.sort();
        let twice: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn phrases_keep_to_words_and_gaps() {
        let source = "phrase = [{ cause = 'virus', weight = 50, words = ['user * unknown', 'spam', 'block*'] }]";
        let phrases = Phrases::parse(source).unwrap();
        for (text, expected) in [
            ("User <a@b.test> unknown", vec!["user * unknown"]),
            ("user unknown", vec!["user * unknown"]),
            ("superuser unknown", vec![]),
            ("nospam here", vec![]),
            ("<spam@b.test> gone", vec![]),
            ("Blocklisted", vec!["block*"]),
        ] {
            let found: Vec<_> = phrases.find(text).iter().map(|(phrase, _)| phrase.words.as_str()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
