//! What comes back, and what was made of it.

crate::step!(
    "Raw reports, bounces, complaints, incidents, and the counts by day.",
    "
CREATE TABLE inbox (
    id $ID,
    received BIGINT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    mail_from TEXT NOT NULL,
    recipient TEXT NOT NULL,
    raw $BYTES NOT NULL,
    kind TEXT,
    read BIGINT,
    error TEXT
);
CREATE INDEX inbox_unread ON inbox (id) WHERE read IS NULL;
CREATE TABLE bounces (
    id $ID,
    at BIGINT NOT NULL,
    delivery_id BIGINT,
    attempt SMALLINT NOT NULL,
    campaign_id BIGINT,
    contact_id BIGINT,
    key TEXT NOT NULL,
    domain TEXT NOT NULL,
    inbox_id BIGINT,
    grade SMALLINT NOT NULL,
    is_final BOOLEAN NOT NULL,
    cause TEXT NOT NULL,
    hard BOOLEAN NOT NULL,
    confidence SMALLINT NOT NULL,
    second TEXT,
    status TEXT,
    reply_code SMALLINT,
    diagnostic TEXT NOT NULL,
    words TEXT NOT NULL,
    reporting_mta TEXT,
    evidence TEXT NOT NULL,
    detail TEXT,
    retry_after BIGINT,
    policy_version BIGINT NOT NULL,
    incident_id BIGINT,
    excused BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX bounces_once ON bounces (delivery_id, attempt, cause);
CREATE UNIQUE INDEX bounces_named_once ON bounces (inbox_id, key, cause) WHERE delivery_id IS NULL;
CREATE INDEX bounces_domain ON bounces (domain, at);
CREATE INDEX bounces_key ON bounces (key, at);
CREATE INDEX bounces_at ON bounces (at);
CREATE INDEX bounces_campaign ON bounces (campaign_id, at);
CREATE INDEX bounces_incident ON bounces (incident_id) WHERE incident_id IS NOT NULL;
CREATE TABLE complaints (
    id $ID,
    at BIGINT NOT NULL,
    delivery_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    inbox_id BIGINT,
    UNIQUE (delivery_id, kind)
);
CREATE INDEX complaints_key ON complaints (key, at);
CREATE TABLE incidents (
    id $ID,
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    burst BOOLEAN NOT NULL,
    words TEXT NOT NULL,
    opened BIGINT NOT NULL,
    closed BIGINT,
    bounces BIGINT NOT NULL
);
CREATE UNIQUE INDEX incidents_open ON incidents (subject, cause) WHERE closed IS NULL;
CREATE TABLE daily (
    day BIGINT NOT NULL,
    campaign_id BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    cause TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (day, campaign_id, kind, cause)
)
"
);
