//! The work of an import: from the kept file to people, going on where another worker was stopped.

use super::read::{self, CHUNK};
use super::upload::Kept;
use super::{Import, Imported, Target, write};
use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::Pool;
use rebound_db::events::{self, Event};
use rebound_db::imports::{self, Counts};
use rebound_db::jobs::{self, Job};
use rebound_domain::ImportId;
use serde::{Deserialize, Serialize};

/// What a job says of its import.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) consent: String,
    pub(super) columns: Vec<(String, Target)>,
}

impl Order {
    pub(super) fn of(settings: &Import) -> Self {
        Self { consent: settings.consent.clone(), columns: settings.columns.clone() }
    }

    pub(super) fn read(job: &Job) -> Self {
        // What an older version wrote is not begun again.
        serde_json::from_str(&job.settings).unwrap_or_default()
    }

    pub(super) fn written(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self).map_err(std::io::Error::from)?)
    }
}

/// What is to be done with the file of `import`, as it was ordered.
pub(super) fn settings(import: &imports::Import, job: &Job) -> Import {
    let Order { consent, columns } = Order::read(job);
    let (list, file, now) = (import.list, import.file.clone(), import.started);
    Import { list, file, consent, actor: import.actor.clone(), columns, now }
}

/// Does `job`, which the caller holds, and tells `progress` how far it is.
///
/// People and the place where to go on are one transaction: a worker that is killed loses nothing that was done, and
/// the next one does nothing twice.
///
/// # Errors
/// [`Error::Stopped`] when the job is another's by now, or was cancelled. Any other: it is not done.
pub(crate) async fn run(
    db: &Pool,
    mut job: Job,
    now: impl Fn() -> DateTime<Utc> + Send + Sync,
    mut progress: impl FnMut(&Counts) + Send,
) -> Result<Imported, Error> {
    let id = ImportId(job.subject);
    let import = imports::get(db, id).await?.ok_or(Error::FileGone)?;
    let settings = settings(&import, &job);
    let done = parcels_done(&job);
    let mut counts = if done > 0 { import.counts } else { Counts::default() };
    let mut number = 0;

    let (sender, mut parcels) = tokio::sync::mpsc::channel(2);
    let reader = {
        let (settings, source) = (settings.clone(), Kept::open(db, id, job.total));
        tokio::task::spawn_blocking(move || read::read(source, &settings, &sender))
    };
    while let Some(parcel) = parcels.recv().await {
        number += 1;
        if number <= done {
            continue;
        }
        job.cursor = format!("{CHUNK}:{number}");
        write::write(db, id, &settings, parcel, &mut counts, &mut job, now()).await?;
        progress(&counts);
    }
    let digest = reader.await.map_err(|_| Error::Unreadable)?.map_err(taken_out)?;
    finish(db, job, id, &digest, &settings, &counts, now()).await?;
    Ok(Imported { id, counts })
}

/// How many parcels a worker before us wrote. A version that cuts them otherwise begins anew: what is known already is
/// not changed.
fn parcels_done(job: &Job) -> i64 {
    let cut = job.cursor.split_once(':').filter(|(chunk, _)| *chunk == CHUNK.to_string());
    cut.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// An error of the database, out of the reader through which it travelled.
pub(super) fn taken_out(error: Error) -> Error {
    match error {
        Error::File(error) => error.downcast::<Error>().unwrap_or_else(Error::File),
        other => other,
    }
}

async fn finish(
    db: &Pool,
    mut job: Job,
    id: ImportId,
    digest: &str,
    settings: &Import,
    counts: &Counts,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    job.done = job.total;
    let tx = db.begin().await?;
    if !jobs::finish(&tx, &job, now).await? {
        return Err(Error::Stopped);
    }
    imports::finish(&tx, id, digest).await?;
    events::add(&tx, &event(settings, counts, now)).await?;
    Ok(tx.commit().await?)
}

fn event<'a>(settings: &'a Import, counts: &Counts, at: DateTime<Utc>) -> Event<'a> {
    let Counts { lines, added, updated, unchanged, duplicates, suppressed, bad } = counts;
    let detail = format!(
        "{}: {lines} rows, {added} added, {updated} updated, {unchanged} unchanged, {duplicates} duplicates, \
         {suppressed} suppressed, {bad} bad",
        settings.file
    );
    let (actor, subject_id) = (settings.actor.as_str(), Some(settings.list.0));
    Event { at, kind: "imported", actor, subject: "list", subject_id, key: None, detail }
}
