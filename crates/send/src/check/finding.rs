//! What was found: one thing to mend or to know, for a person and for a program.

use super::catalogue::Check;
use rebound_domain::Campaign;
use serde::Serialize;

/// The part of a campaign that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Who gets it.
    To,
    /// Who it is from.
    From,
    /// Its subject.
    Subject,
    /// What it says.
    Content,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The campaign cannot go with it.
    Stops,
    /// Some of the mail may not arrive, or not as it should; its author decides.
    Warns,
    /// Good to know. What could not be looked at is told like this too.
    Hints,
}

/// Where a finding is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// In a field of the campaign.
    Edit(&'static str),
    /// With the contacts who have no value in a field.
    Lacking(String),
    /// With the contacts of the list.
    People,
    /// Where the domain's DNS records are managed; what they must say is on the page of the return path.
    Dns,
    /// On the page of the return path.
    ReturnPath,
    /// With the sending servers.
    Servers,
    /// With the sending domains and their keys.
    SendingDomains,
    /// Where it is seen why people complained or could not be reached.
    Bounces,
    /// In the settings of the installation.
    Settings,
}

impl Mend {
    /// The page, as a path.
    #[must_use]
    pub fn path(&self, campaign: &Campaign) -> String {
        let (list, campaign) = (campaign.draft.list, campaign.id);
        match self {
            Self::Edit(field) => format!("/campaigns/{campaign}/edit#{field}"),
            Self::Lacking(field) => {
                let field: String = url::form_urlencoded::byte_serialize(field.as_bytes()).collect();
                format!("/campaigns/{campaign}/lacking?field={field}")
            }
            Self::People => format!("/contacts?list={list}"),
            Self::Dns | Self::ReturnPath => "/return-path".to_owned(),
            Self::Servers => "/servers".to_owned(),
            Self::SendingDomains => "/sending-domains".to_owned(),
            Self::Bounces => "/bounces".to_owned(),
            Self::Settings => "/settings".to_owned(),
        }
    }

    /// Whether it is a field of the campaign.
    #[must_use]
    pub fn is_edit(&self) -> bool {
        matches!(self, Self::Edit(_))
    }

    /// Whether only admins see that page.
    #[must_use]
    pub fn is_for_admins(&self) -> bool {
        matches!(self, Self::Dns | Self::ReturnPath | Self::Servers | Self::SendingDomains | Self::Settings)
    }

    /// What that page is called.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Edit(_) => "Edit the campaign",
            Self::Lacking(_) => "See who lacks it",
            Self::People => "See the people",
            Self::Dns => "What DNS must say",
            Self::ReturnPath => "Look at the return path",
            Self::Servers => "Sending servers",
            Self::SendingDomains => "Sending domains",
            Self::Bounces => "See the bounces",
            Self::Settings => "Settings",
        }
    }
}

/// Something that the author should know before the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How much it weighs here.
    pub level: Level,
    /// What is the matter, in a sentence.
    pub what: String,
    /// What to do about it, in a sentence.
    pub remedy: String,
    /// Whom it concerns: the first few.
    pub contacts: Vec<String>,
    /// How many it concerns.
    pub count: u64,
    /// Where to mend it.
    pub mend: Mend,
}

impl Finding {
    /// As heavy as its check says.
    pub(super) fn new(check: Check, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (level, mend) = (check.level(), check.mend());
        Self { check, level, what: what.into(), remedy: remedy.into(), contacts: vec![], count: 0, mend }
    }

    /// The same with another weight.
    pub(super) fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// What could not be looked at, and why.
    pub(super) fn unseen(what: &str, why: &str) -> Self {
        let words = format!("{what} could not be checked: {why}.");
        Self::new(Check::Unchecked, words, "Look again in a minute. It says nothing about the campaign.")
    }

    /// Whether the campaign cannot go with it.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.level == Level::Stops
    }

    /// The part of the campaign that it is about.
    #[must_use]
    pub fn part(&self) -> Part {
        self.check.part()
    }

    /// What is the matter and what to do, as one text.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.what, self.remedy)
    }

    /// Whose rule it is, and why it matters.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.check.why()
    }
}
