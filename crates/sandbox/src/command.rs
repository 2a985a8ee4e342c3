//! SMTP commands, parsed.

/// A command line of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    Mail {
        sender: &'a str,
        size: Option<u64>,
    },
    Rcpt(&'a str),
    Data,
    Rset,
    Noop,
    StartTls,
    Vrfy,
    Quit,
    /// With the reply that tells why.
    Malformed(&'static str),
}

const SYNTAX: Command<'static> = Command::Malformed("501 5.5.4 Syntax error in parameters");
const UNKNOWN: Command<'static> = Command::Malformed("500 5.5.2 Command not recognised");
const PARAMETER: Command<'static> = Command::Malformed("555 5.5.4 Unsupported parameter");

impl<'a> Command<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else {
            return UNKNOWN;
        };
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => Self::Ehlo(rest),
            "HELO" => Self::Helo(rest),
            "AUTH" => auth(rest),
            "MAIL" => mail(rest).unwrap_or(SYNTAX),
            "RCPT" => rcpt(rest).unwrap_or(SYNTAX),
            "DATA" => Self::Data,
            "RSET" => Self::Rset,
            "NOOP" => Self::Noop,
            "STARTTLS" => Self::StartTls,
            "VRFY" => Self::Vrfy,
            "QUIT" => Self::Quit,
            _ => UNKNOWN,
        }
    }
}

fn auth(rest: &str) -> Command<'_> {
    let mut words = rest.split_whitespace();
    match words.next() {
        Some(mechanism) => Command::Auth { mechanism, initial: words.next() },
        None => SYNTAX,
    }
}

fn mail(rest: &str) -> Option<Command<'_>> {
    let (sender, parameters) = path(rest, "FROM:")?;
    let mut size = None;
    for parameter in parameters.split_whitespace() {
        match parameter.to_ascii_uppercase().split_once('=') {
            Some(("SIZE", value)) => size = Some(value.parse().ok()?),
            Some(("BODY", "7BIT" | "8BITMIME")) | Some(("AUTH", _)) => {}
            _ => return Some(PARAMETER),
        }
    }
    Some(Command::Mail { sender, size })
}

fn rcpt(rest: &str) -> Option<Command<'_>> {
    let (recipient, parameters) = path(rest, "TO:")?;
    if !parameters.trim().is_empty() {
        return Some(PARAMETER);
    }
    let (local, domain) = recipient.rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty()).then_some(Command::Rcpt(recipient))
}

/// `FROM:<a@b> X=1` → (`a@b`, ` X=1`). The address may be empty, spaces may not be in it.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = rest.get(..keyword.len())?;
    let tail = rest.get(keyword.len()..)?.trim_start();
    let (address, parameters) = tail.strip_prefix('<')?.split_once('>')?;
    let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
    (head.eq_ignore_ascii_case(keyword) && plain).then_some((address, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        for (line, expected) in [
            (&b"EHLO me\r\n"[..], Command::Ehlo("me")),
            (b"mail from:<a@b.c> SIZE=12 BODY=8BITMIME\r\n", Command::Mail { sender: "a@b.c", size: Some(12) }),
            (b"MAIL FROM: <>\r\n", Command::Mail { sender: "", size: None }),
            (b"MAIL FROM:<a@b.c> SIZE=x\r\n", SYNTAX),
            (b"MAIL FROM:<a@b.c> SMTPUTF8\r\n", PARAMETER),
            (b"RCPT TO:<Ada@B.c>\r\n", Command::Rcpt("Ada@B.c")),
            (b"RCPT TO:<ada>\r\n", SYNTAX),
            (b"RCPT TO:<a b@c>\r\n", SYNTAX),
            (b"RCPT ada@b.c\r\n", SYNTAX),
            (b"RCPT \xc3\xa9\xc3\xa9\r\n", SYNTAX),
            (b"AUTH PLAIN AGEAYg==\r\n", Command::Auth { mechanism: "PLAIN", initial: Some("AGEAYg==") }),
            (b"AUTH\r\n", SYNTAX),
            (b"quit\r\n", Command::Quit),
            (b"\r\n", UNKNOWN),
            (b"\xff\xfe\r\n", UNKNOWN),
        ] {
            assert_eq!(Command::parse(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }
}
