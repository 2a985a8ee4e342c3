//! The file of an import, kept in the database in pieces, so that any process can read it, and read it again.

use super::Import;
use super::run::Order;
use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::jobs::{self, JobKind, JobState, NewJob};
use rebound_db::{Pool, imports};
use rebound_domain::{ImportId, JobId};
use std::io::{Error as IoError, Read, Result as IoResult};
use tokio::sync::mpsc;

/// How much of a file one row holds, in bytes.
const PIECE: usize = 1 << 20;
/// How many pieces are fetched before they are asked for.
const AHEAD: usize = 2;

/// A file on its way in. What is dropped before [`Upload::complete`] is thrown away later.
#[derive(Debug)]
pub struct Upload {
    db: Pool,
    /// The import that it is for.
    pub id: ImportId,
    /// Its job.
    pub job: JobId,
    pieces: i64,
    total: i64,
    waiting: Vec<u8>,
}

/// Begins to take in a file. Nothing is done with it before [`start`](super::start).
///
/// # Errors
/// [`Error::Database`]
pub async fn upload(db: &Pool, settings: &Import) -> Result<Upload, Error> {
    let tx = db.begin().await?;
    let id = imports::start(&tx, settings.list, &settings.file, settings.now).await?;
    let order = Order::of(settings).written()?;
    let (kind, state) = (JobKind::Import, JobState::Arriving);
    let new = NewJob { kind, subject: id.0, state, total: 0, settings: &order, actor: &settings.actor };
    // A new import has no other job.
    let job = jobs::add(&tx, &new, settings.now).await?.ok_or(Error::Stopped)?;
    jobs::arriving(&tx, job).await?;
    tx.commit().await?;
    Ok(Upload { db: db.clone(), id, job, pieces: 0, total: 0, waiting: Vec::with_capacity(PIECE) })
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::Stopped`] when somebody cancelled it.
    pub async fn append(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == PIECE {
                self.keep().await?;
            }
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), Error> {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        let length = i64::try_from(piece.len()).unwrap_or(i64::MAX);
        let tx = self.db.begin().await?;
        if !jobs::arriving(&tx, self.job).await? {
            return Err(Error::Stopped);
        }
        imports::keep(&tx, self.id, self.pieces, piece).await?;
        tx.commit().await?;
        self.pieces += 1;
        self.total += length;
        Ok(())
    }

    /// Says that this was all; how many bytes that is.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::Stopped`] when somebody cancelled it.
    pub async fn complete(&mut self, now: DateTime<Utc>) -> Result<i64, Error> {
        if !self.waiting.is_empty() {
            self.keep().await?;
        }
        let is_ours = jobs::prepared(&self.db, self.job, self.total, now).await?;
        if is_ours { Ok(self.total) } else { Err(Error::Stopped) }
    }

    /// Throws it away.
    ///
    /// # Errors
    /// [`Error::Database`]
    pub async fn discard(self, why: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let tx = self.db.begin().await?;
        jobs::cancel(&tx, self.job, why, now).await?;
        imports::forget_file(&tx, self.id).await?;
        Ok(tx.commit().await?)
    }
}

/// A kept file, to be read on a thread of its own while its pieces are fetched.
pub(super) struct Kept {
    pieces: mpsc::Receiver<Result<Vec<u8>, Error>>,
    piece: Vec<u8>,
    taken: usize,
}

impl Kept {
    /// The file of `id`, which has `total` bytes.
    pub(super) fn open(db: &Pool, id: ImportId, total: i64) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let db = db.clone();
        tokio::spawn(async move {
            if let Err(error) = fetch(&db, id, total, &sender).await {
                // Nobody may be there any more who wants to hear it.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { pieces, piece: Vec::new(), taken: 0 }
    }
}

async fn fetch(
    db: &Pool,
    id: ImportId,
    total: i64,
    sender: &mpsc::Sender<Result<Vec<u8>, Error>>,
) -> Result<(), Error> {
    let mut fetched = 0;
    for number in 0.. {
        let Some(piece) = imports::piece(db, id, number).await? else { break };
        fetched += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        if sender.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
    }
    if fetched == total { Ok(()) } else { Err(Error::FileGone) }
}

impl Read for Kept {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        while self.taken == self.piece.len() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => (self.piece, self.taken) = (piece, 0),
                // As it is; `run` takes it out again.
                Some(Err(error)) => return Err(IoError::other(error)),
            }
        }
        let rest = self.piece.get(self.taken..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.taken += length;
        Ok(length)
    }
}
