//! MTA-STS: what a domain says over the web about the lines to its mail hosts (RFC 8461).

use super::names::{Names, NotFound};
use super::web::Web;
use moka::future::Cache;
use std::fmt;
use std::time::{Duration, Instant};

/// A policy that could not be fetched is not asked for again before this.
const AGAIN: Duration = Duration::from_secs(300);

/// As long as a policy may be kept at most (§3.2).
const LONGEST: u64 = 31_557_600;

/// Domains whose policies are kept.
const DOMAINS: u64 = 20_000;

/// What a domain demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    /// Names of hosts, in lower case; `*.` in front stands for one label.
    mx: Vec<String>,
    max_age: Duration,
}

/// What becomes of mail when a line is not as a domain's policy wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does not go.
    Enforce,
    /// It goes: the domain is only trying.
    Testing,
    /// It goes: the domain has no policy any more.
    None,
}

/// What was last known of a domain.
#[derive(Clone, Debug, Default)]
struct Known {
    policy: Option<Kept>,
    /// The `id` that came with a policy which could not be fetched, and when that was.
    failed: Option<(String, Instant)>,
}

/// A policy with the `id` of its record, and when it is too old.
#[derive(Clone, Debug)]
struct Kept {
    id: String,
    policy: Policy,
    until: Instant,
}

/// The policies that are known.
pub(super) struct Policies {
    known: Cache<String, Known>,
}

impl Policies {
    pub(super) fn new() -> Self {
        Self { known: Cache::new(DOMAINS) }
    }

    /// The policy of `domain`, if it has one. A policy that was fetched holds until it is too old, also where its
    /// record cannot be seen any more: somebody on the way may be hiding it (§5.1).
    pub(super) async fn of(&self, domain: &str, names: &Names, web: &Web) -> Option<Policy> {
        let now = Instant::now();
        let Known { policy, failed } = self.known.get(domain).await.unwrap_or_default();
        let kept = policy.filter(|kept| now < kept.until);
        let id = match names.texts(&format!("_mta-sts.{domain}")).await {
            Ok(found) => id_of(&found.records),
            Err(NotFound::Name | NotFound::Record | NotFound::Unsaid(_)) => None,
        };
        let is_known = |id: &String| {
            kept.as_ref().is_some_and(|kept| kept.id == *id)
                || failed.as_ref().is_some_and(|(failed, at)| failed == id && now < *at + AGAIN)
        };
        let Some(id) = id.filter(|id| !is_known(id)) else { return kept.map(|kept| kept.policy) };
        let known = match web.policy(domain, names).await.and_then(|text| Policy::read(&text)) {
            Ok(policy) => Known { policy: Some(Kept { id, until: now + policy.max_age, policy }), failed: None },
            Err(why) => {
                tracing::warn!(domain, "the MTA-STS policy cannot be read: {why}");
                Known { policy: kept, failed: Some((id, now)) }
            }
        };
        self.known.insert(domain.to_owned(), known.clone()).await;
        known.policy.map(|kept| kept.policy)
    }
}

/// The `id` in the one record that there may be (§3.1).
fn id_of(texts: &[String]) -> Option<String> {
    let mut records = texts.iter().filter_map(|text| text.strip_prefix("v=STSv1;"));
    let (record, None) = (records.next()?, records.next()) else { return None };
    let id = record.split(';').find_map(|field| field.trim().strip_prefix("id="))?.trim();
    let is_id = !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

impl Policy {
    /// Reads what the domain publishes (§3.2).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        if fields.next().map(|(key, value)| (key.trim(), value.trim())) != Some(("version", "STSv1")) {
            return Err("it does not begin with version: STSv1".to_owned());
        }
        let (mut mode, mut mx, mut max_age) = (None, vec![], None);
        for (key, value) in fields {
            let value = value.trim();
            // Of what stands there twice, the first holds.
            match key.trim() {
                "mode" => mode = mode.or(Some(value)),
                "mx" => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                "max_age" => max_age = max_age.or(Some(value)),
                _ => {}
            }
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            Some(_) | None => return Err("its mode is none of enforce, testing and none".to_owned()),
        };
        let max_age: u64 = max_age.and_then(|age| age.parse().ok()).ok_or("its max_age is not a number of seconds")?;
        if mx.is_empty() && mode != Mode::None {
            return Err("it names no mail host".to_owned());
        }
        Ok(Self { mode, mx, max_age: Duration::from_secs(max_age.min(LONGEST)) })
    }

    /// Whether mail may go to `host`.
    pub(super) fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == above),
            None => host == *pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_is_read_as_the_standard_has_it() {
        let policy = Policy::read(POLICY).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, Duration::from_secs(604_800)));
        for (host, expected) in [
            ("mail.example.com", true),
            ("Mail.Example.Com.", true),
            ("mx1.example.net", true),
            ("a.mx1.example.net", false), // a star stands for one label
            ("example.net", false),
            ("mail.example.com.evil.example", false),
            ("xmail.example.com", false),
        ] {
            assert_eq!(policy.allows(host), expected, "{host}");
        }
        let none = Policy::read("version: STSv1\nmode: none\nmax_age: 99999999999\nnew_field: x\n").unwrap();
        assert_eq!((none.mode, none.max_age.as_secs()), (Mode::None, LONGEST));
    }

    #[test]
    fn what_is_no_policy_says_why() {
        for (text, why) in [
            ("", "version"),
            ("<!doctype html>", "version"),
            ("version: STSv2\nmode: none\nmax_age: 1", "version"),
            ("version: STSv1\nmode: maybe\nmx: a.example\nmax_age: 1", "mode"),
            ("version: STSv1\nmode: enforce\nmx: a.example\nmax_age: soon", "max_age"),
            ("version: STSv1\nmode: enforce\nmax_age: 1", "mail host"),
        ] {
            assert!(Policy::read(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn only_one_record_counts() {
        let id = |texts: &[&str]| id_of(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(id(&["v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(id(&["v=spf1 -all", "v=STSv1;id=a1"]).as_deref(), Some("a1"));
        for texts in [&["v=STSv1; id=a", "v=STSv1; id=b"][..], &["v=STSv1; id="], &["v=STSv1; id=a-b"], &["STSv1"], &[]]
        {
            assert_eq!(id(texts), None, "{texts:?}");
        }
    }
}
