//! What we answer: the code, the enhanced code (RFC 2034) and words for whoever reads a log.

use std::borrow::Cow;
use std::fmt;

/// One answer, of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply(Cow<'static, str>);

macro_rules! replies {
    ($($name:ident = $line:literal;)*) => {
        impl Reply {$(
            pub(crate) const $name: Self = Self(Cow::Borrowed($line));
        )*}
    };
}

replies! {
    OK = "250 2.0.0 OK";
    SENDER_OK = "250 2.1.0 OK";
    RECIPIENT_OK = "250 2.1.5 OK";
    KEPT = "250 2.0.0 Kept";
    NOT_TOLD = "252 2.1.5 Send the mail, then you will know";
    GO_AHEAD = "354 End with CRLF.CRLF";
    BYE = "221 2.0.0 Bye";

    STOPPING = "421 4.3.2 Going down, please come back";
    TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections, please come back";
    TOO_SLOW = "421 4.4.2 Waited too long";
    SESSION_OVER = "421 4.7.0 Enough for one session, please come back";
    TOO_MANY_ERRORS = "421 4.7.0 Too many errors";
    NO_ROOM = "452 4.3.1 The disk is full, please come back";
    NOT_STORED = "451 4.3.0 Could not be stored, please come back";
    BUSY = "452 4.3.1 Too much mail at once, please come back";
    TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients";

    UNKNOWN_COMMAND = "500 5.5.1 Unknown command";
    BAD_LINE_END = "500 5.5.2 Lines end in CRLF";
    LINE_TOO_LONG = "500 5.5.2 Line too long";
    BAD_SYNTAX = "501 5.5.2 Cannot be read";
    NOT_HERE = "502 5.5.1 Not offered here";
    HELLO_FIRST = "503 5.5.1 Say EHLO first";
    MAIL_FIRST = "503 5.5.1 Say MAIL first";
    RECIPIENT_FIRST = "503 5.5.1 No valid recipient";
    ONE_SENDER = "503 5.5.1 There is a sender already";
    NO_SUCH_ADDRESS = "550 5.1.1 No such address here";
    BARE_LINE_END = "550 5.5.2 Bare CR or LF in the message";
    TOO_LARGE = "552 5.3.4 The message is too large";
    EARLY = "554 5.5.0 Wait for the answer";
}

impl Reply {
    /// The first line of a session.
    pub(crate) fn greeting(host: &str) -> Self {
        Self(Cow::Owned(format!("220 {host} ESMTP, takes bounces only")))
    }

    /// The answer to HELO.
    pub(crate) fn hello(host: &str) -> Self {
        Self(Cow::Owned(format!("250 {host}")))
    }

    /// The answer to EHLO, with what we offer. PIPELINING is missing by intent.
    pub(crate) fn extensions(host: &str, size: usize) -> Self {
        let lines = [host, &format!("SIZE {size}"), "8BITMIME", "SMTPUTF8"].map(|line| format!("250-{line}\r\n"));
        Self(Cow::Owned(format!("{}250 ENHANCEDSTATUSCODES", lines.concat())))
    }

    /// Whether it refuses.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.starts_with(['4', '5'])
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        f.write_str("\r\n")
    }
}
