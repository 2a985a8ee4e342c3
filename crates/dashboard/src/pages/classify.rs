//! `/classify`: a bounce that somebody pastes, read and explained. Nothing of it is kept.

use super::bounces::{Piece, marked};
use crate::App;
use crate::advice;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Needs, See, Submitted};
use crate::words::colour;
use askama::Template;
use axum::extract::State;
use rebound_domain::{Advice, BounceCause, Evidence, ReportKind, Verdict};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "classify/index.html")]
pub(crate) struct Index {
    frame: Frame,
    pasted: String,
    found: Option<Found>,
    /// Why nothing was found out.
    fault: Option<String>,
}

/// What was pasted, understood.
struct Found {
    title: &'static str,
    text: &'static str,
    verdicts: Vec<Judged>,
    /// The whole of it with all that led to verdicts marked.
    raw: Vec<Piece>,
    rules: String,
}

/// A verdict about one recipient.
struct Judged {
    who: Option<String>,
    cause: BounceCause,
    colour: &'static str,
    lasting: (&'static str, &'static str),
    doing: (&'static str, &'static str),
    confidence: u8,
    second: Option<(BounceCause, u8)>,
    words: Vec<Piece>,
    /// The rule, what it recognised, and where that stood.
    evidence: Vec<(String, String, &'static str)>,
    /// What else the words say, by name.
    facts: Vec<(&'static str, String)>,
    advice: Advice,
}

#[derive(Deserialize)]
pub(crate) struct Pasted {
    #[serde(default)]
    bounce: String,
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    index(&app, &by, String::new(), None, None).await
}

pub(crate) async fn read(
    State(app): State<App>,
    Submitted { by, form }: Submitted<See, Pasted>,
) -> Result<Page<Index>, PageError> {
    let pasted = form.bounce;
    if pasted.trim().is_empty() {
        return index(&app, &by, pasted, None, Some("Paste a message or a reply first.".to_owned())).await;
    }
    let found = match app.readings.turn(&app.db).await? {
        Ok(turn) if is_message(&pasted) => {
            let report = turn.message(pasted.clone().into_bytes()).await;
            report.map(|report| {
                let judged = |one: &rebound_classify::FailedRecipient| {
                    let who = one.recipient.clone().or_else(|| one.original_recipient.clone());
                    (who, one.reporting_mta.clone(), one.verdict.clone())
                };
                found(&pasted, kind(report.kind), report.recipients.iter().map(judged).collect())
            })
        }
        Ok(turn) => {
            let verdict = turn.reply(pasted.trim().to_owned()).await;
            verdict.map(|verdict| match verdict {
                Some(verdict) => found(pasted.trim(), ("A reply that refuses", ""), vec![(None, None, verdict)]),
                None => {
                    found(pasted.trim(), ("No failure", "A reply that begins with 2 or 3 refuses nothing."), vec![])
                }
            })
        }
        Err(why) => Err(why),
    };
    match found {
        Ok(found) => index(&app, &by, pasted, Some(found), None).await,
        Err(why) => index(&app, &by, pasted, None, Some(format!("It was not read: {why}. Try again."))).await,
    }
}

async fn index<P: Needs>(
    app: &App,
    by: &Allowed<P>,
    pasted: String,
    found: Option<Found>,
    fault: Option<String>,
) -> Result<Page<Index>, PageError> {
    let rules = app.readings.in_force(&app.db).await?.rules().version().to_owned();
    let found = found.map(|found| Found { rules, ..found });
    Ok(Page(Index { frame: Frame::of(app, by, Place::Bounces).await?, pasted, found, fault }))
}

/// A message begins with a field of its header; a reply does not.
fn is_message(pasted: &str) -> bool {
    let line = pasted.trim_start().lines().next().unwrap_or_default();
    let name = line.split(':').next().unwrap_or_default();
    let is_field = name.len() < line.len() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    line.starts_with("From ") || is_field
}

const fn kind(kind: ReportKind) -> (&'static str, &'static str) {
    match kind {
        ReportKind::Bounce => ("A bounce", ""),
        ReportKind::Delay => ("A delay", "The other side still tries: nothing is lost yet, and nobody is judged."),
        ReportKind::Feedback => ("A complaint", "Somebody pressed “report spam”. We do not write to them any more."),
        ReportKind::AutoReply => {
            ("An automatic answer", "A person is away, or a machine wants proof of one. Mail arrived.")
        }
        ReportKind::NotBounce => ("No bounce", "Nothing in it says that a message did not arrive."),
    }
}

fn found(
    raw: &str,
    (title, text): (&'static str, &'static str),
    verdicts: Vec<(Option<String>, Option<String>, Verdict)>,
) -> Found {
    // The same marks, as they stand in what was pasted.
    let places = verdicts.iter().flat_map(|(.., verdict)| &verdict.evidence);
    let places: Vec<Evidence> =
        places.filter_map(|one| one.raw.map(|(start, end)| Evidence { start, end, ..one.clone() })).collect();
    let raw = marked(raw, &places);
    Found { title, text, raw, rules: String::new(), verdicts: verdicts.into_iter().map(judged).collect() }
}

fn judged((who, host, verdict): (Option<String>, Option<String>, Verdict)) -> Judged {
    let facts = [
        ("Reported by", host),
        ("Reply", verdict.reply_code.map(|code| code.to_string())),
        ("Status", verdict.status.map(|status| status.to_string())),
        ("The host’s own code", verdict.provider_code.clone()),
        ("Blocklist", verdict.blocklist.clone()),
        ("More", Some(verdict.links.join(" ")).filter(|links| !links.is_empty())),
        ("Detail", verdict.detail.clone()),
        ("To be asked again in", verdict.retry_after.map(|seconds| format!("{seconds} s"))),
    ];
    Judged {
        who,
        cause: verdict.cause,
        colour: colour(verdict.cause.group()),
        lasting: advice::lasting(verdict.permanence),
        doing: advice::doing(verdict.cause),
        confidence: verdict.confidence,
        second: verdict.second.filter(|(cause, _)| *cause != verdict.cause),
        words: marked(&verdict.diagnostic, &verdict.evidence),
        evidence: verdict
            .evidence
            .iter()
            .map(|one| (one.rule.clone(), one.matched.clone(), one.field.title()))
            .collect(),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        advice: verdict.cause.advice(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_from_a_reply() {
        for (pasted, message) in [
            ("Return-Path: <>\r\nFrom: a@b.example\r\n\r\nx", true),
            ("\n\nFrom: a@b.example\n\nx", true),
            ("From MAILER-DAEMON Mon Nov 23 10:00:00 2026\nSubject: x\n\nx", true),
            ("550 5.1.1 <a@b.example>: no such user", false),
            ("550-5.1.1 The email account\r\n550 5.1.1 does not exist", false),
            ("host mx.b.example said: 550 no", false),
            ("smtp; 550 no", false),
        ] {
            assert_eq!(is_message(pasted), message, "{pasted}");
        }
    }
}
