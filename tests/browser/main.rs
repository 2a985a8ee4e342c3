//! The pages in a real browser: Chromium, steered by its WebDriver.
//!
//! ```text
//! journey     a marketer and an owner do their whole work
//! refused     what nobody may do, tried as somebody who tries it
//! every_page  each address of `rebound_dashboard::routes()`: axe-core, 390 px, the keyboard, no complaint of the browser
//! styles      letters whose style sheets were said at their elements, beside the same as they were written
//! payloads    text that would like to be code, in every field that others fill in, on every page
//! ```
//!
//! Elements are found as people find them: by their role, their label or the words on them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops, and says where"
)]

#[allow(dead_code, unused_imports, unused_macros, reason = "the stories use more of it")]
#[path = "../stories/engine.rs"]
mod engine;
#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../stories/pages.rs"]
mod pages;
#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../../crates/db/tests/db/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../stories/program.rs"]
mod program;
#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../stories/world.rs"]
mod world;

#[allow(dead_code, reason = "the stories use more of it")]
#[path = "../stories/smtp.rs"]
mod smtp;

mod accessibility;
mod chromium;
mod furnished;

mod every_page;
mod journey;
mod payloads;
mod refused;
mod styles;
