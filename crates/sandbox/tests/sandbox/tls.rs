//! A protected line, in order and with faults.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rebound_sandbox::{Event, Sandbox, Settings, Tls, TlsFault, read_truth};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::Client;

/// A sandbox whose certificate is for `name`.
async fn protected(folder: &Path, name: &str, fault: Option<TlsFault>) -> (Sandbox, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let tls = Tls { certificate: certificate.clone(), key: made.signing_key.serialize_pem(), fault };
    let settings = Settings { tls: Some(tls), truth: Some(folder.join("truth.jsonl")), ..Settings::default() };
    (Sandbox::start(settings).await.unwrap(), certificate)
}

/// What the relay turned away, in its own words.
async fn turned_away(folder: &Path) -> Vec<String> {
    for _ in 0..100 {
        let lines = read_truth(folder.join("truth.jsonl")).unwrap();
        if lines.iter().any(|line| line.event == Event::TurnedAway) {
            return lines.into_iter().map(|line| line.reply).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Vec::new()
}

/// Begins to protect the line, as a client that trusts `certificate` and wants to speak with `localhost`. What the
/// relay says to EHLO then.
async fn shake_hands(client: Client, certificate: &str) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, client.into_stream()).await?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"EHLO me\r\nQUIT\r\n").await?;
    let mut said = String::new();
    while stream.read_line(&mut said).await? > 0 && !said.contains("\n221 ") {}
    Ok(said)
}

#[tokio::test]
async fn a_line_can_be_protected() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, certificate) = protected(folder.path(), "localhost", None).await;
    let mut client = Client::connected(sandbox.address()).await;
    assert!(client.ask("EHLO me").await.contains("250-STARTTLS"));
    // What is said before the handshake is not heard after it (RFC 3207 §4.2).
    client.say(b"STARTTLS\r\nNOOP\r\n").await;
    assert!(client.reply().await.starts_with("220 "));
    let said = shake_hands(client, &certificate).await.unwrap();
    assert!(said.starts_with("250-relay.sandbox.test") && !said.contains("STARTTLS"), "{said}");
}

#[tokio::test]
async fn a_certificate_for_somebody_else_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, certificate) = protected(folder.path(), "elsewhere.example", None).await;
    let mut client = Client::greeted(&sandbox).await;
    assert!(client.ask("STARTTLS").await.starts_with("220 "));
    let error = shake_hands(client, &certificate).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(turned_away(folder.path()).await, [""]);
}

#[tokio::test]
async fn a_handshake_can_be_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, certificate) = protected(folder.path(), "localhost", Some(TlsFault::Cut)).await;
    let mut client = Client::greeted(&sandbox).await;
    assert!(client.ask("STARTTLS").await.starts_with("220 "));
    assert!(shake_hands(client, &certificate).await.is_err());
    assert_eq!(turned_away(folder.path()).await, [""]);
}

#[tokio::test]
async fn what_is_offered_can_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, _) = protected(folder.path(), "localhost", Some(TlsFault::Refused)).await;
    let mut client = Client::greeted(&sandbox).await;
    let refused = client.ask("STARTTLS").await;
    assert!(refused.starts_with("454 4.7.0"));
    assert_eq!(turned_away(folder.path()).await, [refused]);
    assert!(client.send("ada@sandbox.test", "In the open").await.starts_with("250"));
}

#[tokio::test]
async fn without_one_nothing_is_offered() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let mut client = Client::connected(sandbox.address()).await;
    assert!(!client.ask("EHLO me").await.contains("STARTTLS"));
    assert!(client.ask("STARTTLS").await.starts_with("502"));
}

#[tokio::test]
async fn a_certificate_that_is_none_is_refused_at_the_start() {
    let tls = Tls { certificate: "none".to_owned(), key: "none".to_owned(), fault: None };
    assert!(Sandbox::start(Settings { tls: Some(tls), ..Settings::default() }).await.is_err());
}
