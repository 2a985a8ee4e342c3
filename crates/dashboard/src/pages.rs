//! The pages, one file per address.

pub(crate) mod account;
pub(crate) mod campaigns;
pub(crate) mod incidents;
pub(crate) mod overview;
pub(crate) mod setup;
pub(crate) mod sign_in;
