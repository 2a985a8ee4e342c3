//! `rebound domain …`.

use super::counted;
use crate::roles::Parts;
use anyhow::{Context, bail};
use rebound_db::{dkim_keys, sending_domains as kept};
use rebound_domain::{Alignment, DkimKey, DomainName, KeyState, RecordState, SendingDomain};
use rebound_send::sending_domains::{self, By, DomainError};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Sign mail from a domain: make its keys, and print the records to put into DNS
    Add {
        /// What stands behind the @ of your senders
        domain: DomainName,
        /// Sign for this very domain only, and not for those below it
        #[arg(long)]
        strict: bool,
    },
    /// List the domains and whether they sign
    List,
    /// Print the keys of a domain and their DNS records
    Keys {
        /// The domain
        domain: DomainName,
    },
    /// Look for the records in DNS now; keys whose records are there sign from then on
    Check {
        /// The domain
        domain: DomainName,
    },
    /// Make new keys; each takes over when its record is seen
    Rotate {
        /// The domain
        domain: DomainName,
    },
}

/// Who, in the audit log.
const ACTOR: &str = "command line";

pub(super) async fn run(parts: Parts, command: Command) -> anyhow::Result<ExitCode> {
    let (db, by) = (&parts.db, By { actor: ACTOR, now: parts.now() });
    match command {
        Command::Add { domain, strict } => {
            let alignment = if strict { Alignment::Strict } else { Alignment::Relaxed };
            match sending_domains::add(db, &parts.keys, (&domain, alignment), by).await {
                Err(DomainError::Database(rebound_db::Error::Taken { .. })) => {
                    bail!("{domain} is there already; `rebound domain keys {domain}` shows its keys")
                }
                done => done?,
            };
            println!("{domain} has its keys. They sign once these records are in DNS:");
            show(&parts, &named(&parts, &domain).await?).await?;
        }
        Command::List => list(&parts).await?,
        Command::Keys { domain } => show(&parts, &named(&parts, &domain).await?).await?,
        Command::Check { domain } => {
            let domain = named(&parts, &domain).await?;
            sending_domains::check(db, domain.id, parts.config.direct.nameserver, by).await?;
            return found(&parts, &domain).await;
        }
        Command::Rotate { domain } => {
            let domain = named(&parts, &domain).await?;
            sending_domains::rotate(db, &parts.keys, domain.id, by).await?;
            println!("{} has new keys. They take over once their records are in DNS:", domain.name);
            show(&parts, &domain).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn named(parts: &Parts, name: &DomainName) -> anyhow::Result<SendingDomain> {
    let domain = kept::named(&parts.db, name).await?;
    domain.with_context(|| format!("there is no sending domain {name}; `rebound domain list` names all"))
}

async fn keys(parts: &Parts, domain: &SendingDomain) -> anyhow::Result<Vec<DkimKey>> {
    Ok(dkim_keys::of(&parts.db, domain.id).await?.into_iter().map(|kept| kept.key).collect())
}

async fn list(parts: &Parts) -> anyhow::Result<()> {
    for domain in kept::list(&parts.db).await? {
        let keys = keys(parts, &domain).await?;
        let signing = keys.iter().filter(|key| matches!(key.state, KeyState::Active { .. })).count();
        let words = match signing {
            0 => "unsigned".to_owned(),
            some => format!("signed with {}", counted(i64::try_from(some)?, "key", "keys")),
        };
        println!("{:<30} {words}", domain.name.as_str());
    }
    Ok(())
}

/// The keys whose records should be in DNS, and what these say.
async fn show(parts: &Parts, domain: &SendingDomain) -> anyhow::Result<()> {
    for key in keys(parts, domain).await?.iter().rev() {
        println!("\n{} ({}): {}", key.selector, key.algorithm.title(), key.state.as_str());
        match key.state {
            KeyState::Retired { .. } => {
                println!("  its record may be removed: {}", key.record_name(domain.name.as_str()));
            }
            KeyState::Waiting | KeyState::Active { .. } | KeyState::Retiring { .. } => {
                println!("  name:  {}", key.record_name(domain.name.as_str()));
                println!("  type:  TXT");
                println!("  value: {}", key.record_value());
            }
        }
    }
    Ok(())
}

/// What DNS said just now; a failure where a record is not as it should be.
async fn found(parts: &Parts, domain: &SendingDomain) -> anyhow::Result<ExitCode> {
    let mut all_well = true;
    for key in keys(parts, domain).await?.iter().rev() {
        let Some((_, found)) = key.checked.as_ref().filter(|_| !matches!(key.state, KeyState::Retired { .. })) else {
            continue;
        };
        all_well &= *found == RecordState::Found;
        println!("{:<20} {:<9} {}", key.selector, key.state.as_str(), found.words());
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
