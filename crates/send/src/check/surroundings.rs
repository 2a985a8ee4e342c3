//! What stands around a campaign: the ways out and back, and how its mail is signed.

use crate::return_path::Way;
use crate::{Egress, Via, sending_domains};
use chrono::{DateTime, Utc};
use rebound_db::servers::{self, Kept};
use rebound_db::{Error, Pool};
use rebound_domain::{DkimKey, EmailAddress, Limits, Route, Span, Volume, WarmUp};
use std::net::IpAddr;

/// How messages are signed for a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DkimState {
    /// Not by us; the relay may.
    #[default]
    None,
    /// A key was made, and its record is not seen in DNS yet.
    Waiting,
    /// With these keys of this domain (`d=`).
    Active(String, Vec<DkimKey>),
}

/// What stands around a campaign: whom to ask, and through what its mail goes.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The way back, and the name server.
    pub way: Way,
    /// The host names of the servers that take our mail.
    pub relays: Vec<String>,
    /// Messages a second that all ways together may be given.
    pub per_second: Option<u32>,
    /// Messages that all ways together may be given in the next minute, hour and day, by their limits and warm-ups.
    pub volumes: Vec<Volume>,
    /// The addresses of ours that hosts see us at, beside those of the relays.
    pub sources: Vec<IpAddr>,
    /// How messages are signed for the sender's domain.
    pub dkim: DkimState,
    /// Certificates (PEM) of an authority of one's own that signed the pages'; besides those the web trusts.
    pub authority: Option<String>,
}

impl Surroundings {
    /// Those of this installation, for mail from `from`: `configured` is the way of the configuration, which rules over
    /// the servers in use.
    ///
    /// # Errors
    /// [`Error`] when the database does not answer.
    pub async fn of(
        db: &Pool,
        way: Way,
        configured: Option<&Egress>,
        from: &EmailAddress,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let (mut relays, mut sources, mut limits) = (vec![], vec![], vec![]);
        if let Some(egress) = configured {
            match &egress.via {
                Via::Relay(relay) => relays.push(relay.host.clone()),
                Via::Direct(direct) => sources.extend(&direct.source),
            }
            limits.push((egress.limits, egress.warm_up));
        } else {
            for Kept { server, .. } in servers::in_use(db).await? {
                match server.route {
                    Route::Relay { host, .. } => relays.push(host),
                    // Without addresses of its own, it leaves from whichever its name leads to.
                    Route::Direct { sources: ours } if ours.is_empty() => relays.push(server.hello),
                    Route::Direct { sources: ours } => sources.extend(ours),
                }
                limits.push((server.limits, server.warm_up));
            }
        }
        let per_second = together(limits.iter().map(|(limits, _): &(Limits, Option<WarmUp>)| limits.per_second));
        let in_span = |span: Span| {
            let most = together(limits.iter().map(|(limits, warm_up)| {
                limits.volumes(warm_up.as_ref(), now).find(|volume| volume.span == span).map(|volume| volume.most)
            }));
            most.map(|most| Volume { span, most })
        };
        let volumes = Span::ALL.into_iter().filter_map(in_span).collect();
        Ok(Self { way, relays, per_second, volumes, sources, dkim: dkim(db, from).await?, authority: None })
    }
}

/// One way without a limit is as good as none.
fn together(limits: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    let all: Vec<u32> = limits.collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.into_iter().fold(0, u32::saturating_add))
}

async fn dkim(db: &Pool, from: &EmailAddress) -> Result<DkimState, Error> {
    Ok(match sending_domains::active(db, from).await? {
        None => DkimState::None,
        Some((_, kept)) if kept.is_empty() => DkimState::Waiting,
        Some((domain, kept)) => {
            DkimState::Active(domain.name.as_str().to_owned(), kept.into_iter().map(|kept| kept.key).collect())
        }
    })
}
