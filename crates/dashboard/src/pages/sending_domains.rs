//! `/sending-domains`: the domains that mail is sent from, the keys that sign for them, and their records in DNS.

mod keys;

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Manage, Needs, Submitted};
use crate::words::When;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use keys::{Shown, standing};
use rebound_db::{dkim_keys, sending_domains as kept_domains};
use rebound_domain::{Alignment, DkimKey, DkimKeyId, DomainName, KeyState, SendingDomain, SendingDomainId};
use rebound_send::sending_domains::{self, By, DomainError};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "sending_domains/index.html")]
pub(crate) struct Index {
    frame: Frame,
    domains: Vec<Line>,
}

struct Line {
    domain: SendingDomain,
    state: (&'static str, &'static str),
    signs_with: Vec<&'static str>,
    checked: Option<When>,
}

pub(crate) async fn index(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    let mut domains = Vec::new();
    for domain in kept_domains::list(&app.db).await? {
        let keys = of(&app, domain.id).await?;
        let active = keys.iter().filter(|key| matches!(key.state, KeyState::Active { .. }));
        let mut signs_with: Vec<_> = active.map(|key| key.algorithm).collect();
        signs_with.sort_unstable();
        domains.push(Line {
            domain,
            state: standing(&keys),
            signs_with: signs_with.into_iter().map(|algorithm| algorithm.title()).collect(),
            checked: checked(&app, &keys),
        });
    }
    Ok(Page(Index { frame: Frame::of(&app, &by, Place::SendingDomains).await?, domains }))
}

async fn of(app: &App, id: SendingDomainId) -> Result<Vec<DkimKey>, PageError> {
    Ok(dkim_keys::of(&app.db, id).await?.into_iter().map(|kept| kept.key).collect())
}

/// When DNS was asked last.
fn checked(app: &App, keys: &[DkimKey]) -> Option<When> {
    let last = keys.iter().filter_map(|key| key.checked.as_ref()).map(|(at, _)| *at).max();
    last.map(|at| When::new(at, app.now()))
}

#[derive(Template)]
#[template(path = "sending_domains/new.html")]
pub(crate) struct New {
    frame: Frame,
    written: Written,
    fault: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    name: String,
}

pub(crate) async fn blank(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<New>, PageError> {
    let frame = Frame::of(&app, &by, Place::SendingDomains).await?;
    Ok(Page(New { frame, written: Written::default(), fault: None }))
}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Administer, Written>,
) -> Result<Response, PageError> {
    let outcome = match form.name.parse::<DomainName>() {
        Ok(name) => {
            let wanted = (&name, Alignment::Relaxed);
            sending_domains::add(&app.db, &app.sender.keys, wanted, order(&app, &by)).await.map_err(words)
        }
        Err(fault) => Err(Ok(fault.to_string())),
    };
    match outcome {
        Ok(id) => Ok(Redirect::to(&format!("/sending-domains/{id}")).into_response()),
        Err(fault) => {
            let frame = Frame::of(&app, &by, Place::SendingDomains).await?;
            Ok(Faulty(New { frame, written: form, fault: Some(fault?) }).into_response())
        }
    }
}

fn order<'a, P>(app: &App, by: &'a Allowed<P>) -> By<'a> {
    By { actor: by.actor(), now: app.now() }
}

/// What the person can mend, in words; or an error of ours.
fn words(error: DomainError) -> Result<String, PageError> {
    match error {
        DomainError::Database(rebound_db::Error::Taken { .. }) => {
            Ok("that domain is there already; choose it from the list".to_owned())
        }
        DomainError::Database(error) => Err(error.into()),
        DomainError::Unknown | DomainError::UnknownKey => Err(PageError::NotFound),
        other => Ok(other.to_string()),
    }
}

#[derive(Template)]
#[template(path = "sending_domains/show.html")]
pub(crate) struct Show {
    frame: Frame,
    domain: SendingDomain,
    state: (&'static str, &'static str),
    added: When,
    checked: Option<When>,
    /// Those that wait, sign or retire.
    keys: Vec<Shown>,
    /// Those that are over.
    over: Vec<Shown>,
    waits: bool,
    signs: bool,
    alignments: [(Alignment, String); 2],
}

pub(crate) async fn show(
    by: Allowed<Administer>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let domain = get(&app, id).await?;
    Ok(Page(page(&app, &by, domain).await?))
}

async fn page<P: Needs>(app: &App, by: &Allowed<P>, domain: SendingDomain) -> Result<Show, PageError> {
    let all = of(app, domain.id).await?;
    let now = app.now();
    let mut shown: Vec<Shown> = all.iter().map(|key| Shown::of(key, &domain.name, now)).collect();
    // What is waited for first, then what signs; RSA before Ed25519, as everybody reads it.
    shown.sort_by_key(|shown| (shown.rank(), shown.key.algorithm));
    let (over, keys) = shown.into_iter().partition(|shown| matches!(shown.key.state, KeyState::Retired { .. }));
    let is_in = |state: &str| all.iter().any(|key| key.state.as_str() == state);
    let name = &domain.name;
    Ok(Show {
        frame: Frame::of(app, by, Place::SendingDomains).await?,
        state: standing(&all),
        added: When::new(domain.added, now),
        checked: checked(app, &all),
        keys,
        over,
        waits: is_in("waiting"),
        signs: is_in("active"),
        alignments: [
            (Alignment::Relaxed, format!("Relaxed: senders at {name}, and at domains below it such as shop.{name}")),
            (Alignment::Strict, format!("Strict: senders at {name} alone")),
        ],
        domain,
    })
}

async fn get(app: &App, id: i64) -> Result<SendingDomain, PageError> {
    kept_domains::get(&app.db, SendingDomainId(id)).await?.ok_or(PageError::NotFound)
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// Asks DNS now. It takes some seconds; keys whose records are seen sign from then on.
pub(crate) async fn check(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Response, PageError> {
    let nameserver = app.installation.way.nameserver;
    sending_domains::check(&app.db, SendingDomainId(id), nameserver, order(&app, &by)).await?;
    Ok(Redirect::to(&format!("/sending-domains/{id}#keys")).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Aligned {
    alignment: String,
}

pub(crate) async fn align(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Administer, Aligned>,
) -> Result<Response, PageError> {
    let alignment = Alignment::named(&form.alignment).ok_or(PageError::Unreadable)?;
    sending_domains::align(&app.db, SendingDomainId(id), alignment, order(&app, &by)).await?;
    Ok(Redirect::to(&format!("/sending-domains/{id}")).into_response())
}

/// Makes new keys beside those that sign.
pub(crate) async fn rotate(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Response, PageError> {
    sending_domains::rotate(&app.db, &app.sender.keys, SendingDomainId(id), order(&app, &by)).await?;
    Ok(Redirect::to(&format!("/sending-domains/{id}#keys")).into_response())
}

#[derive(Template)]
#[template(path = "sending_domains/remove.html")]
pub(crate) struct Remove {
    frame: Frame,
    domain: SendingDomain,
    signs: bool,
}

pub(crate) async fn remove_page(
    by: Allowed<Manage>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Remove>, PageError> {
    let domain = get(&app, id).await?;
    let signs = of(&app, domain.id).await?.iter().any(|key| matches!(key.state, KeyState::Active { .. }));
    Ok(Page(Remove { frame: Frame::of(&app, &by, Place::SendingDomains).await?, domain, signs }))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    sending_domains::remove(&app.db, SendingDomainId(id), order(&app, &by)).await?;
    Ok(Redirect::to("/sending-domains").into_response())
}

#[derive(Template)]
#[template(path = "sending_domains/retire.html")]
pub(crate) struct Retire {
    frame: Frame,
    domain: SendingDomain,
    shown: Shown,
}

pub(crate) async fn retire_page(
    by: Allowed<Manage>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Retire>, PageError> {
    let key = dkim_keys::get(&app.db, DkimKeyId(id)).await?.ok_or(PageError::NotFound)?.key;
    let domain = get(&app, key.domain.0).await?;
    let shown = Shown::of(&key, &domain.name, app.now());
    Ok(Page(Retire { frame: Frame::of(&app, &by, Place::SendingDomains).await?, domain, shown }))
}

pub(crate) async fn retire(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    let key = dkim_keys::get(&app.db, DkimKeyId(id)).await?.ok_or(PageError::NotFound)?.key;
    sending_domains::retire(&app.db, key.id, order(&app, &by)).await?;
    Ok(Redirect::to(&format!("/sending-domains/{}", key.domain)).into_response())
}

impl From<DomainError> for PageError {
    fn from(error: DomainError) -> Self {
        match words(error) {
            Ok(words) => Self::NotNow(words),
            Err(error) => error,
        }
    }
}
