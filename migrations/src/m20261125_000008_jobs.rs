//! Long work, each a row: whose it is, how far it came, what stopped it.

crate::step!(
    "Jobs, and the files that imports read; imports from before become jobs that are over.",
    "
CREATE TABLE jobs (
    id $ID,
    kind SMALLINT NOT NULL,
    subject BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    worker BIGINT,
    until BIGINT NOT NULL DEFAULT 0,
    claims BIGINT NOT NULL DEFAULT 0,
    tries BIGINT NOT NULL DEFAULT 0,
    cursor TEXT NOT NULL DEFAULT '',
    done BIGINT NOT NULL DEFAULT 0,
    total BIGINT NOT NULL DEFAULT 0,
    settings TEXT NOT NULL,
    actor TEXT NOT NULL,
    error TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX jobs_once ON jobs (kind, subject) WHERE state IN (0, 1, 2, 3);
CREATE INDEX jobs_subject ON jobs (subject, kind);
CREATE TABLE uploads (
    import_id BIGINT NOT NULL REFERENCES imports (id),
    number BIGINT NOT NULL,
    bytes $BYTES NOT NULL,
    PRIMARY KEY (import_id, number)
);
INSERT INTO jobs (kind, subject, state, settings, actor, error, created, updated)
SELECT 0, id, CASE state WHEN 1 THEN 4 ELSE 5 END, '{}', 'rebound',
    CASE state WHEN 0 THEN 'It was interrupted: import the file again' ELSE error END, started, COALESCE(finished, started)
FROM imports;
ALTER TABLE imports DROP COLUMN state;
ALTER TABLE imports DROP COLUMN error;
ALTER TABLE imports DROP COLUMN finished
"
);
