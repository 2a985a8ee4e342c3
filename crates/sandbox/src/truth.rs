//! The record of what the hosts did: one JSON object a line, written before the client is told.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::mailboxes::Behaviour;
use crate::report::ReportKind;

/// One thing that happened to one message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// When, on the wall clock.
    pub at: DateTime<Utc>,
    /// What.
    pub event: Event,
    /// The session it happened in. For a report, the session that brought the original.
    pub session: u64,
    /// The envelope sender; empty for `<>`.
    pub sender: String,
    /// The recipient as it was written, in lower case.
    pub recipient: String,
    /// Without angle brackets; `None` when the message was refused unseen, or has none.
    pub message_id: Option<String>,
    /// The subject, decoded.
    pub subject: Option<String>,
    /// Names one accepted copy; a report names the copy that it is about.
    pub queue_id: Option<String>,
    /// How the recipient's host behaves.
    pub behaviour: Behaviour,
    /// What was answered, lines divided by `\n`. Of a report: what the return host answered.
    pub reply: String,
    /// Which report was promised (`accepted`) or sent (`reported`).
    pub report: Option<ReportKind>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The host answered 4yz or 5yz, at `RCPT` or after the data.
    Refused,
    /// The host took a copy. Every copy has a line of its own.
    Accepted,
    /// The line broke: after the `accepted` line of the same copy, or with nothing taken.
    Dropped,
    /// A report about the copy was delivered to the return path.
    Reported,
    /// The return host refused a report for good.
    ReportRefused,
    /// The relay in front of the hosts refused before it was told of any recipient, whose name is empty: a login, a
    /// protected line (without a reply where the line broke), a message that is said to be too large.
    TurnedAway,
}

/// Everything that a truth file says. A last line without an end is left out: it was being
/// written when its writer died, so nobody has been told.
///
/// # Errors
/// When the file cannot be read, or a line is not a [`Truth`] (`InvalidData`, with its number).
pub fn read_truth(path: impl AsRef<Path>) -> io::Result<Vec<Truth>> {
    let text = std::fs::read_to_string(path)?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", index + 1)))
    };
    whole.enumerate().map(parse).collect()
}

/// The open end of a truth file; without a file it forgets everything.
pub(crate) struct TruthFile(Option<Mutex<File>>);

impl TruthFile {
    /// Opens `path` for appending and returns what it already says.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<(Self, Vec<Truth>)> {
        let Some(path) = path else {
            return Ok((Self(None), Vec::new()));
        };
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let said = read_truth(path)?;
        if whole < bytes.len() {
            // Only the torn end of a line of ours is cut off, never somebody's letter.
            if bytes.get(whole) != Some(&b'{') {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no truth file"));
            }
            file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
        }
        Ok((Self(Some(Mutex::new(file))), said))
    }

    /// Appends `lines` in one write, so that they are there all or not at all.
    pub(crate) fn append(&self, lines: &[Truth]) -> io::Result<()> {
        let Some(file) = &self.0 else {
            return Ok(());
        };
        let mut text = Vec::with_capacity(256 * lines.len());
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }
}
