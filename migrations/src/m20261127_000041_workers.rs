//! Workers tell the others whether they have a way to send by.

crate::step!(
    "Whether a worker can send: not where it only does other work, nor while no way out is open to it.",
    "ALTER TABLE workers ADD COLUMN can_send BOOLEAN NOT NULL DEFAULT FALSE"
);
