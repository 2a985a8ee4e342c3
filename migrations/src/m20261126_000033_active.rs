//! Campaigns that send.

crate::step!(
    "Which campaigns send, without reading what they say.",
    "
CREATE INDEX campaigns_active ON campaigns (id) WHERE state IN (2, 3)
"
);
