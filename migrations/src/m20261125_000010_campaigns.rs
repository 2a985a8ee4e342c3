//! Campaigns that go at a time, and campaigns that go again to those whom an earlier one did not reach.

crate::step!(
    "When a campaign is to go, how many it was launched to, what it is a resend of, and until when its doubts are left.",
    "
ALTER TABLE campaigns ADD COLUMN scheduled BIGINT;
ALTER TABLE campaigns ADD COLUMN expected BIGINT NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN parent BIGINT;
ALTER TABLE campaigns ADD COLUMN cause TEXT;
ALTER TABLE campaigns ADD COLUMN doubts_left BIGINT NOT NULL DEFAULT 0;
CREATE INDEX campaigns_parent ON campaigns (parent) WHERE parent IS NOT NULL;
CREATE UNIQUE INDEX campaigns_one_resend ON campaigns (parent, cause) WHERE parent IS NOT NULL AND state = 0;
CREATE INDEX deliveries_doubtful ON deliveries ((id >> 31), due) WHERE state = 4
"
);
