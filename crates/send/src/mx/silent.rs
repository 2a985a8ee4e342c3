//! Addresses that did not answer are left alone for a while.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long.
const REST: TimeDelta = TimeDelta::minutes(5);

/// Addresses that are remembered at most, give or take those that still rest.
const MOST: usize = 10_000;

/// The addresses that rest, and until when.
#[derive(Default)]
pub(super) struct Silent(Mutex<HashMap<IpAddr, DateTime<Utc>>>);

impl Silent {
    /// Whether `address` may be called at `now`. When its rest is over, one caller finds out how it is; the others wait
    /// for what that one hears.
    ///
    /// # Errors
    /// Until when it rests.
    pub(super) fn pass(&self, address: IpAddr, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        match self.addresses().get_mut(&address) {
            Some(until) if now < *until => Err(*until),
            Some(until) => {
                *until = now + REST;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// It did not answer.
    pub(super) fn note(&self, address: IpAddr, now: DateTime<Utc>) {
        let mut addresses = self.addresses();
        if addresses.len() >= MOST {
            addresses.retain(|_, until| now < *until);
        }
        addresses.insert(address, now + REST);
    }

    /// It answered.
    pub(super) fn forget(&self, address: IpAddr) {
        self.addresses().remove(&address);
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_wakes_a_silent_address() {
        let (silent, now) = (Silent::default(), DateTime::UNIX_EPOCH);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(silent.pass(address, now), Ok(()));
        silent.note(address, now);
        assert_eq!(silent.pass(address, now + TimeDelta::minutes(4)), Err(now + REST));
        let later = now + TimeDelta::minutes(6);
        assert_eq!(silent.pass(address, later), Ok(()));
        assert_eq!(silent.pass(address, later), Err(later + REST), "one probe is enough");
        silent.forget(address);
        assert_eq!(silent.pass(address, later), Ok(()));
    }

    #[test]
    fn those_whose_rest_is_over_make_room() {
        let (silent, now) = (Silent::default(), DateTime::UNIX_EPOCH);
        for number in 0..u32::try_from(MOST).unwrap() {
            silent.note(IpAddr::V4(number.into()), now);
        }
        silent.note("192.0.2.1".parse().unwrap(), now + TimeDelta::minutes(6));
        assert_eq!(silent.addresses().len(), 1);
    }
}
