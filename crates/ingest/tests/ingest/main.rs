//! Mail that comes in, told from outside: real sockets, real files, a real database.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops, and says where")]

mod files;
mod pages;
mod reports;
mod smtp;
mod smuggling;
mod world;
