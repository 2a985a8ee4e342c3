//! Domains that mail is sent from, and the keys that sign for them.

crate::step!(
    "Keeps the domains that mail is sent from, and the keys that sign it, with their secrets sealed.",
    "
CREATE TABLE sending_domains (
    id $ID,
    name TEXT NOT NULL UNIQUE,
    alignment TEXT NOT NULL,
    added BIGINT NOT NULL,
    added_by TEXT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE TABLE dkim_keys (
    id $ID,
    domain_id BIGINT NOT NULL REFERENCES sending_domains (id),
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    secret TEXT NOT NULL,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    made BIGINT NOT NULL,
    checked BIGINT,
    record TEXT,
    fault TEXT,
    UNIQUE (domain_id, selector)
);
CREATE UNIQUE INDEX dkim_keys_active ON dkim_keys (domain_id, algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX dkim_keys_waiting ON dkim_keys (domain_id, algorithm) WHERE state = 'waiting'
"
);
