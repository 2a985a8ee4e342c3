//! What is known of a campaign, for programs.

use super::finding::{Level, Part};
use super::{Finding, Preflight};
use rebound_domain::Campaign;
use serde::Serialize;

/// What is known of a campaign before it goes, as the API and `rebound campaign check --json` tell it.
#[derive(Debug, Serialize)]
pub struct PreflightAnswer<'a> {
    campaign: i64,
    name: &'a str,
    can_go: bool,
    people: i64,
    /// Messages that were made to try them out.
    tried: i64,
    /// Bytes of the longest of them.
    longest: usize,
    sent_today: i64,
    suppressed: i64,
    resting: i64,
    findings: Vec<Told<'a>>,
    passed: &'a [&'static str],
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    check: &'static str,
    level: Level,
    part: Part,
    what: &'a str,
    remedy: &'a str,
    why: &'static str,
    rules: Vec<&'static str>,
    mend: String,
    count: u64,
    contacts: &'a [String],
}

impl<'a> PreflightAnswer<'a> {
    /// The answer about `campaign`.
    #[must_use]
    pub fn new(campaign: &'a Campaign, preflight: &'a Preflight) -> Self {
        let told = |finding: &'a Finding| Told {
            check: finding.check.as_str(),
            level: finding.level,
            part: finding.part(),
            what: &finding.what,
            remedy: &finding.remedy,
            why: finding.why(),
            rules: finding.check.rules().split(", ").collect(),
            mend: finding.mend.path(campaign),
            count: finding.count,
            contacts: &finding.contacts,
        };
        Self {
            campaign: campaign.id.0,
            name: &campaign.draft.name,
            can_go: preflight.can_go(),
            people: preflight.people,
            tried: preflight.tried,
            longest: preflight.longest,
            sent_today: preflight.sent_today,
            suppressed: preflight.figures.suppressed,
            resting: preflight.figures.resting,
            findings: preflight.findings.iter().map(told).collect(),
            passed: &preflight.passed,
        }
    }
}
