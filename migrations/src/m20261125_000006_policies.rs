//! Versions of the policy, and verdicts that a person corrected.

crate::step!(
    "Saved policies; corrections beside the bounces they are about, and what rules now of each bounce.",
    "
CREATE TABLE policies (
    version BIGINT NOT NULL PRIMARY KEY,
    saved BIGINT NOT NULL,
    actor TEXT NOT NULL,
    based_on BIGINT NOT NULL,
    why TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE corrections (
    id $ID,
    bounce_id BIGINT NOT NULL,
    origin BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    judged TEXT,
    why TEXT NOT NULL
);
CREATE INDEX corrections_bounce ON corrections (bounce_id, id);
CREATE INDEX corrections_origin ON corrections (origin, at);
ALTER TABLE bounces ADD COLUMN corrected TEXT
"
);
