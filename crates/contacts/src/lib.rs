//! Rebound: contacts.
