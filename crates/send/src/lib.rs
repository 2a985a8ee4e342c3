//! Rebound: send.
