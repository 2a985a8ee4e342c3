//! `/users`: who may sign in, as what, and from where.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Manage, Submitted};
use crate::users::{self as people, By, INVITED, RESET, UserError};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use rebound_db::sessions::{self, Open};
use rebound_db::users::{self, Person};
use rebound_domain::{Permission, Role, UserId};
use serde::Deserialize;

/// The roles that can be given.
const GIVEN: [Role; 3] = [Role::Admin, Role::Marketer, Role::Auditor];

#[derive(Template)]
#[template(path = "users/index.html")]
pub(crate) struct Index {
    frame: Frame,
    people: Vec<Line>,
    /// Each role, and what it may do.
    roles: [(Role, String); 4],
}

/// A person in a table.
struct Line {
    person: Person,
    state: (&'static str, String),
    seen: Option<When>,
}

pub(crate) async fn index(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    let wall = Utc::now();
    let people = users::people(&app.db).await?.into_iter().map(|person| line(person, wall)).collect();
    let frame = Frame::of(&app, &by, Place::Users).await?;
    Ok(Page(Index { frame, people, roles: Role::ALL.map(|role| (role, rights(role))) }))
}

/// What a role may do: `see …; send …`.
fn rights(role: Role) -> String {
    let words = |permission: &Permission| match permission {
        Permission::See => "see campaigns, contacts and bounces",
        Permission::Write => "change contacts, lists, suppressions and drafts",
        Permission::Launch => "send campaigns and stop them",
        Permission::Audit => "read the audit log",
        Permission::Administer => "look after servers, policies, incidents and people",
    };
    let may: Vec<&str> = Permission::ALL.iter().filter(|permission| role.may(**permission)).map(words).collect();
    may.join("; ")
}

/// Sessions and links live in the wall clock's time.
fn line(person: Person, wall: DateTime<Utc>) -> Line {
    let invited = person.link_until.filter(|until| *until >= wall).map(|until| When::new(until, wall));
    let state = match (person.deactivated, person.has_password, invited) {
        (Some(_), _, _) => ("s-suppressed", "Shut out".to_owned()),
        (None, true, _) => ("s-delivered", "May sign in".to_owned()),
        (None, false, Some(until)) => ("s-deferred", format!("Invited until {}", until.day())),
        (None, false, None) => ("s-soft", "Invitation ran out".to_owned()),
    };
    Line { state, seen: person.seen.map(|at| When::new(at, wall)), person }
}

#[derive(Template)]
#[template(path = "users/new.html")]
pub(crate) struct New {
    frame: Frame,
    written: Invitation,
    fault: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Invitation {
    email: String,
    name: String,
    role: String,
}

pub(crate) async fn blank(by: Allowed<Manage>, State(app): State<App>) -> Result<Page<New>, PageError> {
    let written = Invitation { role: Role::Marketer.as_str().to_owned(), ..Invitation::default() };
    Ok(Page(New { frame: Frame::of(&app, &by, Place::Users).await?, written, fault: None }))
}

#[derive(Template)]
#[template(path = "users/link.html")]
pub(crate) struct Link {
    frame: Frame,
    person: Person,
    url: String,
    until: When,
}

pub(crate) async fn invite(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Manage, Invitation>,
) -> Result<Response, PageError> {
    let expires = Utc::now() + INVITED;
    let actor = By::User(&by.session.user);
    let role = Role::named(&form.role).ok_or(PageError::Unreadable)?;
    match people::invite(&app.db, actor, form.email.trim(), &form.name, role, expires, app.now()).await {
        Ok((id, secret)) => Ok(link_page(&app, &by, id, &secret, expires).await?.into_response()),
        Err(UserError::Database(rebound_db::Error::Unavailable(error))) => {
            Err(rebound_db::Error::Unavailable(error).into())
        }
        Err(fault) => {
            let fault = match fault {
                UserError::Database(rebound_db::Error::Taken { .. }) => "that address signs in already".to_owned(),
                other => other.to_string(),
            };
            let frame = Frame::of(&app, &by, Place::Users).await?;
            Ok(Faulty(New { frame, written: form, fault: Some(fault) }).into_response())
        }
    }
}

/// The one page that ever shows the link: only its digest is kept.
async fn link_page(
    app: &App,
    by: &Allowed<Manage>,
    id: UserId,
    secret: &str,
    expires: DateTime<Utc>,
) -> Result<Page<Link>, PageError> {
    let person = users::person(&app.db, id).await?.ok_or(PageError::NotFound)?;
    let url = format!("{}/join/{secret}", app.public_url);
    let until = When::new(expires, Utc::now());
    Ok(Page(Link { frame: Frame::of(app, by, Place::Users).await?, person, url, until }))
}

#[derive(Template)]
#[template(path = "users/show.html")]
pub(crate) struct Show {
    frame: Frame,
    line: Line,
    since: When,
    sessions: Vec<Browser>,
    /// Why this person cannot be changed by who looks.
    locked: Option<String>,
    given: [Role; 3],
}

/// A signed-in browser in a table.
pub(crate) struct Browser {
    pub(crate) open: Open,
    pub(crate) since: When,
    pub(crate) seen: When,
    pub(crate) is_this: bool,
}

impl Browser {
    pub(crate) fn new(open: Open, this: &str, wall: DateTime<Utc>) -> Self {
        let (since, seen) = (When::new(open.since, wall), When::new(open.seen, wall));
        Self { since, seen, is_this: open.digest == this, open }
    }
}

pub(crate) async fn show(
    by: Allowed<Manage>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let wall = Utc::now();
    let person = users::person(&app.db, UserId(id)).await?.ok_or(PageError::NotFound)?;
    let open = sessions::of_user(&app.db, person.user.id, wall).await?;
    Ok(Page(Show {
        frame: Frame::of(&app, &by, Place::Users).await?,
        locked: by.session.user.may_manage(&person.user).err().map(|why| why.to_string()),
        since: When::new(person.since, app.now()),
        line: line(person, wall),
        sessions: open.into_iter().map(|open| Browser::new(open, &by.session.digest, wall)).collect(),
        given: GIVEN,
    }))
}

#[derive(Deserialize)]
pub(crate) struct NewRole {
    role: String,
}

pub(crate) async fn set_role(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Manage, NewRole>,
) -> Result<Response, PageError> {
    let role = Role::named(&form.role).ok_or(PageError::Unreadable)?;
    people::set_role(&app.db, By::User(&by.session.user), UserId(id), role, app.now()).await?;
    Ok(back_to(id))
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn deactivate(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    people::deactivate(&app.db, By::User(&by.session.user), UserId(id), app.now()).await?;
    Ok(back_to(id))
}

pub(crate) async fn reactivate(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    people::reactivate(&app.db, By::User(&by.session.user), UserId(id), app.now()).await?;
    Ok(back_to(id))
}

pub(crate) async fn sign_out(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    people::sign_out(&app.db, By::User(&by.session.user), UserId(id), app.now()).await?;
    Ok(back_to(id))
}

pub(crate) async fn link(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    let person = users::person(&app.db, UserId(id)).await?.ok_or(PageError::NotFound)?;
    let expires = Utc::now() + if person.has_password { RESET } else { INVITED };
    let secret = people::link(&app.db, By::User(&by.session.user), UserId(id), expires, app.now()).await?;
    Ok(link_page(&app, &by, UserId(id), &secret, expires).await?.into_response())
}

fn back_to(id: i64) -> Response {
    Redirect::to(&format!("/users/{id}")).into_response()
}

impl From<UserError> for PageError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Database(error) => error.into(),
            UserError::Nobody => Self::NotFound,
            other => Self::NotNow(other.to_string()),
        }
    }
}

impl Line {
    /// Where they last were seen, in words.
    fn seen_words(&self) -> String {
        self.seen.map_or_else(|| "not signed in".to_owned(), |when| when.to_string())
    }
}

impl Index {
    fn count(&self) -> Count {
        Count(i64::try_from(self.people.len()).unwrap_or(i64::MAX))
    }
}
