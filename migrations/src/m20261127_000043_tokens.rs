//! Servers that take tokens in place of passwords.

crate::step!(
    "Who gives the token that a sending server takes, and to which client of ours.",
    "
ALTER TABLE sending_servers ADD COLUMN token_url TEXT NOT NULL DEFAULT '';
ALTER TABLE sending_servers ADD COLUMN token_client TEXT NOT NULL DEFAULT '';
ALTER TABLE sending_servers ADD COLUMN token_scope TEXT NOT NULL DEFAULT ''
"
);
