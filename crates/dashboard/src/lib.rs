//! Rebound: dashboard.
