//! Rebound: ingest.
