//! `/imports/new`: a file is taken in, and kept until it is read.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, Write};
use askama::Template;
use axum::extract::State;
use axum::extract::multipart::{Field, Multipart};
use axum::response::{IntoResponse, Redirect, Response};
use rebound_contacts::{Import, Upload, upload};
use rebound_db::lists;
use rebound_domain::{List, ListId};

/// The largest file, in bytes: some two million rows.
pub(crate) const LARGEST: usize = 256 << 20;

/// The most fields that are read, the file among them; the form has five.
const FIELDS: usize = 8;
/// The longest field of words, in bytes.
const WORDS: usize = 4 << 10;

#[derive(Template)]
#[template(path = "imports/new.html")]
struct New {
    frame: Frame,
    lists: Vec<List>,
    form: Filled,
    fault: Option<&'static str>,
}

/// What the form holds. The file is kept in the database as it comes, however large it is.
#[derive(Default)]
struct Filled {
    csrf: String,
    list: String,
    new_list: String,
    consent: String,
}

/// Why a form was not taken: for its sender, or because it cannot be.
enum Refusal {
    Fault(&'static str),
    Page(PageError),
}

impl<E: Into<PageError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Page(error.into())
    }
}

pub(crate) async fn blank(by: Allowed<Write>, State(app): State<App>) -> Result<Response, PageError> {
    Ok(Page(page(&app, &by, Filled::default(), None).await?).into_response())
}

async fn page(app: &App, by: &Allowed<Write>, form: Filled, fault: Option<&'static str>) -> Result<New, PageError> {
    let frame = Frame::of(app, by, Place::Contacts).await?;
    Ok(New { frame, lists: lists::all(&app.db).await?, form, fault })
}

pub(crate) async fn create(
    by: Allowed<Write>,
    State(app): State<App>,
    mut parts: Multipart,
) -> Result<Response, PageError> {
    let mut form = Filled::default();
    match form.take_in(&mut parts, &by, &app).await {
        Ok(kept) => Ok(Redirect::to(&format!("/imports/{}", kept.id)).into_response()),
        Err(Refusal::Fault(words)) => Ok(Faulty(page(&app, &by, form, Some(words)).await?).into_response()),
        Err(Refusal::Page(error)) => Err(error),
    }
}

impl Filled {
    /// The words come before the file: nothing of a forged form is kept.
    async fn take_in(&mut self, parts: &mut Multipart, by: &Allowed<Write>, app: &App) -> Result<Upload, Refusal> {
        for _ in 0..FIELDS {
            let Some(field) = parts.next_field().await.map_err(|_| PageError::Unreadable)? else { break };
            let name = field.name().unwrap_or_default().to_owned();
            if name != "file" {
                self.write(&name, words(field).await?);
                continue;
            }
            if !by.wrote(&self.csrf) {
                return Err(PageError::Forged.into());
            }
            let file: String =
                field.file_name().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
            if file.is_empty() {
                break;
            }
            let list = self.list(app).await?;
            let mut settings = Import::new(list, &file, app.now());
            by.actor().clone_into(&mut settings.actor);
            if !self.consent.trim().is_empty() {
                settings.consent = self.consent.trim().chars().take(500).collect();
            }
            return Ok(kept(app, &settings, field).await?);
        }
        if by.wrote(&self.csrf) { Err(Refusal::Fault("Choose a CSV file.")) } else { Err(PageError::Forged.into()) }
    }

    fn write(&mut self, name: &str, text: String) {
        match name {
            "csrf" => self.csrf = text,
            "list" => self.list = text,
            "new_list" => self.new_list = text.trim().chars().filter(|c| !c.is_control()).take(200).collect(),
            "consent" => self.consent = text,
            _ => {}
        }
    }

    /// The list to join: a new one by name, or the one chosen.
    async fn list(&self, app: &App) -> Result<ListId, Refusal> {
        if !self.new_list.is_empty() {
            return Ok(lists::ensure(&app.db, &self.new_list, app.now()).await?.id);
        }
        let chosen = match self.list.parse() {
            Ok(id) => lists::get(&app.db, ListId(id)).await?,
            Err(_) => None,
        };
        chosen.map(|list| list.id).ok_or(Refusal::Fault("Choose a list, or name a new one."))
    }
}

/// A field of words, as far as it is short.
async fn words(mut field: Field<'_>) -> Result<String, PageError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| PageError::TooLarge)? {
        if bytes.len() + chunk.len() > WORDS {
            return Err(PageError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    let words = String::from_utf8(bytes).map_err(|_| PageError::Unreadable)?;
    if words.contains('\0') { Err(PageError::Nul) } else { Ok(words) }
}

/// Keeps a file as it comes. What breaks off is thrown away.
async fn kept(app: &App, settings: &Import, mut field: Field<'_>) -> Result<Upload, PageError> {
    let mut kept = upload(&app.db, settings).await?;
    loop {
        match field.chunk().await {
            Ok(Some(chunk)) => kept.append(&chunk).await?,
            Ok(None) => {
                kept.complete(app.now()).await?;
                return Ok(kept);
            }
            Err(_) => {
                kept.discard("the upload broke off, or was too large", app.now()).await?;
                return Err(PageError::TooLarge);
            }
        }
    }
}
