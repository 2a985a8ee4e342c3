//! Bytes that strangers write: nothing panics, nothing takes long, nothing needs much memory.
//!
//! What is promised of any bytes stands in `fuzz/src/promises.rs`: libFuzzer holds the classifier to it for as long as
//! anybody lets it (`make fuzz`), these tests for a moment. Whatever it finds becomes a case here.

#[allow(unreachable_pub, reason = "the fuzz targets use it from another crate")]
#[path = "../../fuzz/src/cost.rs"]
mod cost;
#[allow(unreachable_pub, reason = "the fuzz targets use it from another crate")]
#[path = "../../fuzz/src/mutate.rs"]
mod mutate;
#[allow(unreachable_pub, reason = "the fuzz targets use it from another crate")]
#[path = "../../fuzz/src/promises.rs"]
mod promises;

use std::time::Duration;

use proptest::prelude::*;
use rebound_classify::Rules;

/// What one message may take of a processor.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

/// So many in an optimised build; a fifth where every one takes ten times as long.
const fn many(count: usize) -> usize {
    if cfg!(debug_assertions) { count / 5 } else { count }
}

fn bounded(name: &str, read: impl FnOnce()) {
    cost::bounded(name, PATIENCE, read);
}

fn all_are_bounded(messages: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
    for (name, message) in messages {
        bounded(name, || promises::of_a_report(&message));
    }
}

/// A message with one part of this type.
fn of_type(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [
        b"From: MAILER-DAEMON@mx.test\nSubject: Undeliverable\nContent-Type: ",
        content_type.as_bytes(),
        b"\n\n",
        body.as_ref(),
    ]
    .concat()
}

/// A message with many parts.
fn with_parts(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut message = of_type("multipart/mixed; boundary=b", "");
    for part in parts {
        message.extend_from_slice(b"--b\n");
        message.extend_from_slice(&part);
        message.push(b'\n');
    }
    message
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut message = [b"\n\n", bytes].concat();
    mutate::encode_a_part(&mut message);
    message.split_off(1)
}

/// Many times the same, up to so many bytes.
fn fill(piece: impl AsRef<[u8]>, bytes: usize) -> Vec<u8> {
    piece.as_ref().repeat(bytes / piece.as_ref().len())
}

const MIB: usize = 1 << 20;

#[test]
fn great_length_is_bounded() {
    let nul = fill("\0", 25 * MIB);
    all_are_bounded([
        ("text of 25 MiB", of_type("text/plain", fill("delivery failed <a@b.test> ", 25 * MIB))),
        ("lines of 26 MiB", of_type("text/plain", fill("delivery failed <a@b.test>\r\n", 26 * MIB))),
        ("carriage returns", of_type("text/plain", fill("\r", 25 * MIB))),
        ("empty lines", fill("\n", 25 * MIB)),
        ("one line of 20 MB", of_type("text/plain", fill("a", 20_000_000))),
        ("one header of 20 MB", [b"Subject: ".to_vec(), fill("a", 20_000_000)].concat()),
        ("one header of no UTF-8", [b"Subject: ".to_vec(), fill(b"\xff", 20_000_000)].concat()),
        ("a mailbox of From lines", fill("From \n", 25 * MIB)),
        ("NULs", nul.clone()),
        ("NULs as text", of_type("text/plain", &nul)),
        ("no UTF-8", of_type("text/plain", fill(b"\xff", 25 * MIB))),
        ("ats", of_type("text/plain", fill("@", MIB))),
    ]);
}

#[test]
fn many_headers_and_parts_are_bounded() {
    let headers = |count: usize| (0..count).flat_map(|n| format!("X-{n}: v\n").into_bytes()).collect::<Vec<_>>();
    let nest = |depth: usize, inside: Vec<u8>| {
        let mut message: Vec<u8> = (0..depth)
            .flat_map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n").into_bytes())
            .collect();
        message.extend(inside);
        message
    };
    let little = || [fill("a:\n", 3_000), b"\n\n".to_vec()].concat();
    let boundary = String::from_utf8(fill("b", MIB)).unwrap();
    all_are_bounded([
        ("100,000 headers", headers(100_000)),
        ("folds", [b"Subject: a\n".to_vec(), fill(" b\n", 3 * MIB)].concat()),
        ("1,000 nested multiparts", nest(1_000, Vec::new())),
        ("a nest around 24 MiB", nest(50, fill("--b \n", 24 * MIB))),
        ("a nest of one boundary", fill("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 10 * MIB)),
        ("200,000 parts", with_parts(vec![Vec::new(); 200_000])),
        ("1,000,000 headers in 1,000 parts", with_parts(std::iter::repeat_with(little).take(1_000))),
        ("nested parts of many headers", {
            let parts: Vec<u8> = (0..8)
                .flat_map(|level| {
                    let mut parts = fill([b"--b\n".to_vec(), little()].concat(), 900 * 3_010);
                    parts.iter_mut().skip(2).step_by(3_006).for_each(|byte| *byte = b'b');
                    let open = format!("Content-Type: multipart/mixed; boundary=c{level}\n\n--c{level}\n");
                    [open.into_bytes(), parts].concat()
                })
                .collect();
            parts
        }),
        ("parts with headers of no UTF-8", {
            let part = [b"Subject: ".to_vec(), fill(b"\xff", MIB - 100), b"\n\nx".to_vec()].concat();
            with_parts(vec![part; 24])
        }),
        ("parts of long types", {
            with_parts(vec![[b"Content-Type: a/".to_vec(), fill(b"\xff", MIB - 100), b"\n\nx".to_vec()].concat(); 24])
        }),
        ("a boundary of 1 MiB", {
            of_type(&format!("multipart/mixed; boundary={boundary}"), format!("--{boundary}\n\nx\n").repeat(10))
        }),
        ("a boundary of 20 MB that no header names", {
            of_type("multipart/mixed", [b"--".to_vec(), fill(b"\xff", 20_000_000)].concat())
        }),
    ]);
}

#[test]
fn many_recipients_are_bounded() {
    let fields = |count: usize, more: &str| -> Vec<u8> {
        (0..count).flat_map(|n| format!("Final-Recipient: rfc822; a{n}@b.test\n{more}\n").into_bytes()).collect()
    };
    let gone = "Action: failed\nDiagnostic-Code: smtp; 550 no such user\n";
    let names: Vec<u8> = (0..100_000).flat_map(|n| format!("<a{n}@b.test>:\nno\n").into_bytes()).collect();
    let short: Vec<u8> = fill("<a@b>\n", 64 << 10);
    let listed: String = (0..100_000).map(|n| format!("a{n}@b.test,")).collect();
    let status = "message/delivery-status";
    let part = |kind: &str, body: &[u8]| [b"Content-Type: ", kind.as_bytes(), b"\n\n", body].concat();
    let hidden = base64(&fields(1_000, gone));
    all_are_bounded([
        ("100,000 recipients", of_type(status, fields(100_000, gone))),
        ("100,000 of whom nothing is said", of_type(status, fields(100_000, "Action: failed\n"))),
        ("100,000 without an empty line", of_type(status, fill("Final-Recipient: rfc822; a@b.test\n", 4_000_000))),
        ("recipients in each of 1,000 parts", with_parts(vec![part(status, &fields(200, gone)); 1_000])),
        ("the shortest recipients", with_parts(vec![part(status, &fill("action:f\n\n", 64 << 10)); 300])),
        ("recipients that the text names over and over", {
            with_parts([part("text/plain", &short), part(status, &fields(1_000, "Action: failed\n"))])
        }),
        ("a host with a long name", {
            let host = [b"Reporting-MTA: dns; ".to_vec(), fill("a", 50_000), b"\n\n".to_vec()].concat();
            of_type(status, [host, fill("action:f\n\n", 12_000)].concat())
        }),
        ("recipients with long names", {
            let name = String::from_utf8(fill("a", 60_000)).unwrap();
            let one = part(status, format!("Final-Recipient: {name}\nRemote-MTA: {name}\n").as_bytes());
            with_parts(vec![one; 400])
        }),
        ("names for people", of_type("text/plain", &names)),
        ("the shortest names for people", of_type("text/plain", &short)),
        ("names behind codes", of_type("text/plain", fill("550 a@b\n", 64 << 10))),
        ("a header that names 100,000", {
            let head = format!("X-Failed-Recipients: {listed}\n");
            [head.into_bytes(), of_type("text/plain", &short)].concat()
        }),
        ("words that are encoded, before a plain that has half of them", {
            let status = [b"Content-Type: message/delivery-status\n".to_vec(), hidden.clone()].concat();
            with_parts([status, fill("\nno such ", 2 * MIB)])
        }),
        ("words that are encoded, before white space", {
            let status = [b"Content-Type: message/delivery-status\n".to_vec(), hidden].concat();
            with_parts([status, [b"\nno".to_vec(), fill(" ", 2 * MIB)].concat()])
        }),
        ("100,000 complainants", {
            of_type(
                "message/feedback-report",
                fill("Original-Rcpt-To: a@b.test\nRedacted-Address: c@d.test\n", 5 * MIB),
            )
        }),
    ]);
}

#[test]
fn encodings_are_bounded() {
    let encoded = |encoding: &str, kind: &str, body: &[u8]| {
        [b"Content-Transfer-Encoding: ", encoding.as_bytes(), b"\n", of_type(kind, body).as_slice()].concat()
    };
    let mut layers = fill("no such user ", MIB / 8);
    for _ in 0..8 {
        layers = [b"Content-Type: text/plain\n".to_vec(), base64(&layers)].concat();
    }
    let quoted = (0..3).fold(fill("=", MIB / 16), |bytes, _| {
        bytes.iter().flat_map(|byte| format!("={byte:02X}").into_bytes()).collect()
    });
    let nested: Vec<u8> = fill("<div>", 10 * MIB);
    let html = "text/html; charset=utf-8";
    all_are_bounded([
        ("base64 in base64", layers),
        ("base64 of nothing", encoded("base64", "text/plain", &fill("=", 20 * MIB))),
        ("quoted-printable in quoted-printable", encoded("quoted-printable", "text/plain", &quoted)),
        ("soft line ends", encoded("quoted-printable", "text/plain", &fill("=\n", 20 * MIB))),
        ("encoded words", [b"Subject: ".to_vec(), fill("=?utf-8?q?=C3?= ", MIB - 100), b"\n\nx".to_vec()].concat()),
        (
            "encoded words without an end",
            [b"From: ".to_vec(), fill("=?utf-8?q?", MIB - 100), b"\n\nx".to_vec()].concat(),
        ),
        ("HTML of 10 MB, nested", of_type(html, &nested)),
        ("HTML in 1,000 parts", with_parts(vec![of_type(html, fill("<a><!--<b>", 20_000)); 1_000])),
        ("HTML that never opens", of_type(html, fill("<", 10 * MIB))),
        ("HTML of entities", of_type(html, fill("&#x1F600;&bogus;&", 10 * MIB))),
        ("HTML of comments", of_type(html, fill("<!-- ", 10 * MIB))),
        ("HTML in base64", encoded("base64", html, &base64(&nested[..MIB])[36..])),
    ]);
    let charsets = [
        "utf-7",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "iso-2022-jp",
        "iso-2022-kr",
        "iso-2022-cn",
        "gb18030",
        "gbk",
        "big5",
        "shift_jis",
        "euc-jp",
        "euc-kr",
        "koi8-r",
        "windows-1252",
        "hz-gb-2312",
        "us-ascii",
        "x-unknown",
        "utf-8",
    ];
    let broken: [&[u8]; 8] =
        [b"\xff", b"\xd8\x00", b"\x00\xd8", b"\x1b$B\x7f\x7f", b"\x1b$)C\x0e\xff", b"+2AA-", b"\xed\xa0\x80", b"~{~"];
    for charset in charsets {
        for (at, piece) in broken.into_iter().enumerate() {
            let message = of_type(&format!("text/plain; charset={charset}"), fill(piece, many(200 << 10)));
            bounded(&format!("{charset} {at}"), || promises::of_a_report(&message));
        }
    }
}

#[test]
fn notifications_are_bounded() {
    let bounce = |part: &str| format!("{{\"notificationType\":\"Bounce\",\"bounce\":{part}}}");
    let recipients = fill("{\"emailAddress\":\"\"},", 20_000);
    let recipients = String::from_utf8(recipients).unwrap();
    let mut inner = bounce("{}");
    while inner.len() < 60_000 {
        inner = serde_json::json!({ "notificationType": "Bounce", "Message": inner }).to_string();
    }
    all_are_bounded(
        [
            ("deep lists", bounce(&"[".repeat(60_000))),
            ("deep objects", bounce(&"{\"a\":".repeat(10_000))),
            ("deep lists in 10 MB", bounce(&"[".repeat(10_000_000))),
            ("messages in messages", inner),
            ("many numbers", bounce(&format!("[{}0]", "0,".repeat(32_000)))),
            ("many keys", bounce(&format!("{{{}\"a\":0}}", "\"\":0,".repeat(12_000)))),
            ("many recipients of a host with a long name", {
                let host = "a".repeat(40_000);
                bounce(&format!("{{\"reportingMTA\":\"{host}\",\"bouncedRecipients\":[{recipients}{{}}]}}"))
            }),
        ]
        .map(|(name, json)| (name, of_type("text/plain", json))),
    );
}

#[test]
fn replies_are_bounded() {
    for (name, reply) in [
        ("20 MB", fill("550 no such user ", 20_000_000)),
        ("lines", fill("550-5.1.1 no such user\r\n", MIB)),
        ("dots", fill("5.", MIB)),
        ("links", fill("http://", MIB)),
        ("hints", fill("try again in ", MIB)),
        ("white space", fill("550 \u{a0}\u{2003}", MIB)),
        ("half a phrase", fill("no such ", MIB)),
        ("capitals", fill("A1_", MIB)),
    ] {
        bounded(name, || promises::of_a_reply(&reply));
    }
}

#[test]
fn a_rule_file_is_bounded() {
    let rule = |id: usize, words: &str| {
        format!("[[rule]]\nid='local.r{id}'\ncause='virus'\nwhy='a'\nexample='egg {id}'\nnot='x'\nwords=[{words}]\n")
    };
    let each = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let alike = |n: usize| format!("'aaaaaaaaaaaaaaaaaaaaaaaa {n}',");
    let most = 255 << 10;
    for (name, text, told) in [
        ("10 MB of nothing", "# nothing\n".repeat(1_000_000), Some("larger than 256 KiB")),
        ("10 MB of rules", each(70_000, &|n| rule(n, &format!("'egg {n}'"))), Some("larger than 256 KiB")),
        ("100,000 phrases", rule(0, &"'egg',".repeat(100_000)), Some("larger than 256 KiB")),
        ("30,000 phrases", rule(0, &"'egg',".repeat(30_000)), Some("more than 2000 phrases")),
        ("as many rules as are read", each(1_990, &|n| rule(n, &format!("'egg {n}'"))), None),
        (
            "rules that begin alike",
            {
                each(many(1_700), &|n| {
                    rule(n, &alike(n)).replace(&format!("egg {n}"), alike(n).trim_matches(['\'', ',']))
                })
            },
            None,
        ),
        (
            "phrases that begin alike",
            rule(0, &each(many(1_990), &alike)).replace("egg 0", &"aaaa ".repeat(400)),
            Some("example"),
        ),
        ("phrases of one letter", rule(0, &each(190, &|n| format!("'{}',", "a".repeat(n + 2)))), Some("example")),
        ("rules of one name", rule(0, "'egg'").repeat(1_900), Some("another rule has this id")),
        ("rules without words", each(2_000, &|n| rule(n, "")), Some("no words")),
        ("a long phrase", rule(0, &format!("'{}'", "ab ".repeat(80_000))), Some("more than 200 bytes")),
        ("a phrase of gaps", rule(0, &format!("'{}'", "a*b*".repeat(50))), Some("example")),
        ("a long example", rule(0, "'egg'").replace("egg 0", &"egg @ ".repeat(40_000)), Some("shorten the example")),
        ("many hosts", format!("{}hosts=[{}]", rule(0, "'egg'"), "'x',".repeat(60_000)), Some("example")),
        ("many codes", format!("{}status=[{}]", rule(0, "'egg'"), "'5.1.x',".repeat(30_000)), Some("example")),
        ("no codes", format!("{}status=[{}]", rule(0, "'egg'"), "'',".repeat(80_000)), Some("three numbers")),
        ("many numbers", format!("rule = [{}]", "0,".repeat(most / 2)), Some("line 1")),
        ("many tables", "[[a]]\n".repeat(most / 6), Some("line 1")),
        ("deep lists", format!("rule = {}", "[".repeat(most)), Some("line 1")),
        ("deep tables", format!("[{}a]", "a.".repeat(most / 2)), Some("recursion limit")),
        ("deep keys", format!("{}a=0", "a.".repeat(most / 2)), Some("recursion limit")),
    ] {
        let mut faults = None;
        bounded(name, || faults = Rules::with(&text).err());
        let says = |words: &str| faults.iter().flatten().any(|fault| fault.what.contains(words));
        assert!(told.map_or(faults.is_none(), says), "{name}: {:?}", faults.iter().flatten().next());
    }
}

/// What the fuzz targets do, for a moment: `fixtures/` in ever other shapes.
#[test]
fn changed_messages_keep_every_promise() {
    let rounds = many(200) as u64;
    for (at, fixture) in mutate::FIXTURES.iter().enumerate() {
        for round in 0..rounds {
            let mut message = fixture.clone();
            mutate::mutate(&mut message, at as u64 * 1_000_003 + round);
            promises::of_a_report(&message);
            promises::of_a_reply(&message);
        }
    }
    assert!(mutate::FIXTURES.len() > 10);
}

#[test]
fn changed_feedback_reports_keep_every_promise() {
    let report = include_bytes!("../../fixtures/arf-abuse.eml");
    for seed in 0..many(1_000) as u64 {
        let mut message = report.to_vec();
        mutate::mutate(&mut message, seed);
        promises::of_a_feedback_report(&message);
    }
}

#[test]
fn changed_rule_files_keep_every_promise() {
    let rules = include_bytes!("../../rules/apple.toml");
    for seed in 0..many(50) as u64 {
        let mut file = rules.to_vec();
        mutate::mutate(&mut file, seed);
        promises::of_a_rule_file(&file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(many(500) as u32))]

    #[test]
    fn any_bytes_keep_every_promise(bytes in proptest::collection::vec(any::<u8>(), 0..1_024)) {
        promises::of_a_report(&bytes);
        promises::of_a_reply(&bytes);
    }

    #[test]
    fn any_words_keep_every_promise(code in 200_u16..600, words in ".{0,300}") {
        promises::of_a_reply(format!("{code} {words}").as_bytes());
    }
}
