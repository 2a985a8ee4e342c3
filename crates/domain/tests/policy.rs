//! The policy for soft bounces, rule by rule.

#[path = "policy/counting.rs"]
mod counting;
#[path = "policy/editing.rs"]
mod editing;
#[path = "policy/retrying.rs"]
mod retrying;
#[path = "policy/table.rs"]
mod table;
