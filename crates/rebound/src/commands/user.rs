//! `rebound user …`.

use crate::roles::Parts;
use anyhow::ensure;
use rebound_dashboard::users::{self, Role};
use rebound_domain::EmailAddress;
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
        /// What they may do: owner, admin, marketer or auditor
        #[arg(long, default_value = "marketer")]
        role: Role,
    },
    /// Change a password; the new one is read from standard input
    Password {
        /// Whose
        email: EmailAddress,
    },
    /// Print the one-time link that sets up the first account, if there is none yet
    SetupLink,
}

pub(super) async fn run(parts: Parts, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { email, name, role } => {
            users::create(&parts.db, email.as_str(), &name, role, &password()?, parts.now()).await?;
            println!("{email} may sign in at {}", parts.config.public_url);
        }
        Command::Password { email } => {
            users::set_password(&parts.db, email.as_str(), &password()?).await?;
            println!("The password of {email} is changed, and its sessions are signed out.");
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
