//! The few bounces that a person corrected are found by what was said.

crate::step!(
    "Adds an index of the corrected bounces alone.",
    "
CREATE INDEX bounces_corrected ON bounces (corrected, at, id) WHERE corrected IS NOT NULL
"
);
