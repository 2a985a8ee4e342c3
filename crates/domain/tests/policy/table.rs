//! What each cause leads to: the table of the policy, row by row.

use rebound_domain::{Backoff, BounceCause, BounceCause as C, Consequence, IncidentScope, Permanence, Policy};
use std::collections::BTreeSet;

const HARD: Permanence = Permanence::Hard;
const SOFT: Permanence = Permanence::Soft;

const ONCE: Consequence = Consequence::AtOnce;
const TWICE: Consequence = Consequence::SecondTime;
const WEEK: Consequence = Consequence::Counted { limit: 5, over_days: 7, rest_days: 30 };
const MONTH: Consequence = Consequence::Counted { limit: 5, over_days: 30, rest_days: 30 };
const LANE: Consequence = Consequence::LaneOnly;
const CAMPAIGN: Consequence = Consequence::Incident { scope: IncidentScope::Campaign };
const ROUTE: Consequence = Consequence::Incident { scope: IncidentScope::Route };
const DOMAIN: Consequence = Consequence::Incident { scope: IncidentScope::SendingDomain };
const REPEATS: Consequence = Consequence::Nothing { repeats: 3 };
const NOTHING: Consequence = Consequence::Nothing { repeats: 0 };

/// Minutes before the second try, and between tries at most.
type Waits = Option<(u32, u32)>;

const NEVER: Waits = None;
const HOURS_1_12: Waits = Some((60, 12 * 60));

/// Cause, permanence where it matters, what it leads to, waits after a 4yz, waits after a 5yz.
const TABLE: [(C, Option<Permanence>, Consequence, Waits, Waits); 27] = [
    (C::MailboxUnknown, Some(HARD), ONCE, NEVER, NEVER),
    (C::MailboxUnknown, Some(SOFT), WEEK, HOURS_1_12, NEVER),
    (C::AddressMoved, None, ONCE, NEVER, NEVER),
    (C::DomainUnknown, Some(HARD), ONCE, NEVER, NEVER),
    (C::DomainUnknown, Some(SOFT), WEEK, Some((15, 6 * 60)), NEVER),
    (C::MailboxInactive, None, TWICE, NEVER, NEVER),
    (C::MailboxFull, None, WEEK, Some((6 * 60, 24 * 60)), Some((6 * 60, 24 * 60))),
    (C::HostUnreachable, None, MONTH, Some((10, 4 * 60)), NEVER),
    (C::TimeoutExpired, None, MONTH, NEVER, NEVER),
    (C::RecipientSystem, None, MONTH, Some((30, 6 * 60)), NEVER),
    (C::RoutingError, None, MONTH, HOURS_1_12, NEVER),
    (C::RelayDenied, None, TWICE, NEVER, NEVER),
    (C::MessageTooLarge, None, CAMPAIGN, NEVER, NEVER),
    (C::SpamSuspected, None, CAMPAIGN, NEVER, NEVER),
    (C::ContentRejected, None, CAMPAIGN, NEVER, NEVER),
    (C::Virus, None, CAMPAIGN, NEVER, NEVER),
    (C::ReputationBlock, None, ROUTE, HOURS_1_12, NEVER),
    (C::PolicyOther, None, ROUTE, HOURS_1_12, NEVER),
    (C::AuthFailure, None, DOMAIN, HOURS_1_12, NEVER),
    (C::SenderDns, None, DOMAIN, HOURS_1_12, NEVER),
    (C::SenderRejected, None, DOMAIN, HOURS_1_12, NEVER),
    (C::RateLimited, None, LANE, Some((10, 60)), NEVER),
    (C::Greylisted, None, LANE, Some((5, 20)), NEVER),
    (C::RecipientRefused, None, TWICE, NEVER, NEVER),
    (C::SecurityRequired, None, REPEATS, HOURS_1_12, NEVER),
    (C::ProtocolError, None, REPEATS, HOURS_1_12, NEVER),
    (C::Undetermined, None, NOTHING, Some((30, 6 * 60)), NEVER),
];

#[test]
fn each_cause_leads_to_what_the_table_says() {
    let policy = Policy::default();
    let waits = |backoff: Option<Backoff>| backoff.map(|backoff| (backoff.base_minutes, backoff.cap_minutes));
    for (cause, only, consequence, after_4yz, after_5yz) in TABLE {
        for permanence in [HARD, SOFT].into_iter().filter(|permanence| only.is_none_or(|only| only == *permanence)) {
            let row = policy.row(cause, permanence);
            assert_eq!(row.consequence, consequence, "{cause} {permanence}");
            assert_eq!(waits(row.after_4yz), after_4yz, "{cause} {permanence} after a 4yz");
            assert_eq!(waits(row.after_5yz), after_5yz, "{cause} {permanence} after a 5yz");
        }
    }
}

#[test]
fn the_table_has_every_cause() {
    let of = |permanence| {
        let rows = TABLE.iter().filter(move |(_, only, ..)| only.is_none_or(|only| only == permanence));
        rows.map(|(cause, ..)| *cause).collect::<BTreeSet<_>>()
    };
    let all = BounceCause::ALL.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(of(HARD), all);
    assert_eq!(of(SOFT), all);
}
