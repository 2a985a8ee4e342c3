//! The simulation's receivers, each behind the sandbox's socket.

use super::receivers::{Receiver, Reply, Visit};
use super::simulation::Chance;
use chrono::{DateTime, Utc};
use rebound_sandbox::{Knock, Model, Said};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A message that came to a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// When it was answered, in the host's seconds since the start.
    pub(super) at: f64,
    pub(super) wave: u32,
    pub(super) id: u64,
    pub(super) was_taken: bool,
    /// Refused for the rate, or for connections.
    pub(super) is_too_fast: bool,
}

/// What one host heard, in order.
pub(super) type Seen = Arc<Mutex<Vec<Heard>>>;

pub(super) struct Host {
    pub(super) receiver: Receiver,
    pub(super) begun: DateTime<Utc>,
    /// Seconds of the host in one of ours.
    pub(super) faster: f64,
    pub(super) chance: Chance,
    /// Messages of each session so far.
    pub(super) sessions: HashMap<u64, u32>,
    pub(super) seen: Seen,
}

/// The address of a wave's message: its host knows it by that.
pub(super) fn address(wave: u32, number: u64, domain: &str) -> String {
    format!("m{wave}-{number}@{domain}")
}

fn named(recipient: &str) -> (u32, u64) {
    let local = recipient.split('@').next().and_then(|local| local.strip_prefix('m')).unwrap();
    let (wave, number) = local.split_once('-').unwrap();
    (wave.parse().unwrap(), number.parse().unwrap())
}

impl Model for Host {
    fn judge(&mut self, knock: &Knock<'_>) -> Said {
        let now = (knock.at - self.begun).as_seconds_f64() * self.faster;
        let (wave, number) = named(knock.recipient);
        let on_connection = self.sessions.entry(knock.session).or_default();
        let id = u64::from(wave) * 100_000 + number;
        let visit =
            Visit { now, id, connections: knock.under_way, on_connection: *on_connection, chance: self.chance.share() };
        *on_connection += 1;
        let (takes, reply) = self.receiver.take(&visit);
        let heard = Heard {
            at: now + takes,
            wave,
            id,
            was_taken: matches!(reply, Reply::Taken),
            is_too_fast: matches!(reply, Reply::Slower(_)),
        };
        self.seen.lock().unwrap().push(heard);
        let refusal = match reply {
            Reply::Taken => None,
            Reply::Slower(words) | Reply::Later(words) | Reply::Away(words) => Some(words.to_owned()),
        };
        Said { refusal, after: Duration::from_secs_f64(takes / self.faster) }
    }
}
