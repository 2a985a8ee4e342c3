//! The pages, one file per address.

pub(crate) mod account;
pub(crate) mod bounces;
pub(crate) mod campaigns;
pub(crate) mod contacts;
pub(crate) mod imports;
pub(crate) mod incidents;
pub(crate) mod lists;
pub(crate) mod overview;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod suppressions;
