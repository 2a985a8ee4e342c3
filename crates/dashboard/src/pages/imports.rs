//! `/imports`: bringing people in from a CSV file.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, See, Write};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_contacts::Import;
use rebound_db::imports::{self, BadRow, ImportState};
use rebound_db::lists;
use rebound_domain::{ImportId, List, ListId};
use std::io::{Seek, Write as _};

/// The largest file, in bytes: some two million rows.
pub(crate) const LARGEST: usize = 256 << 20;
/// Bad rows that a page shows; the file has all.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "imports/new.html")]
struct New {
    frame: Frame,
    lists: Vec<List>,
    newest: Vec<Line>,
    chosen: String,
    consent: String,
    fault: Option<String>,
}

struct Line {
    id: ImportId,
    file: String,
    started: When,
    added: Count,
    bad: Count,
}

#[derive(Template)]
#[template(path = "imports/show.html")]
pub(crate) struct Show {
    frame: Frame,
    import: imports::Import,
    list: String,
    started: When,
    is_running: bool,
    bad: Vec<BadRow>,
}

pub(crate) async fn blank(by: Allowed<Write>, State(app): State<App>) -> Result<Response, PageError> {
    Ok(Page(form(&app, &by, Upload::default(), None).await?).into_response())
}

async fn form(app: &App, by: &Allowed<Write>, upload: Upload, fault: Option<String>) -> Result<New, PageError> {
    let now = app.now();
    let newest = imports::newest(&app.db, 10).await?;
    let line = |import: imports::Import| Line {
        id: import.id,
        file: import.file,
        started: When::new(import.started, now),
        added: Count(import.counts.added),
        bad: Count(import.counts.bad),
    };
    Ok(New {
        frame: Frame::of(app, by, Place::Contacts).await?,
        lists: lists::all(&app.db).await?,
        newest: newest.into_iter().map(line).collect(),
        chosen: upload.list,
        consent: upload.consent,
        fault,
    })
}

/// What the form holds. The file lies on the disk, however large it is.
#[derive(Default)]
struct Upload {
    csrf: String,
    list: String,
    new_list: String,
    consent: String,
    file: Option<(String, std::fs::File)>,
}

pub(crate) async fn create(
    by: Allowed<Write>,
    State(app): State<App>,
    mut form_data: Multipart,
) -> Result<Response, PageError> {
    let mut upload = Upload::default();
    while let Some(field) = form_data.next_field().await.map_err(|_| PageError::Unreadable)? {
        upload.take(field, &by).await?;
    }
    if !by.wrote(&upload.csrf) {
        return Err(PageError::Forged);
    }
    let list = match upload.list(&app).await? {
        Ok(list) => list,
        Err(words) => return Ok(Faulty(form(&app, &by, upload, Some(words)).await?).into_response()),
    };
    let Some((name, file)) = upload.file.take() else {
        let fault = Some("Choose a CSV file.".to_owned());
        return Ok(Faulty(form(&app, &by, upload, fault).await?).into_response());
    };
    let mut settings = Import::new(list.id, &name, app.now());
    if !upload.consent.trim().is_empty() {
        settings.consent = upload.consent.trim().chars().take(500).collect();
    }
    match rebound_contacts::import(&app.db, file, &settings, |_| ()).await {
        Ok(imported) => Ok(Redirect::to(&format!("/imports/{}", imported.id)).into_response()),
        Err(rebound_contacts::Error::Database(error)) => Err(error.into()),
        Err(fault) => {
            let fault = Some(format!("Nothing was imported: {fault}."));
            Ok(Faulty(form(&app, &by, upload, fault).await?).into_response())
        }
    }
}

impl Upload {
    /// The token comes first: nothing of a forged form reaches the disk.
    async fn take(&mut self, field: Field<'_>, by: &Allowed<Write>) -> Result<(), PageError> {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let text = field.text().await.map_err(|_| PageError::TooLarge)?;
            match name.as_str() {
                "csrf" => self.csrf = text,
                "list" => self.list = text,
                "new_list" => self.new_list = text.trim().chars().filter(|c| !c.is_control()).take(200).collect(),
                "consent" => self.consent = text,
                _ => {}
            }
            return Ok(());
        }
        if !by.wrote(&self.csrf) {
            return Err(PageError::Forged);
        }
        let file_name = field.file_name().unwrap_or_default();
        let file_name: String = file_name.chars().filter(|c| !c.is_control()).take(200).collect();
        let file = kept(field).await?;
        self.file = (!file_name.is_empty()).then_some((file_name, file));
        Ok(())
    }

    /// The list to join: a new one by name, or the one chosen.
    async fn list(&self, app: &App) -> Result<Result<List, String>, PageError> {
        if !self.new_list.is_empty() {
            return Ok(Ok(lists::ensure(&app.db, &self.new_list, app.now()).await?));
        }
        let chosen = match self.list.parse() {
            Ok(id) => lists::get(&app.db, ListId(id)).await?,
            Err(_) => None,
        };
        Ok(chosen.ok_or_else(|| "Choose a list, or name a new one.".to_owned()))
    }
}

/// Writes a part into a file that has no name, and goes when it is closed.
async fn kept(mut field: Field<'_>) -> Result<std::fs::File, PageError> {
    let mut file = tempfile::tempfile()?;
    while let Some(chunk) = field.chunk().await.map_err(|_| PageError::TooLarge)? {
        file = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file))
            .await
            .map_err(|error| PageError::Broken(Box::new(error)))??;
    }
    file.rewind()?;
    Ok(file)
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let import = imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let list = lists::get(&app.db, import.list).await?.map(|list| list.name).unwrap_or_default();
    let bad = imports::bad_rows(&app.db, import.id, 0, ROWS).await?;
    let is_running = import.state == ImportState::Running;
    let started = When::new(import.started, app.now());
    Ok(Page(Show { frame: Frame::of(&app, &by, Place::Contacts).await?, import, list, started, is_running, bad }))
}

/// The rows that were not taken, with their reasons, as CSV.
pub(crate) async fn bad_rows(
    _by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let import = imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let mut file = Vec::new();
    rebound_contacts::bad_rows(&app.db, import.id, &mut file).await?;
    let name = format!("attachment; filename=\"import-{id}-to-correct.csv\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], file)
        .into_response())
}
