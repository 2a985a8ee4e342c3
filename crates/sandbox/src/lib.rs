//! Rebound: sandbox.
