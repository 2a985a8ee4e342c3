//! Rebound: dashboard.

mod assets;
