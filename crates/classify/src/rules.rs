//! The rules: what words and codes mean, compiled once.

mod calibration;
mod codes;
mod file;
mod lint;
mod phrase;
mod rule;

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use rebound_domain::{BounceCause, SmtpCommand, Verdict};

use crate::report::Report;
use crate::words::addresses_in;

pub(crate) use calibration::Calibration;
pub(crate) use codes::{CodeRule, Codes};
use file::{Entry, File};
use phrase::Phrase;
pub(crate) use rule::{Beside, Rule};

/// The rule files in their order. A rule's id begins with the name of its file.
const BUILT_IN: &[(&str, &str)] = &[
    ("common", include_str!("../rules/common.toml")),
    ("languages", include_str!("../rules/languages.toml")),
    ("blocklists", include_str!("../rules/blocklists.toml")),
    ("postfix", include_str!("../rules/postfix.toml")),
    ("exim", include_str!("../rules/exim.toml")),
    ("sendmail", include_str!("../rules/sendmail.toml")),
    ("servers", include_str!("../rules/servers.toml")),
    ("microsoft", include_str!("../rules/microsoft.toml")),
    ("google", include_str!("../rules/google.toml")),
    ("yahoo", include_str!("../rules/yahoo.toml")),
    ("apple", include_str!("../rules/apple.toml")),
    ("america", include_str!("../rules/america.toml")),
    ("europe", include_str!("../rules/europe.toml")),
    ("russia", include_str!("../rules/russia.toml")),
    ("asia", include_str!("../rules/asia.toml")),
    ("filters", include_str!("../rules/filters.toml")),
];

const CODES: &str = include_str!("../rules/codes.toml");

const CALIBRATION: &str = include_str!("../rules/calibration.toml");

/// Bytes of a user's own file at the most: twice as many as all the rules built in.
const LOCAL_BYTES: usize = 256 << 10;
/// Phrases of a user's own file at the most.
const LOCAL_PHRASES: usize = 2_000;

/// What a rule of the user's is worth beside those built in: it decides.
const LOCAL: u32 = 200;

/// A set of compiled rules: those built into the program, with a user's own laid over them if there are any.
///
/// ```
/// use rebound_classify::Rules;
/// use rebound_domain::BounceCause;
///
/// let rules = Rules::with(r#"
///     [[rule]]
///     id = "local.intranet-filter"
///     cause = "spam_suspected"
///     why = "the filter of our biggest customer says no more than this"
///     words = ["computer says no"]
///     example = "550 5.7.1 Computer says no"
///     not = "550 5.1.1 no such computer"
/// "#).unwrap();
/// assert_eq!(rules.reply(b"550 Computer says no").unwrap().cause, BounceCause::SpamSuspected);
/// ```
#[derive(Debug)]
pub struct Rules {
    version: String,
    rules: Vec<Rule>,
    phrases: Vec<Phrase>,
    automaton: AhoCorasick,
    codes: Codes,
    calibration: Calibration,
}

/// Something wrong with a rule, in words for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The rule's id; empty where the file as a whole cannot be read.
    pub rule: String,
    /// What is wrong, and where.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rule.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.rule, self.what) }
    }
}

impl Rules {
    /// The rules built into the program.
    #[must_use]
    pub fn built_in() -> &'static Self {
        // The files are part of the program, and a test compiles and lints them: this is the same on every machine. To
        // go on without rules would judge every bounce undetermined, and nobody would hear why.
        static RULES: LazyLock<Rules> = LazyLock::new(|| {
            Rules::compile(None).unwrap_or_else(|faults| unreachable!("the rules built in are broken: {faults:?}"))
        });
        &RULES
    }

    /// The built-in rules with the rules of `local` laid over them. A rule with the id of a built-in one takes its
    /// place; any other stands beside them, and decides where it matches.
    ///
    /// # Errors
    /// Every [`Fault`] of the local rules: what cannot be read, what can never match, an example that does not come
    /// out as the rule says, a counter-example that matches, and words that our own mail has. A file of more than
    /// 256 KiB or 2,000 phrases is refused as a whole.
    pub fn with(local: &str) -> Result<Self, Vec<Fault>> {
        let rules = Self::compile(Some(local))?;
        let faults: Vec<Fault> = rules.faults(|rule| rule.is_local).collect();
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    /// What is wrong with any rule, built in or local: nothing, if the tests of this crate pass.
    #[must_use]
    pub fn lint(&self) -> Vec<Fault> {
        self.faults(|_| true).collect()
    }

    /// The version of these rules, such as `2026.11-4f1c09ab`; local rules add `+local-` and a digest of their text.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What a host's reply means, by these rules. See [`reply`](crate::reply()).
    #[must_use]
    pub fn reply(&self, bytes: &[u8]) -> Option<Verdict> {
        crate::reply::read(self, bytes, None)
    }

    /// As [`reply`](Rules::reply), where the command that was answered is known: what a host says to `MAIL FROM` is
    /// about the sender, and what it says to `DATA` hardly ever about the address.
    #[must_use]
    pub fn reply_to(&self, command: SmtpCommand, bytes: &[u8]) -> Option<Verdict> {
        crate::reply::read(self, bytes, Some(command))
    }

    /// What a message that came back means, by these rules. See [`report`](crate::report()).
    #[must_use]
    pub fn report(&self, bytes: &[u8]) -> Report {
        crate::report::read_safely(self, bytes)
    }

    fn compile(local: Option<&str>) -> Result<Self, Vec<Fault>> {
        // What is wrong with the user's file is told before anything is compiled.
        let local_entries = local.map_or_else(|| Ok(Vec::new()), entries_of_local)?;
        let mut rules: Vec<(Rule, Vec<String>)> = Vec::new();
        let mut faults = Vec::new();
        for (name, text) in BUILT_IN {
            match entries(name, text) {
                Ok(entries) => entries.into_iter().for_each(|entry| lay(&mut rules, entry, false, &mut faults)),
                Err(found) => faults.extend(found),
            }
        }
        local_entries.into_iter().for_each(|entry| lay(&mut rules, entry, true, &mut faults));
        let codes = Codes::read(CODES).map_err(|fault| vec![fault])?;
        let calibration =
            Calibration::read(CALIBRATION).map_err(|what| vec![Fault { rule: "calibration".to_owned(), what }])?;
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut phrases = Vec::new();
        for (index, (_, words)) in rules.iter().enumerate() {
            phrases.extend(words.iter().map(|words| Phrase::new(index, words)));
        }
        let rules = rules.into_iter().map(|(rule, _)| rule).collect();
        let heads = phrases.iter().map(Phrase::head);
        let automaton =
            AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).match_kind(MatchKind::Standard).build(heads);
        let automaton = automaton.map_err(|error| vec![Fault { rule: String::new(), what: error.to_string() }])?;
        Ok(Self { version: version(local), rules, phrases, automaton, codes, calibration })
    }

    /// The built-in rules with the bare score of a cause, in percent, in the place of the confidence: for measuring
    /// how often which score is right.
    ///
    /// # Errors
    /// As [`Rules::with`]; none, if the tests of this crate pass.
    pub fn uncalibrated() -> Result<Self, Vec<Fault>> {
        Ok(Self { calibration: Calibration::default(), ..Self::compile(None)? })
    }

    pub(crate) fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// Every phrase that occurs in a text, each once, with its rule and its place. `folded` is the text in ASCII
    /// lower case.
    pub(crate) fn find(&self, text: &str, folded: &str, beside: &Beside<'_>) -> Vec<Found<'_>> {
        let mut found = self.find_words(text, folded);
        found.retain(|found| found.rule.holds(folded, beside));
        explain(&mut found);
        found
    }

    fn find_words(&self, text: &str, folded: &str) -> Vec<Found<'_>> {
        let addresses = addresses_in(text);
        let mut found: Vec<Found<'_>> = Vec::new();
        for head in self.automaton.find_overlapping_iter(folded) {
            let index = head.pattern().as_usize();
            let Some(phrase) = self.phrases.get(index) else { continue };
            let Some(range) = phrase.complete(folded, head.start()) else { continue };
            let in_address = addresses.iter().any(|address| address.start <= range.start && range.end <= address.end);
            let Some(rule) = self.rules.get(phrase.rule) else { continue };
            // An address is a name and no statement; but a blocklist or a page may well be named by one.
            if !in_address && !found.iter().any(|known| known.phrase == index) {
                found.push(Found { rule, phrase: index, range, is_whole: phrase.is_whole() });
            }
        }
        found
    }
}

/// A phrase found in a text.
#[derive(Debug)]
pub(crate) struct Found<'r> {
    pub(crate) rule: &'r Rule,
    phrase: usize,
    pub(crate) range: Range<usize>,
    is_whole: bool,
}

/// Words within longer words are explained by them: the `blacklisted` of `blacklisted url` names no sender.
fn explain(found: &mut Vec<Found<'_>>) {
    let longer: Vec<(Range<usize>, BounceCause, u32)> = found
        .iter()
        .filter(|one| one.is_whole)
        .map(|one| (one.range.clone(), one.rule.cause, one.rule.weight))
        .collect();
    found.retain(|one| {
        !longer.iter().any(|(range, cause, weight)| {
            *cause != one.rule.cause
                && *weight >= one.rule.weight.max(50)
                && range.start <= one.range.start
                && one.range.end <= range.end
                && range.len() > one.range.len()
        })
    });
}

/// The rules of a file. `name` is empty for a user's own.
fn entries(name: &str, text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let file = File::read(text).map_err(|fault| vec![fault])?;
    let faults: Vec<Fault> = file.rules.iter().filter_map(|entry| entry.fault(name)).collect();
    if faults.is_empty() { Ok(file.rules) } else { Err(faults) }
}

fn entries_of_local(text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let refused = |what: String| Err(vec![Fault { rule: String::new(), what }]);
    if text.len() > LOCAL_BYTES {
        return refused(format!("the file is larger than {} KiB", LOCAL_BYTES >> 10));
    }
    let entries = entries("", text)?;
    if entries.iter().map(Entry::phrases).sum::<usize>() > LOCAL_PHRASES {
        return refused(format!("the file has more than {LOCAL_PHRASES} phrases"));
    }
    Ok(entries)
}

/// Adds a rule, or puts a local one in the place of the built-in one of its id.
fn lay(rules: &mut Vec<(Rule, Vec<String>)>, entry: Entry, is_local: bool, faults: &mut Vec<Fault>) {
    let place = rules.iter().position(|(rule, _)| rule.id == entry.id);
    match place {
        Some(place) if is_local && !rules.get(place).is_some_and(|(rule, _)| rule.is_local) => {
            if let Some(old) = rules.get_mut(place) {
                *old = entry.into_rule(is_local);
            }
        }
        Some(_) => faults.push(Fault { rule: entry.id, what: "another rule has this id".to_owned() }),
        None => rules.push(entry.into_rule(is_local)),
    }
}

/// The month of the last change, and a digest of every file, so that no two sets share a version.
fn version(local: Option<&str>) -> String {
    let built_in = BUILT_IN.iter().flat_map(|(_, text)| text.bytes()).chain(CODES.bytes()).chain(CALIBRATION.bytes());
    let mine = digest(built_in);
    match local {
        Some(text) => format!("{MONTH}-{mine:08x}+local-{:08x}", digest(text.bytes())),
        None => format!("{MONTH}-{mine:08x}"),
    }
}

const MONTH: &str = "2026.11";

/// FNV-1a, 32 bits: tells versions apart, and keeps nothing safe.
fn digest(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
