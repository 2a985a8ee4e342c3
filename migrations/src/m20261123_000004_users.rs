//! Who may sign in.

crate::step!(
    "Users, their sessions, the one-time set-up link, and failed sign-ins.",
    "
CREATE TABLE users (
    id $ID,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role SMALLINT NOT NULL,
    password TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE sessions (
    digest TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id),
    csrf TEXT NOT NULL,
    created BIGINT NOT NULL,
    seen BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE TABLE setup_links (
    digest TEXT NOT NULL PRIMARY KEY,
    created BIGINT NOT NULL,
    used BIGINT
);
CREATE TABLE sign_in_failures (
    subject TEXT NOT NULL PRIMARY KEY,
    count BIGINT NOT NULL,
    until BIGINT NOT NULL
)
"
);
