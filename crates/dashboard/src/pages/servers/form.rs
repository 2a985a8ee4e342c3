//! The form of a way out, as it was written.

use chrono::{DateTime, Utc};
use rebound_domain::{Limits, Route, Server, ServerId, Tls, TokenSource, WarmUp};
use serde::Deserialize;
use std::net::IpAddr;

/// The form, as it was written.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    /// `direct`, or else a relay.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) tls: String,
    pub(crate) authority: String,
    pub(crate) login: String,
    pub(crate) password: String,
    /// Where tokens come from that stand for a password; then that is the secret of a client there.
    pub(crate) token_url: String,
    pub(crate) token_client: String,
    pub(crate) token_scope: String,
    /// Ticked to forget the password.
    pub(crate) forget: Option<String>,
    /// Addresses of ours.
    pub(crate) sources: String,
    pub(crate) hello: String,
    pub(crate) connections: String,
    pub(crate) weight: String,
    pub(crate) per_second: String,
    pub(crate) per_minute: String,
    pub(crate) per_hour: String,
    pub(crate) per_day: String,
    /// Ticked where it is new to its receivers.
    pub(crate) warm: Option<String>,
    pub(crate) warm_first: String,
    pub(crate) warm_growth: String,
    pub(crate) warm_until: String,
}

/// The largest of all limits.
const MOST: u32 = 100_000_000;

impl Written {
    pub(crate) fn blank(kind: &str, public_url: &str) -> Self {
        let host = public_url.split_once("://").map_or("", |(_, rest)| rest).split(['/', ':']).next();
        let hello = host.filter(|host| is_domain(host) && host.contains(char::is_alphabetic));
        Self {
            kind: if kind == "direct" { kind } else { "relay" }.to_owned(),
            port: "587".to_owned(),
            tls: Tls::StartTls.as_str().to_owned(),
            connections: if kind == "direct" { "64" } else { "16" }.to_owned(),
            weight: "1".to_owned(),
            hello: hello.unwrap_or("localhost.localdomain").to_owned(),
            warm: (kind == "direct").then(|| "1".to_owned()),
            ..Self::warming("50", "30", "20000")
        }
    }

    fn warming(first: &str, growth: &str, until: &str) -> Self {
        let (warm_first, warm_growth, warm_until) = (first.to_owned(), growth.to_owned(), until.to_owned());
        Self { warm_first, warm_growth, warm_until, ..Self::default() }
    }

    pub(crate) fn of(server: &Server) -> Self {
        let server = server.clone();
        let limit = |limit: Option<u32>| limit.map_or_else(String::new, |limit| limit.to_string());
        let plan = match server.warm_up {
            Some(plan) => Self::warming(&plan.first.to_string(), &plan.growth.to_string(), &plan.until.to_string()),
            None => Self::warming("50", "30", "20000"),
        };
        let general = Self {
            kind: "direct".to_owned(),
            name: server.name,
            hello: server.hello,
            connections: server.connections.to_string(),
            weight: server.weight.to_string(),
            per_second: limit(server.limits.per_second),
            per_minute: limit(server.limits.per_minute),
            per_hour: limit(server.limits.per_hour),
            per_day: limit(server.limits.per_day),
            warm: server.warm_up.map(|_| "1".to_owned()),
            ..plan
        };
        match server.route {
            Route::Relay { host, port, tls, authority, login, token } => {
                let token = token.map(|token| [token.url, token.client, token.scope]);
                let [token_url, token_client, token_scope] = token.unwrap_or_default();
                Self {
                    kind: "relay".to_owned(),
                    host,
                    port: port.to_string(),
                    tls: tls.as_str().to_owned(),
                    authority,
                    login,
                    token_url,
                    token_client,
                    token_scope,
                    ..general
                }
            }
            Route::Direct { sources } => {
                let sources: Vec<String> = sources.iter().map(IpAddr::to_string).collect();
                Self { sources: sources.join(", "), ..general }
            }
        }
    }

    /// Whether mail goes straight to receivers.
    pub(crate) fn is_direct(&self) -> bool {
        self.kind == "direct"
    }

    /// The server, or what is wrong with it. A warm-up goes on that `before` has begun.
    pub(crate) fn server(&self, id: ServerId, before: Option<&Server>, now: DateTime<Utc>) -> Result<Server, String> {
        let route = if self.is_direct() { self.direct()? } else { self.relay()? };
        let hello = self.hello.trim().to_ascii_lowercase();
        if !is_domain(&hello) {
            return Err("our own name must be a host name such as mail.example.org".to_owned());
        }
        let name = match (self.name.trim(), &route) {
            ("", Route::Relay { host, .. }) => host.clone(),
            ("", Route::Direct { .. }) => "Straight to receivers".to_owned(),
            (name, _) => name.chars().take(100).collect(),
        };
        Ok(Server {
            id,
            name,
            route,
            hello,
            connections: number(&self.connections, "number of connections", 1..=256)?.try_into().unwrap_or(16),
            weight: number(&self.weight, "share", 1..=100)?.try_into().unwrap_or(1),
            limits: Limits {
                per_second: limit(&self.per_second, "messages a second")?,
                per_minute: limit(&self.per_minute, "messages a minute")?,
                per_hour: limit(&self.per_hour, "messages an hour")?,
                per_day: limit(&self.per_day, "messages a day")?,
            },
            warm_up: self.warm_up(before, now)?,
        })
    }

    fn relay(&self) -> Result<Route, String> {
        let host = self.host.trim().to_ascii_lowercase();
        if !(is_domain(&host) || host.parse::<IpAddr>().is_ok() || host == "localhost") {
            return Err("the host must be a name such as smtp.example.org, or an address".to_owned());
        }
        let authority = self.authority.trim();
        if !authority.is_empty() && !authority.contains("-----BEGIN CERTIFICATE-----") {
            return Err("the authority must be a certificate in PEM form".to_owned());
        }
        let tls = Tls::named(&self.tls).ok_or("the security must be one of those offered")?;
        let login = self.login.trim().to_owned();
        if tls == Tls::None && !login.is_empty() && !is_here(&host) {
            return Err(
                "a password must not travel open; choose STARTTLS or TLS, or leave the user name empty".to_owned()
            );
        }
        let token = TokenSource::parse(&self.token_url, &self.token_client, &self.token_scope)?;
        if token.is_some() && login.is_empty() {
            return Err("a token signs somebody in: write the user name".to_owned());
        }
        let port = number(&self.port, "port", 1..=65_535)?.try_into().unwrap_or(587);
        Ok(Route::Relay { host, port, tls, authority: authority.to_owned(), login, token })
    }

    fn direct(&self) -> Result<Route, String> {
        let address =
            |text: &str| text.parse::<IpAddr>().map_err(|_| format!("“{text}” is not an address of a machine"));
        let parts = self.sources.split([',', ' ', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty());
        Ok(Route::Direct { sources: parts.map(address).collect::<Result<_, _>>()? })
    }

    fn warm_up(&self, before: Option<&Server>, now: DateTime<Utc>) -> Result<Option<WarmUp>, String> {
        if self.warm.is_none() {
            return Ok(None);
        }
        let first = number(&self.warm_first, "messages of the first day", 1..=MOST)?;
        let growth = number(&self.warm_growth, "growth", 1..=1_000)?;
        let until = number(&self.warm_until, "messages of the last day", 1..=MOST)?;
        if until < first {
            return Err("the last day of the warm-up must have as many messages as the first, or more".to_owned());
        }
        let from = before.and_then(|server| server.warm_up).map_or(now, |plan| plan.from);
        Ok(Some(WarmUp { from, first, growth: u16::try_from(growth).unwrap_or(30), until }))
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_domain(text: &str) -> bool {
    let good = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() < 250 && text.contains('.') && text.split('.').all(good)
}

fn number(text: &str, what: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("the {what} must be a whole number from {} to {}", range.start(), range.end()))
}

/// A limit; an empty field or 0 is none.
fn limit(text: &str, what: &str) -> Result<Option<u32>, String> {
    match text.trim() {
        "" => Ok(None),
        text => Ok(Some(number(text, what, 0..=MOST)?).filter(|limit| *limit > 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn relay() -> Written {
        Written { host: "SMTP.example.org".into(), ..Written::blank("", "https://mail.example.org") }
    }

    fn kept(written: &Written) -> Result<Server, String> {
        written.server(ServerId(1), None, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_server_that_cannot_be_is_not_kept() {
        let good = relay();
        let server = kept(&good).unwrap();
        let Route::Relay { host, .. } = &server.route else { panic!("{server:?}") };
        assert_eq!((server.name.as_str(), host.as_str()), ("smtp.example.org", "smtp.example.org"));
        assert_eq!(
            (server.hello.as_str(), server.warm_up, server.limits),
            ("mail.example.org", None, Limits::default())
        );
        let open = Written { tls: "none".into(), login: "news".into(), ..good.clone() };
        for (bad, word) in [
            (Written { host: "not a host".into(), ..good.clone() }, "host"),
            (Written { port: "0".into(), ..good.clone() }, "port"),
            (Written { tls: "maybe".into(), ..good.clone() }, "security"),
            (Written { authority: "a file".into(), ..good.clone() }, "PEM"),
            (Written { connections: "many".into(), ..good.clone() }, "connections"),
            (Written { weight: "0".into(), ..good.clone() }, "share"),
            (Written { per_day: "-1".into(), ..good.clone() }, "a day"),
            (Written { hello: "me".into(), ..good.clone() }, "our own name"),
            (Written { kind: "direct".into(), sources: "here".into(), ..good.clone() }, "“here”"),
            (Written { warm: Some("1".into()), warm_until: "9".into(), ..good.clone() }, "last day"),
            (open.clone(), "travel open"),
            (
                Written { token_url: "https://login.example.org".into(), login: "news".into(), ..good.clone() },
                "identifier",
            ),
            (Written { token_client: "4f1c".into(), login: "news".into(), ..good.clone() }, "https://"),
            (
                Written { token_url: "https://login.example.org".into(), token_client: "4f1c".into(), ..good.clone() },
                "user name",
            ),
        ] {
            let told = kept(&bad).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
        assert!(kept(&Written { host: "127.0.0.1".into(), ..open }).is_ok());
    }

    #[test]
    fn what_is_shown_is_what_is_kept_and_a_warm_up_goes_on() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let written = Written {
            sources: "192.0.2.1, 2001:db8::1".into(),
            per_hour: "500".into(),
            ..Written::blank("direct", "https://mail.example.org")
        };
        let server = written.server(ServerId(1), None, now).unwrap();
        assert_eq!(server.warm_up.map(|plan| (plan.from, plan.first)), Some((now, 50)), "new to all receivers");
        let later = Written::of(&server).server(ServerId(1), Some(&server), now + TimeDelta::days(9)).unwrap();
        assert_eq!(later, server);
        let Route::Direct { sources } = later.route else { panic!() };
        assert_eq!(sources.len(), 2);
    }
}
