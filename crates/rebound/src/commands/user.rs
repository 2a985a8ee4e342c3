//! `rebound user …`.

use crate::roles::Parts;
use anyhow::ensure;
use chrono::Utc;
use rebound_dashboard::users::{self, By};
use rebound_domain::{EmailAddress, Role};
use std::io::BufRead;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add someone who may sign in; the password is read from standard input
    Add {
        /// Their address
        email: EmailAddress,
        /// Their name, as pages show it
        #[arg(long)]
        name: String,
        /// What they may do here
        #[arg(long, value_enum, default_value = "marketer")]
        role: Position,
    },
    /// Change a password; the new one is read from standard input
    Password {
        /// Whose
        email: EmailAddress,
    },
    /// Invite someone: print a one-time link by which they choose their password
    Invite {
        /// Their address
        email: EmailAddress,
        /// Their name, as pages show it
        #[arg(long)]
        name: String,
        /// What they may do here
        #[arg(long, value_enum, default_value = "marketer")]
        role: Position,
    },
    /// Print a one-time link by which someone chooses another password
    Link {
        /// Whose
        email: EmailAddress,
    },
    /// Shut someone out: their browsers are signed out, their password is not taken
    Deactivate {
        /// Whom
        email: EmailAddress,
    },
    /// Let someone in again who was shut out
    Reactivate {
        /// Whom
        email: EmailAddress,
    },
    /// Print the one-time link that sets up the first account, if there is none yet
    SetupLink,
}

/// Whoever may run the program.
const BY: By<'_> = By::CommandLine;

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Position {
    /// Set this installation up; there is one
    Owner,
    /// Runs it
    Admin,
    /// Writes and sends campaigns
    Marketer,
    /// Sees everything, changes nothing
    Auditor,
}

impl From<Position> for Role {
    fn from(position: Position) -> Self {
        match position {
            Position::Owner => Self::Owner,
            Position::Admin => Self::Admin,
            Position::Marketer => Self::Marketer,
            Position::Auditor => Self::Auditor,
        }
    }
}

pub(super) async fn run(parts: Parts, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { email, name, role } => {
            users::create(&parts.db, email.as_str(), &name, role.into(), &password()?, parts.now()).await?;
            println!("{email} may sign in at {}", parts.config.public_url);
        }
        Command::Password { email } => {
            users::set_password(&parts.db, email.as_str(), &password()?).await?;
            println!("The password of {email} is changed, and its sessions are signed out.");
        }
        Command::Invite { email, name, role } => {
            let expires = Utc::now() + users::INVITED;
            let (db, now) = (&parts.db, parts.now());
            let (_, secret) = users::invite(db, BY, email.as_str(), &name, role.into(), expires, now).await?;
            println!("{}/join/{secret}", parts.config.public_url);
        }
        Command::Link { email } => {
            let (user, expires) = (users::find(&parts.db, &email).await?, Utc::now() + users::RESET);
            let secret = users::link(&parts.db, BY, user.id, expires, parts.now()).await?;
            println!("{}/join/{secret}", parts.config.public_url);
        }
        Command::Deactivate { email } => {
            let user = users::find(&parts.db, &email).await?;
            users::deactivate(&parts.db, BY, user.id, parts.now()).await?;
            println!("{email} may not sign in any more, and is signed out everywhere.");
        }
        Command::Reactivate { email } => {
            let user = users::find(&parts.db, &email).await?;
            users::reactivate(&parts.db, BY, user.id, parts.now()).await?;
            println!("{email} may sign in at {}", parts.config.public_url);
        }
        Command::SetupLink => match users::setup_link(&parts.db, parts.now()).await? {
            Some(token) => println!("{}/setup/{token}", parts.config.public_url),
            None => println!("There is an owner already; they can invite others."),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn password() -> anyhow::Result<String> {
    eprintln!("Password (12 characters at least), then Enter:");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    ensure!(!password.is_empty(), "no password was given on standard input");
    Ok(password)
}
