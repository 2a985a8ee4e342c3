//! What status codes and three-digit replies usually mean, from `rules/codes.toml`.

use std::collections::HashMap;

use rebound_domain::{BounceCause, EnhancedStatusCode};
use serde::Deserialize;

use super::Fault;

/// A code and what it usually means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeRule {
    pub(crate) cause: BounceCause,
    pub(crate) weight: u32,
}

/// Class or any, subject, detail or any.
type Key = (Option<u8>, u16, Option<u16>);

/// What codes mean, by code.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    status: HashMap<Key, (CodeRule, String)>,
    reply: HashMap<u16, CodeRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `x` stands for any class, or any detail; several codes may share a rule.
    codes: Vec<String>,
    cause: BounceCause,
    weight: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    status: Vec<Entry>,
    reply: Vec<Entry>,
}

impl Codes {
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let fault = |what: String| Fault { rule: "codes".to_owned(), what };
        let file: File = toml::from_str(text).map_err(|error| fault(error.message().to_owned()))?;
        let mut codes = Self::default();
        for entry in file.status {
            let rule = CodeRule { cause: entry.cause, weight: entry.weight };
            for name in entry.codes {
                let key = key(&name).ok_or_else(|| fault(format!("{name} is no status code")))?;
                if codes.status.insert(key, (rule, format!("status.{name}"))).is_some() {
                    return Err(fault(format!("{name} stands twice")));
                }
            }
        }
        for entry in file.reply {
            for name in entry.codes {
                let code: u16 = name.parse().map_err(|_| fault(format!("{name} is no reply code")))?;
                codes.reply.insert(code, CodeRule { cause: entry.cause, weight: entry.weight });
            }
        }
        Ok(codes)
    }

    /// The rule that names the code most exactly, and its name.
    pub(crate) fn status(&self, code: EnhancedStatusCode) -> Option<(CodeRule, &str)> {
        let (class, subject, detail) = (code.class.digit(), code.subject, code.detail);
        [(Some(class), subject, Some(detail)), (None, subject, Some(detail)), (None, subject, None)]
            .iter()
            .find_map(|key| self.status.get(key))
            .map(|(rule, name)| (*rule, name.as_str()))
    }

    pub(crate) fn reply(&self, code: u16) -> Option<CodeRule> {
        self.reply.get(&code).copied()
    }
}

fn key(name: &str) -> Option<Key> {
    let mut parts = name.split('.');
    let class = match parts.next()? {
        "x" => None,
        digit => Some(digit.parse().ok()?),
    };
    let subject = parts.next()?.parse().ok()?;
    let detail = match parts.next()? {
        "x" => None,
        number => Some(number.parse().ok()?),
    };
    parts.next().is_none().then_some((class, subject, detail))
}

/// Codes that a condition names: `x` stands for any number, so that `x.2.x` is like `5.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CodePattern([Option<u16>; 3]);

impl CodePattern {
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| match part {
            "x" => Some(None),
            number => number.parse().ok().map(Some),
        });
        let pattern = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(Self(pattern))
    }

    pub(super) fn fits(self, code: EnhancedStatusCode) -> bool {
        let numbers = [u16::from(code.class.digit()), code.subject, code.detail];
        self.0.iter().zip(numbers).all(|(wanted, number)| wanted.is_none_or(|wanted| wanted == number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_code_is_taken() {
        let codes = Codes::read(include_str!("../../rules/codes.toml")).unwrap();
        for (code, expected) in [
            ("5.1.1", Some("status.x.1.1")),
            ("5.4.1", Some("status.5.4.1")),
            ("4.4.1", Some("status.x.4.1")),
            ("5.3.9", Some("status.x.3.x")),
            ("5.0.0", None),
        ] {
            assert_eq!(codes.status(code.parse().unwrap()).map(|(_, name)| name), expected, "{code}");
        }
        let fits = |pattern: &str| CodePattern::read(pattern).map(|pattern| pattern.fits("5.2.1".parse().unwrap()));
        for (pattern, expected) in
            [("x.2.x", Some(true)), ("5.2.1", Some(true)), ("4.2.x", Some(false)), ("5.2", None), ("5.2.1.x", None)]
        {
            assert_eq!(fits(pattern), expected, "{pattern}");
        }
    }
}
