//! What the hosts remember: a fold over the truth, so that a sandbox that is started again on the
//! same file goes on where the last one stopped.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::chance::{number_of, share_of};
use crate::limits::{Intake, Limit, Pace};
use crate::mailboxes::{Behaviour, host_of};
use crate::truth::{Event, Truth};

/// A message that a mailbox holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The subject, decoded; empty when there is none.
    pub subject: String,
    /// Without angle brackets; empty when there is none.
    pub message_id: String,
    /// When it was accepted, on the wall clock.
    pub at: DateTime<Utc>,
    /// The message as it was sent, dots unstuffed; empty unless
    /// [`Settings::keep_messages`](crate::Settings::keep_messages).
    pub raw: Vec<u8>,
}

/// Mailboxes and hosts, by address and domain in lower case.
#[derive(Default)]
pub(crate) struct Memory {
    mailboxes: HashMap<String, Mailbox>,
    hosts: HashMap<String, Intake>,
    accepted: u64,
}

#[derive(Default)]
struct Mailbox {
    first_try: Option<DateTime<Utc>>,
    received: Vec<Received>,
    /// How often it was answered.
    tries: u64,
    /// How often the line broke instead.
    dropped: u64,
}

impl Memory {
    /// Remembers what happened; `raw` is the message, if it is to be kept.
    pub(crate) fn apply(&mut self, truth: &Truth, raw: &[u8], pace: Pace) {
        if truth.event == Event::Dropped {
            self.mailboxes.entry(truth.recipient.clone()).or_default().dropped += 1;
        }
        if !matches!(truth.event, Event::Accepted | Event::Refused) {
            return;
        }
        let mailbox = self.mailboxes.entry(truth.recipient.clone()).or_default();
        mailbox.first_try.get_or_insert(truth.at);
        mailbox.tries += 1;
        let host = self.hosts.entry(host_of(&truth.recipient).to_owned()).or_default();
        host.first_try.get_or_insert(truth.at);
        if truth.event == Event::Accepted {
            self.accepted += 1;
            mailbox.received.push(Received {
                subject: truth.subject.clone().unwrap_or_default(),
                message_id: truth.message_id.clone().unwrap_or_default(),
                at: truth.at,
                raw: raw.to_vec(),
            });
            host.took(truth.at, pace);
        }
    }

    pub(crate) fn received(&self, recipient: &str) -> &[Received] {
        self.mailboxes.get(recipient).map_or(&[], |mailbox| &mailbox.received)
    }

    /// Whether the line broke already in place of an answer about `recipient`.
    pub(crate) fn has_dropped(&self, recipient: &str) -> bool {
        self.mailboxes.get(recipient).is_some_and(|mailbox| mailbox.dropped > 0)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How much longer, on the host's clock, `recipient` refuses before the data; `None` when it
    /// takes mail now. `Duration::MAX` means for ever.
    pub(crate) fn refuses_for(
        &self,
        behaviour: Behaviour,
        recipient: &str,
        now: DateTime<Utc>,
        pace: Pace,
    ) -> Option<Duration> {
        use Behaviour::*;
        let mailbox = self.mailboxes.get(recipient);
        let host = self.hosts.get(host_of(recipient));
        let mailbox_tried = mailbox.and_then(|mailbox| mailbox.first_try);
        let host_tried = host.and_then(|host| host.first_try);
        match behaviour {
            Full | Gone | Down | Moved | Inactive | Blocked | Unexplained => Some(Duration::MAX),
            FullThenEmptied => pace.left(mailbox_tried, hours(10), now),
            DownThenUp => pace.left(host_tried, hours(8), now),
            Greylisting => pace.left(mailbox_tried, Duration::from_secs(300), now),
            Storms => pace.left(host_tried, Duration::from_secs(600), now),
            Flaky => {
                let tries = mailbox.map_or(0, |mailbox| mailbox.tries);
                (share_of(number_of(recipient).wrapping_add(tries)) < 0.3).then_some(Duration::from_secs(1))
            }
            _ => host?.refuses_for(Limit::of(behaviour)?, now, pace),
        }
    }
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Rate;
    use chrono::TimeDelta;

    fn line(event: Event, recipient: &str, at: DateTime<Utc>) -> Truth {
        Truth {
            at,
            event,
            session: 1,
            sender: String::new(),
            recipient: recipient.to_owned(),
            message_id: None,
            subject: None,
            queue_id: None,
            behaviour: Behaviour::Fine,
            reply: String::new(),
            report: None,
        }
    }

    #[test]
    fn hosts_live_faster_than_the_wall() {
        let start = DateTime::UNIX_EPOCH;
        let pace = Pace { faster: 3600.0, rate: Rate::default() };
        let mut memory = Memory::default();
        for (behaviour, address, seconds) in [
            (Behaviour::FullThenEmptied, "a@ember.sandbox.test", 10),
            (Behaviour::DownThenUp, "a@wharf.sandbox.test", 8),
        ] {
            let wait = |memory: &Memory, wall: i64| {
                memory.refuses_for(behaviour, address, start + TimeDelta::seconds(wall), pace)
            };
            assert_eq!(wait(&memory, 0), Some(hours(seconds)), "the first try starts the clock");
            memory.apply(&line(Event::Refused, address, start), b"", pace);
            let seconds = i64::try_from(seconds).unwrap();
            assert_eq!(wait(&memory, seconds - 1), Some(hours(1)));
            assert_eq!(wait(&memory, seconds), None);
        }
    }

    #[test]
    fn a_host_that_is_down_is_down_for_all_its_people() {
        let start = DateTime::UNIX_EPOCH;
        let pace = Pace { faster: 3600.0, rate: Rate::default() };
        let mut memory = Memory::default();
        memory.apply(&line(Event::Refused, "a@wharf.sandbox.test", start), b"", pace);
        let later = start + TimeDelta::seconds(8);
        assert_eq!(memory.refuses_for(Behaviour::DownThenUp, "b@wharf.sandbox.test", later, pace), None);
        let elsewhere = memory.refuses_for(Behaviour::DownThenUp, "b@xenon.sandbox.test", later, pace);
        assert_eq!(elsewhere, Some(hours(8)));
    }

    #[test]
    fn a_rate_is_counted_per_domain_and_forgotten_after_its_window() {
        let start = DateTime::UNIX_EPOCH;
        let rate = Rate { messages: 2, window: Duration::from_secs(60) };
        let pace = Pace { faster: 1.0, rate };
        let mut memory = Memory::default();
        let wait = |memory: &Memory, second: i64| {
            let now = start + TimeDelta::seconds(second);
            memory.refuses_for(Behaviour::RateLimited, "c@mint.sandbox.test", now, pace)
        };
        for (second, address) in [(0, "a@mint.sandbox.test"), (10, "b@mint.sandbox.test")] {
            assert_eq!(wait(&memory, second), None);
            memory.apply(&line(Event::Accepted, address, start + TimeDelta::seconds(second)), b"", pace);
        }
        assert_eq!(wait(&memory, 20), Some(Duration::from_secs(40)));
        assert_eq!(wait(&memory, 60), None);
    }
}
