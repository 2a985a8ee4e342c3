//! Ways out for our mail. Passwords are kept sealed; nothing here opens them.

use crate::sql::{all, execute, millis, number, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{Limits, Route, Server, ServerId, Tls, TokenSource, WarmUp};
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

/// Those that mail goes through.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn in_use(db: &impl Connection) -> Result<Vec<Kept>, Error> {
    let rows = all::<Row>(db, "SELECT * FROM sending_servers WHERE in_use ORDER BY id", []).await?;
    rows.into_iter().map(Kept::try_from).collect()
}

/// Adds a server, not in use and without a password; its `id` is not looked at.
///
/// # Errors
/// [`Error::Taken`] when the name is; [`Error::Unavailable`].
pub async fn create(db: &impl Connection, server: &Server, by: &str, now: DateTime<Utc>) -> Result<ServerId, Error> {
    let sql = "INSERT INTO sending_servers (name, host, port, tls, authority, login, connections, per_second, hello,
                   is_direct, sources, weight, per_minute, per_hour, per_day, warm_from, warm_first, warm_growth,
                   warm_until, token_url, token_client, token_scope, changed, changed_by, password, in_use)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                   $22, $23, $24, '', FALSE) ON CONFLICT (name) DO NOTHING";
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
                   connections = $7, per_second = $8, hello = $9, is_direct = $10, sources = $11, weight = $12,
                   per_minute = $13, per_hour = $14, per_day = $15, warm_from = $16, warm_first = $17,
                   warm_growth = $18, warm_until = $19, token_url = $20, token_client = $21, token_scope = $22,
                   changed = $23, changed_by = $24, tested = NULL, fault = NULL
               WHERE id = $25";
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

/// Sends mail through `id` too from now on, or no longer.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_in_use(db: &impl Connection, id: ServerId, in_use: bool) -> Result<(), Error> {
    execute(db, "UPDATE sending_servers SET in_use = $1 WHERE id = $2", [in_use.into(), id.0.into()]).await?;
    Ok(())
}

/// Forgets a server and its password; whether there was one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove(db: &impl Connection, id: ServerId) -> Result<bool, Error> {
    for table in ["lanes", "volumes"] {
        execute(db, &format!("DELETE FROM {table} WHERE server_id = $1"), [id.0.into()]).await?;
    }
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

fn values(server: &Server) -> [sea_orm::Value; 22] {
    let token = match &server.route {
        Route::Relay { token, .. } => token.as_ref(),
        Route::Direct { .. } => None,
    };
    let of_token = |part: fn(&TokenSource) -> &str| sea_orm::Value::from(token.map_or("", part));
    let (host, port, tls, authority, login, addresses) = match &server.route {
        Route::Relay { host, port, tls, authority, login, token: _ } => {
            (host.as_str(), *port, tls.as_str(), authority.as_str(), login.as_str(), String::new())
        }
        Route::Direct { sources } => ("", 0, "", "", "", sources.iter().map(|a| format!("{a} ")).collect()),
    };
    let (limits, plan) = (server.limits, server.warm_up.as_ref());
    let most = |limit: Option<u32>| sea_orm::Value::from(i64::from(limit.unwrap_or(0)));
    [
        server.name.as_str().into(),
        host.into(),
        i64::from(port).into(),
        tls.into(),
        authority.into(),
        login.into(),
        i64::from(server.connections).into(),
        most(limits.per_second),
        server.hello.as_str().into(),
        matches!(server.route, Route::Direct { .. }).into(),
        addresses.trim_end().into(),
        i64::from(server.weight).into(),
        most(limits.per_minute),
        most(limits.per_hour),
        most(limits.per_day),
        plan.map(|plan| millis(plan.from)).into(),
        most(plan.map(|plan| plan.first)),
        most(plan.map(|plan| plan.growth.into())),
        most(plan.map(|plan| plan.until)),
        of_token(|token| &token.url),
        of_token(|token| &token.client),
        of_token(|token| &token.scope),
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
    is_direct: bool,
    sources: String,
    weight: i64,
    per_minute: i64,
    per_hour: i64,
    per_day: i64,
    warm_from: Option<i64>,
    warm_first: i64,
    warm_growth: i64,
    warm_until: i64,
    token_url: String,
    token_client: String,
    token_scope: String,
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
        let most = |limit: i64, column| u32::try_from(limit).map_err(|_| wrong(column));
        let limit = |limit, column| Ok::<_, Error>(Some(most(limit, column)?).filter(|most| *most > 0));
        let limits = Limits {
            per_second: limit(row.per_second, "per_second")?,
            per_minute: limit(row.per_minute, "per_minute")?,
            per_hour: limit(row.per_hour, "per_hour")?,
            per_day: limit(row.per_day, "per_day")?,
        };
        let warm_up = match row.warm_from {
            Some(from) => Some(WarmUp {
                from: time(from),
                first: most(row.warm_first, "warm_first")?,
                growth: row.warm_growth.try_into().map_err(|_| wrong("warm_growth"))?,
                until: most(row.warm_until, "warm_until")?,
            }),
            None => None,
        };
        let route = if row.is_direct {
            let sources = row.sources.split_whitespace().map(str::parse).collect::<Result<_, _>>();
            Route::Direct { sources: sources.map_err(|_| wrong("sources"))? }
        } else {
            Route::Relay {
                host: row.host,
                port: row.port.try_into().map_err(|_| wrong("port"))?,
                tls: Tls::named(&row.tls).ok_or(wrong("tls"))?,
                authority: row.authority,
                login: row.login,
                token: TokenSource::parse(&row.token_url, &row.token_client, &row.token_scope)
                    .map_err(|_| wrong("token_url"))?,
            }
        };
        let server = Server {
            id: ServerId(row.id),
            name: row.name,
            route,
            hello: row.hello,
            connections: row.connections.try_into().map_err(|_| wrong("connections"))?,
            weight: row.weight.try_into().map_err(|_| wrong("weight"))?,
            limits,
            warm_up,
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
    use chrono::SubsecRound;

    fn server(name: &str) -> Server {
        let (host, login) = ("smtp.example.org".into(), "news".into());
        Server {
            id: ServerId(0),
            name: name.into(),
            route: Route::Relay { host, port: 587, tls: Tls::StartTls, authority: String::new(), login, token: None },
            hello: "mail.example.org".into(),
            connections: 8,
            weight: 1,
            limits: Limits { per_second: Some(20), ..Limits::default() },
            warm_up: None,
        }
    }

    #[tokio::test]
    async fn several_are_in_use_and_each_has_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let now = Utc::now();
        let first = create(&db, &server("First"), "ines", now).await.unwrap();
        let straight = Server {
            route: Route::Direct { sources: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()] },
            weight: 3,
            limits: Limits { per_minute: Some(60), per_day: Some(5_000), ..Limits::default() },
            warm_up: Some(WarmUp { from: now.trunc_subsecs(3), first: 50, growth: 30, until: 20_000 }),
            ..server("Straight")
        };
        let second = create(&db, &straight, "ines", now).await.unwrap();
        assert!(matches!(create(&db, &server("First"), "ines", now).await, Err(Error::Taken { .. })));
        let renamed = Server { id: second, ..server("First") };
        assert!(matches!(update(&db, &renamed, "ines", now).await, Err(Error::Taken { .. })));
        assert_eq!(in_use(&db).await.unwrap(), []);

        for (id, count) in [(first, 1), (second, 2)] {
            set_in_use(&db, id, true).await.unwrap();
            assert_eq!(in_use(&db).await.unwrap().len(), count);
        }
        assert_eq!(get(&db, second).await.unwrap().unwrap().server, Server { id: second, ..straight });
        set_password(&db, first, "s1.a.sealed").await.unwrap();
        note_test(&db, first, Some("535 5.7.8 no"), now).await.unwrap();
        let kept = get(&db, first).await.unwrap().unwrap();
        assert_eq!((kept.sealed.as_str(), &kept.server), ("s1.a.sealed", &Server { id: first, ..server("First") }));
        assert_eq!(kept.tested.unwrap().1.as_deref(), Some("535 5.7.8 no"));
        set_in_use(&db, first, false).await.unwrap();
        assert!(remove(&db, first).await.unwrap());
        assert_eq!(in_use(&db).await.unwrap().len(), 1);
    }
}
