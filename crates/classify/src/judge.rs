//! Words, codes and context become weighted candidates; the best and the second-best are the verdict.

use std::borrow::Cow;
use std::ops::Range;

use rebound_domain::{BounceCause, EnhancedStatusCode, Evidence, EvidenceField, Permanence, SmtpCommand, Verdict};

use crate::facts::{blocklist_in, command_in, links_in, provider_code_in};
use crate::rules::{Beside, CodeRule, Found, Rules};
use crate::words::{DIAGNOSTIC_BYTES, reply_code_in, retry_after_in, say_codes_once, status_in, tidy};

/// Pieces of evidence that are kept.
const EVIDENCE: usize = 6;

/// A score below this is a hint, and no address is lost to a hint.
const HARD_SCORE: u32 = 33;

/// What is known about a failure besides the host's words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard<'a> {
    /// The status a report gives in a field of its own.
    pub(crate) status: Option<EnhancedStatusCode>,
    /// The reply, when known from elsewhere than the words.
    pub(crate) reply_code: Option<u16>,
    /// The command that was answered, when known from elsewhere.
    pub(crate) command: Option<SmtpCommand>,
    /// Hosts and domains that took part, in lower case.
    pub(crate) hosts: &'a [&'a str],
}

/// Something that speaks for a cause.
struct Candidate<'r> {
    cause: BounceCause,
    weight: u32,
    /// The rule that found it, or the code's name.
    by: By<'r>,
    range: Range<usize>,
    field: EvidenceField,
}

enum By<'r> {
    Rule(&'r crate::rules::Rule),
    Status(&'r str, EnhancedStatusCode),
    Reply(u16),
}

/// The words of all sources as one line, and which bytes of it came from where.
struct Line {
    text: String,
    folded: String,
    ends: Vec<(usize, EvidenceField)>,
}

/// Judges what a host said, from one source or several: the most telling first.
pub(crate) fn judge(rules: &Rules, words: &[(EvidenceField, &str)], heard: &Heard<'_>) -> Verdict {
    let line = Line::of(words);
    let said = status_in(&line.text);
    let reply_code = reply_code_in(&line.text).or(heard.reply_code);
    let telling = heard.status.filter(|status| (status.subject, status.detail) != (0, 0));
    let status = telling.or(said.as_ref().map(|(code, _)| *code)).or(heard.status);
    // A relay that quotes another host says more than the command that we gave the relay.
    let command = command_in(&line.folded).or(heard.command);

    let beside = Beside { command, status, hosts: heard.hosts };
    let mut candidates: Vec<Candidate<'_>> =
        rules.find(&line.text, &line.folded, &beside).into_iter().map(|found| line.candidate(found)).collect();
    let said_class = said.as_ref().map(|(code, _)| *code);
    candidates.extend(said.and_then(|(code, range)| by_status(rules, code, range.clone(), line.field_at(range.start))));
    candidates.extend(telling.and_then(|code| by_status(rules, code, 0..0, EvidenceField::Status)));
    candidates.extend(reply_code.and_then(|code| by_reply(rules, code, line.field_at(0))));
    for candidate in &mut candidates {
        candidate.cause = before_the_recipient(candidate.cause, command);
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.weight));

    let ranked = rank(&candidates);
    let (cause, best) = ranked.first().copied().unwrap_or((BounceCause::Undetermined, 0));
    let second = ranked.get(1).copied();
    let sure = rules.calibration().percent(share(best, second.map_or(0, |(_, score)| score)));
    let passing = is_passing(reply_code, said_class, heard.status);
    let doubtful =
        cause.may_be_hard() && is_doubtful(cause, command, status, reply_code, near(&candidates, cause, &line.folded));
    let winners = || candidates.iter().filter(|candidate| candidate.cause == cause);
    let rule = || winners().filter_map(|candidate| candidate.by.rule());
    Verdict {
        cause,
        permanence: permanence(cause, best, passing, doubtful, &candidates),
        confidence: sure,
        // Both cannot be likely.
        second: second.map(|(cause, score)| (cause, share(score, best).min(100 - sure).max(1))),
        status,
        reply_code,
        retry_after: retry_after_in(&line.text, &line.folded),
        detail: rule().find_map(|rule| rule.detail.clone()),
        command,
        provider_code: provider_code_in(&line.text),
        blocklist: rule().find_map(|rule| rule.blocklist.clone()).or_else(|| blocklist_in(&line.text)),
        links: links_in(&line.text, &line.folded),
        rules: version(rules),
        evidence: winners().take(EVIDENCE).map(|candidate| candidate.evidence(&line.text)).collect(),
        diagnostic: line.text,
    }
}

/// A host that answers `MAIL FROM`, or earlier, has not heard the recipient yet: what it does not know is ours.
fn before_the_recipient(cause: BounceCause, command: Option<SmtpCommand>) -> BounceCause {
    let about_an_address = matches!(
        cause,
        BounceCause::MailboxUnknown
            | BounceCause::MailboxInactive
            | BounceCause::AddressMoved
            | BounceCause::DomainUnknown
    );
    match command {
        Some(SmtpCommand::MailFrom) if about_an_address => BounceCause::SenderRejected,
        Some(SmtpCommand::Helo | SmtpCommand::Connect) if about_an_address => BounceCause::SenderDns,
        _ => cause,
    }
}

/// The words that led to `cause`, with what stands around them, up to where a report speaks of what it encloses.
fn near<'t>(candidates: &[Candidate<'_>], cause: BounceCause, folded: &'t str) -> &'t str {
    /// Bytes on each side.
    const AROUND: usize = 70;
    /// How reports come to speak of the message they return: its header is no reason.
    const ENCLOSED: &[&str] = &[
        "included is a copy",
        "below is a copy",
        "the header and top",
        "the attachment contains",
        "the original mail",
    ];
    let best = candidates.iter().find(|candidate| candidate.cause == cause && candidate.by.rule().is_some());
    let Some(range) = best.map(|candidate| &candidate.range) else { return "" };
    let start = folded.floor_char_boundary(range.start.saturating_sub(AROUND));
    let end = folded.ceil_char_boundary((range.end + AROUND).min(folded.len()));
    let behind = folded.get(range.end..end).unwrap_or_default();
    let said = ENCLOSED.iter().filter_map(|words| behind.find(words)).min().unwrap_or(behind.len());
    folded.get(start..range.end + said).unwrap_or_default()
}

/// Borrowed for the built-in rules, which nearly every verdict names.
fn version(rules: &Rules) -> Cow<'static, str> {
    let built_in = Rules::built_in().version();
    if std::ptr::eq(rules, Rules::built_in()) {
        Cow::Borrowed(built_in)
    } else {
        Cow::Owned(rules.version().to_owned())
    }
}

impl Line {
    fn of(words: &[(EvidenceField, &str)]) -> Self {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(words.len());
        for (field, words) in words {
            let said = say_codes_once(tidy(words));
            if text.is_empty() {
                text = said;
            } else if !said.is_empty() {
                text.push(' ');
                text.push_str(&said);
            }
            ends.push((text.len(), *field));
        }
        text.truncate(text.floor_char_boundary(DIAGNOSTIC_BYTES));
        // ASCII folding keeps every byte where it is, so places hold in the text as it was.
        Self { folded: text.to_ascii_lowercase(), text, ends }
    }

    fn field_at(&self, at: usize) -> EvidenceField {
        let found = self.ends.iter().find(|(end, _)| at < *end).or(self.ends.last());
        found.map(|(_, field)| *field).unwrap_or_default()
    }

    fn candidate<'r>(&self, found: Found<'r>) -> Candidate<'r> {
        Candidate {
            cause: found.rule.cause,
            weight: found.rule.weight,
            by: By::Rule(found.rule),
            field: self.field_at(found.range.start),
            range: found.range,
        }
    }
}

fn by_status(
    rules: &Rules,
    code: EnhancedStatusCode,
    range: Range<usize>,
    field: EvidenceField,
) -> Option<Candidate<'_>> {
    let (CodeRule { cause, weight }, name) = rules.codes().status(code)?;
    Some(Candidate { cause, weight, by: By::Status(name, code), range, field })
}

fn by_reply(rules: &Rules, code: u16, field: EvidenceField) -> Option<Candidate<'_>> {
    let CodeRule { cause, weight } = rules.codes().reply(code)?;
    Some(Candidate { cause, weight, by: By::Reply(code), range: 0..0, field })
}

impl<'r> By<'r> {
    fn rule(&self) -> Option<&'r crate::rules::Rule> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Status(..) | Self::Reply(_) => None,
        }
    }
}

impl Candidate<'_> {
    fn evidence(&self, text: &str) -> Evidence {
        let (rule, matched) = match self.by {
            By::Rule(rule) => (rule.id.clone(), text.get(self.range.clone()).unwrap_or_default().to_owned()),
            By::Status(name, code) if self.range.is_empty() => (name.to_owned(), code.to_string()),
            By::Status(name, _) => (name.to_owned(), text.get(self.range.clone()).unwrap_or_default().to_owned()),
            By::Reply(code) => (format!("reply.{code}"), code.to_string()),
        };
        Evidence { rule, matched, start: self.range.start, end: self.range.end, field: self.field, raw: None }
    }

    /// Whether another candidate says the same with the same words.
    fn repeats(&self, other: &Self) -> bool {
        self.cause == other.cause && self.range.start < other.range.end && other.range.start < self.range.end
    }
}

/// Causes with their scores, best first: the strongest word counts in full, echoes elsewhere in the text a fifth.
fn rank(candidates: &[Candidate<'_>]) -> Vec<(BounceCause, u32)> {
    let mut ranked: Vec<(BounceCause, u32)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let before = candidates.get(..index).unwrap_or_default();
        match ranked.iter_mut().find(|(cause, _)| *cause == candidate.cause) {
            Some(_) if before.iter().any(|other| candidate.repeats(other)) => {}
            Some((_, score)) => *score += candidate.weight / 5,
            None => ranked.push((candidate.cause, candidate.weight)),
        }
    }
    ranked.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    ranked
}

/// How far a score stands out from its rival, in percent.
fn share(score: u32, rival: u32) -> u8 {
    let share = score.min(100) * 2 * score / (2 * score + rival).max(1);
    u8::try_from(share.clamp(1, 99)).unwrap_or(99)
}

/// Whether the host spoke of a passing failure; its own words come before the report's fields.
fn is_passing(reply: Option<u16>, said: Option<EnhancedStatusCode>, field: Option<EnhancedStatusCode>) -> bool {
    match (reply, said.or(field)) {
        (Some(reply), _) => reply < 500,
        (None, Some(status)) => status.is_transient(),
        (None, None) => false,
    }
}

/// Only a cause about the address can be hard, only when nothing speaks of a passing failure, and only when the words
/// around it are not about our own side.
fn permanence(
    cause: BounceCause,
    score: u32,
    passing: bool,
    doubtful: bool,
    candidates: &[Candidate<'_>],
) -> Permanence {
    let mut winners = candidates.iter().filter(|candidate| candidate.cause == cause);
    let told = winners.clone().find_map(|candidate| candidate.by.rule().and_then(|rule| rule.permanence));
    let lasting = match (told, cause) {
        (Some(told), _) => {
            return if told == Permanence::Hard && !passing { Permanence::Hard } else { Permanence::Soft };
        }
        (None, BounceCause::MailboxUnknown | BounceCause::AddressMoved) => true,
        // "Host not found" may be a name server that did not answer: ask for plain words or a plain code.
        (None, BounceCause::DomainUnknown) => {
            winners.any(|candidate| !matches!(candidate.by, By::Status(name, _) if name.ends_with("x.4.4")))
        }
        (None, _) => false,
    };
    if lasting && !passing && !doubtful && score >= HARD_SCORE { Permanence::Hard } else { Permanence::Soft }
}

/// Whether a verdict about the address must not stand for good: the command, the codes or the words beside it speak
/// of the sender, of the session, or of names that could not be looked up just now.
fn is_doubtful(
    cause: BounceCause,
    command: Option<SmtpCommand>,
    status: Option<EnhancedStatusCode>,
    reply: Option<u16>,
    near: &str,
) -> bool {
    /// Words that are about us, whatever stands beside them.
    const OURS: &[&str] = &[
        "sender",
        "mail from",
        "from address",
        "from:",
        "envelope-from",
        "return-path",
        "return path",
        "reverse-path",
        "helo",
        "ehlo",
        "reverse dns",
        "rdns",
        "reverse-dns",
        " ptr",
        "spf",
        "dkim",
        "dmarc",
        "smtp login",
        "username",
        "password",
        "smtp auth",
        "authentication required",
        "client host",
        "header",
        " url",
        "link to",
        "originator",
        "bounce address",
        "your domain",
        "your email address",
        "your address",
        "absender",
        "expéditeur",
        "expediteur",
        "remitente",
        "remetente",
        "mittente",
        "nadawc",
        "отправител",
        "发件人",
        "差出人",
        "送信元",
    ];
    /// Words that a domain was not looked up in the end.
    const NOT_NOW: &[&str] = &[
        "servfail",
        "server failure",
        "timeout",
        "timed out",
        "temporar",
        "did not respond",
        "did not answer",
        "try again",
        "lookup error",
        "not responding",
    ];
    let told_by_code = status.is_some_and(|code| match (code.subject, code.detail) {
        (1, 7 | 8) | (7, 8 | 20..=32) => true,
        (7, _) => cause == BounceCause::DomainUnknown,
        _ => false,
    });
    let in_session = matches!(
        command,
        Some(
            SmtpCommand::Auth
                | SmtpCommand::StartTls
                | SmtpCommand::Helo
                | SmtpCommand::Connect
                | SmtpCommand::MailFrom
        )
    );
    let plain_recipient = near.contains("recipient address rejected") || near.contains("rcpt to");
    // "Has moved" is said of servers, passwords and lists too: a code must say that it is the recipient.
    let moved = cause == BounceCause::AddressMoved
        && reply != Some(551)
        && status.is_none_or(|code| (code.subject, code.detail) != (1, 6))
        && !near.contains("please try");
    // Who is asked to look for an error in the name first is not told that it will be found later.
    let is_advice = near.contains("check the domain and try again");
    told_by_code
        || moved
        || in_session
        || matches!(reply, Some(530..=538))
        || (!plain_recipient && OURS.iter().any(|words| near.contains(words)))
        || (cause == BounceCause::DomainUnknown && NOT_NOW.iter().any(|words| near.contains(words)) && !is_advice)
}
