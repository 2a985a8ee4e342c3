//! Mail that comes in, told from outside: real sockets, real files, a real database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops, and says where"
)]

mod clicks;
mod events;
mod files;
mod pages;
mod poison;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
#[path = "../../../db/tests/db/postgres.rs"]
mod postgres;
mod public;
mod reports;
mod smtp;
mod smuggling;
mod world;
