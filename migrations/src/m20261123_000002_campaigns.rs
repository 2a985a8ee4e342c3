//! Campaigns, deliveries and attempts.

crate::step!(
    "Campaigns, deliveries (narrow: changed only in bulk), attempts, workers, lanes.",
    "
CREATE TABLE campaigns (
    id $ID,
    name TEXT NOT NULL UNIQUE,
    list_id BIGINT NOT NULL REFERENCES lists (id),
    from_name TEXT NOT NULL,
    from_address TEXT NOT NULL,
    reply_to TEXT,
    subject TEXT NOT NULL,
    html TEXT NOT NULL,
    body TEXT NOT NULL,
    postal_address TEXT NOT NULL,
    defaults TEXT NOT NULL,
    doubt SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    reason TEXT,
    created BIGINT NOT NULL,
    launched BIGINT,
    finished BIGINT,
    planned BIGINT NOT NULL DEFAULT 0,
    audience_cursor BIGINT NOT NULL DEFAULT 0,
    trusted BIGINT NOT NULL DEFAULT 0,
    waits_for_relay BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE TABLE deliveries (
    id BIGINT NOT NULL PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    due BIGINT NOT NULL,
    since BIGINT,
    attempts SMALLINT NOT NULL,
    worker BIGINT
);
CREATE UNIQUE INDEX deliveries_once ON deliveries ((id >> 31), contact_id);
CREATE INDEX deliveries_contact ON deliveries (contact_id);
CREATE INDEX deliveries_due ON deliveries ((id >> 31), due) WHERE state IN (0, 1);
CREATE INDEX deliveries_worker ON deliveries (worker) WHERE state IN (2, 3);
CREATE TABLE attempts (
    delivery_id BIGINT NOT NULL,
    number SMALLINT NOT NULL,
    worker BIGINT NOT NULL,
    handed BIGINT,
    outcome SMALLINT,
    settled BIGINT,
    reply TEXT,
    PRIMARY KEY (delivery_id, number)
);
CREATE TABLE workers (
    id $ID,
    name TEXT NOT NULL,
    started BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE TABLE lanes (
    receiver TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL,
    rests BIGINT NOT NULL,
    cause SMALLINT NOT NULL,
    words TEXT NOT NULL
)
"
);
