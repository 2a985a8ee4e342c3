//! The form of a server, as it was written.

use rebound_domain::{Server, ServerId, Tls};
use serde::Deserialize;

/// The form, as it was written.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) tls: String,
    pub(crate) authority: String,
    pub(crate) login: String,
    pub(crate) password: String,
    /// Ticked to forget the password.
    pub(crate) forget: Option<String>,
    pub(crate) connections: String,
    pub(crate) per_second: String,
    pub(crate) hello: String,
}

impl Written {
    pub(crate) fn blank(public_url: &str) -> Self {
        let host = public_url.split_once("://").map_or("", |(_, rest)| rest).split(['/', ':']).next();
        let hello = host.filter(|host| is_domain(host) && host.contains(char::is_alphabetic));
        Self {
            port: "587".to_owned(),
            tls: Tls::StartTls.as_str().to_owned(),
            connections: "16".to_owned(),
            per_second: "0".to_owned(),
            hello: hello.unwrap_or("localhost.localdomain").to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn of(server: &Server) -> Self {
        let server = server.clone();
        Self {
            name: server.name,
            host: server.host,
            port: server.port.to_string(),
            tls: server.tls.as_str().to_owned(),
            authority: server.authority,
            login: server.login,
            password: String::new(),
            forget: None,
            connections: server.connections.to_string(),
            per_second: server.per_second.to_string(),
            hello: server.hello,
        }
    }

    /// The server, or what is wrong with it.
    pub(crate) fn server(&self, id: ServerId) -> Result<Server, String> {
        let host = self.host.trim().to_ascii_lowercase();
        if !(is_domain(&host) || host.parse::<std::net::IpAddr>().is_ok() || host == "localhost") {
            return Err("the host must be a name such as smtp.example.org, or an address".to_owned());
        }
        let name = self.name.trim();
        let hello = self.hello.trim().to_ascii_lowercase();
        if !is_domain(&hello) {
            return Err("our own name must be a host name such as mail.example.org".to_owned());
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
        Ok(Server {
            id,
            name: if name.is_empty() { host.clone() } else { name.chars().take(100).collect() },
            port: number(&self.port, "port", 1..=65_535)?.try_into().unwrap_or(587),
            tls,
            authority: authority.to_owned(),
            login,
            connections: number(&self.connections, "number of connections", 1..=256)?.try_into().unwrap_or(16),
            per_second: number(&self.per_second, "messages a second", 0..=1_000_000)?,
            hello,
            host,
        })
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_domain(text: &str) -> bool {
    let good = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() < 250 && text.contains('.') && text.split('.').all(good)
}

fn number(text: &str, what: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("the {what} must be a whole number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_be_is_not_kept() {
        let good = Written { host: "SMTP.example.org".into(), ..Written::blank("https://mail.example.org") };
        let server = good.server(ServerId(1)).unwrap();
        assert_eq!((server.name.as_str(), server.host.as_str()), ("smtp.example.org", "smtp.example.org"));
        assert_eq!(server.hello, "mail.example.org");
        let open = Written { tls: "none".into(), login: "news".into(), ..good.clone() };
        for (bad, word) in [
            (Written { host: "not a host".into(), ..good.clone() }, "host"),
            (Written { port: "0".into(), ..good.clone() }, "port"),
            (Written { tls: "maybe".into(), ..good.clone() }, "security"),
            (Written { authority: "a file".into(), ..good.clone() }, "PEM"),
            (Written { connections: "many".into(), ..good.clone() }, "connections"),
            (Written { hello: "me".into(), ..good.clone() }, "our own name"),
            (open.clone(), "travel open"),
        ] {
            let told = bad.server(ServerId(1)).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
        assert!(Written { host: "127.0.0.1".into(), ..open }.server(ServerId(1)).is_ok());
    }
}
