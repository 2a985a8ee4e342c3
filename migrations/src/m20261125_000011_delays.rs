//! A report of a delay, and one that the same try failed for the same cause, are two facts.

crate::step!(
    "Tells bounces of tries that a host still holds from those that are over.",
    "
ALTER TABLE bounces ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;
DROP INDEX bounces_once;
CREATE UNIQUE INDEX bounces_once ON bounces (delivery_id, attempt, cause, held);
"
);
