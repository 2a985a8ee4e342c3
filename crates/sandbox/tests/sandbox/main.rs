//! The sandbox as its users see it: over sockets, and through its truth file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, which may stop where they stand")]

mod client;
mod hosts;
mod models;
mod protocol;
mod reports;
mod tls;
mod truth;
