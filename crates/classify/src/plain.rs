//! Reports for people only: the words of qmail, Exim, older Postfix, Sendmail, Exchange and many others.

use crate::blocks::{Block, RECIPIENTS, blocks};
use crate::message::Message;
use crate::original::{Text, first_address};
use crate::shapes::{Shapes, folded, holds};

/// What a plain report says: about whom, and which words about each.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) is_delay: bool,
    pub(crate) recipients: Vec<Told>,
}

/// What it says about one recipient.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) recipient: Option<String>,
    pub(crate) original: Option<String>,
    pub(crate) words: String,
}

/// Reads a message without delivery status fields; `None` if it does not read like a report.
pub(crate) fn read(message: &Message<'_>, subject: &str, text: &Text) -> Option<Plain> {
    let words = text.words();
    let failed = failed_by_header(message);
    if failed.is_empty() && !reads_like_report(message, subject, words) {
        return None;
    }
    let sender = message.headers.raw("to").and_then(first_address);
    let mut recipients: Vec<Told> = if failed.is_empty() {
        blocks(words, sender.as_deref()).into_iter().map(Told::from).collect()
    } else {
        failed.into_iter().map(|recipient| about(text, &recipient)).collect()
    };
    if recipients.is_empty() {
        recipients.push(Told { recipient: None, original: None, words: words.to_owned() });
    }
    Some(Plain { is_delay: is_delay(subject, words), recipients })
}

impl From<Block> for Told {
    fn from(block: Block) -> Self {
        Self { recipient: Some(block.recipient), original: block.original, words: block.words }
    }
}

fn about(text: &Text, recipient: &str) -> Told {
    let block = text.blocks().iter().find(|block| block.is_about(recipient));
    let original = block.and_then(|block| block.original.clone());
    Told { recipient: Some(recipient.to_owned()), original, words: words_about(text, recipient).to_owned() }
}

/// What a report for people says about one recipient: all it says, if nothing in particular.
pub(crate) fn words_about<'t>(text: &'t Text, recipient: &str) -> &'t str {
    let about = text.blocks().iter().find(|block| block.is_about(recipient) && block.words.trim().len() > 8);
    about.map_or(text.words(), |block| &block.words)
}

/// Whether a mail system signs as the author.
pub(crate) fn is_by_machine(message: &Message<'_>) -> bool {
    let from = message.headers.text("from").unwrap_or_default().to_lowercase();
    from.is_empty() || from == "<>" || holds(&from, &Shapes::built_in().authors)
}

/// Whether the envelope names nobody to answer to (RFC 5321 §4.5.5).
fn is_by_nobody(message: &Message<'_>) -> bool {
    let path = message.headers.raw("return-path").unwrap_or("?").trim().to_ascii_lowercase();
    path == "<>" || path.contains("mailer-daemon")
}

/// Exim and Gmail name the failed addresses in a header.
fn failed_by_header(message: &Message<'_>) -> Vec<String> {
    let values = message.headers.all("x-failed-recipients").flat_map(|value| value.split(','));
    values.filter_map(first_address).take(RECIPIENTS).collect()
}

/// The sender, the subject and the words: two of the three must be those of a report.
fn reads_like_report(message: &Message<'_>, subject: &str, words: &str) -> bool {
    let shapes = Shapes::built_in();
    let words = folded(words);
    let by_words = holds(&words, &shapes.bodies) || holds(&words, &shapes.delays);
    let by_subject = holds(&subject.to_lowercase(), &shapes.subjects);
    let signs = [is_by_machine(message) || is_by_nobody(message), by_subject, by_words];
    signs.into_iter().filter(|sign| *sign).count() >= 2
}

/// Whether the words say that the message's time in the queue is over.
pub(crate) fn is_last_word(words: &str) -> bool {
    holds(&folded(words), &Shapes::built_in().last_words)
}

fn is_delay(subject: &str, words: &str) -> bool {
    const TITLES: &[&str] = &["(delay)", "delayed", "delivery status notification: warning"];
    let shapes = Shapes::built_in();
    let (subject, words) = (subject.to_lowercase(), folded(words));
    let late = holds(&words, &shapes.delays) || TITLES.iter().any(|title| subject.contains(title));
    late && !holds(&words, &shapes.finals) && !holds(&words, &shapes.last_words)
}
