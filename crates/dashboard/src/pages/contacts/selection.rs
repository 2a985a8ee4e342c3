//! `/contacts/selected`: one act for all who are ticked; first it says what it does and to how many.

use super::open_lists;
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Submitted, Write};
use crate::words::Count;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_contacts::membership;
use rebound_db::contacts;
use rebound_domain::{Contact, ContactId, List, ListId, full_name};

/// No page shows more at once.
const MOST: usize = 200;
/// So many are named one by one.
const NAMED: usize = 10;

#[derive(Template)]
#[template(path = "contacts/selection.html")]
struct Confirm {
    frame: Frame,
    act: Act,
    people: Count,
    named: Vec<String>,
    others: Count,
    ids: Vec<i64>,
    list: Option<List>,
    lists: Vec<List>,
}

/// What can be done to many.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Suppress,
    Join,
    Leave,
}

impl Act {
    fn named(name: &str) -> Option<Self> {
        [Self::Suppress, Self::Join, Self::Leave].into_iter().find(|act| act.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Suppress => "suppress",
            Self::Join => "join",
            Self::Leave => "leave",
        }
    }
}

/// What the form says: fields come in any order, and `id` once for each who is ticked.
struct Said {
    act: Act,
    ids: Vec<ContactId>,
    list: Option<ListId>,
    why: String,
    is_sure: bool,
}

impl Said {
    fn read(form: &[(String, String)]) -> Option<Self> {
        let all = |name: &'static str| form.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str());
        Some(Self {
            act: Act::named(all("act").next()?)?,
            ids: all("id").filter_map(|id| id.parse().ok()).map(ContactId).take(MOST).collect(),
            list: all("list").find_map(|id| id.parse().ok()).map(ListId),
            why: all("why").next().unwrap_or_default().trim().to_owned(),
            is_sure: all("sure").next().is_some(),
        })
    }
}

pub(crate) async fn act(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let said = Said::read(&form).ok_or(PageError::Unreadable)?;
    let mut people: Vec<Contact> = contacts::with_ids(&app.db, &said.ids).await?.into_values().collect();
    people.sort_by_key(|contact| contact.id);
    if people.is_empty() {
        return Err(PageError::NotNow("nobody was ticked. Tick the people first, then say what to do".into()));
    }
    let lists = open_lists(&app).await?;
    let list = said.list.and_then(|id| lists.iter().find(|list| list.id == id).cloned());
    let (actor, now) = (by.actor().to_owned(), app.now());
    let done = match (said.act, &list) {
        _ if !said.is_sure => None,
        (Act::Suppress, _) => Some(membership::suppress(&app.db, &people, &said.why, &actor, now).await?),
        (Act::Join, Some(list)) => Some(membership::join(&app.db, list.id, &people, &actor, now).await?),
        (Act::Leave, Some(list)) => Some(membership::leave(&app.db, list.id, &people, &actor, now).await?),
        (Act::Join | Act::Leave, None) => None,
    };
    if let Some(count) = done {
        return Ok(Redirect::to(&format!("/contacts?done={}&n={count}", said.act.name())).into_response());
    }
    let named: Vec<String> = people.iter().take(NAMED).map(called).collect();
    let page = Confirm {
        frame: Frame::of(&app, &by, Place::Contacts).await?,
        act: said.act,
        people: Count(people.len() as i64),
        others: Count((people.len() - named.len()) as i64),
        named,
        ids: people.iter().map(|contact| contact.id.0).collect(),
        list,
        lists,
    };
    Ok(Page(page).into_response())
}

fn called(contact: &Contact) -> String {
    full_name(&contact.fields)
        .map_or_else(|| contact.address.to_string(), |name| format!("{name}, {}", contact.address))
}
