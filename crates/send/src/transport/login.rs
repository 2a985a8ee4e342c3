//! Signing in to a relay (RFC 4954).

use super::{RelayDown, SmtpError, name, words};
use crate::{Login, Proof, Relay};
use data_encoding::BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;

/// By what it takes of ours.
pub(super) async fn sign_in(
    connection: &mut AsyncSmtpConnection,
    relay: &Relay,
    login: &Login,
) -> Result<(), RelayDown> {
    let refused = |why: String| RelayDown::Login { relay: name(relay), why };
    match &login.proof {
        Proof::Password(password) => {
            let credentials = Credentials::new(login.user.clone(), password.clone());
            let answer = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            answer.map(drop).map_err(|error| refused(words(&error)))
        }
        Proof::Token(tokens) => {
            if !connection.server_info().supports_auth_mechanism(Mechanism::Xoauth2) {
                return Err(refused("it takes no tokens by XOAUTH2".to_owned()));
            }
            let token = tokens.token().await.map_err(|why| RelayDown::NoToken { relay: name(relay), why })?;
            let answer = with_token(connection, &login.user, &token).await;
            answer.map_err(|error| {
                tokens.forget();
                refused(words(&error))
            })
        }
    }
}

/// As <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol> has it: a relay may tell its reasons first,
/// encoded, and refuses in words when an empty line answers them. lettre stops before that.
async fn with_token(connection: &mut AsyncSmtpConnection, user: &str, token: &str) -> Result<(), SmtpError> {
    let says = BASE64.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01").as_bytes());
    let answer = connection.command(format!("AUTH XOAUTH2 {says}\r\n")).await?;
    if answer.has_code(334) {
        connection.command("\r\n").await?;
    }
    Ok(())
}
