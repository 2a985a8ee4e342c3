//! Out of office and its kin (RFC 3834): written by a machine on behalf of a person.

use crate::message::Message;

/// Beginnings of subjects that vacation programs write, in lower case.
const SUBJECTS: [&str; 46] = [
    "out of office",
    "out of the office",
    "out-of-office",
    "auto:",
    "auto reply",
    "auto-reply",
    "autoreply",
    "automatic reply",
    "automatic response",
    "automated reply",
    "automated response",
    "auto response",
    "auto-response",
    "autoresponse",
    "autorespons",
    "auto responder",
    "away from my mail",
    "away from the office",
    "vacation",
    "on vacation",
    "on holiday",
    "on leave",
    "i am away",
    "i'm away",
    "abwesenheitsnotiz",
    "abwesend",
    "automatische antwort",
    "réponse automatique",
    "reponse automatique",
    "absence du bureau",
    "absent du bureau",
    "respuesta automática",
    "respuesta automatica",
    "fuera de la oficina",
    "resposta automática",
    "resposta automatica",
    "risposta automatica",
    "fuori ufficio",
    "automatisch antwoord",
    "afwezig",
    "automatyczna odpowied",
    "automātiska atbilde",
    "automatiska atbilde",
    "автоответ",
    "自動応答",
    "自动回复",
];

/// Words in which a challenge asks the sender to prove that it is a person.
const CHALLENGES: [&str; 9] = [
    "to have your address added",
    "not pre-approved",
    "confirm that you are",
    "verify that you are a human",
    "verify your email address by clicking",
    "added to the recipient's allowed list",
    "challenge-response",
    "click the link below to deliver your message",
    "guest list",
];

/// Whether a message says that a machine answered for a person.
pub(crate) fn is_auto_reply(message: &Message<'_>, subject: &str, text: &str) -> bool {
    says_so(message) || has_vacation_subject(subject) || is_challenge(text)
}

/// Headers by which honest programs declare themselves.
fn says_so(message: &Message<'_>) -> bool {
    let value = |name: &str| message.headers.raw(name).unwrap_or_default().trim().to_ascii_lowercase();
    let precedence = value("precedence");
    value("auto-submitted").starts_with("auto-replied")
        || ["x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from", "x-mail-autoreply", "x-vacation"]
            .iter()
            .any(|name| message.headers.raw(name).is_some_and(|value| !value.trim().eq_ignore_ascii_case("no")))
        || matches!(precedence.as_str(), "auto_reply" | "auto-reply")
        || value("delivered-to") == "autoresponder"
}

fn has_vacation_subject(subject: &str) -> bool {
    let folded = subject.to_lowercase();
    let bare = folded.trim_start_matches(['[', '(', '<', '*', ' ', '"']);
    let bare = ["re:", "aw:", "sv:", "fwd:"].iter().find_map(|prefix| bare.strip_prefix(prefix)).unwrap_or(bare).trim_start();
    let begins = SUBJECTS.iter().any(|start| bare.starts_with(start));
    // In some languages the word stands behind a name.
    begins || ["automatiska atbilde", "automātiska atbilde", "out of office", "automatic reply"].iter().any(|words| folded.contains(words))
}

/// Whether the words ask the sender to prove that it is a person.
pub(crate) fn is_challenge(text: &str) -> bool {
    let folded = text.to_ascii_lowercase();
    CHALLENGES.iter().any(|words| folded.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vacation_subjects_are_known_in_several_languages() {
        for (subject, expected) in [
            ("Out of Office: spring sale", true),
            ("Re: Automatische Antwort: Frühling", true),
            ("Réponse automatique : bonjour", true),
            ("[Automatyczna odpowiedź] test", true),
            ("自動応答: こんにちは", true),
            ("Automatic doors, now half price", false),
            ("Your vacation is booked", false),
        ] {
            assert_eq!(has_vacation_subject(subject), expected, "{subject}");
        }
    }
}
