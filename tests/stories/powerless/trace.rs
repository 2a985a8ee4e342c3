//! What a program asked the system for, as `strace -f -yy` writes it down: when the database's log was written, when it
//! was on the disk, and when a message's final dot was said.

use std::collections::HashMap;

/// Something that may be said only when what it promises is on the disk: a final dot, or that a message was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dot {
    pub(super) recipient: String,
    /// Whether the log was written and then synced between `DATA` and this.
    pub(super) is_marked: bool,
    /// How much of the log had reached the disk, in bytes.
    pub(super) synced: u64,
    /// How often the log had been begun anew by then.
    pub(super) generation: u64,
}

/// A call, in the order in which they were made; a sync counts from its return.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Written { from: u64, to: u64 },
    SyncBegun,
    Synced,
    Said { line: String, text: String },
}

/// All final dots of `trace`, whose log is the file that ends in `-wal`, and the generation in which it ends.
pub(super) fn dots(trace: &str) -> (Vec<Dot>, u64) {
    let recipient = |text: &str| Some(text.split("RCPT TO:<").nth(1)?.split('>').next()?.to_owned());
    // The envelope of the next message may travel right behind it.
    moments(trace, recipient, |text| text.ends_with(r"\r\n.\r\n") || text.contains(r"\r\n.\r\nMAIL FROM:<"))
}

/// Each time that a host was told that we keep its message, likewise.
pub(super) fn kept(trace: &str) -> Vec<Dot> {
    let asked_for_it = |text: &str| text.starts_with("354 ").then(String::new);
    moments(trace, asked_for_it, |text| text.starts_with("250 2.0.0 Kept")).0
}

fn moments(trace: &str, begins: fn(&str) -> Option<String>, ends: fn(&str) -> bool) -> (Vec<Dot>, u64) {
    let mut disk = Disk::default();
    let (mut talks, mut dots) = (HashMap::<String, Talk>::new(), Vec::new());
    for call in calls(trace) {
        match call {
            Call::Written { from, to } => {
                disk.written(from, to);
                talks.values_mut().for_each(|talk| talk.is_written = true);
            }
            Call::SyncBegun => {
                disk.syncing = disk.end;
                talks.values_mut().for_each(|talk| talk.is_syncing = talk.is_written);
            }
            Call::Synced => {
                disk.synced = disk.syncing;
                talks.values_mut().for_each(|talk| talk.is_synced |= talk.is_syncing);
            }
            Call::Said { line, text } => {
                if ends(&text)
                    && let Some(talk) = talks.remove(&line)
                {
                    dots.push(disk.dot(talk));
                }
                if let Some(recipient) = begins(&text) {
                    talks.insert(line, Talk { recipient, ..Talk::default() });
                }
            }
        }
    }
    (dots, disk.generation)
}

#[derive(Default)]
struct Disk {
    /// Up to where this generation of the log is written.
    end: u64,
    syncing: u64,
    synced: u64,
    generation: u64,
}

impl Disk {
    fn written(&mut self, from: u64, to: u64) {
        if from == 0 {
            *self = Self { generation: self.generation + 1, ..Self::default() };
        }
        self.end = self.end.max(to);
    }

    fn dot(&self, talk: Talk) -> Dot {
        Dot { recipient: talk.recipient, is_marked: talk.is_synced, synced: self.synced, generation: self.generation }
    }
}

/// What happened since the recipient was named on one line.
#[derive(Default)]
struct Talk {
    recipient: String,
    is_written: bool,
    is_syncing: bool,
    is_synced: bool,
}

fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    // What each thread has begun, and not ended.
    let mut begun: HashMap<&str, String> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if text.starts_with("<... ") {
            let Some(start) = begun.remove(thread) else { continue };
            let end = text.split_once("resumed>").map_or("", |(_, end)| end);
            calls.extend(ended(&format!("{start}{end}")));
        } else if let Some(start) = text.strip_suffix("<unfinished ...>") {
            calls.extend(beginning(start));
            begun.insert(thread, start.to_owned());
        } else {
            calls.extend(beginning(text));
            calls.extend(ended(text));
        }
    }
    calls
}

/// What counts from the moment it is asked for.
fn beginning(text: &str) -> Option<Call> {
    let (call, rest) = text.split_once('(')?;
    match call {
        "fsync" | "fdatasync" if rest.contains("-wal>") => Some(Call::SyncBegun),
        "write" | "writev" | "sendto" | "sendmsg" => {
            let (line, rest) = rest.split_once(">, ")?;
            let said = rest.split_once('"')?.1;
            let said = said.rsplit_once('"').map_or(said, |(said, _)| said);
            line.contains("<TCP:").then(|| Call::Said { line: line.to_owned(), text: said.to_owned() })
        }
        _ => None,
    }
}

/// What counts when it has been done.
fn ended(text: &str) -> Option<Call> {
    let (call, rest) = text.split_once('(')?;
    // Where a call was resumed, blanks stand before the result.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    match call {
        "fsync" | "fdatasync" if rest.contains("-wal>") && result.trim() == "0" => Some(Call::Synced),
        "pwrite64" if rest.contains("-wal>") => {
            let from: u64 = arguments.rsplit(", ").next()?.trim().parse().ok()?;
            let length: u64 = result.trim().parse().ok()?;
            Some(Call::Written { from, to: from + length })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Dot, dots};

    const ENVELOPE: &str =
        r#"7 sendto(9<TCP:[1->2]>, "MAIL FROM:<b@a>\r\nRCPT TO:<ada@b>\r\nDATA\r\n", 44, 0, NULL, 0) = 44"#;
    const WRITTEN: &str = r#"8 pwrite64(5</a/rebound.db-wal>, "\0\1\"\0"..., 4096, 1000) = 4096"#;
    const SYNCED: &str = "8 fdatasync(5</a/rebound.db-wal>) = 0";
    const BEGUN: &str = "8 fdatasync(5</a/rebound.db-wal> <unfinished ...>";
    const RESUMED: &str = "8 <... fdatasync resumed>)             = 0";
    const DOT: &str = r#"7 sendto(9<TCP:[1->2]>, "Subject: Spring\r\n\r\nHello\r\n.\r\n", 30, 0, NULL, 0) = 30"#;

    #[test]
    fn a_dot_without_a_sync_before_it_is_found() {
        for (lines, is_marked, synced) in [
            (vec![ENVELOPE, WRITTEN, SYNCED, DOT], true, 5096),
            (vec![ENVELOPE, WRITTEN, BEGUN, RESUMED, DOT], true, 5096),
            (vec![ENVELOPE, WRITTEN, BEGUN, DOT, RESUMED], false, 0),
            (vec![ENVELOPE, WRITTEN, DOT, SYNCED], false, 0),
            (vec![ENVELOPE, BEGUN, WRITTEN, RESUMED, DOT], false, 0),
            (vec![WRITTEN, SYNCED, ENVELOPE, DOT], false, 5096),
            (vec![ENVELOPE, SYNCED, DOT], false, 0),
            (vec![ENVELOPE, DOT], false, 0),
        ] {
            let dot = Dot { recipient: "ada@b".to_owned(), is_marked, synced, generation: 0 };
            assert_eq!(dots(&lines.join("\n")).0, [dot], "{lines:?}");
        }
    }
}
