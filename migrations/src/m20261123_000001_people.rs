//! Contacts, lists, who is on which, and who is not written to.

crate::step!(
    "Contacts, lists, subscriptions, suppressions, imports.",
    "
CREATE TABLE contacts (
    id $ID,
    key TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    fields TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE lists (
    id $ID,
    name TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL
);
CREATE TABLE subscriptions (
    list_id BIGINT NOT NULL REFERENCES lists (id),
    contact_id BIGINT NOT NULL REFERENCES contacts (id),
    state SMALLINT NOT NULL,
    source TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (list_id, contact_id)
);
CREATE INDEX subscriptions_contact ON subscriptions (contact_id);
CREATE TABLE suppressions (
    key TEXT NOT NULL,
    scope BIGINT NOT NULL,
    reason SMALLINT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    evidence TEXT NOT NULL,
    PRIMARY KEY (key, scope, reason)
);
CREATE INDEX suppressions_since ON suppressions (since);
CREATE TABLE standings (
    key TEXT NOT NULL PRIMARY KEY,
    standing TEXT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE TABLE imports (
    id $ID,
    list_id BIGINT NOT NULL REFERENCES lists (id),
    file TEXT NOT NULL,
    digest TEXT NOT NULL,
    state SMALLINT NOT NULL,
    lines BIGINT NOT NULL DEFAULT 0,
    added BIGINT NOT NULL DEFAULT 0,
    updated BIGINT NOT NULL DEFAULT 0,
    unchanged BIGINT NOT NULL DEFAULT 0,
    duplicates BIGINT NOT NULL DEFAULT 0,
    suppressed BIGINT NOT NULL DEFAULT 0,
    bad BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    started BIGINT NOT NULL,
    finished BIGINT
);
CREATE TABLE import_errors (
    import_id BIGINT NOT NULL REFERENCES imports (id),
    line BIGINT NOT NULL,
    reason TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (import_id, line)
);
CREATE TABLE events (
    id $ID,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_id BIGINT,
    key TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX events_key ON events (key, at);
CREATE INDEX events_subject ON events (subject, subject_id, at)
"
);
