//! What became of each person of an import, so that its figures lead to them.

crate::step!(
    "Remembers whom an import added, changed, knew or left suppressed.",
    "
CREATE TABLE import_people (
    import_id BIGINT NOT NULL REFERENCES imports (id),
    fate SMALLINT NOT NULL,
    contact_id BIGINT NOT NULL REFERENCES contacts (id),
    PRIMARY KEY (import_id, fate, contact_id)
)
"
);
