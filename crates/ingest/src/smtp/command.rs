//! One line of the other side, as a command.

use super::Reply;
use smtp_proto::{Error, Request};

/// What the other side asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// HELO.
    Hello,
    /// EHLO.
    ExtendedHello,
    /// MAIL: the sender, empty for the null sender, and the size it announces (0 when it announces none).
    Mail { from: String, size: usize },
    /// RCPT.
    Recipient { to: String },
    /// DATA.
    Data,
    /// RSET.
    Reset,
    /// NOOP.
    Noop,
    /// VRFY.
    Verify,
    /// QUIT.
    Quit,
}

impl Command {
    /// Reads `line`, which still has its line end. What cannot be read is the answer to give.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Reply> {
        let content = line.strip_suffix(b"\r\n").ok_or(Reply::BAD_LINE_END)?;
        if content.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(Reply::BAD_LINE_END);
        }
        match Request::parse(&mut line.iter()) {
            Ok(Request::Helo { .. }) => Ok(Self::Hello),
            Ok(Request::Ehlo { .. }) => Ok(Self::ExtendedHello),
            Ok(Request::Mail { from }) => Ok(Self::Mail { from: from.address.into_owned(), size: from.size }),
            Ok(Request::Rcpt { to }) => Ok(Self::Recipient { to: to.address.into_owned() }),
            Ok(Request::Data) => Ok(Self::Data),
            Ok(Request::Rset) => Ok(Self::Reset),
            Ok(Request::Noop { .. } | Request::Help { .. }) => Ok(Self::Noop),
            Ok(Request::Vrfy { .. }) => Ok(Self::Verify),
            Ok(Request::Quit) => Ok(Self::Quit),
            Ok(_) => Err(Reply::NOT_HERE),
            // Hosts that write reports are not always strict about who they are, and we do not write back.
            Err(Error::InvalidSenderAddress) => Ok(Self::Mail { from: within_brackets(content), size: 0 }),
            Err(Error::InvalidRecipientAddress) => Err(Reply::NO_SUCH_ADDRESS),
            Err(Error::UnknownCommand) => Err(Reply::UNKNOWN_COMMAND),
            Err(_) => Err(Reply::BAD_SYNTAX),
        }
    }
}

fn within_brackets(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(inside, _)| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands_or_the_answer_to_give() {
        let mail = |from: &str, size| Ok(Command::Mail { from: from.to_owned(), size });
        for (line, expected) in [
            ("EHLO mx.example\r\n", Ok(Command::ExtendedHello)),
            ("helo mx\r\n", Ok(Command::Hello)),
            ("MAIL FROM:<>\r\n", mail("", 0)),
            ("mail from:<> SIZE=31457280 BODY=8BITMIME\r\n", mail("", 31_457_280)),
            ("MAIL FROM:<MAILER-DAEMON@mx.example>\r\n", mail("MAILER-DAEMON@mx.example", 0)),
            ("MAIL FROM:<MAILER-DAEMON>\r\n", mail("MAILER-DAEMON", 0)),
            ("RCPT TO:<b.a.b@bounce.example>\r\n", Ok(Command::Recipient { to: "b.a.b@bounce.example".to_owned() })),
            ("DATA\r\n", Ok(Command::Data)),
            ("RSET\r\n", Ok(Command::Reset)),
            ("NOOP\r\n", Ok(Command::Noop)),
            ("VRFY ada\r\n", Ok(Command::Verify)),
            ("QUIT\r\n", Ok(Command::Quit)),
            ("STARTTLS\r\n", Err(Reply::NOT_HERE)),
            ("AUTH PLAIN AGEAYg==\r\n", Err(Reply::NOT_HERE)),
            ("BDAT 10 LAST\r\n", Err(Reply::NOT_HERE)),
            ("GET / HTTP/1.1\r\n", Err(Reply::UNKNOWN_COMMAND)),
            ("\r\n", Err(Reply::UNKNOWN_COMMAND)),
            ("RCPT TO: nobody\r\n", Err(Reply::BAD_SYNTAX)),
            ("QUIT\n", Err(Reply::BAD_LINE_END)),
            ("NOOP\rQUIT\r\n", Err(Reply::BAD_LINE_END)),
            ("MAIL FROM:<a\0b@c.example>\r\n", Err(Reply::BAD_LINE_END)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), expected, "{line:?}");
        }
    }
}
