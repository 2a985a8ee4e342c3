//! Raw reports as they arrived, and which are still unread.

use crate::sql::{all, execute, millis, number, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use rebound_domain::{InboxId, ReportKind};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A message as it arrived, before anybody read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// When.
    pub received: DateTime<Utc>,
    /// By which way: `smtp`, `file`, `stdin`.
    pub source: String,
    /// The envelope sender; empty for the null sender, which is what reports have.
    pub mail_from: String,
    /// The envelope recipient; empty where no envelope came with it.
    pub recipient: String,
    /// The message, byte for byte.
    pub raw: Vec<u8>,
}

/// What reading a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which message.
    pub id: InboxId,
    /// What it is; `None` when it could not be read.
    pub kind: Option<ReportKind>,
    /// Why it could not be read, or nobody could be found whom it is about.
    pub error: Option<String>,
}

/// How much mail one question brings into memory, in bytes. A single larger message still comes.
const AT_ONCE: usize = 32 << 20;

/// Keeps a message. The same bytes for the same recipient are kept once, under the same id.
///
/// # Errors
/// [`Error::Unavailable`]: nothing was kept.
pub async fn keep(db: &impl Connection, arrived: &Arrived) -> Result<InboxId, Error> {
    let digest = digest(arrived);
    let insert = "INSERT INTO inbox (received, source, digest, mail_from, recipient, raw) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING RETURNING id";
    let values: [Value; 6] = [
        millis(arrived.received).into(),
        arrived.source.clone().into(),
        digest.clone().into(),
        arrived.mail_from.clone().into(),
        arrived.recipient.clone().into(),
        arrived.raw.clone().into(),
    ];
    if let Some(row) = one::<IdRow>(db, insert, values).await? {
        return Ok(InboxId(row.id));
    }
    let known = one::<IdRow>(db, "SELECT id FROM inbox WHERE digest = $1", [digest.into()]).await?;
    known.map(|row| InboxId(row.id)).ok_or(Error::unreadable("inbox", "digest"))
}

/// The oldest messages that nobody has read, at most `limit` of them and about 32 MiB.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn unread(db: &impl Connection, limit: u32) -> Result<Vec<(InboxId, Arrived)>, Error> {
    let question = format!(
        "SELECT inbox.id, received, source, mail_from, recipient, raw FROM inbox JOIN ( \
           SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM ( \
             SELECT id, octet_length(raw) AS size FROM inbox WHERE read IS NULL ORDER BY id LIMIT $1 \
           ) AS oldest \
         ) AS sized ON sized.id = inbox.id WHERE sized.before < {AT_ONCE} ORDER BY inbox.id"
    );
    let rows: Vec<Row> = all(db, &question, [i64::from(limit).into()]).await?;
    Ok(rows.into_iter().map(|row| (InboxId(row.id), row.into())).collect())
}

/// How many messages nobody has read.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn waiting(db: &impl Connection) -> Result<i64, Error> {
    number(db, "SELECT count(*) FROM inbox WHERE read IS NULL", []).await
}

/// When the newest of them arrived.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn last_received(db: &impl Connection) -> Result<Option<DateTime<Utc>>, Error> {
    let at = number(db, "SELECT received FROM inbox WHERE source <> 'events' ORDER BY id DESC LIMIT 1", []).await?;
    Ok((at > 0).then(|| time(at)))
}

/// Notes that messages were read at `now`, and what they are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn mark_read(db: &impl Connection, readings: &[Reading], now: DateTime<Utc>) -> Result<(), Error> {
    let marks: Vec<_> = readings
        .iter()
        .map(|Reading { id, kind, error }| json!({ "id": id, "kind": kind.map(ReportKind::as_str), "error": error }))
        .collect();
    let marks = serde_json::Value::from(marks).to_string();
    let rows = rows(db, 1, &[("id", "bigint"), ("kind", "text"), ("error", "text")]);
    let statement = format!(
        "UPDATE inbox SET read = $2, kind = rows.kind, error = rows.error FROM {rows} WHERE inbox.id = rows.id"
    );
    execute(db, &statement, [marks.into(), millis(now).into()]).await?;
    Ok(())
}

/// The message with `id`, as it arrived.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: InboxId) -> Result<Option<Arrived>, Error> {
    let question = "SELECT id, received, source, mail_from, recipient, raw FROM inbox WHERE id = $1";
    Ok(one::<Row>(db, question, [id.0.into()]).await?.map(Arrived::from))
}

/// The bytes of the message with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn raw(db: &impl Connection, id: InboxId) -> Result<Option<Vec<u8>>, Error> {
    Ok(get(db, id).await?.map(|arrived| arrived.raw))
}

/// What reading the message with `id` came to; `None` while nobody has read it.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Unreadable`] when its kind is none of ours.
pub async fn reading(db: &impl Connection, id: InboxId) -> Result<Option<Reading>, Error> {
    let question = "SELECT kind, error FROM inbox WHERE id = $1 AND read IS NOT NULL";
    let Some(row) = one::<ReadingRow>(db, question, [id.0.into()]).await? else { return Ok(None) };
    let kind = row.kind.map(|kind| kind.parse()).transpose().map_err(|_| Error::unreadable("inbox", "kind"))?;
    Ok(Some(Reading { id, kind, error: row.error }))
}

/// Lets the message with `id` be read again, by better rules than before. Whether there was one to read.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn reread(db: &impl Connection, id: InboxId) -> Result<bool, Error> {
    Ok(execute(db, "UPDATE inbox SET read = NULL WHERE id = $1", [id.0.into()]).await? > 0)
}

/// Lets every message be read again that could not be read. How many.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn reread_failed(db: &impl Connection) -> Result<u64, Error> {
    execute(db, "UPDATE inbox SET read = NULL WHERE error IS NOT NULL AND read IS NOT NULL", []).await
}

/// What makes two arrivals the same: the recipient and every byte. A host that was not sure whether we heard
/// it says it again; two hosts, or two tries, write reports that differ at least in their dates.
fn digest(arrived: &Arrived) -> String {
    let mut hash = Sha256::new();
    hash.update(arrived.recipient.to_ascii_lowercase());
    hash.update([0]);
    hash.update(&arrived.raw);
    HEXLOWER.encode(&hash.finalize())
}

#[derive(FromQueryResult)]
struct IdRow {
    id: i64,
}

#[derive(FromQueryResult)]
struct ReadingRow {
    kind: Option<String>,
    error: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    received: i64,
    source: String,
    mail_from: String,
    recipient: String,
    raw: Vec<u8>,
}

impl From<Row> for Arrived {
    fn from(row: Row) -> Self {
        let Row { received, source, mail_from, recipient, raw, .. } = row;
        Self { received: time(received), source, mail_from, recipient, raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(recipient: &str, raw: &[u8]) -> Arrived {
        Arrived {
            received: DateTime::UNIX_EPOCH,
            source: "smtp".to_owned(),
            mail_from: String::new(),
            recipient: recipient.to_owned(),
            raw: raw.to_vec(),
        }
    }

    #[tokio::test]
    async fn the_same_message_is_kept_once_and_another_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let first = keep(&db, &arrived("a@b.example", b"one\0\xff")).await.unwrap();
        assert_eq!(keep(&db, &arrived("A@b.example", b"one\0\xff")).await.unwrap(), first);
        let second = keep(&db, &arrived("a@b.example", b"two")).await.unwrap();
        let third = keep(&db, &arrived("c@b.example", b"two")).await.unwrap();

        let unread = unread(&db, 10).await.unwrap();
        assert_eq!(unread.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, second, third]);
        assert_eq!(unread[0].1, arrived("a@b.example", b"one\0\xff"));
        assert_eq!(waiting(&db).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_was_read_comes_back_only_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let good = keep(&db, &arrived("a@b.example", b"one")).await.unwrap();
        let bad = keep(&db, &arrived("a@b.example", b"two")).await.unwrap();
        let readings = [
            Reading { id: good, kind: Some(ReportKind::Bounce), error: None },
            Reading { id: bad, kind: None, error: Some("not a \"message\"".to_owned()) },
        ];
        mark_read(&db, &readings, DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(waiting(&db).await.unwrap(), 0);
        assert_eq!(reading(&db, bad).await.unwrap().as_ref(), Some(&readings[1]));

        assert_eq!(reread_failed(&db).await.unwrap(), 1);
        assert_eq!(unread(&db, 10).await.unwrap().len(), 1);
        assert!(reread(&db, good).await.unwrap());
        assert_eq!(waiting(&db).await.unwrap(), 2);
        assert_eq!(raw(&db, good).await.unwrap().as_deref(), Some(&b"one"[..]));
    }

    #[tokio::test]
    async fn large_messages_come_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        for n in 0..4 {
            keep(&db, &arrived("a@b.example", &vec![n; 20 << 20])).await.unwrap();
        }
        assert_eq!(unread(&db, 10).await.unwrap().len(), 2);
        assert_eq!(unread(&db, 1).await.unwrap().len(), 1);
    }
}
