//! What goes over the line: a message with its dots doubled, and the commands around it.

use super::Offers;
use memchr::memmem;
use rebound_domain::SmtpCommand;
use std::fmt;

/// A message as it goes over the line, its final dot included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire(String);

/// Who writes to whom, and how large the message is, in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) size: usize,
}

impl Wire {
    /// Doubles the dots at the starts of lines (RFC 5321 §4.5.2), and ends the message with the final one. `message`
    /// has CRLF line ends.
    pub(crate) fn new(message: &str) -> Self {
        let mut wire = String::with_capacity(message.len() + 64);
        if message.starts_with('.') {
            wire.push('.');
        }
        let mut done = 0;
        for at in memmem::find_iter(message.as_bytes(), "\r\n.") {
            let dot = at + 3;
            wire.push_str(&message[done..dot]);
            wire.push('.');
            done = dot;
        }
        wire.push_str(&message[done..]);
        wire.push_str(if wire.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" });
        Self(wire)
    }

    /// The same with the envelope of the next message behind it (RFC 2920 §3.1 allows it).
    pub(super) fn and(&self, next: &Mail<'_>, offers: Offers) -> String {
        let mut together = String::with_capacity(self.0.len() + 256);
        together.push_str(&self.0);
        together.push_str(&next.together(offers));
        together
    }
}

// As lettre wants its commands.
impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mail<'_> {
    /// MAIL, RCPT and DATA, line by line.
    pub(super) fn commands(&self, offers: Offers) -> [(SmtpCommand, String); 3] {
        let utf8 = if self.to.is_ascii() { "" } else { " SMTPUTF8" };
        let size = offers.size.map_or_else(String::new, |_| format!(" SIZE={}", self.size));
        [
            (SmtpCommand::MailFrom, format!("MAIL FROM:<{}>{size}{utf8}\r\n", self.from)),
            (SmtpCommand::RcptTo, format!("RCPT TO:<{}>\r\n", self.to)),
            (SmtpCommand::Data, "DATA\r\n".to_owned()),
        ]
    }

    /// The same as one text.
    pub(super) fn together(&self, offers: Offers) -> String {
        self.commands(offers).map(|(_, line)| line).concat()
    }
}

impl Offers {
    /// Reads the lines of an answer to EHLO.
    pub(super) fn of(lines: &[String]) -> Self {
        let mut offers = Self::default();
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            match words.next().map(str::to_ascii_uppercase).as_deref() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("SIZE") => offers.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
                _ => {}
            }
        }
        offers
    }

    /// Why a message to `to` cannot go over this line, if it cannot.
    pub(crate) fn refuse(self, mail: &Mail<'_>) -> Option<Unfit> {
        if !mail.to.is_ascii() && !self.utf8 {
            return Some(Unfit::Utf8);
        }
        let limit = self.size.filter(|limit| *limit > 0 && mail.size > *limit)?;
        Some(Unfit::TooLarge { size: mail.size, limit })
    }
}

/// Why a message cannot go to a host, known before it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// The recipient's address has letters that the host does not know.
    #[error("the relay does not take addresses beyond ASCII (no SMTPUTF8)")]
    Utf8,
    /// It is larger than the host says it takes.
    #[error("the message has {size} octets, and the server takes {limit} at most (SIZE)")]
    TooLarge {
        /// Of the message, in octets.
        size: usize,
        /// Of the host, in octets.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_dot_ends_a_message() {
        for (message, expected) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".\r\n..\r\na.b\r\n", "..\r\n...\r\na.b\r\n.\r\n"),
            ("a\r\n.", "a\r\n..\r\n.\r\n"),
            ("\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(Wire::new(message).0, expected, "{message:?}");
        }
    }

    #[test]
    fn what_a_host_offers_is_made_use_of() {
        let lines = ["mx.example", "PIPELINING", "size 1000", "SMTPUTF8"].map(str::to_owned);
        let offers = Offers::of(&lines);
        assert_eq!(offers, Offers { pipelining: true, utf8: true, size: Some(1000) });
        let mail = Mail { from: "a@b.example", to: "jörg@b.example", size: 900 };
        assert_eq!(
            mail.together(offers),
            "MAIL FROM:<a@b.example> SIZE=900 SMTPUTF8\r\nRCPT TO:<jörg@b.example>\r\nDATA\r\n"
        );
        assert_eq!(offers.refuse(&mail), None);
        assert_eq!(Offers { utf8: false, ..offers }.refuse(&mail), Some(Unfit::Utf8));
        let large = Mail { size: 1001, ..mail };
        assert_eq!(offers.refuse(&large), Some(Unfit::TooLarge { size: 1001, limit: 1000 }));
        for size in [None, Some(0)] {
            assert_eq!(Offers { size, ..offers }.refuse(&large), None, "no limit is known");
        }
        assert_eq!(Offers::of(&["SIZE".to_owned()]).size, Some(0));
    }
}
