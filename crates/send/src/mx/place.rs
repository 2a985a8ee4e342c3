//! Which addresses we call, and from which of ours.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Our own addresses, from which mail leaves; none for whichever the system takes.
#[derive(Clone, Debug)]
pub(super) struct Places {
    source: Arc<[IpAddr]>,
    turn: Arc<AtomicUsize>,
}

impl Places {
    pub(super) fn new(source: &[IpAddr]) -> Self {
        Self { source: source.into(), turn: Arc::default() }
    }

    /// Whether `address` may be somebody else's. What leads back to this machine, or to nobody in particular, is a
    /// mistake in the other side's DNS, or a trap. From a loopback address of our own only such can be called, as in
    /// trials.
    fn are_others(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_loopback() {
            return self.source.iter().any(IpAddr::is_loopback);
        }
        let is_nobodys = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !(address.is_unspecified() || address.is_multicast() || is_nobodys || self.is_ours(address))
    }

    /// Whether mail leaves from `address`.
    pub(super) fn is_ours(&self, address: IpAddr) -> bool {
        !address.is_loopback() && self.source.contains(&address)
    }

    /// Whether `address` can be called: it may be somebody else's, and we have an address of its family. Who has named
    /// some addresses wants mail to leave from no other: they are in SPF records, and have names.
    pub(super) fn may_call(&self, address: IpAddr) -> bool {
        let has_source = self.source.is_empty() || self.fitting(address).next().is_some();
        has_source && self.are_others(address)
    }

    /// Our address to call `to` from; they take turns. `None` leaves it to the system.
    pub(super) fn source(&self, to: IpAddr) -> Option<IpAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = turn.checked_rem(self.fitting(to).count())?;
        self.fitting(to).nth(turn)
    }

    fn fitting(&self, to: IpAddr) -> impl Iterator<Item = IpAddr> {
        self.source.iter().copied().filter(move |source| source.is_ipv4() == to.is_ipv4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_others_are_called() {
        let places = Places::new(&[ip("192.0.2.1")]);
        for (address, expected) in [
            ("198.51.100.7", true),
            ("10.0.0.7", true), // a network of one's own may have mail hosts of its own
            ("2001:db8::7", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(places.are_others(ip(address)), expected, "{address}");
        }
        assert!(Places::new(&[ip("127.0.0.1")]).are_others(ip("127.0.0.2")));
    }

    #[test]
    fn our_addresses_take_turns_within_their_family() {
        let places = Places::new(&[ip("192.0.2.1"), ip("192.0.2.2")]);
        let first = places.source(ip("198.51.100.7"));
        let second = places.source(ip("198.51.100.7"));
        assert_ne!(first, second);
        assert_eq!(places.source(ip("198.51.100.7")), first);
        assert!(places.may_call(ip("198.51.100.7")) && !places.may_call(ip("2001:db8::7")));
        let any = Places::new(&[]);
        assert!(any.may_call(ip("2001:db8::7")) && any.source(ip("2001:db8::7")).is_none());
    }
}
