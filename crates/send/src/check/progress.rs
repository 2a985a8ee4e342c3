//! How far it is to make a letter for everybody.

use std::sync::atomic::{AtomicI64, Ordering};

/// How far it is to make a letter for everybody, for whoever waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    made: AtomicI64,
    people: AtomicI64,
}

impl Progress {
    /// Letters so far.
    #[must_use]
    pub fn made(&self) -> i64 {
        self.made.load(Ordering::Relaxed)
    }

    /// How many there are to be; 0 as long as that is not known.
    #[must_use]
    pub fn people(&self) -> i64 {
        self.people.load(Ordering::Relaxed)
    }

    pub(super) fn tell(&self, made: i64, people: i64) {
        self.made.store(made, Ordering::Relaxed);
        self.people.store(people, Ordering::Relaxed);
    }
}
