//! Choosing which lists one is on.

use super::{Desk, Letter, Peer};
use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use rebound_contacts::{Error, Preference, let_count, prefer, preferences, unsubscribe};
use rebound_db::{Pool, clicks, suppressions};
use rebound_domain::{ListId, Scope, SuppressionReason};

/// What was done before the page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Nothing,
    Saved,
    StoppedAll,
}

#[derive(Template)]
#[template(path = "public/preferences.html")]
struct Page<'a> {
    letter: Letter,
    wishes: Vec<Preference>,
    done: Done,
    /// Why no mail comes though it is wanted.
    stopped: Option<&'static str>,
    /// Whether it may be noted which links they follow.
    is_counted: bool,
    stylesheets: &'a [String],
}

/// What the form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Save {
        /// Of each list that was shown: whether it is wanted.
        lists: Vec<(ListId, bool)>,
        /// Whether it may be noted which links they follow, where that was asked.
        counted: Option<bool>,
    },
    /// No more letters at all.
    StopAll,
}

pub(super) async fn ask(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer) -> Response {
    desk.answer(&token, peer, async |letter, db, now| Page::of(&desk, Done::Nothing, letter, db, now).await).await
}

pub(super) async fn save(
    State(desk): State<Desk>,
    Path(token): Path<String>,
    Peer(peer): Peer,
    body: Bytes,
) -> Response {
    const SOURCE: &str = "preferences page";
    desk.answer(&token, peer, async |letter, db, now| {
        let contact = letter.contact.id;
        let transaction = db.begin().await?;
        let done = match asked(&body) {
            Asked::Save { lists, counted } => {
                prefer(&transaction, contact, &lists, SOURCE, now).await?;
                if let Some(may) = counted {
                    let_count(&transaction, &letter.contact, may, SOURCE, now).await?;
                }
                Done::Saved
            }
            Asked::StopAll => {
                unsubscribe(&transaction, contact, Scope::Everywhere, SOURCE, now).await?;
                Done::StoppedAll
            }
        };
        transaction.commit().await?;
        letter.arrived(db, now).await;
        Page::of(&desk, done, letter, db, now).await
    })
    .await
}

impl<'a> Page<'a> {
    async fn of(desk: &'a Desk, done: Done, letter: Letter, db: &Pool, now: DateTime<Utc>) -> Result<Self, Error> {
        let wishes = preferences(db, letter.contact.id, now).await?;
        let known = suppressions::of(db, &letter.contact.address.key()).await?;
        let standing = known.iter().filter(|one| one.stands(now) && one.scope == Scope::Everywhere);
        let stopped = standing.map(|one| one.reason).max().and_then(words);
        let is_counted = !clicks::is_uncounted(db, letter.contact.id).await?;
        Ok(Self { letter, wishes, done, stopped, is_counted, stylesheets: desk.stylesheets() })
    }

    /// Whether any list is wanted.
    fn gets_letters(&self) -> bool {
        self.wishes.iter().any(|wish| wish.wanted)
    }
}

/// What the person is told of a suppression that is not their own wish to leave.
fn words(reason: SuppressionReason) -> Option<&'static str> {
    match reason {
        SuppressionReason::Soft | SuppressionReason::Hard => Some(
            "Our letters to this address came back, so none are sent to it for now. Answer one to tell us that it works.",
        ),
        SuppressionReason::Complaint => Some(
            "One of our letters was reported as spam from this address, so none are sent to it. If that was a mistake, \
             answer one of them.",
        ),
        SuppressionReason::Manual => {
            Some("No letters are sent to this address for now. Answer one of them to ask why.")
        }
        SuppressionReason::Unsubscribe | SuppressionReason::Erased => None,
    }
}

/// Reads the form: `shown` names each list that was on the page, `list` each one that is ticked. A list that was not
/// shown stays as it is.
fn asked(body: &[u8]) -> Asked {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap_or_default();
    if fields.iter().any(|(name, value)| name == "all" && value == "stop") {
        return Asked::StopAll;
    }
    let named = |wanted: &str| -> Vec<ListId> {
        let values = fields.iter().filter(|(name, _)| name == wanted);
        values.filter_map(|(_, value)| value.parse().ok().map(ListId)).collect()
    };
    let ticked = named("list");
    let has = |wanted: &str, value: &str| fields.iter().any(|(name, found)| name == wanted && found == value);
    Asked::Save {
        lists: named("shown").into_iter().map(|list| (list, ticked.contains(&list))).collect(),
        counted: has("asks", "counted").then(|| has("counted", "yes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_speaks_only_of_what_it_showed() {
        let save = |wishes: &[(i64, bool)], counted| Asked::Save {
            lists: wishes.iter().map(|(id, on)| (ListId(*id), *on)).collect(),
            counted,
        };
        let lists = |wishes| save(wishes, None);
        for (body, expected) in [
            ("", lists(&[])),
            ("list=1", lists(&[])),
            ("shown=1&shown=2&list=2", lists(&[(1, false), (2, true)])),
            ("shown=x&shown=3&list=3&list=9", lists(&[(3, true)])),
            ("shown=1&all=stop", Asked::StopAll),
            ("all=", lists(&[])),
            ("counted=yes", lists(&[])),
            ("asks=counted&shown=1", save(&[(1, false)], Some(false))),
            ("asks=counted&counted=yes", save(&[], Some(true))),
            ("%ff=%fe&shown=1", lists(&[(1, false)])),
        ] {
            assert_eq!(asked(body.as_bytes()), expected, "{body}");
        }
    }
}
