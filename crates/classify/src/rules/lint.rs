//! Whether every rule can be reached, says what its examples say, and leaves our own mail alone.

use rebound_domain::{Verdict, familiar_words};

use super::{Beside, Fault, Rule, Rules};
use crate::judge::{Heard, judge};

/// What our own mail says in its headers and around the marketer's words. A rule that finds itself here would judge
/// us by our own hand.
const OWN_MAIL: &str = include_str!("../../rules/own-mail.txt");

/// Rules of less weight are hints that need company.
const TELLING: u32 = 50;

impl Rules {
    /// Each fault of the rules that are asked for.
    pub(super) fn faults(&self, asked: impl Fn(&Rule) -> bool) -> impl Iterator<Item = Fault> {
        let asked = self.rules.iter().enumerate().filter(move |(_, rule)| asked(rule));
        asked.flat_map(|(index, rule)| {
            let whats = self.unreachable(index, rule).into_iter().chain(self.misjudged(rule));
            let whats = whats.chain(self.own(rule)).chain(self.contradicted(index, rule));
            let faults = whats.map(|what| Fault { rule: rule.id.clone(), what });
            faults.collect::<Vec<_>>()
        })
    }

    /// Phrases that do not find themselves, or that another phrase of the same rule already covers.
    fn unreachable(&self, index: usize, rule: &Rule) -> Vec<String> {
        let mine = || self.phrases.iter().filter(|phrase| phrase.rule == index);
        let lost = mine().map(super::Phrase::spoken).filter(|words| {
            let found = self.find_words(words, words);
            !found.iter().any(|found| found.rule.id == rule.id)
        });
        let mut whats: Vec<String> = lost.map(|words| format!("“{words}” can never match")).collect();
        let mut written: Vec<String> = mine().map(super::Phrase::written).collect();
        written.sort();
        let twice = written.windows(2).filter(|pair| pair.first() == pair.get(1)).filter_map(|pair| pair.first());
        whats.extend(twice.map(|words| format!("“{words}” stands twice")));
        whats
    }

    /// The example must be judged by this rule, and the counter-example must not match it.
    fn misjudged(&self, rule: &Rule) -> Vec<String> {
        let mut whats = Vec::new();
        let verdict = self.judged(&rule.example, rule);
        if !matches(&verdict, rule) {
            whats.push(format!("does not match its example “{}”", rule.example));
        } else if verdict.cause != rule.cause {
            whats.push(format!("its example “{}” comes out as {}", rule.example, verdict.cause));
        }
        if !rule.is_local && matches(&verdict, rule) && says_no_more(&verdict, rule) {
            whats.push(format!(
                "its example “{}” is a bare phrase: give a whole line as a host writes it",
                rule.example
            ));
        }
        let not = rule.not.to_ascii_lowercase();
        if self.find(&rule.not, &not, &rule.granted()).iter().any(|found| found.rule.id == rule.id) {
            whats.push(format!("matches its counter-example “{}”", rule.not));
        }
        whats
    }

    /// Phrases that another rule lays on another cause in the same breath. Where one of the two asks for more and weighs
    /// more, it is the exception to the other, and both may stand.
    fn contradicted(&self, index: usize, rule: &Rule) -> Vec<String> {
        let mine = self.phrases.iter().filter(|phrase| phrase.rule == index);
        let others = self.phrases.iter().filter_map(|phrase| Some((phrase, self.rules.get(phrase.rule)?)));
        let others: Vec<_> = others.filter(|(_, other)| other.clashes(rule)).collect();
        let theirs = |phrase: &super::Phrase| {
            let other = others.iter().find(|(other, _)| other.says_what(phrase))?;
            Some(format!("“{}” stands in {} too, which says {}", phrase.written(), other.1.id, other.1.cause))
        };
        mine.filter_map(theirs).collect()
    }

    fn judged(&self, text: &str, rule: &Rule) -> Verdict {
        let heard = Heard { command: rule.answers, ..Heard::default() };
        judge(self, &[(rebound_domain::EvidenceField::Reply, text)], &heard)
    }

    fn own(&self, rule: &Rule) -> Option<String> {
        let telling = rule.weight >= TELLING;
        let folded = OWN_MAIL.to_ascii_lowercase();
        let found = self.find(OWN_MAIL, &folded, &rule.granted()).into_iter().find(|found| found.rule.id == rule.id)?;
        let words = OWN_MAIL.get(found.range).map(familiar_words).unwrap_or_default();
        telling.then(|| format!("matches our own mail: “{words}”"))
    }
}

fn matches(verdict: &Verdict, rule: &Rule) -> bool {
    verdict.evidence.iter().any(|evidence| evidence.rule == rule.id)
}

/// Whether a verdict's text has no letter but in the words that the rule found.
fn says_no_more(verdict: &Verdict, rule: &Rule) -> bool {
    let found = verdict.evidence.iter().filter(|evidence| evidence.rule == rule.id);
    let places: Vec<_> = found.map(|evidence| evidence.start..evidence.end).collect();
    let mut letters = verdict.diagnostic.char_indices().filter(|(_, c)| c.is_alphabetic());
    letters.all(|(at, _)| places.iter().any(|place| place.contains(&at)))
}

impl Rule {
    /// What is beside the words where all its conditions but those about codes and hosts hold.
    fn granted(&self) -> Beside<'static> {
        Beside { command: self.answers, status: None, hosts: &[] }
    }

    /// Whether the same words in both would be a contradiction. What a user's own rule says comes before ours.
    fn clashes(&self, other: &Rule) -> bool {
        if self.cause == other.cause || self.is_local != other.is_local {
            return false;
        }
        let heavier =
            if (self.weight, self.asks_nothing()) > (other.weight, other.asks_nothing()) { self } else { other };
        heavier.asks_nothing() || self.asks_the_same(other)
    }

    fn asks_the_same(&self, other: &Rule) -> bool {
        self.answers == other.answers
            && self.unless_answers == other.unless_answers
            && self.status == other.status
            && self.unless_status == other.unless_status
            && self.hosts == other.hosts
    }

    fn asks_nothing(&self) -> bool {
        self.answers.is_none()
            && self.unless_answers.is_none()
            && self.status.is_empty()
            && self.unless_status.is_empty()
            && self.hosts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_rule_is_reached_right_and_leaves_our_own_mail_alone() {
        let faults = Rules::compile(None).unwrap().lint();
        assert!(faults.is_empty(), "{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn the_rules_built_in_are_all_there() {
        let rules = Rules::built_in();
        assert!(rules.rules.len() >= 280 && rules.phrases.len() >= 2_900, "{}", rules.rules.len());
    }

    #[test]
    fn faults_of_local_rules_are_told_with_rule_and_place() {
        let rule = |id: &str, more: &str| {
            format!("[[rule]]\nid = '{id}'\ncause = 'virus'\nwhy = 'a test'\nnot = 'fine'\n{more}\n")
        };
        for (text, expected) in [
            ("[[rule]]\nid = 'local.a'\nwords = 3".to_owned(), "line 3: "),
            (rule("local.a", "words = ['bad egg']\nexample = 'no egg'"), "local.a: does not match its example"),
            (rule("a", "words = ['bad egg']\nexample = 'bad egg'"), "a: an id is a word, a dot and a name"),
            (rule("local.a", "words = []\nexample = 'bad egg'"), "local.a: it has no words"),
            (
                rule("local.a", "words = ['egg']\nexample = 'egg'\nstatus = ['5.1']"),
                "local.a: a status is three numbers",
            ),
            (rule("local.a", "words = ['*']\nexample = 'bad egg'"), "local.a: a phrase needs"),
            (rule("local.a", "words = ['fine']\nexample = 'fine'"), "local.a: matches its counter-example"),
            (rule("local.a", "words = ['unsubscribe']\nexample = 'unsubscribe'"), "local.a: matches our own mail"),
            (rule("local.a", "words = ['egg']\nexample = 'egg'\npermanence = 'hard'"), "local.a: virus says nothing"),
        ] {
            let faults = Rules::with(&text).unwrap_err();
            assert!(faults[0].to_string().starts_with(expected), "{text}: {}", faults[0]);
        }
    }

    #[test]
    fn words_may_mean_two_things_only_where_one_rule_is_the_exception() {
        let rule = |id: &str, cause: &str, weight: u8, words: &str, more: &str| {
            format!(
                "[[rule]]\nid = 'local.{id}'\ncause = '{cause}'\nweight = {weight}\nwhy = 'a test'\n\
                 words = ['{words}']\nexample = '550 {words} {id}'\nnot = 'fine'\n{more}\n"
            )
        };
        let words = |text: &str| {
            let faults = Rules::with(text).err().unwrap_or_default();
            faults.into_iter().map(|fault| fault.to_string()).filter(|fault| fault.contains("too")).collect::<Vec<_>>()
        };
        let plain = rule("plain", "virus", 80, "bad egg * here", "");
        let same = rule("same", "policy_other", 90, "Bad Egg*here", "");
        assert_eq!(
            words(&format!("{plain}{same}")),
            [
                "local.plain: “bad egg * here” stands in local.same too, which says policy_other",
                "local.same: “bad egg * here” stands in local.plain too, which says virus"
            ]
        );
        for (what, other, faults) in [
            ("the same cause", rule("other", "virus", 90, "bad egg * here", ""), 0),
            ("an exception", rule("other", "policy_other", 90, "bad egg * here", "hosts = ['b.example']"), 0),
            ("too light", rule("other", "policy_other", 70, "bad egg * here", "hosts = ['b.example']"), 2),
            ("equal", rule("other", "policy_other", 80, "bad egg * here", "hosts = ['b.example']"), 2),
        ] {
            assert_eq!(words(&format!("{plain}{other}")).len(), faults, "{what}");
        }
    }

    #[test]
    fn a_local_rule_decides_and_may_take_the_place_of_a_built_in_one() {
        let text = "[[rule]]\nid = 'common.virus'\ncause = 'policy_other'\nwhy = 'they say so of everything'\n\
                    words = ['virus']\nexample = '550 virus'\nnot = '550 full'";
        let rules = Rules::with(text).unwrap();
        let verdict = rules.reply(b"550 5.7.1 virus, and the mailbox is full").unwrap();
        assert_eq!(verdict.cause, rebound_domain::BounceCause::PolicyOther);
        assert!(verdict.rules.contains("+local-") && verdict.rules.starts_with("2026."), "{}", verdict.rules);
        assert_ne!(rules.version(), Rules::built_in().version());
    }
}
