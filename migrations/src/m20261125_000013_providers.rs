//! Bounces are counted by provider from an index alone, whatever else is asked of them.

crate::step!(
    "Adds to the index of bounces by domain what filters ask for.",
    "
DROP INDEX bounces_domain;
CREATE INDEX bounces_domain ON bounces (domain, at, cause, campaign_id, is_final, hard)
"
);
