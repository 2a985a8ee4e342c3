//! Rates that several workers keep together.

crate::step!(
    "When the next place of a rate is free, in microseconds since 1970 on the database's clock.",
    "
CREATE TABLE rates (
    name TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
)
"
);
