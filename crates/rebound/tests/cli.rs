//! What the program says to those who are new to it, and to input that is no good: a clear message, and nothing lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops, and says where")]

use std::fs::{read_to_string, write};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder that the program works in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rebound"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REBOUND_")) {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Whether a command did well, what it answered, and what it complained of.
    fn run(&self, args: &[&str]) -> (bool, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// What a command that must do well answers.
    fn well(&self, args: &[&str]) -> String {
        let (well, out, err) = self.run(args);
        assert!(well, "`rebound {}`: {out}{err}", args.join(" "));
        out
    }

    /// What a command that must not do well says.
    fn refused(&self, args: &[&str]) -> String {
        let (well, out, err) = self.run(args);
        assert!(!well, "`rebound {}` does well: {out}", args.join(" "));
        assert!(!err.contains("panicked"), "{err}");
        format!("{out}{err}")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(self.0.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        read_to_string(self.0.path().join(name)).unwrap()
    }

    /// A list with one column of `people`.
    fn list(&self, people: &str) {
        self.write("people.csv", people);
        self.well(&["import", "people.csv", "--list", "Newsletter"]);
    }

    /// A campaign in a file.
    fn campaign(&self, subject: &str, html: &str) {
        let text = format!(
            "name = 'Spring'\nlist = 'Newsletter'\nfrom_name = 'Fernhill'\nfrom = 'news@fernhill.test'\n\
             subject = '{subject}'\nhtml = '{html}'\npostal_address = '1 Garden Row, Fernhill'\n"
        );
        self.write("spring.toml", text);
    }
}

/// A program that serves, until the test is over.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn help_teaches_the_first_steps() {
    let desk = Desk::new();
    let help = desk.well(&["--help"]);
    for part in
        ["rebound demo", "rebound import people.csv --list", "rebound campaign launch", "rebound serve", "doctor"]
    {
        assert!(help.contains(part), "{part} in {help}");
    }
    for command in
        ["import", "campaign", "campaign launch", "classify", "ingest", "ledger", "demo", "doctor", "user add"]
    {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = desk.well(&args);
        assert!(help.contains("Usage: rebound") && help.lines().next().unwrap().len() > 10, "{help}");
    }
    assert!(desk.refused(&["lanch"]).contains("unrecognized subcommand"));
    assert!(desk.refused(&["import", "people.csv"]).contains("--list"));
}

#[test]
fn a_configuration_is_read_whole_before_it_is_refused() {
    let desk = Desk::new();
    desk.write("rebound.toml", "listen = 'nowhere'\ncolour = 'blue'\n[relay]\nport = 99999\ntls = 'maybe'\n");

    for command in ["serve", "migrate"] {
        let told = desk.refused(&[command]);
        for part in ["rebound.toml has 5 mistakes", "listen", "colour", "relay.host", "relay.port", "relay.tls"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    assert!(!desk.0.path().join("rebound.db").exists(), "nothing was begun");
    let doctor = desk.refused(&["doctor"]);
    assert!(doctor.contains("WRONG configuration") && doctor.contains("colour"), "{doctor}");

    desk.write("rebound.toml", "listen = [");
    assert!(desk.refused(&["serve"]).contains("rebound.toml is not TOML"));
    desk.write("rebound.toml", [0xff, 0xfe, 0x00]);
    assert!(desk.refused(&["serve"]).contains("cannot read rebound.toml"));
    let told = desk.refused(&["--config", "elsewhere.toml", "serve"]);
    assert!(told.contains("cannot read elsewhere.toml"), "{told}");
}

#[test]
fn a_port_that_is_taken_is_named_with_its_setting() {
    let desk = Desk::new();
    let (held, free) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), free_port());
    let taken = held.local_addr().unwrap().to_string();

    desk.write("rebound.toml", format!("listen = '{taken}'\n[return_path]\nlisten = '{free}'\n"));
    let told = desk.refused(&["serve"]);
    assert!(told.contains(&taken) && told.contains("`listen`"), "{told}");

    desk.write("rebound.toml", format!("listen = '{free}'\n[return_path]\nlisten = '{taken}'\n"));
    let told = desk.refused(&["serve"]);
    assert!(told.contains(&taken) && told.contains("`return_path.listen`"), "{told}");
}

#[test]
fn doctor_says_what_to_do() {
    let desk = Desk::new();
    let ports = format!("listen = '{}'\n[return_path]\nlisten = '{}'\n", free_port(), free_port());
    desk.write("rebound.toml", &ports);

    let told = desk.refused(&["doctor"]);
    for part in ["ok    configuration", "ok    database", "WRONG relay", "Add [relay] with host and port"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!desk.0.path().join("rebound.db").exists(), "it only looks");

    desk.write("rebound.key", "no key");
    desk.write("rebound.toml", format!("database = 'mysql://somewhere/else'\n{ports}"));
    let told = desk.refused(&["doctor"]);
    assert!(told.contains("WRONG key: rebound.key cannot be used") && told.contains("WRONG database"), "{told}");
}

#[test]
fn garbage_is_classified_without_a_stumble() {
    let desk = Desk::new();
    let noise = noise(50_000);
    desk.write("noise.eml", &noise);
    desk.write("empty.eml", "");
    desk.write("line.eml", "x".repeat(1 << 20));
    desk.write("replies.txt", [&noise[..2000], b"\n\n550 5.1.1 no such user\n"].concat());

    for format in ["text", "jsonl"] {
        let out = desk.well(&["classify", "--format", format, "noise.eml", "empty.eml", "line.eml"]);
        assert_eq!(out.lines().filter(|line| line.contains(".eml")).count(), 3, "{out}");
    }
    for line in desk.well(&["classify", "--format", "jsonl", "noise.eml", "empty.eml"]).lines() {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_ne!(answer["kind"], "bounce", "{answer}");
    }
    assert!(desk.well(&["classify", "--replies", "replies.txt"]).contains("no such user"));
    assert!(desk.well(&["classify", "--reply", "550 5.1.1 no such user"]).contains("hard"));
    assert!(desk.refused(&["classify", "nowhere"]).contains("nowhere"), "a missing folder is named");
    let (well, out, err) = desk.run(&["classify", "nowhere", "empty.eml"]);
    assert!(!well && out.contains("empty.eml") && err.contains("nowhere"), "the rest is read all the same: {out}{err}");
    assert!(desk.refused(&["classify"]).contains("Usage"));
}

#[test]
fn rules_of_ones_own_are_laid_over_those_built_in_or_every_fault_is_told() {
    let desk = Desk::new();
    let rule = |id: &str, words: &str| {
        format!(
            "[[rule]]\nid = '{id}'\ncause = 'spam_suspected'\nwhy = 'our biggest customer'\nwords = ['{words}']\n\
             example = '550 computer says no'\nnot = '550 no such user'\n\n"
        )
    };
    desk.write("own.toml", rule("local.says-no", "computer says no"));
    desk.write("wrong.toml", [rule("local.says-no", "computer says yes"), rule("nameless", "computer")].concat());

    let reply = "550 5.7.1 computer says no";
    let told = desk.well(&["classify", "--rules", "own.toml", "--reply", reply]);
    for part in ["A filter thinks", "by local.says-no “computer says no”", "marketer: Change the words", "admin: "]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    let json = desk.well(&["classify", "--rules", "own.toml", "--format", "jsonl", "--reply", reply]);
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(answer["evidence"][0]["rule"], "local.says-no");
    assert!(answer["rules"].as_str().unwrap().contains("+local-"), "{answer}");
    assert!(answer["advice"]["admin"].as_str().unwrap().contains("DKIM"), "{answer}");

    assert!(desk.well(&["classify", "--lint"]).contains("All is well"));
    assert!(desk.well(&["classify", "--lint", "--rules", "own.toml"]).contains("+local-"));
    for args in [&["classify", "--lint"][..], &["classify", "--reply", reply]] {
        let output = desk.command(&[args, &["--rules", "wrong.toml"]].concat()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("wrong.toml: nameless: an id is a word"), "{told}");
    }
    desk.write("wrong.toml", rule("local.says-no", "computer says yes"));
    assert!(
        desk.refused(&["classify", "--lint", "--rules", "wrong.toml"]).contains("local.says-no: does not match its")
    );
    desk.write("wrong.toml", "[[rule]]\nid = 3");
    assert!(desk.refused(&["classify", "--lint", "--rules", "wrong.toml"]).contains("line 2"));
    assert!(desk.refused(&["classify", "--lint", "--rules", "nowhere.toml"]).contains("nowhere.toml"));
}

#[test]
fn many_threads_answer_what_one_answers_in_the_same_order() {
    let desk = Desk::new();
    let words = ["550 5.1.1 no such user", "452 4.2.2 mailbox full", "554 5.7.1 spam", "hello"];
    let message = |n: usize| {
        let from = "From a@b.example Mon Nov 23 10:00:00 2026\n";
        let body = format!(
            "From: MAILER-DAEMON@b.example\nSubject: Undelivered mail {n}\n\n<u{n}@c.example>: {}\n\n",
            words[n % 4]
        );
        format!("{from}{body}")
    };
    desk.write("all.mbox", (0..600).map(message).collect::<String>());
    desk.write("replies.txt", (0..600).map(|n| format!("{} {n}\n", words[n % 4])).collect::<String>());

    let answers = |threads: &str| {
        let what = ["--format", "jsonl", "nowhere.mbox", "all.mbox"];
        let (well, out, err) = desk.run(&[&["classify", "--threads", threads][..], &what].concat());
        assert!(!well && err.contains("nowhere.mbox"), "{err}");
        desk.well(&["classify", "--threads", threads, "--replies", "replies.txt"]) + &out
    };
    let one = answers("1");
    assert_eq!(one.lines().filter(|line| line.contains("marketer: ")).count(), 600);
    assert_eq!(one.lines().filter(|line| line.starts_with("{\"path\":\"all.mbox\"")).count(), 600);
    assert_eq!(answers("2"), one);
    assert_eq!(answers("7"), one);
    assert!(desk.refused(&["classify", "--threads", "0", "all.mbox"]).contains("0"));
}

#[test]
fn a_merge_field_that_somebody_lacks_is_named_before_launch() {
    let desk = Desk::new();
    desk.list("email,first_name,city\nada@fernhill.test,Ada,Oslo\nbo@fernhill.test,Bo,\n");
    desk.campaign("{{ first_name }}", "<p>{{ nickname }} in {{ city }}</p>");
    desk.well(&["campaign", "create", "spring.toml"]);

    for order in ["check", "launch"] {
        let told = desk.refused(&["campaign", order, "Spring"]);
        for part in ["nickname", "ada@fernhill.test", "bo@fernhill.test", "city"] {
            assert!(told.contains(part), "{order}: {part} in {told}");
        }
        assert!(!told.contains("first_name"), "everybody has one: {told}");
    }
    assert!(desk.well(&["campaign", "list"]).contains("draft"), "it was not launched");

    let told: serde_json::Value =
        serde_json::from_str(&desk.refused(&["campaign", "check", "Spring", "--json"])).unwrap();
    let finding = told["findings"].as_array().unwrap().iter().find(|one| one["check"] == "field_empty").unwrap();
    assert_eq!((&told["can_go"], &finding["level"]), (&false.into(), &"stops".into()), "{told}");

    desk.campaign("Spring", "<p>Spring</p>");
    desk.write("spring.toml", desk.read("spring.toml").replace("'Spring'\nlist", "'Autumn'\nlist"));
    desk.well(&["campaign", "create", "spring.toml"]);
    let told = desk.well(&["campaign", "check", "Autumn"]);
    for part in ["should: This is a rehearsal", "could: The message has no preheader", "“Autumn” can go."] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn a_campaign_that_cannot_be_read_says_where() {
    let desk = Desk::new();
    desk.list("email\nada@fernhill.test\n");

    desk.campaign("Spring", "<p>{% if %}</p>");
    let (_, out, err) = desk.run(&["campaign", "create", "spring.toml"]);
    assert!(format!("{out}{err}").to_lowercase().contains("html"), "the part is named: {out}{err}");

    desk.campaign("Spring", "<p>Spring</p>");
    let good = desk.read("spring.toml");
    for (from, to, word) in [
        ("subject =", "subjct =", "subjct"),
        ("news@fernhill.test", "news at fernhill", "from"),
        ("Newsletter", "Nobody", "there is no list called Nobody"),
        ("name = 'Spring'", "", "name"),
    ] {
        desk.write("spring.toml", good.replacen(from, to, 1));
        let told = desk.refused(&["campaign", "create", "spring.toml"]);
        assert!(told.contains(word), "{word} in {told}");
    }
    assert!(desk.refused(&["campaign", "create", "nowhere.toml"]).contains("cannot read nowhere.toml"));
    assert!(desk.refused(&["campaign", "launch", "Autumn"]).contains("no campaign called Autumn"));
}

#[test]
fn files_that_hold_no_people_are_refused_and_nobody_is_lost() {
    let desk = Desk::new();
    desk.list("email\nada@fernhill.test\n");

    for (name, content, word) in [
        ("noise.csv", noise(20_000), "no text"),
        ("empty.csv", vec![], ""),
        ("names.csv", b"first,last\nAda,Lovelace\n".to_vec(), "address"),
    ] {
        desk.write(name, content);
        let told = desk.refused(&["import", name, "--list", "Newsletter"]);
        assert!(told.contains(name) && told.contains(word), "{name}: {told}");
    }
    assert!(desk.refused(&["import", "nowhere.csv", "--list", "Newsletter"]).contains("cannot read nowhere.csv"));
    let again = desk.well(&["import", "people.csv", "--list", "Newsletter"]);
    assert!(again.contains("1 as they were"), "{again}");
}

#[test]
fn a_line_of_a_megabyte_is_one_bad_row() {
    let desk = Desk::new();
    let long = "x".repeat(1 << 20);
    desk.write("people.csv", format!("email,name\nada@fernhill.test,Ada\n{long},Bo\ncleo@fernhill.test,Cleo\n"));

    let told = desk.well(&["import", "people.csv", "--list", "Newsletter"]);

    assert!(told.contains("2 new") && told.contains("1 row to correct"), "{told}");
    let bad = desk.read("people.csv.bad.csv");
    assert!(bad.lines().nth(1).unwrap().starts_with("3,") && bad.len() < 100_000, "{} bytes", bad.len());
}

#[test]
fn mail_of_30_megabytes_is_refused_and_the_listener_goes_on() {
    let desk = Desk::new();
    let (pages, bounces) = (free_port(), free_port());
    desk.write("rebound.toml", format!("listen = '{pages}'\n[return_path]\nlisten = '{bounces}'\n"));
    desk.write("rebound.key", format!("a {}\n", "ab".repeat(32)));
    let child = desk.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _serving = Serving(child);

    let mut talk = Talk::with(bounces);
    assert!(talk.say("MAIL FROM:<> SIZE=31457280").starts_with("552"), "it is told before it is sent");
    assert!(talk.say("MAIL FROM:<>").starts_with("250"));
    assert!(talk.say(&format!("RCPT TO:<{}@bounce.localhost.example>", signed())).starts_with("250"));
    assert!(talk.say("DATA").starts_with("354"));
    let line = format!("{}\r\n", "x".repeat(998));
    let sent = (0..31_457).all(|_| talk.0.get_mut().write_all(line.as_bytes()).is_ok());
    let answer = if sent { talk.say(".") } else { "the line was closed".to_owned() };
    assert!(!answer.starts_with('2'), "{answer}");

    let mut talk = Talk::with(bounces);
    assert!(talk.say("MAIL FROM:<>").starts_with("250"), "it goes on");
    assert!(talk.say("RCPT TO:<ada@bounce.localhost.example>").starts_with("550"));
    TcpStream::connect(pages).unwrap();
}

#[test]
fn no_address_of_a_person_is_logged() {
    let desk = Desk::new();
    let (pages, bounces) = (free_port(), free_port());
    // Nobody answers there: the worker has something to complain of.
    let relay = free_port();
    desk.write(
        "rebound.toml",
        format!(
            "public_url = 'http://{pages}'\nlisten = '{pages}'\n[return_path]\nlisten = '{bounces}'\n\
             [relay]\nhost = '127.0.0.1'\nport = {}\ntls = 'none'\n",
            relay.port()
        ),
    );
    desk.write("rebound.key", format!("a {}\n", "ab".repeat(32)));
    desk.list("email\ncanary-7261@orchard.test\n");
    desk.campaign("Spring", "<p>Dear canary-7261</p>");
    desk.well(&["campaign", "create", "spring.toml"]);
    desk.well(&["campaign", "launch", "Spring"]);
    let log = std::fs::File::create(desk.0.path().join("log")).unwrap();
    let mut command = desk.command(&["serve"]);
    command.env("REBOUND_LOG", "info").stdout(Stdio::null()).stderr(log);
    let serving = Serving(command.spawn().unwrap());

    let mut talk = Talk::with(bounces);
    talk.say("MAIL FROM:<canary-7261@orchard.test>");
    assert!(talk.say("RCPT TO:<canary-7261@bounce.localhost.example>").starts_with("550"));
    assert!(talk.say(&format!("RCPT TO:<{}@bounce.localhost.example>", signed())).starts_with("250"));
    assert!(talk.say("DATA").starts_with("354"));
    let report = "From: MAILER-DAEMON@orchard.test\r\nSubject: Undelivered\r\n\r\n\
                  <canary-7261@orchard.test>: 550 5.1.1 no such user canary-7261\r\n.";
    assert!(talk.say(report).starts_with("250"));
    for (path, body) in [
        ("/sign-in", "email=canary-7261%40orchard.test&password=canary-7261-password"),
        ("/setup/canary-7261", "name=a&email=canary-7261%40orchard.test&password=x"),
        ("/join/canary-7261", "password=canary-7261"),
        ("/u/canary-7261", "List-Unsubscribe=One-Click"),
    ] {
        let mut stream = TcpStream::connect(pages).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {pages}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    let begin = Instant::now();
    while !desk.well(&["campaign", "status", "Spring"]).contains("cannot be reached") {
        assert!(begin.elapsed() < Duration::from_secs(60), "the campaign never waited");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(serving);
    let log = desk.read("log");
    assert!(log.contains("a password was refused"), "the log was read: {log}");
    assert!(!log.contains("canary-7261"), "{log}");
}

/// A return path that the key of all `ab` has signed.
fn signed() -> String {
    let keys = rebound_domain::Keys::new(('a', vec![0xab; 32]), vec![]);
    let path = rebound_domain::ReturnPath { delivery: rebound_domain::DeliveryId(1 << 31), attempt: 1 };
    path.sign(&keys, chrono::Utc::now())
}

/// Bytes that mean nothing, the same ones in every run.
fn noise(count: u32) -> Vec<u8> {
    (0..count).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 32).to_be_bytes()[0]).collect()
}

/// A port that nobody has; below those that the system hands out for connections, so that nobody gets it meanwhile.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() * 64;
    loop {
        let number = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(number).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A session with a mail server.
struct Talk(BufReader<TcpStream>);

impl Talk {
    /// Greets, as soon as somebody answers.
    fn with(server: SocketAddr) -> Self {
        let begin = Instant::now();
        let stream = loop {
            match TcpStream::connect(server) {
                Ok(stream) => break stream,
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut talk = Self(BufReader::new(stream));
        assert!(talk.reply().starts_with("220"));
        assert!(talk.say("EHLO mx.elsewhere.test").starts_with("250"));
        talk
    }

    /// The reply to a line; empty when nobody listens any more.
    fn say(&mut self, line: &str) -> String {
        let _ = self.0.get_mut().write_all(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn keys_of_a_domain_are_made_and_their_records_printed() {
    let desk = Desk::new();
    let added = desk.well(&["domain", "add", "Fernhill.test"]);
    for part in ["name:  rsa-", "name:  ed25519-", "._domainkey.fernhill.test", "v=DKIM1; k=rsa; p=MIIB", "waiting"] {
        assert!(added.contains(part), "{part} in {added}");
    }
    assert_eq!(desk.well(&["domain", "list"]).split_whitespace().collect::<Vec<_>>(), ["fernhill.test", "unsigned"]);
    let keys = desk.well(&["domain", "keys", "fernhill.test"]);
    assert!(added.ends_with(&keys), "{added} {keys}");
    // Nobody has put a name below `.test` into DNS (RFC 6761).
    let checked = desk.refused(&["domain", "check", "fernhill.test"]);
    assert_eq!(checked.matches("waiting").count(), 2, "{checked}");
    assert!(desk.refused(&["domain", "rotate", "fernhill.test"]).contains("new keys wait already"));
    assert!(desk.refused(&["domain", "add", "fernhill.test"]).contains("is there already"));
    assert!(desk.refused(&["domain", "add", "co.uk"]).contains("public suffix"));
    assert!(desk.refused(&["domain", "keys", "orchard.test"]).contains("domain list"));
}
