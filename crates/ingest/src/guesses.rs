//! Counts wrong links by where they come from.
//!
//! Right ones are never refused: mailbox providers send the unsubscriptions of all their people from few addresses.

use crate::limits::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many wrong links one host may send in a [`WINDOW`].
const WRONG: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// How many hosts are remembered; beyond that, all begin anew.
const HOSTS: usize = 10_000;

/// Wrong links by host: when the first of the window came, and how many.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Guesses {
    /// Notes a wrong link at `now`; whether that was one too many.
    pub(crate) fn wrong(&self, from: IpAddr, now: Instant) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS {
            hosts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if hosts.len() >= HOSTS {
            hosts.clear();
        }
        let (since, count) = hosts.entry(network(from)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > WRONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_is_told_to_wait_and_others_are_not() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert_eq!((0..100).filter(|_| guesses.wrong(one, now)).count(), 70);
        assert!(!guesses.wrong(other, now));
        assert!(!guesses.wrong(one, now + WINDOW));
    }

    #[test]
    fn many_hosts_do_not_fill_the_memory() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for host in 0..3 * HOSTS as u32 {
            guesses.wrong(IpAddr::from(host.to_be_bytes()), now);
        }
        assert!(guesses.0.lock().unwrap().len() <= HOSTS);
    }
}
