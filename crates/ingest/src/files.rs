//! Takes messages from files into the inbox, as if they had come by SMTP.

use crate::{Error, FoundMessage, messages};
use chrono::{DateTime, Utc};
use rebound_db::Pool;
use rebound_db::inbox::{self, Arrived};
use rebound_domain::{Keys, ReturnPath};
use std::path::Path;
use tokio::sync::mpsc;

/// How many messages share a transaction at most.
const TOGETHER: usize = 64;
/// How many messages wait in memory for it.
const AHEAD: usize = 4;

/// What taking in a path came to.
#[derive(Debug, Default)]
pub struct TakenIn {
    /// Messages that are in the inbox now, some of which may have been there before.
    pub kept: u64,
    /// What could not be read, with the reason.
    pub unread: Vec<Error>,
}

/// Keeps the messages at `path` (see [`messages`]) in the inbox, as received at `now`.
///
/// Files carry no envelope: the recipient is the first of ours that the header names.
///
/// # Errors
/// [`Error::Database`]: what was kept before stays kept, and doing it again does no harm.
pub async fn take_in(db: &Pool, path: &Path, keys: &Keys, now: DateTime<Utc>) -> Result<TakenIn, Error> {
    let (sender, mut found) = mpsc::channel(AHEAD);
    let path = path.to_owned();
    // Ends when all is read, or when nobody takes it any more.
    tokio::task::spawn_blocking(move || messages(&path).try_for_each(|message| sender.blocking_send(message)));
    let (mut taken, mut waiting) = (TakenIn::default(), Vec::new());
    while found.recv_many(&mut waiting, TOGETHER).await > 0 {
        let transaction = db.begin().await?;
        for message in waiting.drain(..) {
            match message {
                Ok(message) => {
                    inbox::keep(&transaction, &arrived(message, keys, now)).await?;
                    taken.kept += 1;
                }
                Err(error) => taken.unread.push(error),
            }
        }
        transaction.commit().await?;
    }
    Ok(taken)
}

fn arrived(message: FoundMessage, keys: &Keys, now: DateTime<Utc>) -> Arrived {
    let source = if message.path == Path::new("-") { "stdin" } else { "file" };
    Arrived {
        received: now,
        source: source.to_owned(),
        mail_from: String::new(),
        recipient: envelope_recipient(&message.raw, keys, now).unwrap_or_default(),
        raw: message.raw,
    }
}

/// Where hosts write down whom they delivered to.
const NAMES: [&str; 6] = ["return-path", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to"];
/// How much of a header is looked through, in bytes.
const HEADER: usize = 64 << 10;

/// The first signed return path that the message's own header names as its recipient.
fn envelope_recipient(raw: &[u8], keys: &Keys, now: DateTime<Utc>) -> Option<String> {
    let text = String::from_utf8_lossy(raw.get(..HEADER).unwrap_or(raw));
    let header = text.split("\r\n\r\n").next().and_then(|start| start.split("\n\n").next()).unwrap_or_default();
    let mut wanted = false;
    for line in header.lines() {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default().trim_end().to_ascii_lowercase();
            wanted = NAMES.contains(&&*name);
        }
        let words = line.split(|c: char| c.is_whitespace() || "<>,;:\"()".contains(c));
        let mut ours = words.filter(|word| word.split_once('@').is_some_and(|(local, _)| signed(local, keys, now)));
        if let Some(address) = ours.next().filter(|_| wanted) {
            return Some(address.to_owned());
        }
    }
    None
}

fn signed(local: &str, keys: &Keys, now: DateTime<Utc>) -> bool {
    ReturnPath::verify(local, keys, now).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::{CampaignId, DeliveryId};

    #[test]
    fn the_recipient_is_found_where_hosts_write_it_and_only_if_it_is_ours() {
        let (keys, now) = (Keys::new(('a', b"key".to_vec()), vec![]), DateTime::UNIX_EPOCH);
        let delivery = DeliveryId::new(CampaignId(1), 1).unwrap();
        let ours = format!("{}@bounce.example", ReturnPath { delivery, attempt: 1 }.sign(&keys, now));
        for (raw, found) in [
            (format!("Return-Path: <>\r\nDelivered-To: {ours}\r\n\r\nx"), true),
            (format!("To: \"Bounces\" <{ours}>, b@c.example\n\nx"), true),
            (format!("X-Original-To:\n\t{ours}\nSubject: x\n\nx"), true),
            (format!("Subject: {ours}\n\nx"), false),
            (format!("To: b@c.example\n\nTo: {ours}\n"), false),
            (format!("To: b@c.example\r\n\r\nTo: {ours}\r\n"), false),
            ("To: b.a.aaaaaaaaaaaaa.aaaa.aaaaaaaaaaaaaaaa@bounce.example\n\n".to_owned(), false),
        ] {
            let expected = found.then(|| ours.clone());
            assert_eq!(envelope_recipient(raw.as_bytes(), &keys, now), expected, "{raw}");
        }
    }
}
