//! The pages over a real database: who may see what, which forms are taken, and what is escaped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops, and says where"
)]

#[path = "dashboard/access.rs"]
mod access;
#[path = "dashboard/campaigns.rs"]
mod campaigns;
#[path = "dashboard/contacts.rs"]
mod contacts;
#[path = "dashboard/forms.rs"]
mod forms;
#[path = "dashboard/incidents.rs"]
mod incidents;
#[path = "dashboard/pages.rs"]
mod pages;
#[path = "dashboard/people.rs"]
mod people;
#[path = "dashboard/policies.rs"]
mod policies;
#[path = "dashboard/preflight.rs"]
mod preflight;
#[path = "dashboard/readings.rs"]
mod readings;
#[path = "dashboard/rules.rs"]
mod rules;
#[path = "dashboard/seed.rs"]
mod seed;
#[path = "dashboard/sending_domains.rs"]
mod sending_domains;
#[path = "dashboard/servers.rs"]
mod servers;
#[path = "dashboard/world.rs"]
mod world;
