//! Stories: the program, a database and a pretend internet, seen from outside.
//!
//! Each story runs on SQLite and on PostgreSQL, with real servers on free ports, and waits for what it expects,
//! never for seconds to pass.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops, and says where")]

mod certificate;
mod daemon;
mod dovecot;
mod engine;
mod greylist;
mod pages;
mod postfix;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
#[path = "../../crates/db/tests/db/postgres.rs"]
mod postgres;
mod program;
mod smtp;
mod world;

mod burst;
mod campaign;
mod clicks;
mod clock;
mod complaint;
mod crash;
mod dead_relay;
mod disk_full;
mod failures;
mod forged;
mod hard_bounce;
mod import;
mod kills;
mod long_work;
mod mended;
mod nodes;
mod pace_sample;
mod places;
mod powerless;
mod real_servers;
mod receivers;
mod resend;
mod seen;
mod sign_in;
mod soft_bounce;
mod storm;
mod straight;
mod two_relays;
mod unsubscribe;
