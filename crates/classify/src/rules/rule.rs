//! One rule, and when it holds.

use rebound_domain::{BounceCause, EnhancedStatusCode, Permanence, SmtpCommand};

use super::codes::CodePattern;

/// One rule: phrases that mean the same, and when they do.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) cause: BounceCause,
    pub(crate) weight: u32,
    pub(crate) detail: Option<String>,
    pub(crate) blocklist: Option<String>,
    pub(crate) permanence: Option<Permanence>,
    pub(super) answers: Option<SmtpCommand>,
    pub(super) unless_answers: Option<SmtpCommand>,
    pub(super) status: Vec<CodePattern>,
    pub(super) unless_status: Vec<CodePattern>,
    pub(super) hosts: Vec<String>,
    pub(super) example: String,
    pub(super) not: String,
    pub(super) is_local: bool,
}

/// What else is known where the words of a rule were found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside<'a> {
    pub(crate) command: Option<SmtpCommand>,
    pub(crate) status: Option<EnhancedStatusCode>,
    /// Names of hosts and domains that took part, in lower case.
    pub(crate) hosts: &'a [&'a str],
}

impl Rule {
    /// Whether its conditions hold where its words were found.
    pub(super) fn holds(&self, folded: &str, beside: &Beside<'_>) -> bool {
        let has_status =
            |wanted: &[CodePattern]| beside.status.is_some_and(|status| wanted.iter().any(|code| code.fits(status)));
        let at_host = || {
            self.hosts.iter().any(|host| {
                names(folded, host) || beside.hosts.iter().any(|name| is_within(name.trim_end_matches('.'), host))
            })
        };
        self.answers.is_none_or(|command| beside.command == Some(command))
            && !self.unless_answers.is_some_and(|command| beside.command == Some(command))
            && (self.status.is_empty() || has_status(&self.status))
            && !has_status(&self.unless_status)
            && (self.hosts.is_empty() || at_host())
    }
}

/// Whether a name is that domain or lies below it.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// Whether a text names a domain, or a host in it: `mac.com` is not named by `pharmac.com`.
fn names(folded: &str, domain: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    folded.match_indices(domain).any(|(at, _)| {
        let (before, after) = (folded.get(..at), folded.get(at + domain.len()..));
        !before.is_some_and(|before| before.ends_with(in_name))
            && !after.is_some_and(|after| after.starts_with(in_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_named_by_itself_and_by_its_hosts_alone() {
        for (text, expected) in [
            ("mac.com said: 550", true),
            ("host mx1.mac.com[192.0.2.1] said: 550", true),
            ("host mx.pharmac.com said: 550", false),
            ("host mac.company.example said: 550", false),
        ] {
            assert_eq!(names(text, "mac.com"), expected, "{text}");
        }
        assert!(is_within("mac.com", "mac.com") && is_within("mx.mac.com", "mac.com"));
        assert!(!is_within("pharmac.com", "mac.com"));
    }
}
