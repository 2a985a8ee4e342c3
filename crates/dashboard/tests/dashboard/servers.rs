//! Servers that take our mail, and the way bounces come back.

use crate::world::World;
use axum::http::StatusCode;
use rebound_db::servers as kept;
use rebound_db::volumes;
use rebound_domain::{Keys, Limits, Role, ServerId};
use rebound_send::mx::DirectSettings;
use rebound_send::{Login, Proof, Relay, Via, servers};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const SECRET: &str = "a secret that nobody sees";

fn form<'a>(port: &'a str, login: &'a str, password: &'a str) -> [(&'a str, &'a str); 9] {
    [
        ("host", "127.0.0.1"),
        ("port", port),
        ("tls", "none"),
        ("login", login),
        ("password", password),
        ("connections", "4"),
        ("weight", "1"),
        ("per_second", "0"),
        ("hello", "mail.fernhill.example"),
    ]
}

/// The password that is kept for it, opened.
fn password(keys: &Keys, server: &kept::Kept) -> Result<String, String> {
    let egress = servers::egress(keys, server, &DirectSettings::default()).map_err(|error| error.to_string())?;
    match egress.via {
        Via::Relay(Relay { login: Some(Login { proof: Proof::Password(password), .. }), .. }) => Ok(password),
        Via::Relay(_) => Err("it signs in without a password".to_owned()),
        Via::Direct(_) => Err("it goes straight".to_owned()),
    }
}

/// A relay that takes one password, and no mail for strangers.
async fn relay() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (reader, mut writer) = socket.into_split();
            writer.write_all(b"220 relay.test\r\n").await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            let mut in_message = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.to_ascii_uppercase() {
                    text if in_message && text != "." => continue,
                    text if in_message && text == "." => {
                        in_message = false;
                        "250 2.0.0 queued as 4f1c\r\n"
                    }
                    text if text.starts_with("EHLO") => "250-relay.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
                    text if text.starts_with("AUTH") && line.contains(&plain()) => "235 2.7.0 welcome\r\n",
                    text if text.starts_with("AUTH") => "535 5.7.8 wrong password, says the relay\r\n",
                    text if text.starts_with("RCPT") && text.contains("STRANGER") => "550 5.7.1 no relaying\r\n",
                    text if text == "DATA" => {
                        in_message = true;
                        "354 go on\r\n"
                    }
                    _ => "250 2.0.0 well\r\n",
                };
                if writer.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

fn plain() -> String {
    data_encoding::BASE64.encode(format!("\0news\0{SECRET}").as_bytes())
}

#[tokio::test]
async fn a_server_is_added_tested_and_its_password_never_seen() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    assert!(world.get(Some(&owner), "/servers").await.text.contains("No server takes our mail yet"));
    let port = relay().await.to_string();

    let refused = world.post(&owner, "/servers/new", &form("0", "news", SECRET)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("the port must be") && !refused.text.contains(SECRET));
    let added = world.post(&owner, "/servers/new", &form(&port, "news", "wrong")).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    assert!(kept::in_use(&world.db).await.unwrap().len() == 1, "the first one is in use at once");

    let wrong = world.post(&owner, "/servers/1/test", &[("to", "")]).await.text;
    assert!(wrong.contains("wrong password, says the relay"), "{wrong}");
    assert!(world.get(Some(&owner), "/servers").await.text.contains("last test failed"));
    world.post(&owner, "/servers/1", &form(&port, "news", SECRET)).await;
    let right = world.post(&owner, "/servers/1/test", &[("to", "ines@fernhill.example")]).await.text;
    for step in ["Connected", "Signed in", "Sender and recipient taken", "queued as 4f1c"] {
        assert!(right.contains(step), "{step} in {right}");
    }
    assert!(!right.contains("Failed:"));
    let stranger = world.post(&owner, "/servers/1/test", &[("to", "stranger@orchard.test")]).await.text;
    assert!(stranger.contains("no relaying") && !stranger.contains("Message taken"));

    // An empty field keeps the password, another host forgets it.
    world.post(&owner, "/servers/1", &form(&port, "news", "")).await;
    let server = kept::get(&world.db, ServerId(1)).await.unwrap().unwrap();
    let keys = crate::seed::sender().keys;
    assert_eq!(password(&keys, &server), Ok(SECRET.to_owned()));
    for path in ["/servers", "/servers/1", "/settings", "/audit", "/audit/export"] {
        assert!(!world.get(Some(&owner), path).await.text.contains(SECRET), "{path}");
    }
    let wal = std::fs::read(world.db.file().unwrap().with_extension("db-wal")).unwrap();
    let file = std::fs::read(world.db.file().unwrap()).unwrap();
    let found = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(!found(&wal) && !found(&file), "the database holds it sealed");
    let mut elsewhere = form(&port, "news", "");
    elsewhere[0] = ("host", "localhost");
    world.post(&owner, "/servers/1", &elsewhere).await;
    assert!(kept::get(&world.db, ServerId(1)).await.unwrap().unwrap().sealed.is_empty());
}

#[tokio::test]
async fn whatever_is_written_of_tokens_is_seen_beside_what_is_wrong_with_it() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    for (field, value, fault, is_open) in [
        ("name", "Ours", "the port must be", false),
        ("token_url", "login.fernhill.example", "address must begin with https://", true),
        ("token_client", "4f1c", "address must begin with https://", true),
        ("token_scope", "mail.send", "address must begin with https://", true),
    ] {
        let written = [&form("0", "news", SECRET)[..], &[(field, value)]].concat();
        let page = world.post(&owner, "/servers/new", &written).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(page.text.contains(fault), "{field}: {}", page.text);
        assert_eq!(page.text.contains("<details open><summary>It takes tokens"), is_open, "{field}: {}", page.text);
    }
}

#[tokio::test]
async fn a_server_in_use_is_not_removed() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    world.post(&owner, "/servers/new", &form("2525", "", "")).await;
    assert_eq!(world.post(&owner, "/servers/1/remove", &[]).await.status, StatusCode::CONFLICT);
    assert_eq!(world.post(&owner, "/servers/1/rest", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(kept::in_use(&world.db).await.unwrap().is_empty());
    assert!(world.get(Some(&owner), "/servers/1/remove").await.text.contains("Remove 1 server?"));
    assert_eq!(world.post(&owner, "/servers/1/remove", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(kept::list(&world.db).await.unwrap().is_empty());
}

#[tokio::test]
async fn secrets_are_sealed_anew_with_another_key() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    world.post(&owner, "/servers/new", &form("2525", "news", SECRET)).await;
    let old = crate::seed::sender().keys;
    let new = rebound_domain::Keys::new(
        ('b', b"another key of 32 bytes, for now".to_vec()),
        vec![('a', b"a key of 32 bytes, kept in a file".to_vec())],
    );
    assert_eq!(servers::reseal(&world.db, &new, "command line", world.now).await.unwrap(), 1);
    let server = kept::get(&world.db, ServerId(1)).await.unwrap().unwrap();
    assert!(server.sealed.starts_with("s1.b."));
    assert!(password(&old, &server).is_err(), "the old key opens it no more");
    old.replace(&new);
    assert_eq!(password(&old, &server), Ok(SECRET.to_owned()));
}

#[tokio::test]
async fn the_return_path_is_looked_at_and_told() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let page = world.get(Some(&owner), "/return-path").await.text;
    assert!(page.contains("bounce.fernhill.example. MX 10 mail.fernhill.example."), "{page}");
    // Nobody listens in this world, and nobody answers for names.
    let found = world.post(&owner, "/return-path", &[]).await.text;
    assert!(found.contains("Nobody answers at 127.0.0.1:9") && found.contains("Wrong:"), "{found}");
}

#[tokio::test]
async fn several_are_in_use_with_shares_limits_and_a_warm_up() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    world.post(&owner, "/servers/new", &form("2525", "", "")).await;
    let straight = world.get(Some(&owner), "/servers/new?kind=direct").await.text;
    assert!(straight.contains("Addresses to send from") && !straight.contains("name=\"host\""), "{straight}");
    let direct = [
        ("kind", "direct"),
        ("sources", "192.0.2.25"),
        ("hello", "out.fernhill.example"),
        ("connections", "64"),
        ("weight", "3"),
        ("per_day", "40"),
        ("warm", "1"),
        ("warm_first", "50"),
        ("warm_growth", "30"),
        ("warm_until", "20000"),
    ];
    let added = world.post(&owner, "/servers/new", &direct).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    assert_eq!(kept::in_use(&world.db).await.unwrap().len(), 1, "the second one waits to be chosen");
    world.post(&owner, "/servers/2/use", &[]).await;
    let all: Vec<_> = Limits { per_day: Some(40), ..Limits::default() }.volumes(None, world.now).collect();
    volumes::take(&world.db, ServerId(2), 40, &all, world.now).await.unwrap();

    let page = world.get(Some(&owner), "/servers").await.text;
    for words in ["75 % of the mail", "25 % of the mail", "40 of 40 a day", "Warm-up, day 1 of", "from 192.0.2.25"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(world.get(Some(&owner), "/return-path").await.text.contains("v=spf1 a:127.0.0.1 ip4:192.0.2.25 ~all"));
    let untold = world.post(&owner, "/servers/2/test", &[("to", "")]).await.text;
    assert!(untold.contains("Name an address to test with"), "{untold}");
    world.post(&owner, "/servers/1/rest", &[]).await;
    let left = kept::in_use(&world.db).await.unwrap();
    assert_eq!(left.iter().map(|kept| kept.server.id).collect::<Vec<_>>(), [ServerId(2)]);
}
