//! One row type per table, private to the crate: rows never leave it.

#![allow(unreachable_pub, missing_docs, dead_code)] // the derives write `pub` items; the module itself is private

pub(crate) mod attempts;
pub(crate) mod bounces;
pub(crate) mod campaigns;
pub(crate) mod complaints;
pub(crate) mod contacts;
pub(crate) mod daily;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod import_errors;
pub(crate) mod imports;
pub(crate) mod inbox;
pub(crate) mod incidents;
pub(crate) mod lanes;
pub(crate) mod lists;
pub(crate) mod sessions;
pub(crate) mod setup_links;
pub(crate) mod sign_in_failures;
pub(crate) mod standings;
pub(crate) mod subscriptions;
pub(crate) mod suppressions;
pub(crate) mod users;
pub(crate) mod workers;
