//! Who followed which link.

crate::step!(
    "The links of launched campaigns, who followed them, and who does not want that to be noted.",
    "
ALTER TABLE campaigns ADD COLUMN counts_clicks BOOLEAN NOT NULL DEFAULT FALSE;
CREATE TABLE links (
    campaign_id BIGINT NOT NULL,
    number SMALLINT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (campaign_id, number)
);
CREATE TABLE clicks (
    delivery_id BIGINT NOT NULL,
    link SMALLINT NOT NULL,
    at BIGINT NOT NULL,
    machine BOOLEAN NOT NULL,
    PRIMARY KEY (delivery_id, link)
);
CREATE TABLE uncounted (
    contact_id BIGINT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
)
"
);
