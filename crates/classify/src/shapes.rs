//! The shapes of reports, from `rules/shapes.toml`: how mail systems sign, title and word them.

use std::sync::LazyLock;

use serde::Deserialize;

/// Lists of words in lower case; the file says what each is for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shapes {
    pub(crate) authors: Vec<String>,
    pub(crate) subjects: Vec<String>,
    pub(crate) bodies: Vec<String>,
    pub(crate) delays: Vec<String>,
    pub(crate) finals: Vec<String>,
    pub(crate) cues: Vec<String>,
    pub(crate) about_others: Vec<String>,
    pub(crate) announcements: Vec<String>,
    pub(crate) vacations: Vec<String>,
    pub(crate) vacations_anywhere: Vec<String>,
    pub(crate) challenges: Vec<String>,
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

/// Whether a text in lower case holds any of the words.
pub(crate) fn holds(text: &str, words: &[String]) -> bool {
    words.iter().any(|words| text.contains(words.as_str()))
}

/// A text in lower case with every run of white space made one space.
pub(crate) fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
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
        for words in lists.into_iter().flatten() {
            assert_eq!(*words, words.to_lowercase());
        }
    }
}
