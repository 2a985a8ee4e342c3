//! Words, codes and context become weighted candidates; the best and the second-best are the verdict.

use std::sync::LazyLock;

use rebound_domain::{BounceCause, EnhancedStatusCode, Evidence, Permanence, Verdict};
use serde::Deserialize;

use crate::phrases::Phrases;
use crate::words::{reply_code_in, retry_after_in, say_codes_once, status_in, tidy};

/// Pieces of evidence that are kept.
const EVIDENCE: usize = 6;

/// A score below this is a hint, and no address is lost to a hint.
const HARD_SCORE: u32 = 33;

/// What is known about a failure besides the host's words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// The status a report gives in a field of its own.
    pub(crate) status: Option<EnhancedStatusCode>,
    /// The reply, when known from elsewhere than the words.
    pub(crate) reply_code: Option<u16>,
}

/// A code and what it usually means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeRule {
    /// `x` stands for any class; several codes may share a rule.
    codes: Vec<String>,
    cause: BounceCause,
    weight: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeFile {
    status: Vec<CodeRule>,
    reply: Vec<CodeRule>,
}

static CODES: LazyLock<CodeFile> = LazyLock::new(|| {
    toml::from_str(include_str!("../rules/status.toml")).unwrap_or(CodeFile { status: Vec::new(), reply: Vec::new() })
});

/// Something that speaks for a cause.
struct Candidate {
    cause: BounceCause,
    weight: u32,
    detail: Option<String>,
    evidence: Evidence,
}

/// Judges what a host said.
pub(crate) fn judge(words: &str, context: Context) -> Verdict {
    let diagnostic = say_codes_once(tidy(words));
    let said_status = status_in(&diagnostic);
    let reply_code = reply_code_in(&diagnostic).or(context.reply_code);
    let telling = context.status.filter(|status| (status.subject, status.detail) != (0, 0));
    let status = telling.or(said_status.as_ref().map(|(code, _)| *code)).or(context.status);

    let mut candidates = from_phrases(&diagnostic);
    candidates.extend(said_status.and_then(|(code, range)| from_status(code, range)));
    candidates.extend(telling.and_then(|code| from_status(code, 0..0)));
    candidates.extend(reply_code.and_then(from_reply));
    refine(&mut candidates, &diagnostic);
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.weight));

    let ranked = rank(&candidates);
    let (cause, best) = ranked.first().copied().unwrap_or((BounceCause::Undetermined, 0));
    let second = ranked.get(1).copied();
    let runner_up = second.map_or(0, |(_, score)| score);
    let passing = is_passing(reply_code, said_status_class(&diagnostic), context.status);
    Verdict {
        cause,
        permanence: permanence(cause, best, passing, &candidates),
        confidence: confidence(best, runner_up),
        second: second.map(|(cause, score)| (cause, confidence(score, best))),
        status,
        reply_code,
        retry_after: retry_after_in(&diagnostic),
        detail: candidates.iter().filter(|c| c.cause == cause).find_map(|c| c.detail.clone()),
        evidence: candidates.into_iter().filter(|c| c.cause == cause).take(EVIDENCE).map(|c| c.evidence).collect(),
        diagnostic,
    }
}

fn from_phrases(diagnostic: &str) -> Vec<Candidate> {
    let found = Phrases::built_in().find(diagnostic);
    let candidate = |(phrase, range): (&crate::phrases::Phrase, std::ops::Range<usize>)| Candidate {
        cause: phrase.cause,
        weight: phrase.weight,
        detail: phrase.detail.clone(),
        evidence: Evidence {
            rule: format!("phrase:{}", phrase.words),
            matched: diagnostic.get(range.clone()).unwrap_or_default().to_owned(),
            start: range.start,
            end: range.end,
        },
    };
    found.into_iter().map(candidate).collect()
}

fn from_status(code: EnhancedStatusCode, range: std::ops::Range<usize>) -> Option<Candidate> {
    let exact = code.to_string();
    let any_class = format!("x.{}.{}", code.subject, code.detail);
    let any_detail = format!("x.{}.x", code.subject);
    let rule_for = |wanted: &str| CODES.status.iter().find(|rule| rule.codes.iter().any(|code| code == wanted));
    let (name, rule) = [exact.clone(), any_class, any_detail].into_iter().find_map(|name| {
        let rule = rule_for(&name)?;
        Some((name, rule))
    })?;
    Some(rule.candidate(format!("status:{name}"), exact, range))
}

fn from_reply(code: u16) -> Option<Candidate> {
    let name = code.to_string();
    let rule = CODES.reply.iter().find(|rule| rule.codes.contains(&name))?;
    Some(rule.candidate(format!("reply:{name}"), name, 0..0))
}

impl CodeRule {
    fn candidate(&self, rule: String, matched: String, range: std::ops::Range<usize>) -> Candidate {
        let evidence = Evidence { rule, matched, start: range.start, end: range.end };
        Candidate { cause: self.cause, weight: self.weight, detail: None, evidence }
    }
}

/// Where several things speak at once, one of them explains the others.
fn refine(candidates: &mut [Candidate], diagnostic: &str) {
    // A host that took RCPT TO and denies the user after DATA has filtered by the recipient's own rules.
    if answers_data(diagnostic) {
        for candidate in candidates.iter_mut().filter(|c| c.cause == BounceCause::MailboxUnknown && c.weight <= 80) {
            candidate.cause = BounceCause::RecipientRefused;
        }
    }
}

/// Whether the words name the content of the message as what was answered. Sendmail sends RCPT and DATA in one
/// breath; a `503` to DATA then only follows from the refused RCPT.
fn answers_data(diagnostic: &str) -> bool {
    const SAID: &[&str] =
        &["after end of data", "end of data command", "in reply to data", "after data", "smtp command data"];
    let folded = diagnostic.to_ascii_lowercase();
    SAID.iter().any(|words| folded.contains(words)) || (folded.contains(">>> data") && !folded.contains("<<< 503"))
}

/// Causes with their scores, best first: the strongest word counts in full, echoes elsewhere in the text a fifth.
fn rank(candidates: &[Candidate]) -> Vec<(BounceCause, u32)> {
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

impl Candidate {
    /// Whether another candidate says the same with the same words.
    fn repeats(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.evidence, &other.evidence);
        self.cause == other.cause && mine.start < theirs.end && theirs.start < mine.end
    }
}

/// How far the score stands out from the next one, in percent.
fn confidence(score: u32, rival: u32) -> u8 {
    let share = score.min(100) * 2 * score / (2 * score + rival).max(1);
    u8::try_from(share.clamp(1, 99)).unwrap_or(99)
}

fn said_status_class(diagnostic: &str) -> Option<EnhancedStatusCode> {
    status_in(diagnostic).map(|(code, _)| code)
}

/// Whether the host spoke of a passing failure; its own words come before the report's fields.
fn is_passing(reply: Option<u16>, said: Option<EnhancedStatusCode>, field: Option<EnhancedStatusCode>) -> bool {
    match (reply, said.or(field)) {
        (Some(reply), _) => reply < 500,
        (None, Some(status)) => status.is_transient(),
        (None, None) => false,
    }
}

/// Only a cause about the address can be hard, and only when nothing speaks of a passing failure.
fn permanence(cause: BounceCause, score: u32, passing: bool, candidates: &[Candidate]) -> Permanence {
    let lasting = match cause {
        BounceCause::MailboxUnknown | BounceCause::AddressMoved => true,
        // "Host not found" may be a name server that did not answer: ask for plain words or a plain code.
        BounceCause::DomainUnknown => {
            candidates.iter().filter(|c| c.cause == cause).any(|c| !c.evidence.rule.ends_with("x.4.4"))
        }
        _ => false,
    };
    if lasting && !passing && score >= HARD_SCORE { Permanence::Hard } else { Permanence::Soft }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_rules_can_be_read() {
        let file: CodeFile = toml::from_str(include_str!("../rules/status.toml")).unwrap();
        assert!(file.status.len() > 20 && file.reply.len() > 3);
        for rule in file.status {
            for code in rule.codes {
                let shape = code.replacen('x', "5", 1).replace('x', "0");
                assert!(shape.parse::<EnhancedStatusCode>().is_ok(), "{code}");
            }
        }
    }
}
