//! A rule made of one bounce: the telling words of the host, and what a person says that they mean.

use rebound_db::bounces::NotedBounce;
use rebound_domain::Case;

/// A rule as a person may change it before it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// Its name: `local.mailbox-has-moved`.
    pub id: String,
    /// The phrases, each of which says it.
    pub words: Vec<String>,
    /// What they mean.
    pub case: Case,
    /// Who says so, or why a person thinks so.
    pub why: String,
    /// A text in which the rule matches and wins: what the host said.
    pub example: String,
    /// A text in which it does not match.
    pub not: String,
}

/// Words of a phrase at most.
const WORDS: usize = 8;
/// Words of an id at most.
const NAMED_BY: usize = 4;
/// What the counter-example is taken from: the first in which the words do not occur.
const COUNTER_EXAMPLES: [&str; 3] =
    ["550 5.1.1 no such user here", "452 4.2.2 mailbox is full", "421 4.4.2 connection timed out"];
/// Too frequent to begin or end what tells one answer from another.
const FILLERS: [&str; 24] = [
    "a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "our", "please", "the",
    "this", "to", "was", "we", "with", "you", "your",
];

/// The rule that `bounce` suggests for `case`, with an id that is none of `taken`.
#[must_use]
pub fn propose(bounce: &NotedBounce, case: Case, taken: &[String]) -> NewRule {
    let example = bounce.verdict.diagnostic.clone();
    let words = telling(&example);
    let lower = words.to_ascii_lowercase();
    let not = COUNTER_EXAMPLES.into_iter().find(|text| words.is_empty() || !text.contains(&lower));
    NewRule {
        id: id(&lower, case, taken),
        words: Some(words).filter(|words| !words.is_empty()).into_iter().collect(),
        case,
        why: String::new(),
        example,
        not: not.unwrap_or_default().to_owned(),
    }
}

impl NewRule {
    /// The rule as a file of rules has it.
    #[must_use]
    pub fn written(&self) -> String {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let words: Vec<String> = self.words.iter().map(|words| text(words)).collect();
        // Where a cause is said for good or for now, the person has said which.
        let permanence = self.case.said().map(|_| format!("permanence = \"{}\"\n", self.case.permanence()));
        format!(
            "[[rule]]\nid = {}\ncause = \"{}\"\n{}why = {}\nwords = [{}]\nexample = {}\nnot = {}\n",
            text(&self.id),
            self.case.cause(),
            permanence.unwrap_or_default(),
            text(self.why.trim()),
            words.join(", "),
            text(&self.example),
            text(&self.not),
        )
    }

    /// The text with this rule at its end.
    #[must_use]
    pub fn laid_on(&self, text: &str) -> String {
        let before = text.trim_end();
        if before.is_empty() { self.written() } else { format!("{before}\n\n{}", self.written()) }
    }
}

/// The rules of a text: each with its id and the words that it looks for first, in ASCII lower case.
pub(super) fn rules_of(text: &str) -> Vec<(String, Vec<String>)> {
    let file: toml::Table = text.parse().unwrap_or_default();
    let rules = file.get("rule").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let read = |rule: &toml::Value| {
        let id = rule.get("id")?.as_str()?.to_owned();
        let words = rule.get("words")?.as_array()?.iter().filter_map(toml::Value::as_str);
        // `*` is a gap; what comes before it must be there.
        let heads = words.filter_map(|words| words.split('*').map(str::trim).find(|piece| !piece.is_empty()));
        Some((id, heads.map(str::to_ascii_lowercase).collect()))
    };
    rules.iter().filter_map(read).collect()
}

/// The ids of the rules of a text; none where it cannot be read.
#[must_use]
pub fn ids_of(text: &str) -> Vec<String> {
    rules_of(text).into_iter().map(|(id, _)| id).collect()
}

/// The longest stretch of plain words: no address, no host, no number, nothing that only this message has.
fn telling(diagnostic: &str) -> String {
    let mut best: &str = "";
    // Postfix notes after the host's words which command they answered.
    let said = diagnostic.split(" (in reply to ").next().unwrap_or_default();
    for run in runs(said) {
        let weight = |run: &str| run.chars().filter(|c| c.is_alphabetic()).count();
        if weight(run) > weight(best) {
            best = run;
        }
    }
    best.to_owned()
}

/// Stretches of the text that lie between what is no plain word, each of at most [`WORDS`] words.
fn runs(text: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut run: Vec<(usize, usize)> = Vec::new();
    let mut close = |run: &mut Vec<(usize, usize)>| {
        let is_filler = |(start, end): &(usize, usize)| {
            let word = text.get(*start..*end).unwrap_or_default().to_ascii_lowercase();
            FILLERS.contains(&&*word)
        };
        while run.first().is_some_and(is_filler) {
            run.remove(0);
        }
        run.truncate(WORDS);
        while run.last().is_some_and(is_filler) {
            run.pop();
        }
        if let (Some((start, _)), Some((_, end))) = (run.first(), run.last()) {
            runs.extend(text.get(*start..*end));
        }
        run.clear();
    };
    let mut at = 0;
    for token in text.split(' ') {
        let (start, end) = (at, at + token.len());
        at = end + 1;
        let opened = token.len() - token.trim_start_matches(OPENING).len();
        let closed = token.len() - token.trim_end_matches(CLOSING).len();
        if opened + closed >= token.len() || !is_plain(token.get(opened..token.len() - closed).unwrap_or_default()) {
            close(&mut run);
            continue;
        }
        if opened > 0 {
            close(&mut run);
        }
        run.push((start + opened, end - closed));
        if closed > 0 {
            close(&mut run);
        }
    }
    close(&mut run);
    runs
}

const OPENING: &[char] = &['"', '\'', '(', '[', '<', '{', '“', '‘'];
const CLOSING: &[char] = &['"', '\'', ')', ']', '>', '}', '”', '’', '.', ',', ';', ':', '!', '?'];

/// A word of a language, not a name of somebody or something.
fn is_plain(token: &str) -> bool {
    token.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '-' | '/')) && token.chars().count() <= 30
}

/// An id made of the words, or of the cause where they cannot be spelled in ASCII.
fn id(words: &str, case: Case, taken: &[String]) -> String {
    let plain = |word: &str| word.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let named: Vec<String> = words.split([' ', '-', '/']).map(plain).filter(|word| !word.is_empty()).collect();
    let named: Vec<String> = named.into_iter().take(NAMED_BY).collect();
    let named = if named.is_empty() { case.cause().as_str().replace('_', "-") } else { named.join("-") };
    let first = format!("local.{named}");
    let others = (2..).map(|n: u32| format!("local.{named}-{n}"));
    std::iter::once(first).chain(others).find(|id| !taken.contains(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_classify::Rules;
    use rebound_domain::{BounceCause, Permanence};

    #[test]
    fn the_telling_words_name_nobody() {
        for (diagnostic, expected) in [
            (
                "550 5.7.1 <ada@orchard.example>: The quota of joy is exhausted (id 8F2A-77)",
                "quota of joy is exhausted",
            ),
            (
                "host mx1.orchard.example[192.0.2.7] said: 550 computer says no (in reply to RCPT TO command)",
                "computer says no",
            ),
            ("550 5.0.0 see https://orchard.example/x?id=7 for details", "details"),
            ("554 20261126-AB12 192.0.2.7", ""),
            ("550 Почтовый ящик закрыт", "Почтовый ящик закрыт"),
            ("550 one two three four five six seven eight nine ten", "one two three four five six seven eight"),
        ] {
            assert_eq!(telling(diagnostic), expected, "{diagnostic}");
        }
    }

    #[test]
    fn a_rule_is_written_so_that_it_is_read_as_it_was_meant() {
        let case = Case::of(BounceCause::MailboxUnknown, Permanence::Hard);
        let rule = NewRule {
            id: "local.odd".into(),
            words: vec!["says \"no\"".into(), "back\\slash * 'n' all".into()],
            case,
            why: "asked\nby phone".into(),
            example: "550 computer says \"no\" \u{7}".into(),
            not: "550 yes".into(),
        };
        let rules = Rules::with(&rule.laid_on("# ours\n")).unwrap();
        assert_eq!(rules.reply("550 it SAYS \"no\"".as_bytes()).unwrap().cause, BounceCause::MailboxUnknown);
        assert!(rules.reply(b"550 says \"no\"").unwrap().is_hard());
        let heads = vec!["says \"no\"".to_owned(), "back\\slash".to_owned()];
        assert_eq!(rules_of(&rule.laid_on("")), [("local.odd".to_owned(), heads)]);
    }

    #[test]
    fn ids_are_made_of_words_and_none_is_taken_twice() {
        let case = Case::of(BounceCause::MailboxFull, Permanence::Soft);
        assert_eq!(id("quota of joy is exhausted", case, &[]), "local.quota-of-joy-is");
        assert_eq!(id("quota of joy", case, &["local.quota-of-joy".into()]), "local.quota-of-joy-2");
        assert_eq!(id("ящик закрыт", case, &[]), "local.mailbox-full");
    }
}
