//! Messages from where others keep them.

use rebound_ingest::{Error, messages};
use std::fs;
use std::path::Path;

fn read(path: &Path) -> Vec<String> {
    let found = messages(path).map(|found| {
        let found = found.unwrap();
        let name = found.path.strip_prefix(path).unwrap_or(&found.path).display().to_string();
        format!("{name}#{} {}", found.number, String::from_utf8(found.raw).unwrap().lines().next().unwrap_or_default())
    });
    found.collect()
}

#[test]
fn every_kind_of_mailbox_gives_its_messages_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, content) in [
        ("1/b.eml", "Subject: b\n\nx"),
        ("1/a.msg", "From ada@orchard.example Mon Nov 23 10:00:00 2026\nSubject: a\n\nx"),
        ("1/c", "Received: from mx\n\nx"),
        ("1/LICENSE.txt", "Copyright (c) all of us"),
        ("1/notes.txt", "These are no mails.\nSubject: x\n"),
        ("1/.hidden.eml", "Subject: hidden\n"),
        ("1/deep/d.txt", "Subject: d\n\nx"),
        ("2/new/1.host", "no header at all"),
        ("2/cur/0.host:2,S", "Subject: seen\n\nx"),
        ("2/tmp/9.host", "Subject: half"),
        (
            "3.mbox",
            "From a@b Mon Nov 23 10:00:00 2026\nSubject: 1\n\nx\n\nFrom a@b Mon Nov 23 10:00:01 2026\nSubject: 2\n\nx\n",
        ),
        ("4.bin", "no mail, but asked for"),
    ] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), content).unwrap();
    }
    assert_eq!(
        read(&at("1")),
        ["a.msg#1 Subject: a", "b.eml#1 Subject: b", "c#1 Received: from mx", "deep/d.txt#1 Subject: d"]
    );
    assert_eq!(read(&at("2")), ["cur/0.host:2,S#1 Subject: seen", "new/1.host#1 no header at all"]);
    assert_eq!(read(&at("3.mbox")), ["#1 Subject: 1", "#2 Subject: 2"]);
    assert_eq!(read(&at("4.bin")), ["#1 no mail, but asked for"]);
    assert_eq!(read(folder.path()).len(), 8);
    assert!(at("2/new/1.host").exists());
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let found: Vec<_> = messages(&missing).collect();
    assert!(matches!(found.as_slice(), [Err(Error::Unreadable { path, .. })] if *path == missing));

    fs::write(folder.path().join("a.eml"), vec![b'x'; (25 << 20) + 1]).unwrap();
    fs::write(folder.path().join("b.eml"), "Subject: b\n").unwrap();
    let found: Vec<_> = messages(folder.path()).collect();
    assert!(matches!(found.as_slice(), [Err(Error::TooLarge { .. }), Ok(message)] if message.raw == b"Subject: b\n"));
}
