//! Several ways out at once, each with its share, its limits and its lanes.

crate::step!(
    "Several servers in use, straight ways beside relays, volumes that workers count together, lanes by server.",
    "
DROP INDEX sending_servers_in_use;
ALTER TABLE sending_servers ADD COLUMN is_direct BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sending_servers ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE sending_servers ADD COLUMN weight BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sending_servers ADD COLUMN per_minute BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sending_servers ADD COLUMN per_hour BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sending_servers ADD COLUMN per_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sending_servers ADD COLUMN warm_from BIGINT;
ALTER TABLE sending_servers ADD COLUMN warm_first BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sending_servers ADD COLUMN warm_growth BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sending_servers ADD COLUMN warm_until BIGINT NOT NULL DEFAULT 0;
CREATE TABLE volumes (
    server_id BIGINT NOT NULL,
    span TEXT NOT NULL,
    part BIGINT NOT NULL,
    given BIGINT NOT NULL,
    PRIMARY KEY (server_id, span, part)
);
CREATE TABLE lanes_by_server (
    server_id BIGINT NOT NULL,
    receiver TEXT NOT NULL,
    until BIGINT NOT NULL,
    rests BIGINT NOT NULL,
    cause SMALLINT NOT NULL,
    words TEXT NOT NULL,
    per_hour BIGINT,
    places BIGINT,
    why TEXT NOT NULL,
    PRIMARY KEY (server_id, receiver)
);
INSERT INTO lanes_by_server
    SELECT COALESCE((SELECT id FROM sending_servers WHERE in_use), 0), receiver, until, rests, cause, words, per_hour,
        places, why FROM lanes;
DROP TABLE lanes;
ALTER TABLE lanes_by_server RENAME TO lanes
"
);
