//! `/audit`: who did what, when and why; and taking it back.

mod told;
mod undo;

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Administer, Allowed, Audit, Export, Submitted};
use crate::words::When;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use futures_util::stream::try_unfold;
use rebound_contacts::guarded;
use rebound_db::events::{self, Entry, Event, Filter};
use rebound_db::users;
use rebound_domain::EmailAddress;
use serde::{Deserialize, Serialize};
use undo::Inverse;

/// Entries of a page.
const ROWS: u32 = 50;
/// Entries that are read at once for an export.
const CHUNK: u32 = 2_000;

/// What is asked for, as the address has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// `people` for what people did only.
    #[serde(skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    who: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    about: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing)]
    before: Option<i64>,
}

impl Asked {
    /// A filter that cannot be read asks for nothing, and the page says so.
    fn filter(&self) -> Result<Filter, &'static str> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let key = match given(&self.address) {
            Some(text) => Some(text.parse::<EmailAddress>().map_err(|_| "That is no whole e-mail address.")?.key()),
            None => None,
        };
        let until = day(&self.to)?.and_then(|last| last.checked_add_days(Days::new(1)));
        Ok(Filter {
            actor: given(&self.who),
            by_people: self.by == "people",
            kind: given(&self.kind),
            subject: given(&self.about),
            key,
            since: day(&self.from)?,
            until,
        })
    }

    fn is_filtered(&self) -> bool {
        let Self { by, who, about, kind, address, from, to, before: _ } = self;
        [by, who, about, kind, address, from, to].into_iter().any(|text| !text.is_empty())
    }

    fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }
}

fn day(text: &str) -> Result<Option<DateTime<Utc>>, &'static str> {
    match text.trim() {
        "" => Ok(None),
        text => {
            let day = text.parse::<NaiveDate>().map_err(|_| "A day is written 2026-11-24.")?;
            Ok(Some(day.and_time(NaiveTime::MIN).and_utc()))
        }
    }
}

#[derive(Template)]
#[template(path = "audit/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    fault: Option<&'static str>,
    actors: Vec<String>,
    nouns: [(&'static str, &'static str); 10],
    rows: Vec<Row>,
    more: Option<String>,
    export: String,
}

pub(crate) struct Row {
    id: i64,
    at: When,
    actor: String,
    kind: String,
    words: String,
    thing: Option<(String, String)>,
    detail: String,
    undo: Option<&'static str>,
}

pub(crate) async fn index(
    by: Allowed<Audit>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let (filter, fault) = match asked.filter() {
        Ok(filter) => (Some(filter), None),
        Err(fault) => (None, Some(fault)),
    };
    let mut entries = match &filter {
        Some(filter) => events::find(&app.db, filter, asked.before, ROWS + 1).await?,
        None => vec![],
    };
    let more = (entries.len() > ROWS as usize).then(|| {
        entries.truncate(ROWS as usize);
        let last = entries.last().map_or(0, |entry| entry.id);
        format!("{}&before={last}", asked.query())
    });
    let frame = Frame::of(&app, &by, Place::Audit).await?;
    let undoes = frame.administers;
    let people = users::all(&app.db).await?.into_iter().map(|user| user.email.to_string());
    Ok(Page(Index {
        frame,
        fault,
        actors: people.chain(["command line".to_owned(), "rebound".to_owned(), "unknown".to_owned()]).collect(),
        nouns: told::NOUNS,
        rows: entries.into_iter().map(|entry| row(entry, undoes, now)).collect(),
        more,
        export: format!("/audit/export?{}", asked.query()),
        asked,
    }))
}

fn row(entry: Entry, undoes: bool, now: DateTime<Utc>) -> Row {
    Row {
        undo: Inverse::of(&entry, now).filter(|_| undoes).map(|inverse| inverse.words()),
        words: told::words(&entry),
        thing: told::thing(&entry),
        detail: told::detail(&entry),
        id: entry.id,
        at: When::new(entry.at, now),
        actor: entry.actor,
        kind: entry.kind,
    }
}

#[derive(Template)]
#[template(path = "audit/undo.html")]
pub(crate) struct UndoPage {
    frame: Frame,
    row: Row,
    words: &'static str,
    /// Whom it is about, and what it comes to.
    consequences: Vec<String>,
}

/// Says what the opposite of an entry is, and for whom.
pub(crate) async fn undo_page(
    by: Allowed<Administer>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<UndoPage>, PageError> {
    let (entry, now) = (events::get(&app.db, id).await?.ok_or(PageError::NotFound)?, app.now());
    let inverse = Inverse::of(&entry, now).ok_or_else(too_late)?;
    let person = match inverse.person() {
        Some(id) => users::person(&app.db, id).await?.map(|person| person.user.name),
        None => None,
    };
    Ok(Page(UndoPage {
        frame: Frame::of(&app, &by, Place::Audit).await?,
        words: inverse.words(),
        consequences: inverse.consequences(person.as_deref().unwrap_or("They")),
        row: row(entry, false, now),
    }))
}

fn too_late() -> PageError {
    PageError::NotNow("this cannot be taken back, or not any more".to_owned())
}

/// Does the opposite of an entry. That is an act of its own, with an entry of its own.
pub(crate) async fn undo(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Response, PageError> {
    let (entry, now) = (events::get(&app.db, id).await?.ok_or(PageError::NotFound)?, app.now());
    let inverse = Inverse::of(&entry, now).ok_or_else(too_late)?;
    if inverse.is_about_people() && !by.confirmed_lately() {
        return Err(PageError::Confirm { back: "/audit".to_owned() });
    }
    inverse.act(&app, &by.session.user, now).await?;
    Ok(Redirect::to("/audit").into_response())
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// The entries that fit, as CSV, however many: one part is in memory at a time.
pub(crate) async fn export(
    by: Allowed<Export>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let filter = asked.filter().map_err(|fault| PageError::NotNow(fault.to_owned()))?;
    let (at, actor, detail) = (app.now(), by.actor(), asked.query());
    let (kind, subject) = ("audit.exported", "audit");
    events::add(&app.db, &Event { at, kind, actor, subject, subject_id: None, key: None, detail }).await?;
    let first = "id,when,who,what,subject,subject id,address,detail\n".to_owned();
    let parts = try_unfold((None, first), move |(before, begun)| {
        let (db, filter) = (app.db.clone(), filter.clone());
        async move {
            let chunk = events::find(&db, &filter, before, CHUNK).await?;
            let csv = chunk.iter().fold(begun, |csv, entry| csv + &line(entry));
            let before = chunk.last().map(|last| last.id);
            // The first part is sent also where no entry fits, for its headings.
            Ok::<_, rebound_db::Error>((!csv.is_empty()).then(|| (csv, (before.or(Some(0)), String::new()))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

fn line(entry: &Entry) -> String {
    let cells = [
        entry.id.to_string(),
        entry.at.to_rfc3339(),
        entry.actor.clone(),
        entry.kind.clone(),
        entry.subject.clone(),
        entry.subject_id.map(|id| id.to_string()).unwrap_or_default(),
        entry.key.as_ref().map(ToString::to_string).unwrap_or_default(),
        entry.detail.clone(),
    ];
    let quoted = cells.map(|cell| format!("\"{}\"", guarded(&cell).replace('"', "\"\"")));
    quoted.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_breaks_out() {
        let entry = Entry {
            id: 7,
            at: DateTime::UNIX_EPOCH,
            kind: "suppressed".into(),
            actor: "=cmd|' /C calc'!A0".into(),
            subject: "contact".into(),
            subject_id: None,
            key: None,
            detail: "@SUM(1)\",\"=1\nnext".into(),
        };
        let line = line(&entry);
        assert!(line.contains("\"'=cmd") && line.contains("\"'@SUM(1)\"\",\"\"=1"), "{line}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told() {
        let asked =
            |from: &str, address: &str| Asked { from: from.into(), address: address.into(), ..Asked::default() };
        assert!(asked("24.11.2026", "").filter().is_err());
        assert!(asked("", "ada").filter().is_err());
        let filter = Asked { to: "2026-11-24".into(), ..asked("2026-11-24", "Ada@Orchard.test") }.filter().unwrap();
        assert_eq!(filter.until.unwrap() - filter.since.unwrap(), chrono::TimeDelta::days(1));
        assert_eq!(filter.key.unwrap().as_str(), "ada@orchard.test");
    }
}
