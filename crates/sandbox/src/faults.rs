//! Hosts whose replies are none, or come when nobody asked.

use crate::mailboxes::Behaviour;

/// What a host says that does not know how to reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// These bytes.
    Bytes(&'static [u8]),
    /// A reply of many lines whose last one never comes.
    Endless,
}

impl Wrong {
    /// In place of the answer to `RCPT`.
    pub(crate) fn to_rcpt(behaviour: Behaviour) -> Option<Self> {
        match behaviour {
            Behaviour::Garbage => Some(Self::Bytes(b"\x15\x03\x01\x00\x02\x02\x16 what is this?\r\n")),
            Behaviour::NoSuchCode => Some(Self::Bytes(b"999 5.9.9 Out of range\r\n")),
            Behaviour::Endless => Some(Self::Endless),
            _ => None,
        }
    }

    /// As the truth file tells it.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).trim_end().to_owned(),
            Self::Endless => String::from_utf8_lossy(LINE).trim_end().to_owned(),
        }
    }
}

/// One more line of a reply that does not end.
pub(crate) const LINE: &[u8] = b"250-One moment, please\r\n";

/// What a host says first that answers before it is asked: it goes out with the answer to `RCPT`.
pub(crate) const EARLY: &str = "250 2.0.0 Ok: queued";

/// In place of the answer to a message that was taken.
pub(crate) const MUMBLED: &[u8] = b"well, yes\r\n";
