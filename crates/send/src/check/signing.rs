//! Whether receivers can verify that a message is from whom it says.

use super::envelope::MAILBOX_PROVIDERS;
use super::{Finding, Part, Preflight};
use crate::sending_domains::{active, look_up};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::{Error, Pool};
use rebound_domain::{DkimKey, Draft, RecordState};
use std::net::SocketAddr;

/// What was found so lately is not looked for again.
const FRESH: TimeDelta = TimeDelta::minutes(15);

/// Whether DNS may be asked, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// What was found last has to do.
    Nobody,
    /// This name server, or the one that this machine asks.
    Names(Option<SocketAddr>),
}

/// Tells who signs for the sender, and whether DNS has the keys.
pub(super) async fn look(
    db: &Pool,
    draft: &Draft,
    ask: Ask,
    preflight: &mut Preflight,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let from = draft.from.domain();
    // Nobody else can sign for these, which is told already.
    if MAILBOX_PROVIDERS.contains(&from) {
        return Ok(());
    }
    let Some((domain, kept)) = active(db, &draft.from).await? else {
        let what = format!(
            "Mail from {from} goes out unsigned, unless the server that takes it signs. Large providers refuse bulk mail without DKIM: add {from} under Sending domains."
        );
        preflight.findings.push(Finding::hint(Part::From, what));
        return Ok(());
    };
    if kept.is_empty() {
        let what = format!(
            "Mail from {from} goes out unsigned: no key of {} signs yet. Put the records of its keys into DNS; Sending domains shows them.",
            domain.name
        );
        preflight.findings.push(Finding::hint(Part::From, what));
        return Ok(());
    }
    let keys: Vec<DkimKey> = kept.into_iter().map(|kept| kept.key).collect();
    let found = match ask {
        Ask::Names(nameserver) if !keys.iter().all(|key| is_fresh(key, now)) => {
            look_up(&domain.name, &keys, nameserver).await
        }
        Ask::Names(_) | Ask::Nobody => keys.iter().map(noted).collect(),
    };
    let before = preflight.findings.len();
    for (key, found) in keys.iter().zip(&found) {
        if matches!(found, RecordState::Missing | RecordState::Other | RecordState::Malformed(_)) {
            let what = format!(
                "Receivers cannot verify what {} signs. {}: {}",
                domain.name,
                key.record_name(domain.name.as_str()),
                found.words()
            );
            preflight.findings.push(Finding::hint(Part::From, what));
        }
    }
    if preflight.findings.len() == before && found.contains(&RecordState::Found) {
        preflight.passed.push("DKIM signature");
    }
    Ok(())
}

fn is_fresh(key: &DkimKey, now: DateTime<Utc>) -> bool {
    key.checked
        .as_ref()
        .is_some_and(|(at, found)| *at <= now && now - *at < FRESH && !matches!(found, RecordState::Unknown(_)))
}

fn noted(key: &DkimKey) -> RecordState {
    key.checked.as_ref().map_or_else(|| RecordState::Unknown(String::new()), |(_, found)| found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::pretend::{self, Records};
    use crate::sending_domains::{self, By};
    use hickory_resolver::proto::rr::RData;
    use hickory_resolver::proto::rr::rdata::TXT;
    use rebound_domain::{Alignment, DoubtPolicy, Fields, Keys, ListId};

    fn draft() -> Draft {
        Draft {
            name: "Spring".into(),
            list: ListId(1),
            from_name: "Fernhill".into(),
            from: "news@fernhill.example".parse().unwrap(),
            reply_to: None,
            subject: "Hello".into(),
            html: String::new(),
            text: "Hello".into(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::new(),
            doubt: DoubtPolicy::Resend,
        }
    }

    #[tokio::test]
    async fn the_author_hears_whether_receivers_can_verify_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let keys = Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]);
        let records = Records::default();
        let names = Some(pretend::names(Records::clone(&records)).await);
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let told = async |ask, now| {
            let mut preflight = Preflight::default();
            look(&db, &draft(), ask, &mut preflight, now).await.unwrap();
            assert!(preflight.can_go(), "it goes in any case");
            (preflight.findings.into_iter().map(|one| one.what).collect::<Vec<_>>().join(" "), preflight.passed)
        };
        let (words, _) = told(Ask::Nobody, now).await;
        assert!(words.contains("unsigned, unless"), "{words}");
        let by = |now| By { actor: "ines", now };
        let name = "fernhill.example".parse().unwrap();
        let id = sending_domains::add(&db, &keys, (&name, Alignment::Relaxed), by(now)).await.unwrap();
        let (words, _) = told(Ask::Names(names), now).await;
        assert!(words.contains("no key of fernhill.example signs yet"), "{words}");

        let all: Vec<DkimKey> =
            rebound_db::dkim_keys::of(&db, id).await.unwrap().into_iter().map(|kept| kept.key).collect();
        for key in &all {
            let data = RData::TXT(TXT::new(key.record_strings()));
            records.lock().unwrap().push((format!("{}.", key.record_name("fernhill.example")), data));
        }
        sending_domains::check(&db, id, names, by(now)).await.unwrap();
        for ask in [Ask::Nobody, Ask::Names(names)] {
            assert_eq!(told(ask, now).await, (String::new(), vec!["DKIM signature"]));
        }
        records.lock().unwrap().pop();
        let later = now + FRESH;
        assert_eq!(told(Ask::Names(names), now).await.0, "", "it was looked for just now");
        assert_eq!(told(Ask::Nobody, later).await.0, "", "nobody is asked");
        let (words, passed) = told(Ask::Names(names), later).await;
        assert!(words.contains("_domainkey.fernhill.example: There is no record"), "{words}");
        assert!(passed.is_empty());
        // A name server that does not say is no finding.
        let nobody = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!(told(Ask::Names(nobody), later).await, (String::new(), vec![]));
    }
}
