//! Clicks: somebody, or some machine, follows a link of a letter.

use chrono::TimeDelta;

/// Who follows a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follower {
    /// The person who got the letter, as far as can be told.
    Person,
    /// A program that looks where the links of a letter lead: a spam filter, a scanner, a preview.
    Machine,
}

/// Nobody opens a letter, reads it and follows a link of it sooner after it was handed over.
const SOONEST: TimeDelta = TimeDelta::seconds(5);

/// Nobody follows two links of a letter closer to one another.
const BETWEEN: TimeDelta = TimeDelta::seconds(1);

/// Parts of names by which programs that are no browsers call themselves, in lower case.
const PROGRAMS: [&str; 24] = [
    "bot",
    "crawl",
    "spider",
    "scan",
    "preview",
    "proxy",
    "headless",
    "monitor",
    "safelinks",
    "barracuda",
    "proofpoint",
    "mimecast",
    "urldefense",
    "python",
    "curl/",
    "wget/",
    "libwww",
    "go-http",
    "okhttp",
    "java/",
    "ruby",
    "perl",
    "php/",
    "httpclient",
];

/// A telephone whose name looks like a program's.
const TELEPHONE: &str = "cubot";

/// A link is followed: what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// What the program calls itself (`User-Agent`, RFC 9110 §10.1.5).
    pub agent: &'a str,
    /// Whether the program says that nobody asked for the page yet (`Sec-Purpose: prefetch`).
    pub is_ahead: bool,
    /// How long ago the letter was handed over, where that is known.
    pub since_handed: Option<TimeDelta>,
    /// How long ago another link of the letter was followed, where one was.
    pub since_other: Option<TimeDelta>,
}

impl Visit<'_> {
    /// Who it comes from, as far as can be told: a program that takes the name of a browser and waits is taken for a person.
    ///
    /// ```
    /// use chrono::TimeDelta;
    /// use rebound_domain::{Follower, Visit};
    ///
    /// let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    /// let after = |seconds| Visit {
    ///     agent, is_ahead: false, since_handed: Some(TimeDelta::seconds(seconds)), since_other: None,
    /// };
    /// assert_eq!(after(40).follower(), Follower::Person);
    /// assert_eq!(after(1).follower(), Follower::Machine);
    /// ```
    #[must_use]
    pub fn follower(&self) -> Follower {
        let is_sooner = |since: Option<TimeDelta>, least| since.is_some_and(|since| since < least);
        let is_machine =
            self.says_so() || is_sooner(self.since_handed, SOONEST) || is_sooner(self.since_other, BETWEEN);
        if is_machine { Follower::Machine } else { Follower::Person }
    }

    /// Whether whoever followed the other link was a machine, by this one coming so close. A browser may itself fetch ahead
    /// what its reader could follow next: who calls itself a machine says nothing of others.
    #[must_use]
    pub fn unmasks_other(&self) -> bool {
        !self.says_so() && self.since_other.is_some_and(|since| since < BETWEEN)
    }

    fn says_so(&self) -> bool {
        let agent = self.agent.to_ascii_lowercase().replace(TELEPHONE, "");
        self.is_ahead || agent.trim().is_empty() || PROGRAMS.iter().any(|name| agent.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_people() {
        let browser =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1";
        let telephone =
            "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36";
        let day = Some(TimeDelta::days(1));
        let millis = |millis| Some(TimeDelta::milliseconds(millis));
        for (agent, is_ahead, since_handed, since_other, expected) in [
            (browser, false, day, None, Follower::Person),
            (telephone, false, day, None, Follower::Person),
            (browser, false, None, None, Follower::Person),
            (browser, false, day, millis(1_000), Follower::Person),
            (browser, false, day, millis(999), Follower::Machine),
            (browser, false, millis(4_999), None, Follower::Machine),
            // Clocks of two machines may differ.
            (browser, false, millis(-300), None, Follower::Machine),
            (browser, true, day, None, Follower::Machine),
            ("", false, day, None, Follower::Machine),
            ("Mozilla/5.0 (compatible; bingbot/2.0)", false, day, None, Follower::Machine),
            ("BarracudaCentral/1.0", false, day, None, Follower::Machine),
            ("python-requests/2.32", false, day, None, Follower::Machine),
        ] {
            let visit = Visit { agent, is_ahead, since_handed, since_other };
            assert_eq!(visit.follower(), expected, "{visit:?}");
        }
        let close = |is_ahead| Visit { agent: browser, is_ahead, since_handed: day, since_other: millis(300) };
        assert!(close(false).unmasks_other() && !close(true).unmasks_other());
    }
}
