//! What DNS says of a key: the record that was pasted there, against the one that it should be.

use crate::{DkimKey, KeyAlgorithm};
use data_encoding::BASE64;

/// What is found under the name of a key's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// The key, as it should be.
    Found,
    /// Nothing.
    Missing,
    /// Another key.
    Other,
    /// Something that receivers cannot read; what is wrong with it.
    Malformed(String),
    /// The name server did not say; why.
    Unknown(String),
}

impl RecordState {
    /// The name: `found`, `missing`, `other`, `malformed`, `unknown`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Missing => "missing",
            Self::Other => "other",
            Self::Malformed(_) => "malformed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The one called `name`, with what is wrong.
    #[must_use]
    pub fn named(name: &str, why: &str) -> Option<Self> {
        Some(match name {
            "found" => Self::Found,
            "missing" => Self::Missing,
            "other" => Self::Other,
            "malformed" => Self::Malformed(why.to_owned()),
            "unknown" => Self::Unknown(why.to_owned()),
            _ => return None,
        })
    }

    /// What is wrong, where that has words of its own.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Malformed(why) | Self::Unknown(why) => why,
            Self::Found | Self::Missing | Self::Other => "",
        }
    }

    /// What there is and what to do, in whole sentences.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Found => "The record is there, with this key.".to_owned(),
            Self::Missing => {
                "There is no record under this name. New ones may take an hour to be seen; check that the domain was not added twice to the name.".to_owned()
            }
            Self::Other => {
                "There is a record under this name, but with another key. Replace its value with the one shown here.".to_owned()
            }
            Self::Malformed(why) => format!("There is a record that receivers cannot read: {why}."),
            Self::Unknown(why) => format!("The name server did not say: {why}. Try again in a minute."),
        }
    }
}

/// Judges the TXT records `texts` that stand under the name of `key`'s record; each with its strings joined.
///
/// The rules are those of RFC 6376 §3.6.1 and RFC 8463 §4.
#[must_use]
pub fn judge_record(texts: &[String], key: &DkimKey) -> RecordState {
    match texts {
        [] => RecordState::Missing,
        [text] => match read(text) {
            Ok(record) if record.is(key) => RecordState::Found,
            Ok(_) => RecordState::Other,
            Err(why) => RecordState::Malformed(why),
        },
        several => RecordState::Malformed(format!(
            "there are {} records under this name, and which one counts is not said anywhere; leave one",
            several.len()
        )),
    }
}

/// What counts of a record.
struct Record {
    kind: String,
    key: Vec<u8>,
}

impl Record {
    fn is(&self, key: &DkimKey) -> bool {
        let expected = BASE64.decode(key.public.as_bytes());
        self.kind == key.algorithm.tag() && expected.is_ok_and(|expected| expected == self.key)
    }
}

/// Reads a list of tags (RFC 6376 §3.2).
fn read(text: &str) -> Result<Record, String> {
    if text.contains(['"', '\\']) {
        return Err("it holds quotation marks or backslashes, which belong into a zone file only".to_owned());
    }
    let mut tags: Vec<(&str, String)> = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(format!("“{}” is no tag with a value; is a semicolon missing before it?", few(part)));
        };
        let name = name.trim();
        if tags.iter().any(|(other, _)| *other == name) {
            return Err(format!("it has {name}= twice"));
        }
        tags.push((name, value.trim().to_owned()));
    }
    let tag = |name: &str| tags.iter().position(|(other, _)| *other == name);
    let value = |name: &str| tag(name).and_then(|at| tags.get(at)).map(|(_, value)| value.as_str());
    match (tag("v"), value("v")) {
        (None, _) | (Some(0), Some("DKIM1")) => {}
        (Some(0), Some(other)) => return Err(format!("its version is {}, not DKIM1", few(other))),
        _ => return Err("v=DKIM1 must stand at its beginning".to_owned()),
    }
    let lists = |value: &str, what: &[&str]| value.split(':').any(|one| what.contains(&one.trim()));
    if value("h").is_some_and(|hashes| !lists(hashes, &["sha256"])) {
        return Err("its h= leaves out sha256, which we sign with".to_owned());
    }
    if value("s").is_some_and(|services| !lists(services, &["*", "email"])) {
        return Err("its s= says that the key is not for mail".to_owned());
    }
    let kind = value("k").unwrap_or("rsa").to_ascii_lowercase();
    let known = KeyAlgorithm::ALL.iter().any(|algorithm| algorithm.tag() == kind);
    if !known {
        return Err(format!("its kind of key, {}, is unknown", few(&kind)));
    }
    let Some(key) = value("p") else { return Err("p=, the key itself, is missing".to_owned()) };
    let key: String = key.split_whitespace().collect();
    if key.is_empty() {
        return Err("its p= is empty, which means that the key was revoked".to_owned());
    }
    let key = BASE64.decode(key.as_bytes()).map_err(|_| "its key is cut off, or not base64".to_owned())?;
    Ok(Record { kind, key })
}

fn few(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DkimKeyId, KeyState, SendingDomainId};
    use chrono::DateTime;

    fn key(algorithm: KeyAlgorithm) -> DkimKey {
        DkimKey {
            id: DkimKeyId(1),
            domain: SendingDomainId(1),
            selector: "s1".into(),
            algorithm,
            public: BASE64.encode(b"the public half of a key"),
            state: KeyState::Waiting,
            made: DateTime::UNIX_EPOCH,
            checked: None,
        }
    }

    #[test]
    fn what_dns_says_is_told_apart() {
        let (rsa, edwards) = (key(KeyAlgorithm::Rsa2048), key(KeyAlgorithm::Ed25519));
        let p = &rsa.public;
        let other = BASE64.encode(b"the public half of another");
        for (text, expected) in [
            (rsa.record_value(), "found"),
            (format!("v=DKIM1;p={p}"), "found"),
            (format!("p={p}"), "found"),
            (format!(" v=DKIM1 ; t=s ; n=ours; h=sha1:sha256; s=email; k=rsa ; p={} {} ; ", &p[..9], &p[9..]), "found"),
            (format!("v=DKIM1; k=rsa; p={other}"), "other"),
            (edwards.record_value(), "other"),
            (format!("\"v=DKIM1; k=rsa; p={p}\""), "quotation marks"),
            (format!("v=DKIM1; k=rsa; p={}", &p[..p.len() - 1]), "cut off"),
            (format!("v=DKIM1; k=rsa; p={p}; p={p}"), "p= twice"),
            (format!("v=DKIM2; k=rsa; p={p}"), "version is DKIM2"),
            (format!("k=rsa; v=DKIM1; p={p}"), "at its beginning"),
            ("v=DKIM1; k=rsa; p=".to_owned(), "revoked"),
            ("v=DKIM1; k=rsa".to_owned(), "is missing"),
            (format!("v=DKIM1; k=dsa; p={p}"), "dsa, is unknown"),
            (format!("v=DKIM1; h=sha1; p={p}"), "leaves out sha256"),
            (format!("v=DKIM1; s=tlsrpt; p={p}"), "not for mail"),
            ("v=spf1 ip4:192.0.2.1 ~all".to_owned(), "version is spf1"),
            ("hello".to_owned(), "is no tag"),
        ] {
            let state = judge_record(std::slice::from_ref(&text), &rsa);
            let fits = match expected {
                "found" | "other" => state.as_str() == expected,
                words => state.as_str() == "malformed" && state.words().contains(words),
            };
            assert!(fits, "{text}: {state:?}");
        }
        assert_eq!(judge_record(&[], &rsa), RecordState::Missing);
        let twice = judge_record(&[rsa.record_value(), rsa.record_value()], &rsa);
        assert!(twice.words().contains("2 records"), "{twice:?}");
    }

    #[test]
    fn a_kept_state_is_read_back() {
        for state in [
            RecordState::Found,
            RecordState::Missing,
            RecordState::Other,
            RecordState::Malformed("why".into()),
            RecordState::Unknown("late".into()),
        ] {
            assert_eq!(RecordState::named(state.as_str(), state.why()), Some(state));
        }
        assert_eq!(RecordState::named("perhaps", ""), None);
    }
}
