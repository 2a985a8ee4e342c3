//! Administrators' orders about servers: add, change, put in use, remove; their passwords are sealed here.

use crate::mx::DirectSettings;
use crate::sending_domains::{self, DomainError};
use crate::{Egress, Login, Proof, Relay, Tokens, Via};
use chrono::{DateTime, Utc};
use rebound_db::servers::{self, Kept};
use rebound_db::{Connection, Pool, events};
use rebound_domain::{Keys, Route, Server, ServerId, TokenSource, Unsealed, seal, unseal};

/// Why an order was not followed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no such server.
    #[error("there is no such server")]
    Unknown,
    /// Its password does not open.
    #[error("the password cannot be used: {0}. Type it again")]
    Sealed(#[from] Unsealed),
    /// The secret of a key that signs mail does not open.
    #[error("a key that signs mail cannot be used: {0}. Withdraw it under Sending domains, or bring the key file back")]
    SigningKey(Unsealed),
    /// The keys cannot seal.
    #[error("there is no key to seal the password with")]
    NoKey,
    /// Campaigns would have no way to go.
    #[error("it is in use; choose another first, or stop using it")]
    InUse,
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// What to do with the password of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password<'a> {
    /// It stays as it is.
    Stays,
    /// It is this from now on; empty for none.
    Becomes(&'a str),
}

/// Adds a server. The first one is in use at once.
///
/// # Errors
/// [`ServerError`]
pub async fn add(
    db: &Pool,
    keys: &Keys,
    server: &Server,
    password: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<ServerId, ServerError> {
    let tx = db.begin().await?;
    let id = servers::create(&tx, server, actor, now).await?;
    put_password(&tx, keys, id, password).await?;
    note(&tx, "server.added", id, &server.name, actor, now).await?;
    if servers::list(&tx).await?.len() == 1 {
        servers::set_in_use(&tx, id, true).await?;
        note(&tx, "server.used", id, &server.name, actor, now).await?;
    }
    tx.commit().await?;
    Ok(id)
}

/// Changes a server.
///
/// # Errors
/// [`ServerError`]
pub async fn change(
    db: &Pool,
    keys: &Keys,
    server: &Server,
    password: Password<'_>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), ServerError> {
    let tx = db.begin().await?;
    let before = servers::get(&tx, server.id).await?.ok_or(ServerError::Unknown)?;
    servers::update(&tx, server, actor, now).await?;
    // A password that was given to one host must not be shown to another one.
    let elsewhere = account(&before.server.route) != account(&server.route);
    match password {
        Password::Becomes(password) => put_password(&tx, keys, server.id, password).await?,
        Password::Stays if elsewhere => put_password(&tx, keys, server.id, "").await?,
        Password::Stays => {}
    }
    note(&tx, "server.changed", server.id, &server.name, actor, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Sends through `id` too from now on, or no longer; campaigns wait as long as there is none.
///
/// # Errors
/// [`ServerError`]
pub async fn put_in_use(
    db: &Pool,
    id: ServerId,
    in_use: bool,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), ServerError> {
    let tx = db.begin().await?;
    let before = servers::get(&tx, id).await?.ok_or(ServerError::Unknown)?;
    if before.in_use == in_use {
        return Ok(());
    }
    servers::set_in_use(&tx, id, in_use).await?;
    let kind = if in_use { "server.used" } else { "server.rested" };
    note(&tx, kind, id, &before.server.name, actor, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes a server that is not in use, and its password with it.
///
/// # Errors
/// [`ServerError`]
pub async fn remove(db: &Pool, id: ServerId, actor: &str, now: DateTime<Utc>) -> Result<(), ServerError> {
    let tx = db.begin().await?;
    let kept = servers::get(&tx, id).await?.ok_or(ServerError::Unknown)?;
    if kept.in_use {
        return Err(ServerError::InUse);
    }
    servers::remove(&tx, id).await?;
    note(&tx, "server.removed", id, &kept.server.name, actor, now).await?;
    tx.commit().await?;
    Ok(())
}

/// The ways that mail goes, with their passwords; what goes straight to receivers goes as `direct` has it, but for
/// names and addresses of the server's own.
///
/// One whose password does not open is left out, while there are others.
///
/// # Errors
/// [`ServerError`]
pub async fn in_use(db: &impl Connection, keys: &Keys, direct: &DirectSettings) -> Result<Vec<Egress>, ServerError> {
    let (mut ways, mut fault) = (Vec::new(), None);
    for kept in servers::in_use(db).await? {
        match egress(keys, &kept, direct) {
            Ok(egress) => ways.push(egress),
            Err(error) => {
                tracing::error!(server.id = %kept.server.id, %error, "a sending server cannot be used");
                fault.get_or_insert(error);
            }
        }
    }
    fault.filter(|_| ways.is_empty()).map_or(Ok(ways), Err)
}

/// A server as a way out, its password opened.
///
/// # Errors
/// [`ServerError::Sealed`]
pub fn egress(keys: &Keys, kept: &Kept, direct: &DirectSettings) -> Result<Egress, ServerError> {
    let server = kept.server.clone();
    let password = match kept.sealed.as_str() {
        "" => String::new(),
        sealed => unseal(keys, sealed, &place(server.id))?,
    };
    let via = match server.route {
        Route::Relay { host, port, tls, authority, login, token } => Via::Relay(Relay {
            login: sign_in(login, password, token, &authority),
            host,
            port,
            tls,
            authority: some(authority),
            hello: server.hello,
        }),
        Route::Direct { sources } => {
            Via::Direct(DirectSettings { hello: server.hello, source: sources, ..direct.clone() })
        }
    };
    Ok(Egress {
        id: server.id,
        name: server.name,
        via,
        connections: usize::from(server.connections).max(1),
        weight: server.weight.max(1),
        limits: server.limits,
        warm_up: server.warm_up,
    })
}

fn sign_in(user: String, secret: String, token: Option<TokenSource>, authority: &str) -> Option<Login> {
    let proof = match token {
        Some(source) => Proof::Token(Tokens::new(source, secret, some(authority.to_owned()))),
        None => Proof::Password(secret),
    };
    some(user).map(|user| Login { user, proof })
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Where a password, or a client's secret, belongs.
fn account(route: &Route) -> Option<(&str, &str, Option<&str>)> {
    match route {
        Route::Relay { host, login, token, .. } => Some((host, login, token.as_ref().map(|token| &*token.url))),
        Route::Direct { .. } => None,
    }
}

/// Seals every secret with the first of `keys`, those of keys that sign as well; how many there were.
///
/// # Errors
/// [`ServerError`]; then all are as they were.
pub async fn reseal(db: &Pool, keys: &Keys, actor: &str, now: DateTime<Utc>) -> Result<u64, ServerError> {
    let tx = db.begin().await?;
    let mut count = 0;
    for kept in servers::list(&tx).await?.into_iter().filter(|kept| !kept.sealed.is_empty()) {
        let id = kept.server.id;
        let password = unseal(keys, &kept.sealed, &place(id))?;
        put_password(&tx, keys, id, &password).await?;
        count += 1;
    }
    count += sending_domains::reseal(&tx, keys).await.map_err(|error| match error {
        DomainError::Database(error) => error.into(),
        DomainError::Sealed(why) => ServerError::SigningKey(why),
        _ => ServerError::NoKey,
    })?;
    let detail = format!("{count} secrets");
    let event =
        events::Event { at: now, kind: "key.rotated", actor, subject: "key", subject_id: None, key: None, detail };
    events::add(&tx, &event).await?;
    tx.commit().await?;
    Ok(count)
}

async fn put_password(db: &impl Connection, keys: &Keys, id: ServerId, password: &str) -> Result<(), ServerError> {
    let sealed = match password {
        "" => String::new(),
        password => seal(keys, password, &place(id), rand::random()).ok_or(ServerError::NoKey)?,
    };
    Ok(servers::set_password(db, id, &sealed).await?)
}

/// A sealed password opens in its own row only.
fn place(id: ServerId) -> String {
    format!("sending_servers/{id}/password")
}

async fn note(
    db: &impl Connection,
    kind: &str,
    id: ServerId,
    name: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), rebound_db::Error> {
    let (subject_id, detail) = (Some(id.0), name.to_owned());
    events::add(db, &events::Event { at: now, kind, actor, subject: "server", subject_id, key: None, detail }).await
}
