//! One worker alone asks a receiver whether its rest is over.

crate::step!(
    "Until when the probe of a rested lane is waited for, that one of the workers has sent.",
    "ALTER TABLE lanes ADD COLUMN probing BIGINT"
);
