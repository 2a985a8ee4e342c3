//! CSV → contacts: bad rows are reported by line, good rows go in.
//!
//! ```text
//! bytes ─ text ─ records ─ columns ─ sort ─▶ parcels ─▶ write
//!         any     cells,    people,   by      (bounded)   what becomes of each,
//!       encoding  limits    bad rows  address             one transaction a parcel
//! ```

mod columns;
mod read;
mod records;
mod sort;
mod text;
mod write;

use crate::Error;
use crate::export::guarded;
use chrono::{DateTime, Utc};
use rebound_db::events::{self, Event};
use rebound_db::imports::{self, Counts};
use rebound_db::{Connection, Pool};
use rebound_domain::{ImportId, ListId};
use std::io::{Read, Write};

/// The most columns a file may have.
pub(crate) const MAX_COLUMNS: usize = 200;
/// The longest value of a field, in bytes.
const MAX_CELL: usize = 10_000;

/// What is to be done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The list that its people join.
    pub list: ListId,
    /// What the file is called.
    pub file: String,
    /// By what consent they may be written to, in words; kept with each subscription.
    pub consent: String,
    /// Who does it, for the audit; `rebound` until someone is named.
    pub actor: String,
    /// What some columns are, by header. The others are what their headers say.
    pub columns: Vec<(String, Target)>,
    /// The time at which it is done, and from which the consent counts.
    pub now: DateTime<Utc>,
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The address.
    Address,
    /// A field for merging.
    Field(String),
    /// Nothing that is kept.
    Skip,
}

impl Import {
    /// Reads `file` into `list`, with columns as their headers say.
    #[must_use]
    pub fn new(list: ListId, file: &str, now: DateTime<Utc>) -> Self {
        let consent = format!("import {file}");
        Self { list, file: file.to_owned(), consent, actor: "rebound".to_owned(), columns: Vec::new(), now }
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The import, whose refused rows [`bad_rows`] writes out.
    pub id: ImportId,
    /// What became of its rows.
    pub counts: Counts,
}

/// Reads a CSV file into contacts, and tells `progress` how far it is.
///
/// UTF-8, UTF-16 and Windows-1252; comma, semicolon, tab or bar. It may be repeated, also after the program was
/// killed: what is known already is not changed. Nobody who left or is suppressed is brought back.
///
/// # Errors
/// [`Error::Empty`], [`Error::NotText`], [`Error::NoAddressColumn`], [`Error::TooManyColumns`]: nothing was imported.
/// [`Error::Database`], [`Error::File`]: some rows may have been; repeat it.
pub async fn import(
    db: &Pool,
    source: impl Read + Send + 'static,
    settings: &Import,
    mut progress: impl FnMut(&Counts) + Send,
) -> Result<Imported, Error> {
    let id = imports::start(db, settings.list, &settings.file, settings.now).await?;
    let mut counts = Counts::default();
    match run(db, id, source, settings, &mut counts, &mut progress).await {
        Ok(digest) => {
            let tx = db.begin().await?;
            imports::finish(&tx, id, &digest, settings.now).await?;
            events::add(&tx, &event(settings, &counts)).await?;
            tx.commit().await?;
            Ok(Imported { id, counts })
        }
        Err(error) => {
            // What stopped it is the answer, also where the database does not take the note.
            if let Err(unnoted) = imports::fail(db, id, &error.to_string(), settings.now).await {
                tracing::warn!(import.id = id.0, error = %unnoted, "could not note why an import failed");
            }
            Err(error)
        }
    }
}

fn event<'a>(settings: &'a Import, counts: &Counts) -> Event<'a> {
    let Counts { lines, added, updated, unchanged, duplicates, suppressed, bad } = counts;
    let detail = format!(
        "{}: {lines} rows, {added} added, {updated} updated, {unchanged} unchanged, {duplicates} duplicates, \
         {suppressed} suppressed, {bad} bad",
        settings.file
    );
    let (actor, subject_id) = (settings.actor.as_str(), Some(settings.list.0));
    Event { at: settings.now, kind: "imported", actor, subject: "list", subject_id, key: None, detail }
}

async fn run(
    db: &Pool,
    id: ImportId,
    source: impl Read + Send + 'static,
    settings: &Import,
    counts: &mut Counts,
    progress: &mut (impl FnMut(&Counts) + Send),
) -> Result<String, Error> {
    let (sender, mut parcels) = tokio::sync::mpsc::channel(2);
    let reader = {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || read::read(source, &settings, &sender))
    };
    while let Some(parcel) = parcels.recv().await {
        write::write(db, id, settings, parcel, counts).await?;
        progress(counts);
    }
    reader.await.map_err(|_| Error::Stopped)?
}

/// Writes the rows that an import refused as CSV: line, reason, and the row as it was.
///
/// # Errors
/// [`Error::Database`], [`Error::File`]
pub async fn bad_rows(db: &impl Connection, id: ImportId, to: impl Write + Send) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(["line", "reason", "row"]).map_err(std::io::Error::from)?;
    let mut after = 0;
    loop {
        let rows = imports::bad_rows(db, id, after, 1000).await?;
        let Some(last) = rows.last() else { return Ok(csv.flush()?) };
        after = last.line;
        for row in &rows {
            let cells = [row.line.to_string(), row.reason.clone(), guarded(&row.content).into_owned()];
            csv.write_record(&cells).map_err(std::io::Error::from)?;
        }
    }
}
