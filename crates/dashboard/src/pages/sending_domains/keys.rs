//! A key as the page shows it: its state, its record, and what DNS said of that.

use crate::words::When;
use chrono::{DateTime, Utc};
use rebound_domain::{DkimKey, DomainName, KeyState, RecordState, organisational_domain};

/// A key, and everything that is said of it.
pub(crate) struct Shown {
    pub(crate) key: DkimKey,
    /// The class and the words of its state.
    pub(crate) state: (&'static str, &'static str),
    /// What that means, and until when.
    pub(crate) meaning: String,
    /// The name of its record.
    pub(crate) name: String,
    /// The same below the domain that was registered, as most panels ask for it.
    pub(crate) short_name: String,
    /// What the record says.
    pub(crate) value: String,
    /// The same as a zone file has it: strings of 255 octets at most.
    pub(crate) zone: String,
    /// What DNS said of it last.
    pub(crate) found: Option<Found>,
}

/// What DNS said of a record.
pub(crate) struct Found {
    /// The class and the sign of its tick, and the word for whoever does not see it.
    pub(crate) tick: (&'static str, &'static str, &'static str),
    pub(crate) words: String,
    pub(crate) at: When,
}

impl Shown {
    pub(crate) fn of(key: &DkimKey, domain: &DomainName, now: DateTime<Utc>) -> Self {
        let name = key.record_name(domain.as_str());
        let registered = organisational_domain(domain.as_str()).unwrap_or(domain.as_str());
        let short_name = name.strip_suffix(registered).unwrap_or(&name).trim_end_matches('.').to_owned();
        let strings: Vec<String> = key.record_strings().iter().map(|text| format!("\"{text}\"")).collect();
        Self {
            state: class(key.state),
            meaning: meaning(key.state, now),
            zone: format!("{name}. TXT ( {} )", strings.join(" ")),
            value: key.record_value(),
            found: key.checked.as_ref().map(|(at, found)| Found {
                tick: tick(found, key.state),
                words: found.words(),
                at: When::new(*at, now),
            }),
            name,
            short_name,
            key: key.clone(),
        }
    }

    /// Where it stands on the page.
    pub(crate) fn rank(&self) -> u8 {
        match self.key.state {
            KeyState::Waiting => 0,
            KeyState::Active { .. } => 1,
            KeyState::Retiring { .. } => 2,
            KeyState::Retired { .. } => 3,
        }
    }

    /// Whether it still waits for its record.
    pub(crate) fn waits(&self) -> bool {
        self.key.state == KeyState::Waiting
    }

    /// Whether mail is signed with it.
    pub(crate) fn signs(&self) -> bool {
        matches!(self.key.state, KeyState::Active { .. })
    }
}

fn class(state: KeyState) -> (&'static str, &'static str) {
    match state {
        KeyState::Waiting => ("s-deferred", "Waiting for its record"),
        KeyState::Active { .. } => ("s-delivered", "Signs mail"),
        KeyState::Retiring { .. } => ("s-soft", "Retiring"),
        KeyState::Retired { .. } => ("s-suppressed", "Retired"),
    }
}

fn meaning(state: KeyState, now: DateTime<Utc>) -> String {
    let when = |at| When::new(at, now);
    match state {
        KeyState::Waiting => {
            "Add this record to DNS. We look for it every minute; once it is there, the key signs.".to_owned()
        }
        KeyState::Active { since } => format!("Since {}. Its record must stay as it is.", when(since)),
        KeyState::Retiring { until, .. } => format!(
            "It signs nothing new. Keep its record until {}, for mail that is still on its way; then the key retires by itself.",
            when(until)
        ),
        KeyState::Retired { since } => format!("Since {}. Its record may be removed.", when(since)),
    }
}

fn tick(found: &RecordState, state: KeyState) -> (&'static str, &'static str, &'static str) {
    match found {
        RecordState::Found => ("done", "✓", "Well:"),
        RecordState::Missing if state == KeyState::Waiting => ("warn", "?", "Not yet:"),
        RecordState::Unknown(_) => ("warn", "?", "Not sure:"),
        RecordState::Missing | RecordState::Other | RecordState::Malformed(_) => ("stop", "!", "Wrong:"),
    }
}

/// The class and the words of a domain's state.
pub(crate) fn standing(keys: &[DkimKey]) -> (&'static str, &'static str) {
    let is_wrong = |key: &DkimKey| {
        let wrong = |found: &RecordState| !matches!(found, RecordState::Found | RecordState::Unknown(_));
        key.checked.as_ref().is_some_and(|(_, found)| wrong(found))
    };
    let active: Vec<&DkimKey> = keys.iter().filter(|key| matches!(key.state, KeyState::Active { .. })).collect();
    let waits = keys.iter().any(|key| key.state == KeyState::Waiting);
    match (active.is_empty(), active.iter().any(|key| is_wrong(key)), waits) {
        (false, true, _) => ("s-hard", "A record is wrong"),
        (false, false, true) => ("s-delivered", "Signs mail; new keys wait"),
        (false, false, false) => ("s-delivered", "Signs mail"),
        (true, _, true) => ("s-deferred", "Waiting for its records"),
        (true, _, false) => ("s-suppressed", "Mail goes unsigned"),
    }
}
