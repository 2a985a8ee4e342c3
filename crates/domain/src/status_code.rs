//! The codes hosts answer with: `550` (RFC 5321 §4.2) and `5.1.1` (RFC 3463).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the first figure of a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusClass {
    /// `2`: done.
    Success,
    /// `4`: not now.
    Transient,
    /// `5`: not this way.
    Permanent,
}

impl StatusClass {
    /// The figure: 2, 4 or 5.
    #[must_use]
    pub const fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::Transient => 4,
            Self::Permanent => 5,
        }
    }

    const fn from_digit(digit: u16) -> Option<Self> {
        match digit {
            2 => Some(Self::Success),
            4 => Some(Self::Transient),
            5 => Some(Self::Permanent),
            _ => None,
        }
    }
}

/// An enhanced status code such as `5.1.1` (RFC 3463).
///
/// ```
/// use rebound_domain::EnhancedStatusCode;
///
/// let code: EnhancedStatusCode = "5.1.1".parse().unwrap();
/// assert!(code.is_permanent());
/// assert_eq!((code.subject, code.detail), (1, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnhancedStatusCode {
    /// What the first figure says.
    pub class: StatusClass,
    /// What it is about: 1 the address, 2 the mailbox, 3 the system, 4 the network, 5 the
    /// protocol, 6 the content, 7 security or policy; 0 and others say nothing.
    pub subject: u16,
    /// What exactly; 0 says nothing.
    pub detail: u16,
}

impl EnhancedStatusCode {
    /// The code of these three figures.
    #[must_use]
    pub const fn new(class: StatusClass, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Whether the class is 5.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self.class, StatusClass::Permanent)
    }

    /// Whether the class is 4.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self.class, StatusClass::Transient)
    }
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

impl From<EnhancedStatusCode> for String {
    fn from(code: EnhancedStatusCode) -> Self {
        code.to_string()
    }
}

impl TryFrom<String> for EnhancedStatusCode {
    type Error = NotACode;

    fn try_from(text: String) -> Result<Self, NotACode> {
        text.parse()
    }
}

impl FromStr for EnhancedStatusCode {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let mut figures = text.trim().split('.').map(figure);
        match (figures.next(), figures.next(), figures.next(), figures.next()) {
            (Some(Some(class)), Some(Some(subject)), Some(Some(detail)), None) => {
                let class = StatusClass::from_digit(class).ok_or(NotACode)?;
                Ok(Self { class, subject, detail })
            }
            _ => Err(NotACode),
        }
    }
}

/// One to three digits (RFC 3463 §2), nothing else.
fn figure(text: &str) -> Option<u16> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The three figures an SMTP host begins its answer with, 200 to 599 (RFC 5321 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether it is a `4yz`: not now.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.0 / 100 == 4
    }

    /// Whether it is a `5yz`: not this way.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        self.0 / 100 == 5
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ReplyCode> for u16 {
    fn from(code: ReplyCode) -> Self {
        code.0
    }
}

impl TryFrom<u16> for ReplyCode {
    type Error = NotACode;

    fn try_from(code: u16) -> Result<Self, NotACode> {
        if (200..600).contains(&code) { Ok(Self(code)) } else { Err(NotACode) }
    }
}

impl FromStr for ReplyCode {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        match figure(text) {
            Some(code) if text.len() == 3 => Self::try_from(code),
            _ => Err(NotACode),
        }
    }
}

/// Text or a number that is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a code a mail host answers with")]
pub struct NotACode;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_three_figures() {
        for (text, good) in [
            ("5.1.1", true),
            ("4.7.650", true),
            ("2.0.0", true),
            ("3.1.1", false),
            ("5.1", false),
            ("5.1.1.1", false),
            ("5.1.", false),
            ("5.1.1000", false),
            ("5.+1.1", false),
            ("", false),
        ] {
            let code = text.parse::<EnhancedStatusCode>();
            assert_eq!(code.is_ok(), good, "{text}");
            if let Ok(code) = code {
                assert_eq!(code.to_string(), text);
            }
        }
    }

    #[test]
    fn reply_codes_are_three_digits() {
        for (text, expected) in
            [("550", Some(550)), ("199", None), ("600", None), ("55", None), ("5505", None), ("+50", None)]
        {
            assert_eq!(text.parse::<ReplyCode>().ok().map(ReplyCode::get), expected, "{text}");
        }
    }
}
