//! The message that came back: what of it is still there, and where it begins in a plain report.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};

use crate::blocks::{Block, blocks};
use crate::message::{Headers, Message, split_head};
use crate::shapes::{Shapes, holds};
use crate::words::addresses_in;

/// What can be read of the message we sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Its `Message-ID`, without the brackets.
    pub message_id: Option<String>,
    /// The envelope sender as the last host wrote it down.
    pub return_path: Option<String>,
    /// The address in its `To`.
    pub to: Option<String>,
    /// The address in its `From`.
    pub from: Option<String>,
    /// Its subject, decoded.
    pub subject: Option<String>,
    /// Its `Date`, as it was written.
    #[serde(default)]
    pub date: Option<String>,
    /// Headers that begin with `x-rebound-`, or name its list or campaign: names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Original {
    /// Reads the returned part of a report, or what follows the report's own words.
    pub(crate) fn read(message: &Message<'_>, quoted: &str) -> Self {
        const RETURNED: &[&str] = &[
            "message/rfc822",
            "text/rfc822-headers",
            "message/rfc822-headers",
            "text/rfc822",
            "message/global",
            "message/global-headers",
        ];
        match message.part(RETURNED) {
            Some(part) if part.encoding == "base64" => Self::of(&split_head(part.text().trim_start().as_bytes()).0),
            Some(part) => Self::of(&split_head(part.body.trim_ascii_start()).0),
            None => Self::of(&split_head(without_quoting(quoted).as_bytes()).0),
        }
    }

    fn of(headers: &Headers) -> Self {
        let address = |name: &str| headers.raw(name).and_then(first_address);
        Self {
            message_id: headers
                .raw("message-id")
                .map(|id| id.trim_matches(['<', '>', ' ']).to_owned())
                .filter(|id| !id.is_empty()),
            return_path: address("return-path"),
            to: address("to").or_else(|| address("delivered-to")),
            from: address("from"),
            subject: headers.text("subject"),
            date: headers.raw("date").map(str::to_owned),
            headers: headers.iter().filter(|(name, _)| is_telling(name)).take(20).map(owned).collect(),
        }
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn is_telling(name: &str) -> bool {
    name.starts_with("x-rebound-")
        || matches!(name, "list-id" | "feedback-id" | "x-campaign-id" | "x-campaign" | "list-unsubscribe")
}

/// The first address in a header's value.
pub(crate) fn first_address(value: &str) -> Option<String> {
    let range = addresses_in(value).into_iter().next()?;
    value.get(range).map(|address| address.trim_matches(['"', '\'', '.']).to_owned())
}

fn without_quoting(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len().min(16 << 10));
    let lines = quoted.lines().skip_while(|line| !is_header(line.trim_start_matches(['>', ' ']))).take(200);
    for line in lines {
        text.push_str(line.strip_prefix("> ").or_else(|| line.strip_prefix('>')).unwrap_or(line));
        text.push('\n');
    }
    text
}

/// Whether a line is a header of a message: a name without spaces, a colon, a value.
fn is_header(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, value)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_graphic())
            && !value.trim().is_empty()
            && !value.starts_with("//")
    })
}

/// The text of a message, split where the message it quotes begins.
#[derive(Debug, Default)]
pub(crate) struct Text {
    all: String,
    /// The same in ASCII lower case: every byte stays where it is.
    folded: String,
    split: usize,
    blocks: OnceCell<Vec<Block>>,
    unwrapped: OnceCell<String>,
}

impl Text {
    pub(crate) fn new(all: String) -> Self {
        let folded = all.to_ascii_lowercase();
        Self { split: own_words(&folded), all, folded, blocks: OnceCell::new(), unwrapped: OnceCell::new() }
    }

    /// All of it in ASCII lower case, as one line: mail systems break what a host said wherever it is too long.
    pub(crate) fn unwrapped(&self) -> &str {
        self.unwrapped.get_or_init(|| self.folded.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// All of it.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// The report's own words.
    pub(crate) fn words(&self) -> &str {
        self.all.get(..self.split).unwrap_or_default()
    }

    /// Whom those words name, and which are about whom: found out once, since many recipients may ask.
    pub(crate) fn blocks(&self) -> &[Block] {
        self.blocks.get_or_init(|| blocks(self.words(), None))
    }

    /// What it quotes.
    pub(crate) fn quoted(&self) -> &str {
        self.all.get(self.split..).unwrap_or_default()
    }
}

/// How many bytes of a text in lower case are a report's own words.
fn own_words(folded: &str) -> usize {
    let mut at = 0;
    let mut words_before = false;
    for line in folded.split_inclusive('\n') {
        if words_before && begins_quoted(line) {
            return at;
        }
        words_before |= line.trim().len() > 3;
        at += line.len();
    }
    at
}

/// Whether a line announces the message that is returned, or is already its first header.
fn begins_quoted(line: &str) -> bool {
    let folded = line.trim_start_matches(['>', ' ']).trim_end();
    let bare = folded.trim_matches(['-', '=', '*', '|', ' ', '_']);
    matches!(bare, "original message" | "original message:")
        || ["received: ", "received:from "].iter().any(|header| folded.starts_with(header))
        || line.starts_with("return-path: ")
        || holds(folded, &Shapes::built_in().announcements)
}
