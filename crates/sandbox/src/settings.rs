//! How a sandbox is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::Pace;
use crate::tls::Tls;

/// How a [`Sandbox`](crate::Sandbox) is set up. The default listens on a free local port, keeps no
/// file, sends no report before it is told where to, and lives in wall time.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where reports are delivered, over SMTP. Until it is known they wait.
    pub return_host: Option<SocketAddr>,
    /// How many times faster than the wall clock the hosts live: a greylist delay of 300 s lasts
    /// 1 s at 300. Not scaled: `latency`, `slowness` and `report_delay`.
    pub faster: f64,
    /// A file of JSON lines that gets what happened, before the client hears of it. If it exists,
    /// the hosts remember what it says and still owed reports are sent.
    pub truth: Option<PathBuf>,
    /// User and password without which no mail is taken.
    pub login: Option<(String, String)>,
    /// One reply to every `RCPT`, such as a misconfigured relay gives: `550 5.1.1 No such user`.
    pub answer_all: Option<String>,
    /// How long a host waits before it sends a report (wall time).
    pub report_delay: Duration,
    /// Messages at whose end the line drops with nothing taken.
    pub drop_before_record: Drops,
    /// Messages at whose end the line drops though the message was taken and recorded.
    pub drop_after_record: Drops,
    /// Wait before the answer to each message (wall time).
    pub latency: Duration,
    /// Additional wait of the slow hosts, and of the tarpits at `RCPT` (wall time).
    pub slowness: Duration,
    /// What a limited domain takes. For the hourly quota its window is an hour.
    pub rate: Rate,
    /// The protected line that is offered; mail is taken with it and without.
    pub tls: Option<Tls>,
    /// The largest message any host takes, in bytes; advertised as `SIZE`.
    pub max_size: usize,
    /// Whether [`Received`](crate::Received) carries the message itself.
    pub keep_messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            return_host: None,
            faster: 1.0,
            truth: None,
            login: None,
            answer_all: None,
            report_delay: Duration::from_millis(200),
            drop_before_record: Drops::Never,
            drop_after_record: Drops::Never,
            latency: Duration::ZERO,
            slowness: Duration::from_secs(1),
            rate: Rate::default(),
            tls: None,
            max_size: 25 << 20,
            keep_messages: false,
        }
    }
}

impl Settings {
    pub(crate) fn pace(&self) -> Pace {
        Pace { faster: self.faster, rate: self.rate }
    }
}

/// So many messages in so much of the host's time.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many messages.
    pub messages: usize,
    /// In which time, on the host's clock.
    pub window: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self { messages: 6, window: Duration::from_secs(600) }
    }
}

/// At which messages the line drops. Messages are counted from 1, over all sessions.
#[derive(Clone, Debug)]
pub enum Drops {
    /// At none.
    Never,
    /// At these.
    At(Vec<u64>),
    /// At this share of them (0.05: one in twenty), the same ones in every run.
    Share(f64),
}

impl Drops {
    pub(crate) fn hits(&self, ordinal: u64) -> bool {
        match self {
            Self::Never => false,
            Self::At(ordinals) => ordinals.contains(&ordinal),
            Self::Share(share) => crate::chance::share_of(ordinal) < *share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Drops;

    #[test]
    fn a_share_is_about_that_share() {
        let drops = Drops::Share(0.05);
        let hits = (1..=20_000).filter(|n| drops.hits(*n)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert!(Drops::At(vec![3]).hits(3) && !Drops::At(vec![3]).hits(4));
        assert!(!Drops::Never.hits(1) && Drops::Share(1.0).hits(1));
    }
}
