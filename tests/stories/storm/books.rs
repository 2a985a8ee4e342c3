//! Compares our books of one campaign with what the hosts wrote down before they answered.

use crate::world::Line;
use rebound_sandbox::{Event, ReportKind, Truth};
use std::collections::{BTreeMap, BTreeSet};

/// What the comparison shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Recipients in the ledger.
    pub(super) recipients: usize,
    /// Who is in no final state, or is said to have a letter that no host took.
    pub(super) lost: Vec<String>,
    /// Tries of which nobody knows whether they arrived, each listed by name.
    pub(super) doubts: i64,
    /// Second copies to recipients with a doubt.
    pub(super) named: i64,
    /// Second copies to anybody else.
    pub(super) unexplained: Vec<String>,
    /// What else does not agree.
    pub(super) wrong: Vec<String>,
    /// Recipients by final state.
    pub(super) states: BTreeMap<String, i64>,
    /// Recipients whom a host took a letter for and gave none back.
    pub(super) holds: i64,
    /// Of these, how many are in another state than accepted, by a doubt.
    pub(super) holds_by_doubt: i64,
}

/// The hosts' side of one recipient.
#[derive(Default)]
struct Mailbox<'a> {
    copies: i64,
    given_back: i64,
    message_ids: BTreeSet<Option<&'a str>>,
}

const FINAL: [&str; 5] = ["accepted", "bounced", "suppressed", "cancelled", "in_doubt"];

/// Compares `ledger` with what `truth` says about its campaign.
pub(super) fn compare<'a>(ledger: impl IntoIterator<Item = &'a Line>, truth: &[Truth]) -> Findings {
    let mailboxes = mailboxes(truth);
    let nothing = Mailbox::default();
    let (mut found, mut known) = (Findings::default(), BTreeSet::new());
    for line in ledger {
        let who = line.recipient.to_lowercase();
        let mailbox = mailboxes.get(who.as_str()).unwrap_or(&nothing);
        found.recipients += 1;
        found.doubts += line.in_doubt;
        *found.states.entry(line.state.clone()).or_default() += 1;
        found.judge(line, mailbox);
        if !known.insert(who.clone()) {
            found.wrong.push(format!("{who} is in the ledger twice"));
        }
    }
    let strangers = mailboxes.keys().filter(|who| !known.contains(**who));
    found.wrong.extend(strangers.map(|who| format!("{who} got a letter, and is not in the ledger")));
    found
}

fn mailboxes(truth: &[Truth]) -> BTreeMap<&str, Mailbox<'_>> {
    let mut mailboxes: BTreeMap<&str, Mailbox<'_>> = BTreeMap::new();
    for line in truth {
        let gone = [Some(ReportKind::MailboxUnknown), Some(ReportKind::ForwardUnknown)];
        match line.event {
            Event::Accepted => {
                let mailbox = mailboxes.entry(&line.recipient).or_default();
                mailbox.copies += 1;
                mailbox.message_ids.insert(line.message_id.as_deref());
            }
            Event::Reported if gone.contains(&line.report) => {
                mailboxes.entry(&line.recipient).or_default().given_back += 1;
            }
            _ => {}
        }
    }
    mailboxes
}

impl Findings {
    fn judge(&mut self, line: &Line, mailbox: &Mailbox<'_>) {
        let who = &line.recipient;
        let holds = mailbox.copies > mailbox.given_back;
        self.holds += i64::from(holds);
        self.holds_by_doubt += i64::from(holds && line.state != "accepted" && line.in_doubt > 0);
        let second = (mailbox.copies - 1).max(0);
        self.named += second.min(line.in_doubt);
        if second > line.in_doubt {
            self.unexplained.push(format!("{who}: {} copies, {} doubts", mailbox.copies, line.in_doubt));
        }
        if !FINAL.contains(&line.state.as_str()) || (line.state == "accepted" && mailbox.copies == 0) {
            self.lost.push(format!("{who} is {}, with {} copies", line.state, mailbox.copies));
        }
        let must_hold_none = line.in_doubt == 0 && line.state != "accepted";
        if must_hold_none && holds {
            self.wrong.push(format!("{who} is {}, and has it", line.state));
        }
        if line.state == "accepted" && mailbox.copies > 0 && !holds {
            self.wrong.push(format!("{who} is accepted, and every copy was given back"));
        }
        let ours = BTreeSet::from([Some(line.message_id.trim_matches(['<', '>']))]);
        if mailbox.copies > 0 && mailbox.message_ids != ours {
            self.wrong.push(format!("{who}: Message-IDs {:?}, not {}", mailbox.message_ids, line.message_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::world::Line;
    use rebound_sandbox::{Behaviour, Event, ReportKind, Truth};

    fn line(state: &str, in_doubt: i64) -> Line {
        Line {
            recipient: "Ada@sandbox.test".to_owned(),
            message_id: "<1@a>".to_owned(),
            state: state.to_owned(),
            attempts: 1,
            in_doubt,
            verdict: None,
        }
    }

    fn said(event: Event, message_id: &str) -> Truth {
        Truth {
            at: chrono::DateTime::UNIX_EPOCH,
            event,
            session: 1,
            sender: "b@a".to_owned(),
            recipient: "ada@sandbox.test".to_owned(),
            message_id: Some(message_id.to_owned()),
            subject: None,
            queue_id: None,
            behaviour: Behaviour::Fine,
            reply: String::new(),
            report: (event == Event::Reported).then_some(ReportKind::MailboxUnknown),
        }
    }

    #[test]
    fn what_does_not_agree_is_found() {
        let (took, back) = (said(Event::Accepted, "1@a"), said(Event::Reported, "1@a"));
        let other = said(Event::Accepted, "2@a");
        // Lost, doubts, second copies by name, unexplained ones, what else is wrong.
        for (what, ledger, truth, expected) in [
            ("one copy", line("accepted", 0), vec![&took], (0, 0, 0, 0, 0)),
            ("none, and we say so", line("suppressed", 0), vec![], (0, 0, 0, 0, 0)),
            ("lost", line("accepted", 0), vec![], (1, 0, 0, 0, 0)),
            ("forgotten", line("leased", 0), vec![], (1, 0, 0, 0, 0)),
            ("two by name", line("accepted", 1), vec![&took, &took], (0, 1, 1, 0, 0)),
            ("two", line("accepted", 0), vec![&took, &took], (0, 0, 0, 1, 0)),
            ("three of two doubts", line("accepted", 1), vec![&took, &took, &took], (0, 1, 1, 1, 0)),
            ("given back", line("bounced", 0), vec![&took, &back], (0, 0, 0, 0, 0)),
            ("given back, and we do not know", line("accepted", 0), vec![&took, &back], (0, 0, 0, 0, 1)),
            ("said to lack it", line("bounced", 0), vec![&took], (0, 0, 0, 0, 1)),
            ("left in doubt", line("in_doubt", 1), vec![&took], (0, 1, 0, 0, 0)),
            ("another name", line("accepted", 0), vec![&other], (0, 0, 0, 0, 1)),
            ("two names", line("accepted", 1), vec![&took, &other], (0, 1, 1, 0, 1)),
        ] {
            let truth: Vec<Truth> = truth.into_iter().cloned().collect();
            let found = compare([&ledger], &truth);
            let counts = (found.lost.len(), found.doubts, found.named, found.unexplained.len(), found.wrong.len());
            assert_eq!(counts, expected, "{what}: {found:?}");
        }
    }

    #[test]
    fn a_letter_to_somebody_who_is_not_in_the_ledger_is_found() {
        let found = compare([], &[said(Event::Accepted, "1@a")]);
        assert_eq!(found.wrong, ["ada@sandbox.test got a letter, and is not in the ledger"]);
    }
}
