//! CSV → contacts: bad rows are reported by line, good rows go in.
//!
//! ```text
//! upload ─▶ (kept) ─ text ─ records ─ columns ─ sort ─▶ parcels ─▶ write
//!  in the            any     cells,    people,   by      (bounded)   what becomes of each, and where to go on:
//! database         encoding  limits    bad rows  address             one transaction a parcel
//! ```

mod bad;
mod columns;
mod preview;
mod read;
mod records;
mod run;
mod sort;
mod text;
mod upload;
mod write;

pub use bad::{BadRows, bad_rows};
pub use preview::{Preview, PreviewColumn, preview};
pub(crate) use run::run;
pub use upload::{Upload, upload};

use crate::{Error, jobs};
use chrono::{DateTime, Utc};
use rebound_db::imports::{self, Counts};
use rebound_db::{Connection, Pool};
use rebound_domain::{ImportId, ListId};
use run::Order;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::time::Instant;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
/// UTF-8, UTF-16 and Windows-1252; comma, semicolon, tab or bar. It may be repeated: what is known already is not
/// changed. Nobody who left or is suppressed is brought back. When the program is killed after the file is kept,
/// [`Jobs`](crate::Jobs) goes on with it.
///
/// # Errors
/// [`Error::Empty`], [`Error::NotText`], [`Error::NoAddressColumn`], [`Error::TooManyColumns`]: nothing was imported.
/// [`Error::Database`], [`Error::File`]: some rows may have been; repeat it.
pub async fn import(
    db: &Pool,
    mut source: impl Read + Send + 'static,
    settings: &Import,
    progress: impl FnMut(&Counts) + Send,
) -> Result<Imported, Error> {
    // Its end is later than its beginning, for whoever asks what was done since then.
    let begun = Instant::now();
    let mut kept = upload(db, settings).await?;
    if let Err(error) = fill(&mut kept, &mut source, settings.now).await {
        kept.discard("the file could not be read", settings.now).await?;
        return Err(error);
    }
    jobs::here(db, kept.job, || settings.now + begun.elapsed(), progress).await
}

async fn fill(kept: &mut Upload, source: &mut (impl Read + Send), now: DateTime<Utc>) -> Result<(), Error> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return kept.complete(now).await.map(|_| ()),
            Ok(length) => kept.append(buffer.get(..length).unwrap_or_default()).await?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says go to an import whose file is there, with `columns` as its sender wants them; `false` where it went already.
///
/// # Errors
/// [`Error::Database`]
pub async fn start(
    db: &impl Connection,
    id: ImportId,
    columns: Vec<(String, Target)>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let import = imports::get(db, id).await?.ok_or(Error::FileGone)?;
    let job = rebound_db::jobs::get(db, import.job).await?.ok_or(Error::FileGone)?;
    let order = Order { columns, ..Order::read(&job) };
    Ok(rebound_db::jobs::start(db, job.id, &order.written()?, now).await?)
}
