//! The policy for soft bounces, rule by rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "policy/counting.rs"]
mod counting;
#[path = "policy/editing.rs"]
mod editing;
#[path = "policy/retrying.rs"]
mod retrying;
#[path = "policy/table.rs"]
mod table;
