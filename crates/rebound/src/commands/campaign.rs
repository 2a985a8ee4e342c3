//! `rebound campaign …`.

use crate::roles::Parts;
use anyhow::{Context, bail};
use rebound_db::{campaigns, clicks, deliveries, lists};
use rebound_domain::{Campaign, CampaignState, DoubtPolicy, Draft, EmailAddress, Fields, Grouped, StateName};
use rebound_send::{Cleared, Depth, LaunchError, Level, Preflight, PreflightAnswer, Progress};
use serde::Deserialize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Keep a draft from a TOML file; see docs/guide/first-campaign.md for its form
    Create {
        /// The file
        file: PathBuf,
    },
    /// Say what must be mended before a campaign can go
    Check {
        /// The campaign
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Launch a campaign; `rebound serve` or `rebound worker` sends it
    Launch {
        /// The campaign
        name: String,
    },
    /// Stop a campaign for now
    Pause {
        /// The campaign
        name: String,
    },
    /// Let a campaign go on
    Resume {
        /// The campaign
        name: String,
    },
    /// Stop a campaign for good
    Cancel {
        /// The campaign
        name: String,
    },
    /// Say where a campaign stands
    Status {
        /// The campaign
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List all campaigns
    List,
}

/// A campaign as its author writes it to a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    list: String,
    from_name: String,
    from: EmailAddress,
    reply_to: Option<EmailAddress>,
    subject: String,
    #[serde(default)]
    html: String,
    #[serde(default)]
    text: String,
    /// A file beside this one, instead of `html`.
    html_file: Option<PathBuf>,
    /// A file beside this one, instead of `text`.
    text_file: Option<PathBuf>,
    postal_address: String,
    #[serde(default)]
    defaults: Fields,
    #[serde(default)]
    doubt: DoubtPolicy,
    /// Whether it is noted who follows which link.
    #[serde(default = "yes")]
    count_clicks: bool,
}

fn yes() -> bool {
    true
}

const ACTOR: &str = "command line";

pub(super) async fn run(parts: Parts, command: Command) -> anyhow::Result<ExitCode> {
    let (db, now) = (&parts.db, parts.now());
    match command {
        Command::Create { file } => create(&parts, &file).await?,
        Command::Check { name, json } => {
            let campaign = named(&parts, &name).await?;
            if !check(&parts, &campaign, json).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Launch { name } => {
            let campaign = named(&parts, &name).await?;
            if matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled) {
                let around = parts.surroundings(&campaign.draft.from).await?;
                let outside = rebound_send::outside(db, &campaign, &parts.sender(), &around, now).await?;
                outside.gate().map_err(|error| told(&name, error))?;
            }
            let launched = async {
                if campaign.launched.is_some() {
                    return Ok(());
                }
                let (sender, progress) = (parts.sender(), Progress::default());
                let cleared = Cleared::new(db, &campaign, None, &sender, &progress, now);
                watched(&progress, cleared).await?.launch(db, ACTOR).await
            };
            launched.await.map_err(|error| told(&name, error))?;
            println!("“{name}” is launched. `rebound serve` or `rebound worker` sends it.");
        }
        Command::Pause { name } => {
            let id = named(&parts, &name).await?.id;
            rebound_send::pause(db, id, ACTOR, now).await.map_err(|error| told(&name, error))?;
            println!("“{name}” is paused.");
        }
        Command::Resume { name } => {
            let id = named(&parts, &name).await?.id;
            rebound_send::resume(db, id, ACTOR, now).await.map_err(|error| told(&name, error))?;
            println!("“{name}” goes on.");
        }
        Command::Cancel { name } => {
            let id = named(&parts, &name).await?.id;
            rebound_send::cancel(db, id, ACTOR, now).await.map_err(|error| told(&name, error))?;
            println!("“{name}” is cancelled; what was not handed over stays unsent.");
        }
        Command::Status { name, json } => {
            let campaign = named(&parts, &name).await?;
            status(&parts, &campaign, json).await?;
        }
        Command::List => {
            for campaign in campaigns::all(db).await? {
                println!("{:<10} {}", campaign.state.as_str(), campaign.draft.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn named(parts: &Parts, name: &str) -> anyhow::Result<Campaign> {
    let campaign = campaigns::named(&parts.db, name).await?;
    campaign.with_context(|| format!("there is no campaign called {name}; `rebound campaign list` names all"))
}

fn told(name: &str, error: LaunchError) -> anyhow::Error {
    match error {
        LaunchError::Findings(findings) => {
            let list: String = findings.iter().map(|finding| format!("\n  - {}", finding.words())).collect();
            anyhow::anyhow!("“{name}” cannot go yet:{list}")
        }
        error => error.into(),
    }
}

async fn create(parts: &Parts, path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("{} is not a campaign", path.display()))?;
    let beside = |part: &Option<PathBuf>, inline: String| match part {
        None => Ok(inline),
        Some(_) if !inline.is_empty() => bail!("give a part either in the file or beside it, not both"),
        Some(other) => {
            let other = path.parent().unwrap_or(Path::new("")).join(other);
            std::fs::read_to_string(&other).with_context(|| format!("cannot read {}", other.display()))
        }
    };
    let list = lists::named(&parts.db, &file.list).await?;
    let list = list.with_context(|| format!("there is no list called {}; `rebound import` makes one", file.list))?;
    let draft = Draft {
        html: beside(&file.html_file, file.html)?,
        text: beside(&file.text_file, file.text)?,
        name: file.name,
        list: list.id,
        from_name: file.from_name,
        from: file.from,
        reply_to: file.reply_to,
        subject: file.subject,
        postal_address: file.postal_address,
        defaults: file.defaults,
        doubt: file.doubt,
        counts_clicks: file.count_clicks,
    };
    campaigns::create(&parts.db, &draft, parts.now()).await?;
    println!("“{}” is kept as a draft.", draft.name);
    let campaign = named(parts, &draft.name).await?;
    let (sender, progress) = (parts.sender(), Progress::default());
    let known = rebound_send::preflight(&parts.db, &campaign, &sender, Depth::Everybody(&progress), parts.now());
    tell(&watched(&progress, known).await?);
    Ok(())
}

/// Waits until a letter is made for everybody. Where somebody watches it says on standard error how far that is.
async fn watched<T>(progress: &Progress, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut is_open = false;
    let result = loop {
        match timeout(Duration::from_secs(1), &mut work).await {
            Ok(result) => break result,
            Err(_) if progress.people() > 0 && std::io::stderr().is_terminal() => {
                eprint!("\r\x1b[K{} of {} letters made", Grouped(progress.made()), Grouped(progress.people()));
                is_open = true;
            }
            Err(_) => {}
        }
    };
    if is_open {
        eprintln!();
    }
    result
}

/// Says all that is known of a campaign, and whether it can go.
async fn check(parts: &Parts, campaign: &Campaign, json: bool) -> anyhow::Result<bool> {
    let (sender, now) = (parts.sender(), parts.now());
    let around = parts.surroundings(&campaign.draft.from).await?;
    let progress = Progress::default();
    let inside = rebound_send::preflight(&parts.db, campaign, &sender, Depth::Everybody(&progress), now);
    let outside = rebound_send::outside(&parts.db, campaign, &sender, &around, now);
    let (inside, outside) = tokio::try_join!(watched(&progress, inside), outside)?;
    let known = inside.with(outside);
    if json {
        println!("{}", serde_json::to_string(&PreflightAnswer::new(campaign, &known))?);
        return Ok(known.can_go());
    }
    tell(&known);
    if known.can_go() {
        println!("“{}” can go.", campaign.draft.name);
    }
    Ok(known.can_go())
}

fn tell(known: &Preflight) {
    for finding in &known.findings {
        let weight = match finding.level {
            Level::Stops => "must",
            Level::Warns => "should",
            Level::Hints => "could",
        };
        println!("{weight}: {} {} ({})", finding.words(), finding.why(), finding.check.rules());
    }
}

async fn status(parts: &Parts, campaign: &Campaign, json: bool) -> anyhow::Result<()> {
    let counts = deliveries::counts(&parts.db, campaign.id).await?;
    let next = deliveries::next_due(&parts.db, campaign.id).await?;
    let followed = match campaign.draft.counts_clicks {
        true => Some(clicks::people(&parts.db, campaign.id).await?),
        false => None,
    };
    if json {
        let counts: serde_json::Map<_, _> = StateName::ALL
            .iter()
            .map(|state| (state.as_str().to_owned(), counts.get(state).copied().unwrap_or(0).into()))
            .collect();
        let status = serde_json::json!({
            "name": campaign.draft.name,
            "state": campaign.state.as_str(),
            "reason": campaign.reason,
            "launched": campaign.launched,
            "finished": campaign.finished,
            "planned": campaign.planned,
            "next_due": next,
            "deliveries": counts,
            "followed_a_link": followed,
        });
        println!("{status}");
        return Ok(());
    }
    println!("{}: {}", campaign.draft.name, campaign.state.as_str());
    if let Some(reason) = &campaign.reason {
        println!("{reason}");
    }
    for state in StateName::ALL {
        if let Some(count) = counts.get(&state) {
            println!("{:>9}  {}", count, state.as_str().replace('_', " "));
        }
    }
    if let Some(people) = followed.filter(|people| *people > 0) {
        println!("{people:>9}  followed a link");
    }
    if let Some(next) = next {
        println!("next try: {}", next.format("%a %-d %b, %H:%M UTC"));
    }
    Ok(())
}
