//! How a rule file is written.

use rebound_domain::{BounceCause, Permanence, SmtpCommand};
use serde::Deserialize;

use super::codes::CodePattern;
use super::{Fault, LOCAL, Rule};
use crate::words::DIAGNOSTIC_BYTES;

/// Bytes of a phrase at the most.
const PHRASE_BYTES: usize = 200;

/// A rule file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, rename = "rule")]
    pub(super) rules: Vec<Entry>,
}

/// One rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The name of the file, a dot, and a name in it: `postfix.user-unknown`.
    pub(super) id: String,
    cause: BounceCause,
    /// 100 says it in so many words, 60 says it, 30 is a hint that needs company.
    #[serde(default = "plainly")]
    weight: u32,
    /// Who says it, or where it is documented.
    why: String,
    /// Compared without case (ASCII). `*` between words is a gap of up to 90 bytes; at the end of a word it lets the
    /// word go on.
    pub(super) words: Vec<String>,
    /// Something finer than the cause.
    #[serde(default)]
    detail: Option<String>,
    /// The blocklist it names.
    #[serde(default)]
    blocklist: Option<String>,
    /// Whether the address is to blame for good, where that does not follow from the cause.
    #[serde(default)]
    permanence: Option<Permanence>,
    /// Only when this command was answered.
    #[serde(default)]
    answers: Option<SmtpCommand>,
    /// Not when this command was answered.
    #[serde(default)]
    unless_answers: Option<SmtpCommand>,
    /// Only beside one of these codes; `x` stands for any number.
    #[serde(default)]
    status: Vec<String>,
    /// Not beside these.
    #[serde(default)]
    unless_status: Vec<String>,
    /// Only where one of these domains takes part.
    #[serde(default)]
    hosts: Vec<String>,
    /// A text in which the rule matches and wins.
    example: String,
    /// A text in which it does not match.
    not: String,
}

fn plainly() -> u32 {
    100
}

impl File {
    /// # Errors
    /// The line and what is wrong there.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        toml::from_str(text).map_err(|error| {
            let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
            let place = error.span().map_or_else(String::new, |span| format!("line {}: ", line(span.start)));
            Fault { rule: String::new(), what: format!("{place}{}", error.message()) }
        })
    }
}

impl Entry {
    pub(super) fn phrases(&self) -> usize {
        self.words.len()
    }

    /// What is wrong with it on the face of it. `file` is empty for a user's own file.
    pub(super) fn fault(&self, file: &str) -> Option<Fault> {
        let named = self.id.split_once('.').is_some_and(|(first, rest)| {
            !rest.is_empty()
                && (file.is_empty() || first == file)
                && self.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
        });
        let blank = |words: &String| words.trim_matches(['*', ' ']).chars().count() < 2;
        let what = match () {
            () if !named && file.is_empty() => "an id is a word, a dot and a name: local.our-filter".to_owned(),
            () if !named => format!("the id must begin with “{file}.”"),
            () if self.words.is_empty() => "it has no words, so it can never match".to_owned(),
            () if self.words.iter().any(|words| words.len() > PHRASE_BYTES) => {
                format!("a phrase of more than {PHRASE_BYTES} bytes will hardly be met again")
            }
            () if self.example.len().max(self.not.len()) > DIAGNOSTIC_BYTES => {
                format!("of an answer {DIAGNOSTIC_BYTES} bytes are kept: shorten the example")
            }
            () if self.words.iter().any(blank) => "a phrase needs at least two letters".to_owned(),
            // A user knows their own hosts, and may take one at its code.
            () if !file.is_empty() && !self.words.iter().all(|words| words.contains(char::is_alphabetic)) => {
                "a code alone is no phrase: whoever gives it, rules/codes.toml says what it means".to_owned()
            }
            () if !(1..=100).contains(&self.weight) => "the weight lies between 1 and 100".to_owned(),
            () if !self.status.iter().chain(&self.unless_status).all(|code| CodePattern::read(code).is_some()) => {
                "a status is three numbers, or x for any: 5.1.x".to_owned()
            }
            () if self.why.trim().is_empty() => "say in `why` who says this, or where it is documented".to_owned(),
            () if self.permanence == Some(Permanence::Hard) && !self.cause.may_be_hard() => {
                format!("{} says nothing lasting about an address: it cannot be hard", self.cause)
            }
            () => return None,
        };
        Some(Fault { rule: self.id.clone(), what })
    }

    /// The rule and its phrases.
    pub(super) fn into_rule(self, is_local: bool) -> (Rule, Vec<String>) {
        let lower = |words: Vec<String>| words.into_iter().map(|word| word.to_ascii_lowercase()).collect();
        let patterns = |codes: Vec<String>| codes.iter().filter_map(|code| CodePattern::read(code)).collect();
        let rule = Rule {
            id: self.id,
            cause: self.cause,
            weight: if is_local { self.weight + LOCAL } else { self.weight },
            detail: self.detail,
            blocklist: self.blocklist,
            permanence: self.permanence,
            answers: self.answers,
            unless_answers: self.unless_answers,
            status: patterns(self.status),
            unless_status: patterns(self.unless_status),
            hosts: lower(self.hosts),
            example: self.example,
            not: self.not,
            is_local,
        };
        (rule, self.words)
    }
}
