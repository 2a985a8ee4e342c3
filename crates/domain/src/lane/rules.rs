//! What replies do to a lane: rules as data, `rules/pace.toml`.

use super::{Notice, Slowed};
use crate::{BounceCause, Receiver, Verdict};
use serde::Deserialize;
use std::sync::LazyLock;

const BUILT_IN: &str = include_str!("../../rules/pace.toml");

/// What is known of receivers before they have said anything, and what their replies lead to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceRules {
    #[serde(default)]
    receiver: Vec<Group>,
    #[serde(default)]
    rule: Vec<PaceRule>,
}

/// A mailbox provider with domains of its own, and what it is known to allow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// In rules: `google`.
    pub name: String,
    /// For people: “Google”.
    pub title: String,
    /// The domains of its recipients, and the one that its mail hosts are known by.
    pub domains: Vec<String>,
    /// Connections at a time.
    pub connections: u32,
    /// Messages by one connection.
    pub per_connection: u32,
}

/// One rule: which replies, from how many on, lead to what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceRule {
    /// Its name: `yahoo.tss04`.
    pub id: String,
    /// One of the causes; any where empty.
    #[serde(default)]
    cause: Vec<BounceCause>,
    /// One of the provider's own codes; any where empty.
    #[serde(default)]
    code: Vec<String>,
    /// One of these in the host's words, in lower case; any where empty.
    #[serde(default)]
    words: Vec<String>,
    /// Only of that [`Group`].
    receiver: Option<String>,
    /// Only where the host names a blocklist.
    #[serde(default)]
    blocklist: bool,
    /// From how many such replies within an hour on.
    #[serde(default = "once")]
    pub per_hour: u32,
    /// From how many lane replies in a row on, with none in between that took a message.
    #[serde(default = "once")]
    pub in_a_row: u32,
    /// What it leads to.
    pub action: Action,
    /// For how long, in minutes; 0 for as long as the policy's waits of that cause.
    #[serde(default)]
    pub minutes: u32,
    /// For the pages: “because it …”.
    pub why: String,
    /// A reply that it is for.
    pub example: Example,
    /// A reply that it must leave alone.
    pub not: Example,
}

/// A reply, and what the classifier makes of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The whole reply.
    pub reply: String,
    /// Its cause.
    pub cause: BounceCause,
    /// The recipient's domain.
    #[serde(default = "anyone")]
    pub domain: String,
}

/// What a reply leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Half the rate, and half the connections where all were in use; and back by and by.
    Halve,
    /// No faster than so many messages a minute.
    PerMinute(u32),
    /// No more connections than so many at a time.
    Connections(u32),
    /// Half the connections, and back by and by.
    FewerConnections,
    /// Fewer messages by one connection.
    ShorterConnections,
    /// Nothing goes; then one message as a probe.
    Rest,
    /// Nothing: it is about one mailbox.
    LeaveAlone,
}

fn once() -> u32 {
    1
}

fn anyone() -> String {
    "orchard.example".to_owned()
}

/// Connections at a time to a receiver that is not known.
const CONNECTIONS: u32 = 1_000;

/// Messages by one connection to a receiver that is not known.
const PER_CONNECTION: u32 = 100;

impl PaceRules {
    /// The rules that the program came with.
    #[must_use]
    pub fn built_in() -> &'static Self {
        // A test holds that they can be read.
        static RULES: LazyLock<PaceRules> = LazyLock::new(|| PaceRules::parse(BUILT_IN).unwrap_or_default());
        &RULES
    }

    /// Reads rules.
    ///
    /// # Errors
    /// Where the text is not TOML, or has a field that no rule has: which, and in which line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The provider behind `receiver`, if it is known.
    #[must_use]
    pub fn group(&self, receiver: &Receiver) -> Option<&Group> {
        self.receiver.iter().find(|group| group.domains.iter().any(|domain| domain == receiver.as_str()))
    }

    /// Connections at a time, and messages by one of them, before a receiver has said anything.
    #[must_use]
    pub fn limits(&self, receiver: &Receiver) -> (u32, u32) {
        self.group(receiver)
            .map_or((CONNECTIONS, PER_CONNECTION), |group| (group.connections.max(1), group.per_connection.max(1)))
    }

    /// Whether what slows a lane is a number that a rule sets, and not one that a worker has found for itself.
    #[must_use]
    pub fn sets(&self, notice: &Notice) -> bool {
        let is_slowed = !matches!(notice.slowed, Slowed::Rests { .. });
        let sets = |rule: &PaceRule| matches!(rule.action, Action::PerMinute(_) | Action::Connections(_));
        is_slowed && self.rule.iter().any(|rule| sets(rule) && rule.why == notice.why)
    }

    /// The first rule that is for such a reply, and its place; `None` where the reply does not speak for the lane.
    #[must_use]
    pub fn find(&self, receiver: &Receiver, verdict: &Verdict) -> Option<(usize, &PaceRule)> {
        let could = |rule: &PaceRule| rule.cause.is_empty() || rule.cause.contains(&verdict.cause);
        let mut rules = self.rule.iter().enumerate().filter(|(_, rule)| could(rule)).peekable();
        // Most refusals are about one mailbox: no rule is for their cause, and their words are not looked at.
        rules.peek()?;
        let group = self.group(receiver).map(|group| group.name.as_str());
        let words = verdict.diagnostic.to_ascii_lowercase();
        rules.find(|(_, rule)| rule.is_for(group, verdict, &words))
    }

    /// Each fault of the rules, in words.
    #[must_use]
    pub fn lint(&self, judge: impl Fn(&Example) -> Verdict) -> Vec<String> {
        let mut faults = Vec::new();
        for rule in &self.rule {
            faults.extend(self.faults(rule, &judge).into_iter().map(|what| format!("{}: {what}", rule.id)));
        }
        faults
    }

    fn faults(&self, rule: &PaceRule, judge: &impl Fn(&Example) -> Verdict) -> Vec<String> {
        let mut faults = Vec::new();
        let found = |example: &Example| {
            let found = self.find(&Receiver::of_domain(&example.domain), &judge(example));
            found.map(|(_, found)| found.id.clone())
        };
        let reached = found(&rule.example);
        if reached.as_ref() != Some(&rule.id) {
            faults.push(format!("its example is for {}", reached.as_deref().unwrap_or("no rule")));
        }
        if found(&rule.not).as_ref() == Some(&rule.id) {
            faults.push("matches its counter-example".to_owned());
        }
        for example in [&rule.example, &rule.not] {
            let cause = judge(example).cause;
            if cause != example.cause {
                faults.push(format!("“{}” comes out as {cause}", example.reply));
            }
        }
        // Words of ours, said of a delivery that waits, must not feed the rest that they tell of.
        let own = Verdict { diagnostic: rule.why.clone(), ..Verdict::known(BounceCause::Undetermined, SOFT, "") };
        if self.find(&Receiver::of_domain(&rule.example.domain), &own).is_some() {
            faults.push("matches our own words".to_owned());
        }
        if self.rule.iter().filter(|other| other.id == rule.id).count() > 1 {
            faults.push("stands twice".to_owned());
        }
        if rule.receiver.as_ref().is_some_and(|name| !self.receiver.iter().any(|group| group.name == *name)) {
            faults.push("is for a receiver that is not listed".to_owned());
        }
        faults
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &PaceRule> {
        self.rule.iter()
    }
}

const SOFT: crate::Permanence = crate::Permanence::Soft;

impl PaceRule {
    fn is_for(&self, group: Option<&str>, verdict: &Verdict, words: &str) -> bool {
        (self.receiver.is_none() || self.receiver.as_deref() == group)
            && (self.code.is_empty() || verdict.provider_code.as_ref().is_some_and(|code| self.code.contains(code)))
            && (self.words.is_empty() || self.words.iter().any(|one| words.contains(one.as_str())))
            && (!self.blocklist || verdict.blocklist.is_some())
    }
}
