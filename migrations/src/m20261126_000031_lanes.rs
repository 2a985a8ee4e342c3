//! Lanes that are slowed, beside those that rest, and why.

crate::step!(
    "Keeps the rate or the places of a slowed lane, and why it is held.",
    "
ALTER TABLE lanes ADD COLUMN per_hour BIGINT;
ALTER TABLE lanes ADD COLUMN places BIGINT;
ALTER TABLE lanes ADD COLUMN why TEXT NOT NULL DEFAULT ''
"
);
