//! `rebound doctor mx`, before a name server that knows one domain.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::thread;

const NO_SUCH_NAME: u8 = 3;

/// Knows `orchard.example` and the root of the DNS, and answers by hand: header, question, records (RFC 1035 §4.1).
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            socket.send_to(&answer(&bytes[..length]), from).unwrap();
        }
    });
    address
}

fn answer(asked: &[u8]) -> Vec<u8> {
    let name_end = 12 + asked[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let (name, kind) = (asked[12..name_end].to_ascii_lowercase(), asked[name_end + 1]);
    let mx = labels("mx.orchard.example");
    let (code, record) = match (name, kind) {
        (name, 15) if name == labels("orchard.example") => (0, Some([&[0, 10], mx.as_slice()].concat())),
        (name, 1) if name == mx => (0, Some(vec![192, 0, 2, 25])),
        (name, 2) if name == [0] => (0, Some(labels("root.example"))),
        (name, _) if name.ends_with(&labels("orchard.example")) => (0, None),
        _ => (NO_SUCH_NAME, None),
    };
    let mut said = [&asked[..2], &[0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]].concat();
    said.extend(&asked[12..name_end + 4]);
    if let Some(record) = record {
        let length = u8::try_from(record.len()).unwrap();
        said.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 44, 0, length]);
        said.extend(record);
    }
    said
}

fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn asked(domain: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rebound"));
    program.args(["doctor", "mx", domain, "--nameserver", &name_server().to_string()]).output().unwrap()
}

#[test]
fn the_way_to_a_domain_is_told() {
    let output = asked("Orchard.Example");
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = "\
receiver  orchard.example
MTA-STS   no policy
   10     mx.orchard.example
          192.0.2.25
          TLS if the host can, with any certificate
";
    assert_eq!((told.as_str(), output.status.success()), (expected, true));
}

#[test]
fn a_domain_that_is_not_there_is_told_and_is_a_failure() {
    let output = asked("gone.example");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told, "There is no domain gone.example (NXDOMAIN). (domain_unknown, for good)\n");
    assert!(!output.status.success());
}
