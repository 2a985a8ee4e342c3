//! Leaving one list, and coming back to it.

use super::{Desk, Letter, Peer, show};
use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rebound_contacts::{Error, preferences, resubscribe, unsubscribe};
use rebound_db::Pool;
use rebound_domain::Scope;

/// What the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Left,
    Back,
}

impl Step {
    fn title(&self) -> &'static str {
        match self {
            Self::Ask => "Unsubscribe?",
            Self::Left => "You are unsubscribed",
            Self::Back => "You stay subscribed",
        }
    }

    fn is_done(self) -> bool {
        self != Self::Ask
    }
}

#[derive(Template)]
#[template(path = "public/unsubscribe.html")]
struct Page<'a> {
    step: Step,
    letter: Letter,
    /// The other lists whose mail still comes.
    others: Vec<String>,
    stylesheets: &'a [String],
}

/// What the link of no letter shows, by which the preflight of a campaign tries both ways.
#[derive(Template)]
#[template(path = "public/rehearsal.html")]
struct Rehearsal<'a> {
    token: &'a str,
    left: bool,
    stylesheets: &'a [String],
}

impl Rehearsal<'_> {
    fn title(&self) -> &'static str {
        if self.left { "The link works" } else { "Unsubscribe?" }
    }
}

pub(super) async fn ask(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer) -> Response {
    if desk.is_rehearsal(&token) {
        return show(StatusCode::OK, &Rehearsal { token: &token, left: false, stylesheets: desk.stylesheets() });
    }
    desk.answer(&token, peer, async |letter, db, now| Page::seen(&desk, letter, db, now).await).await
}

pub(super) async fn leave(
    State(desk): State<Desk>,
    Path(token): Path<String>,
    Peer(peer): Peer,
    body: Bytes,
) -> Response {
    if desk.is_rehearsal(&token) && is_one_click(&body) {
        return show(StatusCode::OK, &Rehearsal { token: &token, left: true, stylesheets: desk.stylesheets() });
    }
    if !is_one_click(&body) {
        let page = desk.answer(&token, peer, async |letter, db, now| Page::seen(&desk, letter, db, now).await).await;
        return (StatusCode::BAD_REQUEST, page).into_response();
    }
    desk.answer(&token, peer, async |letter, db, now| {
        let transaction = db.begin().await?;
        unsubscribe(&transaction, letter.contact.id, letter.scope(), "unsubscribe link", now).await?;
        transaction.commit().await?;
        letter.arrived(db, now).await;
        Page::after(&desk, Step::Left, letter, db, now).await
    })
    .await
}

pub(super) async fn come_back(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer) -> Response {
    desk.answer(&token, peer, async |letter, db, now| {
        let transaction = db.begin().await?;
        // Who stopped all letters takes that back too: else this page would promise what does not hold.
        for scope in [letter.scope(), Scope::Everywhere] {
            resubscribe(&transaction, letter.contact.id, scope, "undo on the unsubscribe page", now).await?;
        }
        transaction.commit().await?;
        Page::after(&desk, Step::Back, letter, db, now).await
    })
    .await
}

impl<'a> Page<'a> {
    /// The page as it stands, with nothing done.
    async fn seen(desk: &'a Desk, letter: Letter, db: &Pool, now: DateTime<Utc>) -> Result<Self, Error> {
        let wishes = preferences(db, letter.contact.id, now).await?;
        let on = wishes.iter().any(|wish| wish.list.id == letter.list.id && wish.wanted);
        Self::after(desk, if on { Step::Ask } else { Step::Left }, letter, db, now).await
    }

    async fn after(desk: &'a Desk, step: Step, letter: Letter, db: &Pool, now: DateTime<Utc>) -> Result<Self, Error> {
        let wishes = preferences(db, letter.contact.id, now).await?;
        let others = wishes.into_iter().filter(|wish| wish.wanted && wish.list.id != letter.list.id);
        let others = others.map(|wish| wish.list.name).collect();
        Ok(Self { step, letter, others, stylesheets: desk.stylesheets() })
    }
}

/// RFC 8058 §3.2 allows both forms of a form; the page's own button says the same.
fn is_one_click(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let multipart = || text.contains("name=\"List-Unsubscribe\"") && text.contains("One-Click");
    text.split('&').any(|field| field.trim() == "List-Unsubscribe=One-Click") || multipart()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wish_to_leave_is_one() {
        for (body, expected) in [
            (&b"List-Unsubscribe=One-Click"[..], true),
            (b"List-Unsubscribe=One-Click\r\n", true),
            (b"a=b&List-Unsubscribe=One-Click", true),
            (b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--", true),
            (b"", false),
            (b"List-Unsubscribe=", false),
            (b"q=List-Unsubscribe", false),
            (b"\xff\xfe", false),
        ] {
            assert_eq!(is_one_click(body), expected, "{body:?}");
        }
    }
}
