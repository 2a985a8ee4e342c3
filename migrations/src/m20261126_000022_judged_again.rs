//! Which rule judged a bounce again, beside what people said of it.

crate::step!(
    "Notes of a correction which rule made it, where no person did.",
    "
ALTER TABLE corrections ADD COLUMN rule TEXT
"
);
