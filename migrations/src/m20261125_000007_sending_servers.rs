//! Who may sign in, from where, and through which server mail goes.

crate::step!(
    "Servers for sending; links for people; where sessions are; the audit log by kind and by person.",
    "
ALTER TABLE users ADD COLUMN deactivated BIGINT;
CREATE TABLE user_links (
    digest TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id),
    expires BIGINT NOT NULL
);
CREATE INDEX user_links_user ON user_links (user_id);
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;
CREATE TABLE sending_servers (
    id $ID,
    name TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    tls TEXT NOT NULL,
    authority TEXT NOT NULL,
    login TEXT NOT NULL,
    password TEXT NOT NULL,
    connections BIGINT NOT NULL,
    per_second BIGINT NOT NULL,
    hello TEXT NOT NULL,
    in_use BOOLEAN NOT NULL,
    changed BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    tested BIGINT,
    fault TEXT
);
CREATE UNIQUE INDEX sending_servers_in_use ON sending_servers (in_use) WHERE in_use;
CREATE INDEX events_kind ON events (kind, id);
CREATE INDEX events_actor ON events (actor, id)
"
);
