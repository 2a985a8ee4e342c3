//! Why there is no line to a relay.

use super::name;
use crate::Relay;
use crate::mx::NotReady;

/// Why there is no line to the relay, in words for an administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayDown {
    /// Nobody answers at its address.
    #[error("The relay {relay} cannot be reached: {why}.")]
    Unreachable {
        /// Host and port.
        relay: String,
        /// What the system says.
        why: String,
    },
    /// It answered, and the line could not be protected.
    #[error("The relay {relay} offers no protected line: {why}.")]
    Unprotected {
        /// Host and port.
        relay: String,
        /// What went wrong.
        why: String,
    },
    /// It does not take our user and password.
    #[error("The relay {relay} refused the login: {why}. Check user and password.")]
    Login {
        /// Host and port.
        relay: String,
        /// Its words.
        why: String,
    },
    /// It takes tokens, and nobody gives us one.
    #[error(
        "The relay {relay} takes tokens, and there is none from {why}. Check the tokens’ address, client and secret."
    )]
    NoToken {
        /// Host and port.
        relay: String,
        /// The address of the tokens, and what it says.
        why: String,
    },
    /// It lets us in, and breaks off at each message, or at many.
    #[error(
        "The relay {relay} takes our lines and breaks too many of them off before it has answered to the last message."
    )]
    Breaks {
        /// Host and port.
        relay: String,
    },
    /// A receiver gives no line to a message that would go straight.
    #[error("{words}")]
    NoHost {
        /// Which hosts were asked, and what they said.
        words: String,
    },
    /// Mail cannot go straight to receivers from here.
    #[error("{server} cannot send: {why}.")]
    NotReady {
        /// What the way is called.
        server: String,
        /// What is missing.
        why: String,
    },
    /// It answered, and does not want mail now.
    #[error("The relay {relay} takes no mail: {why}.")]
    Refused {
        /// Host and port.
        relay: String,
        /// Its words.
        why: String,
    },
}

impl RelayDown {
    /// It was away, and is yet to be asked again.
    pub(crate) fn not_asked(relay: &Relay) -> Self {
        Self::Unreachable { relay: name(relay), why: "it was away, and is being asked again".to_owned() }
    }

    /// It breaks lines, one after another.
    pub(crate) fn breaks(relay: &Relay) -> Self {
        Self::Breaks { relay: name(relay) }
    }

    /// This machine cannot send by itself.
    pub(crate) fn not_ready(name: &str, why: &NotReady) -> Self {
        Self::NotReady { server: name.to_owned(), why: why.to_string() }
    }

    /// What has to happen before mail goes again.
    pub(crate) fn what_next(&self) -> &'static str {
        match self {
            Self::Login { .. } | Self::NoToken { .. } => {
                "Sending goes on by itself when they are right under Sending servers, or the relay takes them; those of the configuration file are read when Rebound is started."
            }
            Self::NotReady { .. } => "Sending goes on when Rebound is started again and can.",
            Self::Unprotected { .. } => {
                "Correct its name, port, security or authority under Sending servers, or have it mended. Sending goes on by itself then."
            }
            Self::Breaks { .. } => {
                "Look into its log, or use another server. Rebound tries it with one message now and then, and goes on by itself when it answers."
            }
            Self::NoHost { .. } | Self::Unreachable { .. } | Self::Refused { .. } => {
                "Sending goes on by itself when it answers."
            }
        }
    }
}
