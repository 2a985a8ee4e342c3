//! How much one host, and all hosts together, may ask of us.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a listener puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of a message, in bytes.
    pub message: usize,
    /// What all messages on their way in may hold together, in bytes.
    pub memory: usize,
    /// Recipients of one message.
    pub recipients: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Sessions at once from one address (for IPv6: one /64).
    pub sessions_per_host: usize,
    /// Messages in one session.
    pub messages: u32,
    /// Refusals in one session before it is closed.
    pub refusals: u32,
    /// How long a command may take.
    pub command: Duration,
    /// How long a message may take.
    pub data: Duration,
    /// How long a session may take.
    pub session: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 25 << 20,
            memory: 64 << 20,
            recipients: 100,
            sessions: 200,
            sessions_per_host: 50,
            messages: 1000,
            refusals: 10,
            command: Duration::from_secs(300), // RFC 5321 §4.5.3.2.7
            data: Duration::from_secs(600),
            session: Duration::from_secs(3600),
        }
    }
}

/// Who is in session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place in session, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    host: IpAddr,
}

impl Seats {
    /// A seat for `address`, if `limits` allow.
    pub(crate) fn take(&self, address: IpAddr, limits: &Limits) -> Option<Seat> {
        let host = network(address);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of_host) = (taken.values().sum::<usize>(), taken.get(&host).copied().unwrap_or(0));
        if all >= limits.sessions || of_host >= limits.sessions_per_host {
            return None;
        }
        taken.insert(host, of_host + 1);
        Some(Seat { seats: self.clone(), host })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.host);
            }
        }
    }
}

/// Whose `address` that is: a whole /64 belongs to one host.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !0 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_given_and_given_back() {
        let limits = Limits { sessions: 3, sessions_per_host: 2, ..Limits::default() };
        let seats = Seats::default();
        let take = |address: &str| seats.take(address.parse().unwrap(), &limits);
        let first = take("2001:db8::1");
        let second = take("2001:db8::ffff:1");
        assert!(first.is_some() && second.is_some() && take("2001:db8::2").is_none());
        let third = take("192.0.2.1");
        assert!(third.is_some() && take("192.0.2.2").is_none());
        drop(first);
        assert!(take("::ffff:192.0.2.1").is_some());
        drop((second, third));
        assert!(seats.0.lock().unwrap().is_empty());
    }
}
