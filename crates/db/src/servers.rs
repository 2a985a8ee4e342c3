//! Servers that take our mail. At most one is in use. Passwords are kept sealed; nothing here opens them.

use crate::sql::{all, execute, millis, number, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{Server, ServerId, Tls};
use sea_orm::FromQueryResult;

/// A server as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The server.
    pub server: Server,
    /// Whether mail goes through it.
    pub in_use: bool,
    /// The sealed password; empty where there is none.
    pub sealed: String,
    /// When it was changed last.
    pub changed: DateTime<Utc>,
    /// Who changed it.
    pub changed_by: String,
    /// When it was tested last, and what was wrong.
    pub tested: Option<(DateTime<Utc>, Option<String>)>,
}

/// All of them, by name.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn list(db: &impl Connection) -> Result<Vec<Kept>, Error> {
    let rows = all::<Row>(db, "SELECT * FROM sending_servers ORDER BY name, id", []).await?;
    rows.into_iter().map(Kept::try_from).collect()
}

/// The one with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: ServerId) -> Result<Option<Kept>, Error> {
    let row = one::<Row>(db, "SELECT * FROM sending_servers WHERE id = $1", [id.0.into()]).await?;
    row.map(Kept::try_from).transpose()
}

/// The one that mail goes through.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn in_use(db: &impl Connection) -> Result<Option<Kept>, Error> {
    let row = one::<Row>(db, "SELECT * FROM sending_servers WHERE in_use", []).await?;
    row.map(Kept::try_from).transpose()
}

/// Adds a server, not in use and without a password; its `id` is not looked at.
///
/// # Errors
/// [`Error::Taken`] when the name is; [`Error::Unavailable`].
pub async fn create(db: &impl Connection, server: &Server, by: &str, now: DateTime<Utc>) -> Result<ServerId, Error> {
    let sql = "INSERT INTO sending_servers (name, host, port, tls, authority, login, password, connections, per_second,
                   hello, in_use, changed, changed_by)
               VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, FALSE, $10, $11) ON CONFLICT (name) DO NOTHING";
    if execute(db, sql, values(server).into_iter().chain([millis(now).into(), by.into()])).await? == 0 {
        return Err(Error::Taken { what: "server" });
    }
    let sql = "SELECT id FROM sending_servers WHERE name = $1";
    Ok(ServerId(number(db, sql, [server.name.as_str().into()]).await?))
}

/// Changes a server. What was learnt of it by testing is forgotten.
///
/// # Errors
/// [`Error::Taken`] when another has the name; [`Error::Unavailable`].
pub async fn update(db: &impl Connection, server: &Server, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let sql = "SELECT count(*) FROM sending_servers WHERE name = $1 AND id <> $2";
    if number(db, sql, [server.name.as_str().into(), server.id.0.into()]).await? > 0 {
        return Err(Error::Taken { what: "server" });
    }
    let sql = "UPDATE sending_servers SET name = $1, host = $2, port = $3, tls = $4, authority = $5, login = $6,
                   connections = $7, per_second = $8, hello = $9, changed = $10, changed_by = $11, tested = NULL,
                   fault = NULL WHERE id = $12";
    let rest = [millis(now).into(), by.into(), server.id.0.into()];
    execute(db, sql, values(server).into_iter().chain(rest)).await?;
    Ok(())
}

/// Keeps a sealed password; empty for none.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_password(db: &impl Connection, id: ServerId, sealed: &str) -> Result<(), Error> {
    execute(db, "UPDATE sending_servers SET password = $1 WHERE id = $2", [sealed.into(), id.0.into()]).await?;
    Ok(())
}

/// Sends mail through `id` from now on, or through none.
///
/// Call it in a transaction: two are never in use at once, and between both statements none is.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn use_only(db: &impl Connection, id: Option<ServerId>) -> Result<(), Error> {
    execute(db, "UPDATE sending_servers SET in_use = FALSE WHERE in_use", []).await?;
    if let Some(id) = id {
        execute(db, "UPDATE sending_servers SET in_use = TRUE WHERE id = $1", [id.0.into()]).await?;
    }
    Ok(())
}

/// Forgets a server and its password; whether there was one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove(db: &impl Connection, id: ServerId) -> Result<bool, Error> {
    Ok(execute(db, "DELETE FROM sending_servers WHERE id = $1", [id.0.into()]).await? == 1)
}

/// Keeps what a test said: what is wrong, or nothing.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn note_test(
    db: &impl Connection,
    id: ServerId,
    fault: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let sql = "UPDATE sending_servers SET tested = $1, fault = $2 WHERE id = $3";
    execute(db, sql, [millis(now).into(), fault.into(), id.0.into()]).await?;
    Ok(())
}

fn values(server: &Server) -> [sea_orm::Value; 9] {
    [
        server.name.as_str().into(),
        server.host.as_str().into(),
        i64::from(server.port).into(),
        server.tls.as_str().into(),
        server.authority.as_str().into(),
        server.login.as_str().into(),
        i64::from(server.connections).into(),
        i64::from(server.per_second).into(),
        server.hello.as_str().into(),
    ]
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    name: String,
    host: String,
    port: i64,
    tls: String,
    authority: String,
    login: String,
    password: String,
    connections: i64,
    per_second: i64,
    hello: String,
    in_use: bool,
    changed: i64,
    changed_by: String,
    tested: Option<i64>,
    fault: Option<String>,
}

impl TryFrom<Row> for Kept {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |column| Error::unreadable("sending_servers", column);
        let server = Server {
            id: ServerId(row.id),
            name: row.name,
            host: row.host,
            port: row.port.try_into().map_err(|_| wrong("port"))?,
            tls: Tls::named(&row.tls).ok_or(wrong("tls"))?,
            authority: row.authority,
            login: row.login,
            connections: row.connections.try_into().map_err(|_| wrong("connections"))?,
            per_second: row.per_second.try_into().map_err(|_| wrong("per_second"))?,
            hello: row.hello,
        };
        Ok(Self {
            server,
            in_use: row.in_use,
            sealed: row.password,
            changed: time(row.changed),
            changed_by: row.changed_by,
            tested: row.tested.map(|at| (time(at), row.fault)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> Server {
        Server {
            id: ServerId(0),
            name: name.into(),
            host: "smtp.example.org".into(),
            port: 587,
            tls: Tls::StartTls,
            authority: String::new(),
            login: "news".into(),
            connections: 8,
            per_second: 20,
            hello: "mail.example.org".into(),
        }
    }

    #[tokio::test]
    async fn one_server_is_in_use_and_each_has_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let now = Utc::now();
        let first = create(&db, &server("First"), "ines", now).await.unwrap();
        let second = create(&db, &server("Second"), "ines", now).await.unwrap();
        assert!(matches!(create(&db, &server("First"), "ines", now).await, Err(Error::Taken { .. })));
        let renamed = Server { id: second, ..server("First") };
        assert!(matches!(update(&db, &renamed, "ines", now).await, Err(Error::Taken { .. })));
        assert_eq!(in_use(&db).await.unwrap(), None);

        for id in [first, second] {
            let tx = db.begin().await.unwrap();
            use_only(&tx, Some(id)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(in_use(&db).await.unwrap().unwrap().server.id, id);
        }
        set_password(&db, second, "s1.a.sealed").await.unwrap();
        note_test(&db, second, Some("535 5.7.8 no"), now).await.unwrap();
        let kept = get(&db, second).await.unwrap().unwrap();
        assert_eq!((kept.sealed.as_str(), &kept.server), ("s1.a.sealed", &Server { id: second, ..server("Second") }));
        assert_eq!(kept.tested.unwrap().1.as_deref(), Some("535 5.7.8 no"));
        assert!(remove(&db, second).await.unwrap() && in_use(&db).await.unwrap().is_none());
        assert_eq!(list(&db).await.unwrap().len(), 1);
    }
}
