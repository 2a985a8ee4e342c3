//! Entries of the audit log in words, and where to read on.

use rebound_db::events::Entry;
use rebound_domain::BounceCause;

/// What entries are about: the name in the database, and the word on the page.
pub(super) const NOUNS: [(&str, &str); 10] = [
    ("campaign", "Campaigns"),
    ("contact", "Contacts"),
    ("list", "Lists and imports"),
    ("incident", "Incidents"),
    ("policy", "Policies"),
    ("rules", "Rules for bounces"),
    ("server", "Sending servers"),
    ("domain", "Sending domains"),
    ("user", "People and sign-ins"),
    ("key", "Keys"),
];

/// What was done.
pub(super) fn words(entry: &Entry) -> String {
    let known = match entry.kind.as_str() {
        "signed-in" => "signed in",
        "signed-out" => "signed out",
        "sign-in.refused" => "was refused at the sign-in",
        "password.refused" => "gave a wrong password",
        "audit.exported" => "exported the audit log",
        "list.exported" => "exported a list",
        "suppressions.exported" => "exported suppressions",
        "bad-rows.exported" => "exported the rows of an import that need a correction",
        "sessions.ended" => "signed browsers out",
        "user.added" => "added a person",
        "user.invited" => "invited a person",
        "user.joined" => "accepted the invitation",
        "user.link" => "made a link to choose a password",
        "user.password" => "chose another password",
        "user.role" => "changed a role",
        "user.deactivated" => "shut a person out",
        "user.reactivated" => "let a person in again",
        "owner.made" => "set this installation up",
        "server.added" => "added a sending server",
        "server.changed" => "changed a sending server",
        "server.used" => "sends through this server from now on",
        "server.rested" => "stopped sending through this server",
        "server.removed" => "removed a sending server",
        "server.tested" => "tested a sending server",
        "domain.added" => "added a sending domain",
        "domain.checked" => "looked for the records of a sending domain",
        "domain.aligned" => "changed for which senders a domain signs",
        "domain.removed" => "removed a sending domain",
        "dkim.made" => "made a key that signs mail",
        "dkim.activated" => "signs with this key from now on",
        "dkim.retiring" => "stopped signing with this key",
        "dkim.retired" => "ended a key whose record may be removed",
        "dkim.withdrawn" => "withdrew a key that never signed",
        "key.rotated" => "changed the key, and sealed all secrets anew",
        "suppressed" => "suppressed an address",
        "lifted" | "lifted.other" => "lifted a suppression",
        "rested" => "lets an address rest",
        "complained" => "noted a complaint",
        "reached" => "noted that a mailbox works",
        "clicks.refused" => "does not want it noted which links they follow",
        "clicks.allowed" => "lets it be noted which links they follow",
        "imported" => "imported contacts",
        "campaign.planning" => "launched or resumed a campaign",
        "campaign.sending" => "resumed a campaign",
        "campaign.paused" => "paused a campaign",
        "campaign.cancelled" => "cancelled a campaign",
        "campaign.waits" => "lets a campaign wait",
        "incident.closed" => "closed an incident",
        "incident.opened" => "opened an incident",
        "incident.restored" => "restored the contacts of an incident",
        "rules.saved" => "saved rules for reading bounces",
        "history.judged" => "had the history judged again",
        "history.cancelled" => "stopped judging the history again",
        "history.retried" => "had the judging of the history go on",
        _ => "",
    };
    if known.is_empty() { entry.kind.replace(['.', '_', '-'], " ") } else { known.to_owned() }
}

/// The thing it is about: its name here and its page.
pub(super) fn thing(entry: &Entry) -> Option<(String, String)> {
    let named =
        |words: &str, place: &str| entry.subject_id.map(|id| (format!("{words} {id}"), format!("{place}/{id}")));
    match (entry.subject.as_str(), &entry.key) {
        ("contact", Some(key)) => {
            let by_address = || format!("/contacts?q={}", encoded(key.as_str()));
            let place = entry.subject_id.map_or_else(by_address, |id| format!("/contacts/{id}"));
            Some((key.to_string(), place))
        }
        ("contact", None) => named("Contact", "/contacts"),
        ("campaign", _) => named("Campaign", "/campaigns"),
        ("incident", _) => named("Incident", "/incidents"),
        ("bounce", _) => named("Bounce", "/bounces"),
        ("import", _) => named("Import", "/imports"),
        ("list", _) => entry.subject_id.map(|id| (format!("List {id}"), "/lists".to_owned())),
        ("rules", _) => named("Rules, version", "/settings/rules/versions"),
        ("policy", _) => Some(("Policies".to_owned(), "/policies".to_owned())),
        ("user", _) if entry.subject_id.is_some() => named("Person", "/users"),
        ("domain", _) if entry.kind != "domain.removed" => named("Sending domain", "/sending-domains"),
        ("server", _) if entry.kind != "server.removed" => named("Server", "/servers"),
        _ => None,
    }
}

/// The rest, as a person reads it: what was noted by the program itself is an object, whose words are the reason.
pub(super) fn detail(entry: &Entry) -> String {
    let noted = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&entry.detail);
    let text = match &noted {
        Ok(noted) => reason(noted),
        Err(_) => entry.detail.clone(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

fn reason(noted: &serde_json::Map<String, serde_json::Value>) -> String {
    let text = |name: &str| noted.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let cause = text("cause").and_then(|name| name.parse::<BounceCause>().ok()).map(|cause| cause.title().to_owned());
    let parts: Vec<String> = [cause, text("words")].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if !parts.is_empty() {
        return parts.join(": ");
    }
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs: Vec<String> = noted.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
    pairs.join(", ").replace('_', " ")
}

fn encoded(text: &str) -> String {
    serde_urlencoded::to_string([("", text)]).unwrap_or_default().trim_start_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_noted_is_told_in_words() {
        let told = |detail: &str| {
            let at = chrono::DateTime::UNIX_EPOCH;
            let (kind, actor, subject) = ("suppressed".into(), "rebound".into(), "contact".into());
            super::detail(&Entry {
                id: 1,
                at,
                kind,
                actor,
                subject,
                subject_id: None,
                key: None,
                detail: detail.into(),
            })
        };
        let noted = r#"{"bounce":73,"cause":"mailbox_unknown","policy":1,"until":null,"words":"550 5.1.1 unknown"}"#;
        assert!(told(noted).ends_with(": 550 5.1.1 unknown") && !told(noted).contains('{'), "{}", told(noted));
        assert_eq!(told("by hand: asked by phone"), "by hand: asked by phone");
        assert_eq!(told(r#"{"by":"Jo","version":2}"#), "by Jo, version 2");
        assert_eq!(told("two\r\nlines"), "two  lines");
    }
}
