//! Rebound: classify.
