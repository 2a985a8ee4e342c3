//! The shapes of reports, from `rules/shapes.toml`: how mail systems sign, title and word them.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

/// Lists of words in lower case; the file says what each is for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shapes {
    pub(crate) authors: WordList,
    pub(crate) subjects: WordList,
    pub(crate) bodies: WordList,
    pub(crate) delays: WordList,
    pub(crate) finals: WordList,
    pub(crate) last_words: WordList,
    pub(crate) cues: WordList,
    pub(crate) about_others: WordList,
    pub(crate) announcements: WordList,
    pub(crate) vacations: WordList,
    pub(crate) vacations_anywhere: WordList,
    pub(crate) challenges: WordList,
}

impl Shapes {
    /// The lists built into the program.
    pub(crate) fn built_in() -> &'static Self {
        // A test reads the file, so that an unreadable one never leaves the workshop.
        static SHAPES: LazyLock<Shapes> =
            LazyLock::new(|| toml::from_str(include_str!("../rules/shapes.toml")).unwrap_or_default());
        &SHAPES
    }
}

/// Words of which any may occur in a text; all are looked for in one pass.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<String>")]
pub(crate) struct WordList {
    words: Vec<String>,
    automaton: Option<AhoCorasick>,
}

impl From<Vec<String>> for WordList {
    fn from(words: Vec<String>) -> Self {
        Self { automaton: AhoCorasick::new(&words).ok(), words }
    }
}

impl WordList {
    /// Whether a text in lower case begins with any of them.
    pub(crate) fn begins(&self, text: &str) -> bool {
        self.words.iter().any(|words| text.starts_with(words.as_str()))
    }
}

/// Whether a text in lower case holds any of the words.
pub(crate) fn holds(text: &str, list: &WordList) -> bool {
    list.automaton.as_ref().is_some_and(|automaton| automaton.is_match(text))
}

/// A text in lower case with every run of white space made one space.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if folded.is_ascii() {
        folded.make_ascii_lowercase();
        return folded;
    }
    folded.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_can_be_read_and_are_in_lower_case() {
        let shapes: Shapes = toml::from_str(include_str!("../rules/shapes.toml")).unwrap();
        let lists = [
            &shapes.authors,
            &shapes.subjects,
            &shapes.bodies,
            &shapes.delays,
            &shapes.announcements,
            &shapes.vacations,
        ];
        for words in lists.into_iter().flat_map(|list| &list.words) {
            assert_eq!(*words, words.to_lowercase());
        }
    }
}
