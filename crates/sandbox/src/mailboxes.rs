//! Who behaves how: by explicit choice, by address, or by domain.

use serde::{Deserialize, Serialize};

use crate::domains::DOMAINS;

/// The domain of the whole pretend internet. Its hosts are its subdomains.
pub const DOMAIN: &str = "sandbox.test";

/// How the host behind an address treats mail for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Takes everything.
    Fine,
    /// Over quota for ever: `452 4.2.2` at `RCPT`.
    Full,
    /// Over quota for the first 10 host hours after the first try, then takes everything.
    FullThenEmptied,
    /// Takes the message, then reports `5.2.2`, once or twice per mailbox; later copies stay.
    FullByReport,
    /// `550 5.1.1` at `RCPT`.
    Gone,
    /// Takes every message, then reports `5.1.1`.
    GoneByReport,
    /// The domain's host is down for ever: `451 4.4.1`.
    Down,
    /// The domain's host is down for the first 8 host hours after the first try.
    DownThenUp,
    /// `552 5.3.4` at the end of the data.
    TooLarge,
    /// `554 5.7.1` at the end of the data: the filter thinks that it is spam.
    SpamFilter,
    /// `450 4.7.1` until 300 host seconds after the recipient's first try.
    Greylisting,
    /// Takes everything, about a second late.
    Slow,
    /// Takes a few messages per host time for the whole domain; `451 4.7.28` beyond that.
    RateLimited,
    /// Takes the message, then reports that the address it forwards to is unknown.
    Forwards,
    /// Takes the message, then answers automatically (RFC 3834).
    OutOfOffice,
    /// Takes the message, then the reader presses "report spam" (RFC 5965).
    Complains,
    /// The same limit, told to nobody: `451 4.7.0` beyond it, without a number.
    HiddenLimit,
    /// As many messages in each hour of the host; `452 4.7.28` until the next one begins.
    HourlyQuota,
    /// As many messages at once, then one after the other at the same rate; `450 4.7.28` in between.
    Burst,
    /// The limit for twelve hours after the first try, none for the next twelve, and so on.
    Diurnal,
    /// Takes everything, and lets `RCPT` wait for an answer.
    Tarpit,
    /// `451 4.3.0` to about every third try, whoever it is for.
    Flaky,
    /// `421 4.3.2` at `RCPT`, and closes the line, for 10 host minutes after the first try at the domain.
    Storms,
    /// Drops the line after the message, with nothing taken; once for each mailbox.
    LosesMessage,
    /// Takes the message and drops the line instead of saying so; once for each mailbox.
    LosesAnswer,
    /// Takes the message and answers with no reply code; once for each mailbox.
    Mumbles,
    /// Answers `RCPT` with bytes that are no reply.
    Garbage,
    /// Answers `RCPT` with a code that does not exist.
    NoSuchCode,
    /// Answers `RCPT` with a reply of many lines whose last one never comes.
    Endless,
    /// Sends the answer to the message together with that to `RCPT`.
    AnswersEarly,
    /// Drops the line instead of answering `RCPT`.
    Closes,
    /// `551 5.1.6`: the person has moved.
    Moved,
    /// `550 5.2.1`: the mailbox is disabled.
    Inactive,
    /// `550 5.7.1`: the sending server is on a block list.
    Blocked,
    /// `554 5.0.0` with no reason given.
    Unexplained,
}

/// What must be known of a message in the end, by whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It arrived and stayed.
    Delivered,
    /// It arrived, and its reader complained: no more mail to this person.
    DeliveredThenComplained,
    /// It did not arrive, and the cause is one of these.
    NotDelivered {
        /// Names of causes, such as `mailbox_unknown`.
        causes: &'static [&'static str],
    },
}

/// What a sender who retries for some host days must know in the end about one message to an
/// address of this behaviour.
pub fn expected(behaviour: Behaviour) -> Expectation {
    use Behaviour::*;
    let causes: &[&str] = match behaviour {
        Fine | FullThenEmptied | FullByReport | DownThenUp | Greylisting | Slow | RateLimited | OutOfOffice
        | HiddenLimit | HourlyQuota | Burst | Diurnal | Tarpit | Flaky | Storms | LosesMessage | LosesAnswer
        | Mumbles => return Expectation::Delivered,
        Complains => return Expectation::DeliveredThenComplained,
        Full => &["mailbox_full"],
        Gone | GoneByReport | Forwards => &["mailbox_unknown"],
        Down | Closes | Garbage | NoSuchCode | Endless | AnswersEarly => &["host_unreachable", "timeout_expired"],
        TooLarge => &["message_too_large"],
        SpamFilter => &["spam_suspected"],
        Moved => &["address_moved"],
        Inactive => &["mailbox_inactive"],
        Blocked => &["reputation_block"],
        Unexplained => &["undetermined"],
    };
    Expectation::NotDelivered { causes }
}

/// Every behaviour with the name that an address may use for it, as in `gone@sandbox.test`.
const NAMES: &[(&str, Behaviour)] = &[
    ("fine", Behaviour::Fine),
    ("full", Behaviour::Full),
    ("emptied", Behaviour::FullThenEmptied),
    ("full-report", Behaviour::FullByReport),
    ("gone", Behaviour::Gone),
    ("gone-report", Behaviour::GoneByReport),
    ("down", Behaviour::Down),
    ("back", Behaviour::DownThenUp),
    ("large", Behaviour::TooLarge),
    ("spam", Behaviour::SpamFilter),
    ("grey", Behaviour::Greylisting),
    ("slow", Behaviour::Slow),
    ("rate", Behaviour::RateLimited),
    ("forwards", Behaviour::Forwards),
    ("away", Behaviour::OutOfOffice),
    ("complains", Behaviour::Complains),
    ("hidden", Behaviour::HiddenLimit),
    ("quota", Behaviour::HourlyQuota),
    ("burst", Behaviour::Burst),
    ("diurnal", Behaviour::Diurnal),
    ("tarpit", Behaviour::Tarpit),
    ("flaky", Behaviour::Flaky),
    ("storms", Behaviour::Storms),
    ("loses", Behaviour::LosesMessage),
    ("loses-answer", Behaviour::LosesAnswer),
    ("mumbles", Behaviour::Mumbles),
    ("garbage", Behaviour::Garbage),
    ("nines", Behaviour::NoSuchCode),
    ("endless", Behaviour::Endless),
    ("early", Behaviour::AnswersEarly),
    ("closes", Behaviour::Closes),
    ("moved", Behaviour::Moved),
    ("inactive", Behaviour::Inactive),
    ("blocked", Behaviour::Blocked),
    ("unexplained", Behaviour::Unexplained),
];

impl Behaviour {
    /// Every behaviour there is.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(_, behaviour)| *behaviour)
    }

    /// The address at `sandbox.test` that behaves so: `gone@sandbox.test`.
    pub fn address(self) -> String {
        let name = NAMES.iter().find(|(_, behaviour)| *behaviour == self);
        format!("{}@{DOMAIN}", name.map_or("fine", |(name, _)| name))
    }

    /// Whether the host decides only when it has seen the whole message.
    pub(crate) fn refuses_after_data(self) -> bool {
        matches!(self, Self::TooLarge | Self::SpamFilter)
    }
}

/// How the host behind `address` behaves, unless a test has chosen otherwise.
///
/// At `sandbox.test` itself the local part says so (`gone@`, also `gone-7@` and `gone+x@`); below
/// it the domain: one of the table's, or one with a label that says so (`mail.gone.sandbox.test`).
/// Every other address is [`Behaviour::Fine`].
pub fn behaviour_of(address: &str) -> Behaviour {
    let address = address.to_ascii_lowercase();
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Behaviour::Fine;
    };
    if domain == DOMAIN {
        return named(stem(local)).unwrap_or(Behaviour::Fine);
    }
    let Some(labels) = domain.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('.')) else {
        return Behaviour::Fine;
    };
    let host = labels.rsplit('.').next().unwrap_or(labels);
    let listed = DOMAINS.iter().find(|(_, names)| names.contains(&host));
    listed.map(|(behaviour, _)| *behaviour).or_else(|| labels.split('.').find_map(named)).unwrap_or(Behaviour::Fine)
}

fn named(name: &str) -> Option<Behaviour> {
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, behaviour)| *behaviour)
}

/// `gone-12+spring` → `gone`
fn stem(local: &str) -> &str {
    let untagged = local.split('+').next().unwrap_or(local);
    untagged.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '.', '_'])
}

/// What shares one fate when a host is down or counts its mail: the domain, except at
/// `sandbox.test`, where every address plays a host of its own.
pub(crate) fn host_of(address: &str) -> &str {
    match address.rsplit_once('@') {
        Some((_, domain)) if domain != DOMAIN => domain,
        _ => address,
    }
}

/// The part after the `@`.
pub(crate) fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(DOMAIN, |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_how_it_behaves() {
        for (address, expected) in [
            ("ada@sandbox.test", Behaviour::Fine),
            ("Gone@Sandbox.TEST", Behaviour::Gone),
            ("gone-12+spring@sandbox.test", Behaviour::Gone),
            ("full-report3@sandbox.test", Behaviour::FullByReport),
            ("ada@gone.sandbox.test", Behaviour::Gone),
            ("ada@mail.slow.sandbox.test", Behaviour::Slow),
            ("gone@elsewhere.example", Behaviour::Fine),
            ("gone@notsandbox.test", Behaviour::Fine),
            ("no address", Behaviour::Fine),
        ] {
            assert_eq!(behaviour_of(address), expected, "{address}");
        }
    }

    #[test]
    fn every_behaviour_has_its_address_and_every_domain_its_behaviour() {
        for behaviour in Behaviour::all() {
            assert_eq!(behaviour_of(&behaviour.address()), behaviour);
        }
        for (behaviour, names) in DOMAINS {
            for name in *names {
                assert_eq!(behaviour_of(&format!("x@{name}.{DOMAIN}")), *behaviour, "{name}");
                assert_eq!(named(name), None, "{name} must not give its behaviour away");
            }
        }
    }
}
