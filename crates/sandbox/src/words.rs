//! What the hosts say. Three houses, each with its own manner; which one a domain belongs to
//! follows from its name.

use crate::chance::number_of;
use crate::domains;
use crate::mailboxes::{Behaviour, domain_of};

/// The software a host runs, as far as its words show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Names the host, quotes the recipient in angle brackets.
    Postfix,
    /// Short and plain.
    Exim,
    /// Speaks in its own error names.
    Exchange,
}

impl Style {
    /// The manner of the host behind `address`.
    pub(crate) fn of(address: &str) -> Self {
        let domain = domain_of(address);
        match domains::place(domain).unwrap_or_else(|| number_of(domain)) % 3 {
            0 => Self::Postfix,
            1 => Self::Exim,
            _ => Self::Exchange,
        }
    }

    fn choose(self, [postfix, exim, exchange]: [&str; 3]) -> &str {
        match self {
            Self::Postfix => postfix,
            Self::Exim => exim,
            Self::Exchange => exchange,
        }
    }
}

/// The reply with which the host behind `recipient` refuses, several lines divided by `\n`.
/// `wait` is what it asks for, in seconds of its own clock.
pub(crate) fn refusal(behaviour: Behaviour, recipient: &str, wait: u64) -> String {
    use Behaviour::*;
    let words = match behaviour {
        Full | FullThenEmptied | FullByReport => [
            "452 4.2.2 <{rcpt}>: Recipient address rejected: mailbox of this user is over its quota",
            "452 4.2.2 Mailbox is full; there is no room for the message of this sender",
            "452 4.2.2 MapiQuota; the mailbox {rcpt} has used up its storage quota [{domain}]",
        ],
        Gone | GoneByReport | Forwards => [
            "550 5.1.1 <{rcpt}>: Recipient address rejected: no such user in the mailbox table of {domain}",
            "550 5.1.1 Unknown user: there is no mailbox {rcpt} here",
            "550 5.1.1 Resolver.RecipientNotFound; recipient not found in the directory of {domain}",
        ],
        Down | DownThenUp => [
            "451 4.4.1 connect to mx1.{domain}[192.0.2.25]:25: Connection refused",
            "451 4.4.1 Could not reach the host mx1.{domain}: connection timed out",
            "451 4.4.1 The next hop for {domain} does not answer; the connection was refused",
        ],
        TooLarge => [
            "552 5.3.4 Message size exceeds the fixed limit of mx1.{domain}",
            "552 5.3.4 This message is larger than what {domain} accepts",
            "552 5.3.4 RestrictedSize; the message exceeds the maximum size of the recipient {rcpt}",
        ],
        SpamFilter => [
            "554 5.7.1 Message content rejected by mx1.{domain}: the filter takes it for spam, score 9.4 of 6.0",
            "554-5.7.1 This message was classified as spam.\n554 5.7.1 Write to postmaster@{domain} if you think that this is wrong",
            "554 5.7.1 Message refused as spam by the content filter of {domain}",
        ],
        Greylisting => [
            "450 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted, please try again in {wait} seconds",
            "451 4.7.1 Greylisting in action, please come back in {wait} seconds",
            "451 4.7.1 {domain} does not know you yet: greylisted, retry in {wait} seconds",
        ],
        RateLimited => [
            "451 4.7.28 mx1.{domain}: you send too many messages, try again in {wait} seconds",
            "451 4.7.28 Rate limit of this sender exceeded; try again later, in {wait} seconds",
            "451 4.7.28 Message rate limit exceeded for {domain}; retry after {wait} seconds",
        ],
        HiddenLimit => [
            "451 4.7.0 <{rcpt}>: temporarily deferred, unusual volume of mail from your host",
            "451 4.7.0 Too much mail from you at the moment; come back later",
            "451 4.7.0 Mail for {domain} is temporarily deferred",
        ],
        HourlyQuota => [
            "452 4.7.28 mx1.{domain}: your hourly quota of messages is used up, try again in {wait} seconds",
            "452 4.7.28 Hourly message quota of this sender exceeded; next hour begins in {wait} seconds",
            "452 4.7.28 Quota of messages per hour exceeded for {domain}; retry after {wait} seconds",
        ],
        Burst => [
            "450 4.7.28 mx1.{domain}: too many messages at once, slow down; try again in {wait} seconds",
            "450 4.7.28 Too fast: this sender may go on in {wait} seconds",
            "450 4.7.28 Burst limit exceeded for {domain}; retry after {wait} seconds",
        ],
        Diurnal => [
            "451 4.3.2 mx1.{domain}: too busy at this time of the day, try again in {wait} seconds",
            "451 4.3.2 The system is busy; try again later, in {wait} seconds",
            "451 4.3.2 {domain} takes less mail by day; retry after {wait} seconds",
        ],
        Flaky => [
            "451 4.3.0 <{rcpt}>: Temporary lookup failure",
            "451 4.3.0 Temporary local problem, please try later",
            "451 4.3.0 Temporary server error; please try again later",
        ],
        Storms => [
            "421 4.3.2 mx1.{domain}: too many connections, closing",
            "421 4.3.2 Service not available, closing the connection",
            "421 4.3.2 Service not active; closing transmission channel",
        ],
        Moved => [
            "551 5.1.6 <{rcpt}>: User has moved to new.{rcpt}",
            "551 5.1.6 This mailbox has moved; the new address is new.{rcpt}",
            "551 5.1.6 The recipient has moved to another address: new.{rcpt}",
        ],
        Inactive => [
            "550 5.2.1 <{rcpt}>: Recipient address rejected: the mailbox is disabled",
            "550 5.2.1 This account is inactive and takes no mail",
            "550 5.2.1 The mailbox {rcpt} is disabled",
        ],
        Blocked => [
            "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using list.sandbox.test",
            "550 5.7.1 Your address 192.0.2.1 is on the block list list.sandbox.test",
            "550 5.7.1 Client host refused because of its bad reputation, blocked by {domain}",
        ],
        _ => ["554 5.0.0 Transaction failed", "554 5.0.0 Not possible", "554 5.0.0 Error"],
    };
    fill(Style::of(recipient).choose(words), recipient, wait)
}

/// The reply with which the host behind `recipient` takes a message.
pub(crate) fn acceptance(recipient: &str, queue_id: &str) -> String {
    match Style::of(recipient) {
        Style::Postfix => format!("250 2.0.0 Ok: queued as {queue_id}"),
        Style::Exim => format!("250 2.0.0 OK id={queue_id}"),
        Style::Exchange => format!("250 2.6.0 {queue_id} queued mail for delivery"),
    }
}

/// The lasting failure that a report quotes: (enhanced status code, reply).
pub(crate) fn failure(behaviour: Behaviour, recipient: &str) -> (&'static str, String) {
    match behaviour {
        Behaviour::FullByReport => {
            let soft = refusal(behaviour, recipient, 0);
            ("5.2.2", soft.replacen("452 4.2.2", "552 5.2.2", 1))
        }
        _ => ("5.1.1", refusal(Behaviour::Gone, recipient, 0)),
    }
}

fn fill(words: &str, recipient: &str, wait: u64) -> String {
    words.replace("{rcpt}", recipient).replace("{domain}", domain_of(recipient)).replace("{wait}", &wait.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_carry_recipient_host_and_wait() {
        let hosts = ["a@grove.sandbox.test", "a@heath.sandbox.test", "a@iris.sandbox.test", "a@jade.sandbox.test"];
        for recipient in hosts {
            let reply = refusal(Behaviour::Greylisting, recipient, 300);
            assert!(reply.contains("4.7.1") && reply.contains("300 seconds"), "{reply}");
            assert!(!reply.contains('{'), "{reply}");
        }
        assert_eq!(failure(Behaviour::FullByReport, "a@hollow.sandbox.test").0, "5.2.2");
        assert!(failure(Behaviour::FullByReport, "a@hollow.sandbox.test").1.starts_with("552 5.2.2"));
    }

    #[test]
    fn hosts_of_one_behaviour_differ_in_manner() {
        for (behaviour, names) in domains::DOMAINS.iter().filter(|(_, names)| names.len() >= 3) {
            let style = |name: &&str| Style::of(&format!("a@{name}.sandbox.test"));
            let styles: Vec<_> = names.iter().map(style).collect();
            for style in [Style::Postfix, Style::Exim, Style::Exchange] {
                assert!(styles.contains(&style), "{behaviour:?} {style:?}");
            }
        }
    }
}
