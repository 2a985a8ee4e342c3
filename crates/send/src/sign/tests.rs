//! What is signed is verified as receivers do it: with the public key from DNS, by the library's other half.

#[path = "../../tests/send/receiver.rs"]
mod receiver;

use super::*;
use crate::signing_key::make_key;
use chrono::TimeDelta;
use proptest::prelude::*;
use rebound_domain::{DkimKeyId, KeyState, SendingDomainId};
use receiver::{Records, passes, verified};
use sha2::Digest;
use std::sync::LazyLock;

use KeyAlgorithm::{Ed25519, Rsa2048};

fn made(selector: &str, algorithm: KeyAlgorithm) -> (DkimKey, Secret) {
    let (public, secret) = make_key(algorithm).unwrap();
    let key = DkimKey {
        id: DkimKeyId(1),
        domain: SendingDomainId(1),
        selector: selector.into(),
        algorithm,
        public,
        state: KeyState::Waiting,
        made: now(),
        checked: None,
    };
    (key, secret)
}

/// One of each, made once: RSA keys take their time.
static KEYS: LazyLock<[(DkimKey, Secret); 2]> = LazyLock::new(|| [made("rsa1", Rsa2048), made("ed1", Ed25519)]);

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn signer(keys: &[(DkimKey, Secret)]) -> Signer {
    Signer::new("fernhill.example".parse().unwrap(), keys).unwrap().unwrap()
}

fn signed(signer: &Signer, message: &str) -> Vec<u8> {
    [signer.sign(message.as_bytes(), now()).unwrap(), message.as_bytes().to_vec()].concat()
}

const HEADERS: &str = "From: \"Fern Hill\" <news@fernhill.example>\r\nTo: <ada@orchard.example>\r\n\
    Subject: =?utf-8?q?Fr=C3=BChling?=\r\n and bulbs\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
    Message-ID: <1@bounce.fernhill.example>\r\nList-ID: <l1.bounce.fernhill.example>\r\n\
    List-Unsubscribe: <https://mail.fernhill.example/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
    Feedback-ID: c1:l1:rebound:bounce.fernhill.example\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

fn message(body: &str) -> String {
    format!("{HEADERS}{body}")
}

#[tokio::test]
async fn receivers_verify_what_is_signed() {
    let records = Records::of(KEYS.iter().map(|(key, _)| key));
    let long = format!("{}\r\n{}\r\n", "x".repeat(990), "word ".repeat(190));
    for body in [
        "Bulbs are here.\r\n",
        ".\r\n..\r\n.hidden\r\n.\r\n",
        &long,
        "Grüße aus dem Garten 🌷\r\n\r\n  eingerückt\tund  weit\r\n",
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        "no line end",
        "blanks at the end  \t\r\n",
        "From the hill\r\nFrom here\r\n",
        "--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n",
    ] {
        for (keys, expected) in [(&KEYS[..1], 1), (&KEYS[1..], 1), (&KEYS[..], 2)] {
            let whole = signed(&signer(keys), &message(body));
            let results = verified(&whole, &records).await;
            assert_eq!((passes(&results), results.len()), (expected, expected), "{body:?}: {results:?}");
        }
    }
}

#[tokio::test]
async fn what_is_changed_on_the_way_is_noticed() {
    let records = Records::of(KEYS.iter().map(|(key, _)| key));
    let whole = String::from_utf8(signed(&signer(&KEYS[..]), &message("Bulbs are here.\r\n"))).unwrap();
    assert_eq!(passes(&verified(whole.as_bytes(), &records).await), 2);
    for (what, changed) in [
        ("body", whole.replace("Bulbs are", "Bills are")),
        ("more body", format!("{whole}P.S.\r\n")),
        ("subject", whole.replace("and bulbs", "and bills")),
        ("recipient", whole.replace("ada@", "eve@")),
        ("unsubscribe", whole.replace("/u/1>", "/u/2>")),
        ("one click", whole.replace("One-Click", "No-Click")),
        ("feedback", whole.replace("c1:l1", "c2:l1")),
        ("type", whole.replace("text/plain", "text/html")),
        ("a second From", whole.replacen("\nFrom: ", "\nFrom: eve@evil.example\r\nFrom: ", 1)),
        ("a From at the end", whole.replace("\nMIME-Version: ", "\nFrom: eve@evil.example\r\nMIME-Version: ")),
        ("a second Subject", whole.replacen("\nSubject: ", "\nSubject: You won\r\nSubject: ", 1)),
        ("a second To", whole.replacen("\nTo: ", "\nTo: eve@evil.example\r\nTo: ", 1)),
        ("a Reply-To", whole.replacen("\nTo: ", "\nReply-To: eve@evil.example\r\nTo: ", 1)),
    ] {
        assert_ne!(changed, whole, "{what}");
        let results = verified(changed.as_bytes(), &records).await;
        assert_eq!((passes(&results), results.len()), (0, 2), "{what}: {results:?}");
    }
    // What a server on the way may do.
    let relayed = format!("Received: from a by b; Thu, 26 Nov 2026 10:00:01 +0000\r\n{whole}")
        .replace("Subject: =?utf", "SUBJECT:   =?utf")
        .replace("Bulbs are here.\r\n", "Bulbs are here. \r\n\r\n");
    assert_eq!(passes(&verified(relayed.as_bytes(), &records).await), 2);
}

#[tokio::test]
async fn mail_from_before_a_rotation_verifies_while_the_old_record_stays() {
    let [old, new] = [made("rsa-old", Rsa2048), made("rsa-new", Rsa2048)];
    let (old_key, new_key) = (old.0.clone(), new.0.clone());
    let before = signed(&signer(&[old]), &message("Sent before\r\n"));
    let after = signed(&signer(&[new]), &message("Sent after\r\n"));
    let overlap = Records::of([&old_key, &new_key]);
    assert_eq!(passes(&verified(&before, &overlap).await), 1);
    assert_eq!(passes(&verified(&after, &overlap).await), 1);
    let swapped = Records::of([&DkimKey { selector: "rsa-old".into(), ..new_key }]);
    assert_eq!(passes(&verified(&before, &swapped).await), 0, "another key under the old name");
}

#[test]
fn the_header_names_what_it_covers() {
    let lines = signer(&KEYS[..]).sign(message("x\r\n").as_bytes(), now()).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.split("\r\n").all(|line| line.len() <= 100), "{lines}");
    assert!(lines.ends_with("\r\n") && !lines.contains("\r\n\r\n"), "{lines}");
    let flat: String = lines.split_whitespace().collect();
    assert_eq!(flat.matches("DKIM-Signature:").count(), 2);
    for part in ["a=rsa-sha256;s=rsa1;", "a=ed25519-sha256;s=ed1;"] {
        assert!(flat.contains(part), "{part} in {flat}");
    }
    for part in ["d=fernhill.example;", "c=relaxed/relaxed;", ";t=1728000000;", ";bh="] {
        assert_eq!(flat.matches(part).count(), 2, "{part} in {flat}");
    }
    for name in SIGNED {
        let mut named: Vec<&str> = flat.split("h=").nth(1).unwrap().split(';').next().unwrap().split(':').collect();
        named.retain(|one| one.eq_ignore_ascii_case(name));
        let times = if ["From", "To", "Subject"].contains(&name) { 2 } else { 1 };
        assert_eq!(named.len(), times, "{name} in {flat}");
    }
}

#[test]
fn a_signer_takes_only_what_it_can_sign() {
    let signer = signer(&KEYS[..]);
    for message in ["", "To: a@b.example\r\n\r\nx\r\n", "x-from: a\r\n\r\nFrom: in the body\r\n"] {
        assert!(matches!(signer.sign(message.as_bytes(), now()), Err(SignError::NoFrom)), "{message:?}");
    }
    assert!(signer.sign(b"From: a@fernhill.example\r\n", now()).is_ok(), "headers alone");
    let name = || "fernhill.example".parse().unwrap();
    assert!(Signer::new(name(), &[]).unwrap().is_none());
    // A secret of another row, or none at all.
    for secret in [KEYS[1].1.as_str(), KEYS[0].1.as_str().get(..400).unwrap(), "", "not base64"] {
        let pair = (KEYS[0].0.clone(), Secret::unsealed(secret.to_owned()));
        assert!(matches!(Signer::new(name(), &[pair]), Err(SignError::Key { .. })));
    }
    let other = (KEYS[1].0.clone(), made("ed2", Ed25519).1);
    assert!(matches!(Signer::new(name(), &[other]), Err(SignError::Key { .. })), "not the published half");
    let shown = format!("{signer:?} {:?}", KEYS[0].1);
    assert!(shown.contains("rsa1, ed1") && !shown.contains(&KEYS[0].1.as_str()[..40]), "{shown}");
}

/// The relaxed form of a body, word for word from RFC 6376 §3.4.4.
fn relaxed(body: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in body.split("\r\n") {
        let mut flat = String::new();
        for c in line.chars() {
            match c {
                ' ' | '\t' if flat.ends_with(' ') => {}
                ' ' | '\t' => flat.push(' '),
                c => flat.push(c),
            }
        }
        lines.push(flat.trim_end_matches(' ').to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

proptest! {
    #[test]
    fn the_body_is_hashed_as_the_standard_says(body in "([ab. \t\u{e4}]|\r\n){0,60}") {
        let expected = sha2::Sha256::digest(relaxed(&body)).to_vec();
        prop_assert_eq!(body_hash(body.as_bytes()).unwrap(), expected, "{:?}", body);
    }
}
