//! Rebound: db.
