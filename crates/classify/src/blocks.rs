//! Whom a report for people names as failed, and which of its words are about whom.

use std::collections::HashMap;

use crate::shapes::{Shapes, holds};
use crate::words::addresses_in;

/// Failed addresses of one report that are kept.
pub(crate) const RECIPIENTS: usize = 200;
/// The line above what Sendmail and a host said to each other.
const TRANSCRIPT: &str = "Transcript of session follows";
/// Characters of a line that can still name somebody.
const LINE: usize = 2_000;

/// A failed recipient and the words about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) recipient: String,
    /// The address that led to it, where the report says so.
    pub(crate) original: Option<String>,
    pub(crate) words: String,
}

/// How plainly a line names a failed recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// An address that was turned into another, which the report keeps to itself.
    Source,
    /// An address somewhere.
    Mentioned,
    /// An address behind words such as `RCPT TO:`.
    Cued,
    /// An address behind a code: `550 <a@b.test>... User unknown`.
    Coded,
    /// The line begins with the address.
    Heads,
}

/// A line that names somebody.
struct Named {
    line: usize,
    claim: Claim,
    recipient: String,
}

/// Cuts a report into blocks, each beginning where a failed recipient is named most plainly. The sender of the
/// message is nobody who failed.
pub(crate) fn blocks(words: &str, sender: Option<&str>) -> Vec<Block> {
    let lines: Vec<&str> = words.lines().collect();
    let named: Vec<Named> = lines.iter().enumerate().filter_map(|(at, line)| Named::read(at, line, sender)).collect();
    let Some(plainest) = named.iter().map(|named| named.claim).max() else { return Vec::new() };
    let heads: Vec<&Named> = named.iter().filter(|named| named.claim == plainest).collect();
    let is_transcript = plainest == Claim::Coded && lines.iter().any(|line| line.contains(TRANSCRIPT));
    let mut coded: HashMap<usize, &str> = HashMap::new();
    coded.extend(named.iter().filter(|one| one.claim == Claim::Coded).map(|one| (one.line, one.recipient.as_str())));
    let mut blocks: Vec<Block> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, head) in heads.iter().enumerate() {
        let end = heads.get(index + 1).map_or(lines.len(), |next| next.line);
        let words = if is_transcript {
            let start = index.checked_sub(1).and_then(|before| heads.get(before)).map_or(0, |before| before.line + 1);
            session_before(head, start, &lines)
        } else {
            words_of(head, end, &lines, &coded)
        };
        let name = head.recipient.to_ascii_lowercase();
        if let Some(block) = known.get(&name).and_then(|at| blocks.get_mut(*at)) {
            block.add(&words);
        } else if blocks.len() < RECIPIENTS {
            let original = source_in(&words).filter(|source| !source.eq_ignore_ascii_case(&head.recipient));
            known.insert(name, blocks.len());
            blocks.push(Block { recipient: head.recipient.clone(), original, words });
        } else {
            break;
        }
    }
    if plainest == Claim::Heads {
        add_transcript(&mut blocks, &lines, &named);
    }
    add_what_precedes(&mut blocks, &lines, heads.first().map_or(0, |head| head.line));
    blocks
}

impl Block {
    pub(crate) fn is_about(&self, recipient: &str) -> bool {
        self.recipient.eq_ignore_ascii_case(recipient)
    }

    fn add(&mut self, words: &str) {
        self.words.push('\n');
        self.words.push_str(words);
    }
}

/// The lines from a head to the next, without lines of a transcript that are about somebody else.
fn words_of(head: &Named, end: usize, lines: &[&str], coded: &HashMap<usize, &str>) -> String {
    let others = |at: usize| coded.get(&at).is_some_and(|name| !name.eq_ignore_ascii_case(&head.recipient));
    let all = lines.get(head.line..end).unwrap_or_default().iter().zip(head.line..);
    let about = all.filter(|(_, at)| head.claim == Claim::Coded || !others(*at));
    about.map(|(line, _)| *line).collect::<Vec<_>>().join("\n")
}

/// Sendmail before 8 lists nobody: it names a recipient where the transcript has come to its failure, so that the words
/// about it are those before, from the last host that was called.
fn session_before(head: &Named, start: usize, lines: &[&str]) -> String {
    let said = lines.get(start..=head.line).unwrap_or_default();
    let called = said.iter().rposition(|line| line.to_ascii_lowercase().contains("while talking to")).unwrap_or(0);
    said.get(called..).unwrap_or_default().join("\n")
}

/// Sendmail lists the recipients first; what was said about each stands in the transcript below.
fn add_transcript(blocks: &mut [Block], lines: &[&str], named: &[Named]) {
    if blocks.len() < 2 {
        return;
    }
    for line in named.iter().filter(|named| named.claim == Claim::Coded).take(RECIPIENTS) {
        let words = lines.get(line.line).copied().unwrap_or_default();
        if let Some(block) = blocks.iter_mut().find(|block| block.is_about(&line.recipient))
            && !block.words.contains(words)
        {
            block.add(words);
        }
    }
}

/// A lone recipient is what the whole report is about; what precedes its name often holds the reason.
fn add_what_precedes(blocks: &mut [Block], lines: &[&str], first: usize) {
    const FEW: usize = 60;
    if let [block] = blocks
        && block.words.trim().len() < FEW
    {
        block.add(&lines.get(..first).unwrap_or_default().join("\n"));
    }
}

impl Named {
    fn read(line: usize, text: &str, sender: Option<&str>) -> Option<Self> {
        if text.len() > LINE {
            return None;
        }
        let range = addresses_in(text).into_iter().next()?;
        let address = text.get(range.clone())?.trim_matches(['"', '\'', '.', '=', '`']);
        // X.400 names carry the address as one of their attributes.
        let in_x400 = address.rsplit_once("SMTP=");
        let recipient = in_x400.map_or(address, |(_, address)| address).to_owned();
        if in_x400.is_some() {
            return Some(Self { line, claim: Claim::Heads, recipient });
        }
        let before = text.get(..range.start)?.trim_matches(['<', '>', '"', '\'', '-', '*', '|', '(', '[', ' ', '\t']);
        let claim = claim(before, text, sender.is_some_and(|sender| sender.eq_ignore_ascii_case(&recipient)))?;
        Some(Self { line, claim, recipient })
    }
}

/// Words before the address that an alias or a forwarding turned into the one that failed: Exim, Sendmail, Postfix.
const SOURCES: [&str; 4] = ["generated from ", "expanded from", "forwarded from", "redirected from"];

/// The address that led to the failed one, as the words about it tell.
fn source_in(words: &str) -> Option<String> {
    let folded = words.to_ascii_lowercase();
    let at = SOURCES.iter().find_map(|words| folded.find(words).map(|at| at + words.len()))?;
    let rest = words.get(at..words.floor_char_boundary((at + 300).min(words.len())))?;
    let range = addresses_in(rest).into_iter().next()?;
    rest.get(range).map(|address| address.trim_matches(['"', '\'', '.']).to_owned())
}

/// How plainly an address is named as failed, by what precedes it on its line.
fn claim(before: &str, line: &str, is_sender: bool) -> Option<Claim> {
    if before.is_empty() || before.eq_ignore_ascii_case("smtp:") {
        return Some(Claim::Heads);
    }
    let shapes = Shapes::built_in();
    let folded = line.to_lowercase();
    if is_sender {
        return None;
    }
    if SOURCES.iter().any(|words| folded.contains(words)) {
        return Some(Claim::Source);
    }
    if holds(&folded, &shapes.about_others) {
        return None;
    }
    if before.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ' ' | '-' | '<')) {
        return Some(Claim::Coded);
    }
    let cued = holds(&before.to_lowercase(), &shapes.cues);
    Some(if cued { Claim::Cued } else { Claim::Mentioned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_to_whom_they_are_about() {
        for (report, expected) in [
            (
                "<a@x.test>:\nno such user\n\n<b@x.test>:\nmailbox full",
                vec![("a@x.test", "no such user"), ("b@x.test", "mailbox full")],
            ),
            (
                "   ----- failed -----\n<a@x.test>\n<b@x.test>\n   ----- Transcript -----\n550 <a@x.test>... gone\n552 <b@x.test>... full",
                vec![("a@x.test", "... gone"), ("b@x.test", "... full")],
            ),
            ("Could not deliver to a@x.test\nbecause it is full", vec![("a@x.test", "is full")]),
            (
                "  an undisclosed address\n    (generated from a@x.test)\n  no such user",
                vec![("a@x.test", "no such user")],
            ),
            (
                "   ----- Transcript of session follows -----\nWhile talking to mx.x.test:\n>>> MAIL From:<us@y.test>\n\
                 <<< 501 no access\n554 <a@x.test>... Remote protocol error\n550 z.test (smtp)... 550 Host unknown\n\
                 554 <b@z.test>... 550 Host unknown",
                vec![("a@x.test", "no access"), ("b@z.test", "550 z.test")],
            ),
            ("For help contact help@x.test", vec![]),
        ] {
            let blocks = blocks(report, None);
            assert_eq!(blocks.len(), expected.len(), "{report}");
            for (block, (recipient, words)) in blocks.iter().zip(expected) {
                assert_eq!(block.recipient, recipient);
                assert!(block.words.contains(words), "{recipient}: {}", block.words);
            }
        }
    }
}
