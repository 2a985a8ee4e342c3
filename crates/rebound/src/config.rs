//! The configuration: a file, then the environment; every mistake told at once.

mod reading;

use anyhow::{Context, bail};
use ipnet::IpNet;
use reading::Reading;
use rebound_domain::TokenSource;
use rebound_send::mx::DirectSettings;
use rebound_send::{Egress, Login, Proof, Relay, Tls, Tokens};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Every setting, with its value.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `sqlite:FILE` or `postgres://…`.
    pub(crate) database: String,
    /// Where the keys are kept.
    pub(crate) key_file: PathBuf,
    /// Where browsers and unsubscribe links find us.
    pub(crate) public_url: String,
    /// Where the pages are served.
    pub(crate) listen: SocketAddr,
    /// The proxies before the pages, whose word counts on where a request comes from.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The domain that bounces are sent to.
    pub(crate) return_domain: String,
    /// Where its mail is taken.
    pub(crate) return_listen: SocketAddr,
    /// Where mail goes, whatever servers are chosen on the page.
    pub(crate) egress: Option<Egress>,
    /// How mail goes that goes straight to its receivers, but for what each such way has of its own.
    pub(crate) direct: DirectSettings,
}

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "rebound.toml";

impl Config {
    /// Reads `file`, or `rebound.toml` if it is there, and then the environment (`REBOUND_RELAY_PASSWORD`).
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let text = match file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => match std::fs::read_to_string(DEFAULT_FILE) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(error).with_context(|| format!("cannot read {DEFAULT_FILE}")),
            },
        };
        let name = file.map_or_else(|| DEFAULT_FILE.to_owned(), |file| file.display().to_string());
        Self::parse(&text, &name, std::env::vars())
    }

    /// Reads `text`; `environment` outranks it.
    pub(crate) fn parse(
        text: &str,
        name: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let table = toml::from_str::<toml::Table>(text).with_context(|| format!("{name} is not TOML"))?;
        let mut reading = Reading::new(table, environment);
        let config = Self {
            database: reading.text("database", "sqlite:rebound.db"),
            key_file: PathBuf::from(reading.text("key_file", "rebound.key")),
            public_url: reading.checked("public_url", "http://127.0.0.1:8025", public_url),
            listen: reading.checked("listen", "127.0.0.1:8025", |text| address(&text)),
            trusted_proxies: reading.list("trusted_proxies", network),
            return_domain: reading.checked("return_path.domain", "bounce.localhost.example", domain),
            return_listen: reading.checked("return_path.listen", "127.0.0.1:2525", |text| address(&text)),
            egress: egress(&mut reading),
            direct: direct(&mut reading),
        };
        let mistakes = reading.finish();
        if mistakes.is_empty() {
            return Ok(config);
        }
        let list: String = mistakes.iter().map(|mistake| format!("\n  - {mistake}")).collect();
        let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
        bail!("{name} has {} {noun}:{list}", mistakes.len())
    }
}

fn egress(reading: &mut Reading) -> Option<Egress> {
    if !reading.has("relay") {
        return None;
    }
    let tls = reading.checked("relay.tls", "starttls", |text| match text.as_str() {
        "starttls" => Ok(Tls::StartTls),
        "tls" => Ok(Tls::Implicit),
        "none" => Ok(Tls::None),
        _ => Err("is not one of starttls, tls, none".to_owned()),
    });
    let port = reading.number("relay.port", if tls == Tls::Implicit { 465 } else { 587 }, 1..=65_535);
    let user = reading.text("relay.user", "");
    let password = reading.text("relay.password", "");
    let authority = reading.checked("relay.authority", "", authority);
    let token = token(reading);
    if token.is_some() && user.is_empty() {
        reading.mistake("relay.user is missing: as whom a token signs in");
    }
    let proof = match token {
        Some(source) => Proof::Token(Tokens::new(source, password, authority.clone())),
        None => Proof::Password(password),
    };
    let per_second = reading.number("relay.per_second", 0, 0..=1_000_000);
    let connections = usize::try_from(reading.number("relay.connections", 16, 1..=256)).unwrap_or(16);
    let per_second = u32::try_from(per_second).ok().filter(|rate| *rate > 0);
    let relay = Relay {
        host: reading.required("relay.host", "the relay's host name"),
        port: u16::try_from(port).unwrap_or(587),
        tls,
        authority,
        login: (!user.is_empty()).then_some(Login { user, proof }),
        hello: reading.checked("relay.hello", "localhost.localdomain", domain),
    };
    Some(Egress::only(relay, connections, per_second))
}

/// Who gives the tokens that the relay takes.
fn token(reading: &mut Reading) -> Option<TokenSource> {
    let [url, client, scope] =
        ["relay.token_url", "relay.token_client", "relay.token_scope"].map(|key| reading.text(key, ""));
    let source = TokenSource::parse(&url, &client, &scope);
    source.unwrap_or_else(|why| {
        reading.mistake(&format!("relay.token_url, relay.token_client: {why}"));
        None
    })
}

fn direct(reading: &mut Reading) -> DirectSettings {
    let name_server = |text: String| match text.as_str() {
        "" => Ok(None),
        text => address(text).map(Some),
    };
    let yes_or_no = |text: String| match text.as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("is not one of yes, no".to_owned()),
    };
    DirectSettings {
        nameserver: reading.checked("nameserver", "", name_server),
        port: u16::try_from(reading.number("direct.port", 25, 1..=65_535)).unwrap_or(25),
        tls_authority: reading.checked("direct.authority", "", authority),
        prefer_ipv6: reading.checked("direct.prefer_ipv6", "no", yes_or_no),
        ..DirectSettings::default()
    }
}

/// The certificates in a file.
fn authority(file: String) -> Result<Option<String>, String> {
    if file.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file).map_err(|error| format!("cannot be read: {error}"))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(Some(text))
    } else {
        Err("holds no certificate in PEM form".to_owned())
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is not an address with a port, such as 127.0.0.1:8025".to_owned())
}

/// `10.0.0.0/8`, `127.0.0.1`.
fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| "is no address or network, such as 127.0.0.1 or 10.0.0.0/8".into())
}

fn domain(text: String) -> Result<String, String> {
    let good = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if text.len() < 250 && text.contains('.') && text.split('.').all(good) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("is not a domain name, such as bounce.example.org".to_owned())
    }
}

fn public_url(text: String) -> Result<String, String> {
    let url = url::Url::parse(&text).map_err(|_| "is not a URL, such as https://mail.example.org".to_owned())?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err("must be https, unless it is on this machine: cookies and links would travel open".into()),
        _ => return Err("must start with https://".into()),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &Config) -> Option<&Login> {
        match &config.egress.as_ref()?.via {
            rebound_send::Via::Relay(relay) => relay.login.as_ref(),
            rebound_send::Via::Direct(_) => None,
        }
    }

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(text, "rebound.toml", std::iter::empty())
    }

    #[test]
    fn the_example_is_good_and_shows_the_defaults() {
        let example = include_str!("../../../rebound.example.toml");
        let config = parse(example).unwrap();
        let defaults = parse("").unwrap();
        assert_eq!(config.database, defaults.database);
        assert_eq!(config.listen, defaults.listen);
        assert_eq!(config.return_listen, defaults.return_listen);
        assert!(config.egress.is_some());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = "listen = 'nowhere'\npublic_url = 'http://mail.example.org'\ncolour = 'blue'\n[relay]\nport = 99999\ntls = 'maybe'\n";
        let told = parse(text).unwrap_err().to_string();
        for part in ["6 mistakes", "listen", "public_url", "colour", "relay.host", "relay.port", "relay.tls"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let config = parse("trusted_proxies = ['127.0.0.1', '10.0.0.0/8', '::1']").unwrap();
        let names: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]);
        let environment = [("REBOUND_TRUSTED_PROXIES".to_owned(), "127.0.0.1, ::1".to_owned())].into_iter();
        assert_eq!(Config::parse("", "rebound.toml", environment).unwrap().trusted_proxies.len(), 2);
        for wrong in ["trusted_proxies = ['everybody']", "trusted_proxies = ['10.0.0.0/33']", "trusted_proxies = [1]"] {
            assert!(parse(wrong).unwrap_err().to_string().contains("trusted_proxies"), "{wrong}");
        }
    }

    #[test]
    fn pages_are_https_unless_they_are_on_this_machine() {
        for (url, good) in [
            ("https://mail.example.org", true),
            ("http://127.0.0.1:8025", true),
            ("http://[::1]:8025", true),
            ("http://localhost:8025", true),
            ("http://mail.example.org", false),
            ("http://localhost.example.org", false),
            ("http://192.0.2.7", false),
            ("ftp://mail.example.org", false),
            ("mail.example.org", false),
        ] {
            let told = parse(&format!("public_url = '{url}'"));
            assert_eq!(told.is_ok(), good, "{url}");
            assert!(told.err().is_none_or(|error| error.to_string().contains("public_url")), "{url}");
        }
    }

    #[test]
    fn the_environment_outranks_the_file() {
        let environment = [("REBOUND_RELAY_PASSWORD".to_owned(), "secret".to_owned())].into_iter();
        let text = "[relay]\nhost = 'smtp.example.org'\nuser = 'news'\npassword = 'other'";
        let config = Config::parse(text, "rebound.toml", environment).unwrap();
        assert!(login(&config) == Some(&Login::password("news", "secret")));
    }

    #[test]
    fn a_relay_may_take_tokens() {
        let good = "[relay]\nhost = 'smtp.example.org'\nuser = 'news'\npassword = 'secret'
            token_url = 'https://login.example.org/token'\ntoken_client = '4f1c'";
        let source = TokenSource::parse("https://login.example.org/token", "4f1c", "").unwrap().unwrap();
        let proof = Proof::Token(Tokens::new(source, "secret".to_owned(), None));
        assert!(login(&parse(good).unwrap()) == Some(&Login { user: "news".to_owned(), proof }));
        for (from, to, word) in [
            ("https://", "http://", "https://"),
            ("user = 'news'", "", "relay.user"),
            ("token_url", "token_scope", "https://"),
            ("token_client = '4f1c'", "", "identifier"),
        ] {
            let told = parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(told.contains("1 mistake") && told.contains(word), "{told}");
        }
    }
}
