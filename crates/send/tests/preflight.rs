//! The preflight against a pretended world: one fault at a time is found by its name, and nothing is found where
//! nothing is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "send/certificate.rs"]
mod certificate;
#[path = "preflight/faults.rs"]
mod faults;
#[path = "preflight/installation.rs"]
mod installation;
#[path = "preflight/names.rs"]
mod names;
#[path = "preflight/web.rs"]
mod web;
#[path = "preflight/well.rs"]
mod well;
