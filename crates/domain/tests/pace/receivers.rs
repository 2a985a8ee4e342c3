//! Twelve receivers as they are out there, on a simulated clock.

use rebound_domain::{BounceCause, Permanence, Verdict};

/// What a receiver sees of a message that arrives. Times are seconds since the start.
pub(crate) struct Visit {
    pub(crate) now: f64,
    pub(crate) id: u64,
    /// Messages that are with it at this moment, this one included: each on a connection of its own.
    pub(crate) connections: u32,
    /// Messages that came by the same connection before.
    pub(crate) on_connection: u32,
    /// A number in 0..1.
    pub(crate) chance: f64,
}

/// What it says, after so many seconds.
pub(crate) enum Reply {
    Taken,
    /// Refused for the rate or for connections: these count as “refused for rate”.
    Slower(&'static str),
    /// Not now: greylisted.
    Later(&'static str),
    /// Nobody answers, or only to say that nobody is at home.
    Away(&'static str),
}

impl Reply {
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let (cause, words) = match self {
            Self::Taken => return None,
            Self::Slower(words) => (BounceCause::RateLimited, *words),
            Self::Later(words) => (BounceCause::Greylisted, *words),
            Self::Away(words) => (BounceCause::HostUnreachable, *words),
        };
        Some(Verdict::known(cause, Permanence::Soft, words))
    }
}

const RATE: Reply = Reply::Slower("451 4.7.1 Ratelimit exceeded");

/// One of the twelve.
pub(crate) enum Receiver {
    /// So many per second, a second's worth at once.
    Fixed(Tokens),
    /// A limit that changes at times that nobody tells.
    Changing(Tokens, Vec<(f64, f64)>),
    /// So many per hour by the clock.
    Hourly { quota: u32, hour: u64, taken: u32 },
    /// So many messages by one connection.
    PerConnection(u32),
    /// A slow limit with a large bucket.
    Bursts(Tokens),
    /// A limit that follows the day.
    Diurnal(Tokens),
    /// Takes everything, and its time.
    Tarpit(f64),
    /// Turns away who comes for the first time, until so many seconds later.
    Greylist(f64, std::collections::HashMap<u64, f64>),
    /// Does not answer so often.
    Flaky(f64),
    /// Says 421 to everybody for ten minutes of every two hours.
    Storms,
    /// So many connections at a time.
    Connections(u32),
    /// Does not answer between two times.
    Dead(f64, f64),
    /// Another one, who takes at least so many seconds for each message.
    #[allow(dead_code, reason = "the stories have it so, since a socket takes its time too")]
    Slower(f64, Box<Receiver>),
}

/// A bucket of tokens, the receiver's own.
pub(crate) struct Tokens {
    pub(crate) rate: f64,
    pub(crate) burst: f64,
    left: f64,
    at: f64,
}

impl Tokens {
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, left: burst, at: 0.0 }
    }

    fn take(&mut self, rate: f64, now: f64) -> Reply {
        self.left = (self.left + (now - self.at) * rate).min(self.burst);
        self.at = now;
        if self.left < 1.0 {
            return RATE;
        }
        self.left -= 1.0;
        Reply::Taken
    }
}

/// Messages per second that a day's curve allows.
pub(crate) fn of_day(mean: f64, now: f64) -> f64 {
    mean * (1.0 + 0.8 * (now / 86_400.0 * std::f64::consts::TAU).sin())
}

/// What a schedule allows now.
pub(crate) fn of_schedule(schedule: &[(f64, f64)], now: f64) -> f64 {
    schedule.iter().rev().find(|(from, _)| *from <= now).map_or(f64::INFINITY, |(_, rate)| *rate)
}

impl Receiver {
    /// What it says to a message, and after how many seconds.
    pub(crate) fn take(&mut self, visit: &Visit) -> (f64, Reply) {
        let (now, quick) = (visit.now, 0.1);
        match self {
            Self::Fixed(tokens) | Self::Bursts(tokens) => (quick, tokens.take(tokens.rate, now)),
            Self::Changing(tokens, schedule) => (quick, tokens.take(of_schedule(schedule, now), now)),
            Self::Diurnal(tokens) => (quick, tokens.take(of_day(tokens.rate, now), now)),
            Self::Hourly { quota, hour, taken } => {
                let this = (now / 3600.0) as u64;
                if this != *hour {
                    (*hour, *taken) = (this, 0);
                }
                if *taken == *quota {
                    return (quick, Reply::Slower("452 4.7.1 Hourly quota exceeded"));
                }
                *taken += 1;
                (quick, Reply::Taken)
            }
            Self::PerConnection(most) if visit.on_connection >= *most => {
                (quick, Reply::Slower("421 4.7.0 Too many messages on this connection"))
            }
            Self::Slower(least, other) => {
                let (takes, reply) = other.take(visit);
                (takes.max(*least), reply)
            }
            Self::Tarpit(takes) => (*takes, Reply::Taken),
            Self::Greylist(delay, seen) => {
                let first = *seen.entry(visit.id).or_insert(now);
                let early = now - first < *delay;
                (quick, if early { Reply::Later("451 4.7.1 Greylisted") } else { Reply::Taken })
            }
            Self::Flaky(share) if visit.chance < *share => (5.0, Reply::Away("451 4.4.2 Connection lost")),
            Self::Storms if now % 7_200.0 > 6_600.0 => (quick, Reply::Away("421 4.3.2 Service not available")),
            Self::Connections(most) if visit.connections > *most => {
                (quick, Reply::Slower("421 4.7.0 Too many connections from your host"))
            }
            Self::Dead(from, to) if (*from..*to).contains(&now) => {
                (30.0, Reply::Away("451 4.4.1 Connection timed out"))
            }
            Self::PerConnection(_) | Self::Flaky(_) | Self::Storms | Self::Connections(_) | Self::Dead(..) => {
                (quick, Reply::Taken)
            }
        }
    }
}
