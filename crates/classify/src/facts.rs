//! What stands in a host's words beside the cause: the command it answered, its own code, blocklists, links.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use rebound_domain::SmtpCommand;

/// Links of one answer that are kept.
const LINKS: usize = 4;

/// The command that was answered, as mail systems name it in their reports. `folded` is in lower case.
pub(crate) fn command_in(folded: &str) -> Option<SmtpCommand> {
    // Postfix: (in reply to RCPT TO command). Exim: after RCPT TO:<a@b>. Sendmail: >>> RCPT To:<a@b>.
    // Others: SMTP command DATA; command was: DATA.
    const BEFORE: &[&str] = &[
        "in reply to ",
        "did not like our ",
        "remote mail server after ",
        "error after ",
        ">>> ",
        "smtp command ",
        "command was: ",
        "response to ",
        "sent: ",
        "command: ",
        " after ",
    ];
    // Made once: to make a searcher takes longer than to search a line with it.
    static FINDERS: LazyLock<Vec<Finder<'static>>> = LazyLock::new(|| BEFORE.iter().map(Finder::new).collect());
    static QMAIL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("does not like recipient"));
    if QMAIL.find(folded.as_bytes()).is_some() {
        return Some(SmtpCommand::RcptTo);
    }
    // Sendmail sends RCPT and DATA in one breath: a 503 to DATA then only follows from the refused RCPT.
    let refused_before = || folded.contains("<<< 503");
    for finder in FINDERS.iter() {
        let ends = finder.find_iter(folded.as_bytes()).map(|at| at + finder.needle().len());
        let commands = ends.filter_map(|end| command_at(folded.get(end..).unwrap_or_default()));
        let told = commands.filter(|command| *command != SmtpCommand::Data || !refused_before()).last();
        if told.is_some() {
            return told;
        }
    }
    None
}

fn command_at(rest: &str) -> Option<SmtpCommand> {
    const COMMANDS: &[(&str, SmtpCommand)] = &[
        ("rcpt", SmtpCommand::RcptTo),
        ("end of data", SmtpCommand::Data),
        ("end of message", SmtpCommand::Data),
        ("data", SmtpCommand::Data),
        ("pipelined end of data", SmtpCommand::Data),
        ("pipelined data", SmtpCommand::Data),
        ("pipelined rcpt", SmtpCommand::RcptTo),
        ("pipelined mail", SmtpCommand::MailFrom),
        ("bdat", SmtpCommand::Data),
        ("mail from", SmtpCommand::MailFrom),
        ("mail command", SmtpCommand::MailFrom),
        ("ehlo", SmtpCommand::Helo),
        ("helo", SmtpCommand::Helo),
        ("lhlo", SmtpCommand::Helo),
        ("starttls", SmtpCommand::StartTls),
        ("auth", SmtpCommand::Auth),
        ("initial connection", SmtpCommand::Connect),
        ("initial server greeting", SmtpCommand::Connect),
        ("greeting", SmtpCommand::Connect),
        ("connect", SmtpCommand::Connect),
    ];
    COMMANDS.iter().find(|(words, _)| rest.starts_with(words)).map(|(_, command)| *command)
}

/// A provider's own code: `[TSS04]`, `(S3140)`, `OFR_506`, `AUP#CDRBL`, `IB103`.
pub(crate) fn provider_code_in(text: &str) -> Option<String> {
    let mut bare = None;
    for word in text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '<' | '>')) {
        let core = word.trim_matches(|c: char| matches!(c, '[' | ']' | '(' | ')' | '.' | ':'));
        if !looks_like_code(core) {
            continue;
        }
        if word.starts_with(['[', '(']) {
            return Some(core.to_owned());
        }
        if bare.is_none() && core.contains(['_', '#', '-', ':']) {
            bare = Some(core.to_owned());
        }
    }
    bare
}

/// Capital letters first, then figures, perhaps parted: `TSS04`, `RP-001`, `LPN007_401`, `AUP#SPF`, `HVU:B1`.
fn looks_like_code(word: &str) -> bool {
    let letters = word.bytes().take_while(u8::is_ascii_uppercase).count();
    let rest = word.get(letters..).unwrap_or_default();
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-' | b'#' | b':' | b'.');
    let telling =
        rest.contains('#') || (rest.starts_with(':') && rest.len() > 1) || rest.bytes().any(|c| c.is_ascii_digit());
    (1..=5).contains(&letters)
        && (3..=20).contains(&word.len())
        && rest.bytes().all(allowed)
        && telling
        && rest.bytes().filter(u8::is_ascii_digit).count() <= 9
        && !matches!(word.get(..letters), Some("RFC" | "UTF" | "ISO" | "IP" | "V"))
}

/// The zone of a DNS blocklist that a host names: `zen.spamhaus.org`, `dnsbl.example.net`.
pub(crate) fn blocklist_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    let zone = words.into_iter().find(|word| {
        word.matches('.').count() >= 2
            && word.split('.').next().is_some_and(|first| {
                matches!(
                    first,
                    "bl" | "sbl" | "xbl" | "pbl" | "zen" | "rbl" | "dnsbl" | "cbl" | "dbl" | "ubl" | "ix" | "psbl"
                ) || first.starts_with("dnsbl-")
                    || first.ends_with("-bl")
            })
    })?;
    Some(zone.trim_end_matches('.').to_ascii_lowercase())
}

/// The pages that a host points to. `folded` is `text` in lower case.
pub(crate) fn links_in(text: &str, folded: &str) -> Vec<String> {
    static HTTP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("http"));
    let mut links: Vec<String> = Vec::new();
    for at in HTTP.find_iter(folded.as_bytes()) {
        let link = text.get(at..).and_then(|rest| {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | ')' | ']'));
            rest.get(..end.unwrap_or(rest.len()))
        });
        let Some(link) = link.map(|link| link.trim_end_matches(['.', ',', ';', ':'])) else { continue };
        let is_link = link.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
            || link.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
        if is_link && link.len() > 10 && link.len() < 500 && !links.iter().any(|known| known == link) {
            links.push(link.to_owned());
        }
        if links.len() == LINKS {
            break;
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_known_by_how_mail_systems_name_it() {
        for (text, expected) in [
            ("550 gone (in reply to rcpt to command)", Some(SmtpCommand::RcptTo)),
            ("550 gone (in reply to end of data command)", Some(SmtpCommand::Data)),
            ("smtp error from remote mail server after mail from:<a@b>: 550", Some(SmtpCommand::MailFrom)),
            ("smtp error from remote mail server after initial connection: 554", Some(SmtpCommand::Connect)),
            (">>> data <<< 550 unknown user", Some(SmtpCommand::Data)),
            (">>> rcpt to:<a@b> <<< 550 unknown >>> data <<< 503 need rcpt", Some(SmtpCommand::RcptTo)),
            ("550 no such user", None),
        ] {
            assert_eq!(command_in(text), expected, "{text}");
        }
    }

    #[test]
    fn providers_codes_are_told_from_names() {
        for (text, expected) in [
            ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", Some("TSS04")),
            ("550 5.7.1 part of their network is on our block list (S3140).", Some("S3140")),
            ("550 SC-001 (SNT004-MC1F12) Unfortunately", Some("SNT004-MC1F12")),
            ("421 Service refused, please try later. OFR_506 [506]", Some("OFR_506")),
            ("550 5.1.0 sender rejected. AUP#CDRBL", Some("AUP#CDRBL")),
            ("550 not RFC5322 compliant from MX01", None),
            ("550 5.1.1 <A1@B2.example> unknown", None),
        ] {
            assert_eq!(provider_code_in(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn links_and_blocklists_are_kept() {
        let text = "554 blocked using zen.spamhaus.org; see https://www.spamhaus.org/query/ip/192.0.2.1.";
        assert_eq!(links_in(text, &text.to_lowercase()), ["https://www.spamhaus.org/query/ip/192.0.2.1"]);
        assert_eq!(blocklist_in(text).as_deref(), Some("zen.spamhaus.org"));
        assert_eq!(blocklist_in("550 mx.a.example said no"), None);
    }
}
