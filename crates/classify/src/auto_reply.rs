//! Out of office and its kin (RFC 3834): written by a machine on behalf of a person.

use crate::message::Message;
use crate::shapes::{Shapes, holds};

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
    let bare =
        ["re:", "aw:", "sv:", "fwd:"].iter().find_map(|prefix| bare.strip_prefix(prefix)).unwrap_or(bare).trim_start();
    let shapes = Shapes::built_in();
    shapes.vacations.begins(bare) || holds(&folded, &shapes.vacations_anywhere)
}

/// Whether the words ask the sender to prove that it is a person.
pub(crate) fn is_challenge(text: &str) -> bool {
    holds(&text.to_lowercase(), &Shapes::built_in().challenges)
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
