//! `rebound doctor mx`.

use anyhow::Context;
use chrono::Utc;
use rebound_send::mx::{DirectSettings, Exchange, Exchanges, Host};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The part of an address behind the @
    domain: String,
    /// Call its hosts as well, and say which one answers; nothing is sent
    #[arg(long)]
    call: bool,
    /// How this machine names itself when it calls
    #[arg(long, value_name = "NAME", default_value = "localhost.localdomain")]
    hello: String,
    /// An address of this machine to call from
    #[arg(long, value_name = "ADDRESS")]
    source: Vec<IpAddr>,
    /// Whom to ask for DNS records, instead of whom this machine asks: 127.0.0.1:53
    #[arg(long, value_name = "ADDRESS:PORT")]
    nameserver: Option<SocketAddr>,
    /// The port that mail hosts listen at
    #[arg(long, value_name = "PORT", default_value_t = 25)]
    port: u16,
}

/// Says where the mail of a domain goes.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = DirectSettings {
        hello: args.hello,
        source: args.source,
        nameserver: args.nameserver,
        port: args.port,
        ..DirectSettings::default()
    };
    let exchange = match Exchanges::new(settings).context("mail cannot leave from here")?.of(&args.domain).await {
        Ok(exchange) => exchange,
        Err(none) => {
            let time = if none.permanent { "for good" } else { "for now" };
            println!("{} ({}, {time})", none.words, none.cause);
            return Ok(ExitCode::FAILURE);
        }
    };
    tell(&exchange);
    if !args.call {
        return Ok(ExitCode::SUCCESS);
    }
    match exchange.probe(Utc::now()).await {
        Ok(answered) => {
            println!("{} ({}) takes mail, {}.", answered.host, answered.address, answered.protection);
            Ok(ExitCode::SUCCESS)
        }
        Err(none) => {
            println!("{none}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(exchange: &Exchange) {
    println!("receiver  {}", exchange.receiver().as_str());
    println!("MTA-STS   {}", exchange.sts().map_or_else(|| "no policy".to_owned(), |mode| mode.to_string()));
    for Host { name, preference, addresses, security } in exchange.hosts() {
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        println!("{preference:>5}     {name}");
        println!("          {}", if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") });
        println!("          {security}");
    }
}
