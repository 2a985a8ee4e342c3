//! Which rules judged a bounce, and the rules that people add to those built in.

crate::step!(
    "Notes with each verdict the version of the rules that gave it, and keeps the installation's own rules.",
    "
ALTER TABLE bounces ADD COLUMN rules TEXT NOT NULL DEFAULT '';
CREATE TABLE rule_files (
    version $ID,
    text TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL
)
"
);
