//! `/contacts`: the people we may write to, found by address, name, list, standing or domain.

mod edit;
mod profile;
mod selection;

pub(crate) use edit::{edit, update};
pub(crate) use profile::{lift, show, suppress};
pub(crate) use selection::act;

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::contacts::{self, Filter, Found, How, Membership, Sort, State as Mailability};
use rebound_db::imports::{self, Fate};
use rebound_db::{lists, subscriptions, suppressions};
use rebound_domain::{
    AddressKey, Contact, ContactId, ImportId, IncidentId, List, ListId, Suppression, SuppressionReason, full_name,
};
use serde::Deserialize;

const ROWS: u32 = 50;
/// Who came to a list or left it lately did so in so many days.
const LATELY: i64 = 30;

#[derive(Template)]
#[template(path = "contacts/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    lists: Vec<List>,
    rows: Vec<Line>,
    people: String,
    is_empty: bool,
    found: Option<String>,
    chips: Vec<Chip>,
    /// What else narrows it: its words, and a way to all without it.
    narrowed: Vec<(String, String)>,
    next: Option<String>,
    done: Option<String>,
}

struct Line {
    id: ContactId,
    name: Option<String>,
    address: String,
    domain: String,
    standing: Standing,
    lists: Vec<(i64, String)>,
}

/// A standing, and how many have it.
struct Chip {
    state: &'static str,
    words: &'static str,
    count: String,
    href: String,
}

/// Whether somebody can be written to, as the class and words of a state.
pub(crate) struct Standing {
    pub(crate) class: &'static str,
    pub(crate) words: String,
}

/// What the filter bar holds, and where the page begins.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
    list: String,
    state: String,
    domain: String,
    sort: String,
    /// How they stand in the list, where they are not just on it: `pending`, `came`, `gone`, `left`.
    member: String,
    /// An import, and what became of them in it.
    import: String,
    fate: String,
    incident: String,
    after: Option<i64>,
    /// What a selection was just made to do, and to how many: for one line of words, nothing else.
    done: String,
    n: Option<i64>,
}

impl Asked {
    fn filter(&self, now: DateTime<Utc>) -> Filter {
        let lately = now - TimeDelta::days(LATELY);
        let import = self.import.parse().ok().map(ImportId);
        Filter {
            search: self.q.clone(),
            domain: Some(self.domain.trim().to_lowercase()).filter(|domain| !domain.is_empty()),
            list: self.list.parse().ok().map(ListId),
            state: state(&self.state),
            membership: match self.member.as_str() {
                "pending" => Membership::Pending,
                "came" => Membership::Since(lately),
                "gone" => Membership::Left(Some(lately)),
                "left" => Membership::Left(None),
                _ => Membership::On,
            },
            import: import.zip(Fate::ALL.into_iter().find(|fate| fate.as_str() == self.fate)),
            incident: self.incident.parse().ok().map(IncidentId),
        }
    }

    /// What narrows it beside what the filter bar shows: in words, and an address without it.
    async fn narrowed(&self, app: &App, filter: &Filter) -> Result<Vec<(String, String)>, PageError> {
        let mut narrowed = Vec::new();
        let member = match filter.membership {
            Membership::On => None,
            _ if filter.list.is_none() => None,
            Membership::Pending => Some("Not confirmed yet".to_owned()),
            Membership::Since(_) => Some(format!("Came in the last {LATELY} days")),
            Membership::Left(Some(_)) => Some(format!("Left in the last {LATELY} days")),
            Membership::Left(None) => Some("Left the list".to_owned()),
        };
        if let Some(words) = member {
            narrowed.push((words, Self { member: String::new(), ..self.clone() }.href()));
        }
        if let Some((id, fate)) = filter.import {
            let file = imports::get(&app.db, id).await?.map_or_else(String::new, |import| import.file);
            let words = match fate {
                Fate::Added => "new by",
                Fate::Updated => "brought up to date by",
                Fate::Unchanged => "known already to",
                Fate::Suppressed => "left suppressed by",
            };
            let without = Self { import: String::new(), fate: String::new(), ..self.clone() };
            narrowed.push((format!("Only those {words} the import of {file}"), without.href()));
        }
        if let Some(incident) = filter.incident {
            let without = Self { incident: String::new(), ..self.clone() };
            narrowed.push((format!("Touched by incident {incident}"), without.href()));
        }
        Ok(narrowed)
    }

    fn sort(&self) -> Sort {
        match self.sort.as_str() {
            "oldest" => Sort::Oldest,
            "address" => Sort::Address,
            _ => Sort::Newest,
        }
    }

    /// What the filter bar does not show, but keeps.
    fn hidden(&self) -> Vec<(&'static str, &str)> {
        let pairs =
            [("member", &self.member), ("import", &self.import), ("fate", &self.fate), ("incident", &self.incident)];
        pairs.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The filters as an address, without the page.
    fn href(&self) -> String {
        let pairs = [
            ("q", &self.q),
            ("list", &self.list),
            ("state", &self.state),
            ("domain", &self.domain),
            ("sort", &self.sort),
        ];
        let shown =
            pairs.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty());
        let pairs: Vec<(&str, &str)> = shown.chain(self.hidden()).collect();
        format!("/contacts?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    /// What was just done, in words.
    fn done(&self) -> Option<String> {
        let people = Count(self.n?).people();
        match self.done.as_str() {
            "suppress" => Some(format!("{people} suppressed. Lift each on its own page.")),
            "join" => Some(format!("{people} put on the list. Who had left it stays off.")),
            "leave" => Some(format!("{people} taken off the list.")),
            _ => None,
        }
    }
}

fn state(name: &str) -> Option<Mailability> {
    match name {
        "mailable" => Some(Mailability::Mailable),
        "suppressed" => Some(Mailability::Suppressed),
        _ => SuppressionReason::ALL.into_iter().find(|one| one.as_str() == name).map(Mailability::For),
    }
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let filter = asked.filter(now);
    let after = asked.after.map(ContactId);
    let people = contacts::total(&app.db).await?;
    let found = match filter == Filter::default() {
        true => None,
        false => Some(people_of(contacts::count(&app.db, &filter, now).await?)),
    };
    let contacts = contacts::page(&app.db, &filter, asked.sort(), after, ROWS + 1, now).await?;
    let shown = &contacts[..contacts.len().min(ROWS as usize)];
    let next =
        shown.last().filter(|_| contacts.len() > shown.len()).map(|last| format!("{}&after={}", asked.href(), last.id));
    let lists = open_lists(&app).await?;
    Ok(Page(Index {
        frame: Frame::of(&app, &by, Place::Contacts).await?,
        rows: lines(&app, shown, filter.list, &lists, now).await?,
        people: people_of(people),
        is_empty: people.count == 0,
        found,
        chips: chips(&app, &asked, people.count, now).await?,
        narrowed: asked.narrowed(&app, &filter).await?,
        next,
        done: asked.done(),
        lists,
        asked,
    }))
}

/// The lists that are not put away.
pub(crate) async fn open_lists(app: &App) -> Result<Vec<List>, PageError> {
    let away = lists::archived(&app.db).await?;
    Ok(lists::all(&app.db).await?.into_iter().filter(|list| !away.contains_key(&list.id)).collect())
}

async fn lines(
    app: &App,
    contacts: &[Contact],
    list: Option<ListId>,
    lists: &[List],
    now: DateTime<Utc>,
) -> Result<Vec<Line>, PageError> {
    let keys: Vec<AddressKey> = contacts.iter().map(|contact| contact.address.key()).collect();
    let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id).collect();
    // Who left one list can still be written to for another.
    let standing = suppressions::standing(&app.db, &keys, list, now).await?;
    let places = subscriptions::lists_of(&app.db, &ids).await?;
    let named = |id: &ListId| lists.iter().find(|list| list.id == *id).map(|list| (id.0, list.name.clone()));
    let line = |contact: &Contact| Line {
        id: contact.id,
        name: full_name(&contact.fields),
        address: contact.address.to_string(),
        domain: contact.address.domain().to_lowercase(),
        standing: standing_of(standing.get(&contact.address.key()), now),
        lists: places.get(&contact.id).into_iter().flatten().filter_map(named).collect(),
    };
    Ok(contacts.iter().map(line).collect())
}

/// The standings that people ask for, with how many have each; of addresses suppressed for all mail, so some may be
/// no contacts.
async fn chips(app: &App, asked: &Asked, people: i64, now: DateTime<Utc>) -> Result<Vec<Chip>, PageError> {
    let counts = suppressions::counts(&app.db, now).await?;
    let suppressed = suppressions::addresses(&app.db, now).await?;
    let chip = |state, words, count| {
        let only = Asked { state: String::from(state), ..asked.clone() };
        Chip { state, words, count, href: only.href() }
    };
    let mut chips = vec![
        chip("", "All", String::new()),
        chip("mailable", "Can be written to", format!("about {}", Count((people - suppressed).max(0)))),
    ];
    chips.extend(SuppressionReason::ALL.into_iter().filter_map(|one| {
        let count = *counts.get(&one)?;
        Some(chip(one.as_str(), reason(one).1, Count(count).to_string()))
    }));
    Ok(chips)
}

/// `42 people`, `more than 1,000 people`.
fn people_of(found: Found) -> String {
    let people = Count(found.count).people();
    match found.how {
        How::Exactly => people,
        How::MoreThan => format!("more than {people}"),
        How::About => format!("about {people}"),
    }
}

/// What a suppression, or none, means for a person.
pub(crate) fn standing_of(suppression: Option<&Suppression>, now: DateTime<Utc>) -> Standing {
    let Some(suppression) = suppression else {
        return Standing { class: "s-delivered", words: "Can be written to".into() };
    };
    let (class, words) = reason(suppression.reason);
    let until = suppression.until.map(|at| format!(" until {}", When::new(at, now).day())).unwrap_or_default();
    Standing { class, words: format!("{words}{until}") }
}

/// The class and the words of a reason.
pub(crate) fn reason(reason: SuppressionReason) -> (&'static str, &'static str) {
    match reason {
        SuppressionReason::Soft => ("s-soft", "Rests"),
        SuppressionReason::Hard => ("s-hard", "Hard bounce"),
        SuppressionReason::Manual => ("s-suppressed", "By hand"),
        SuppressionReason::Unsubscribe => ("s-suppressed", "Unsubscribed"),
        SuppressionReason::Complaint => ("s-complaint", "Complained"),
        SuppressionReason::Erased => ("s-suppressed", "Asked to be forgotten"),
    }
}
