//! The pages, one file per address.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod bounces;
pub(crate) mod campaigns;
pub(crate) mod classify;
pub(crate) mod confirm;
pub(crate) mod contacts;
pub(crate) mod imports;
pub(crate) mod incidents;
pub(crate) mod join;
pub(crate) mod lists;
pub(crate) mod overview;
pub(crate) mod policies;
pub(crate) mod return_path;
pub(crate) mod sending_domains;
pub(crate) mod servers;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod suppressions;
pub(crate) mod users;
pub(crate) mod work;
