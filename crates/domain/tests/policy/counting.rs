//! Who is judged by what: counts, rests and ends.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rebound_domain::{
    AddressKey, BounceCause, BounceCause as C, CampaignId, Case, Consequence, Fact, Grade, Number, Permanence, Policy,
    Reach, Setting, Standing, SuppressionReason, fold,
};

const HARD: Permanence = Permanence::Hard;
const SOFT: Permanence = Permanence::Soft;

/// An address, from a first day on.
struct Address {
    standing: Standing,
    policy: Policy,
    campaigns: i64,
}

fn day(days: i64) -> DateTime<Utc> {
    hour(days * 24)
}

fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hours)
}

fn bounced(cause: C, permanence: Permanence, campaign: i64) -> Fact {
    Fact::Bounced { cause, permanence, grade: Grade::Ours, campaign: CampaignId(campaign), excused: false }
}

impl Address {
    fn new() -> Self {
        Self { standing: Standing::default(), policy: Policy::default(), campaigns: 0 }
    }

    fn met(&mut self, fact: Fact, at: DateTime<Utc>) -> &mut Self {
        self.standing = fold(&self.policy, &self.standing, &fact, at);
        self
    }

    /// A new campaign came back.
    fn back(&mut self, cause: C, at: DateTime<Utc>) -> &mut Self {
        self.campaigns += 1;
        self.met(bounced(cause, SOFT, self.campaigns), at)
    }

    /// Full mailboxes on five days, a week and a day from first to last.
    fn first_rest(&mut self) -> &mut Self {
        for at in [0, 2, 4, 6, 8] {
            self.back(C::MailboxFull, day(at));
        }
        self
    }

    fn count(&self) -> u32 {
        self.standing.run.as_ref().map_or(0, rebound_domain::Run::count)
    }

    fn rests_until(&self) -> Option<DateTime<Utc>> {
        match self.standing.reach {
            Reach::Resting { until, .. } => Some(until),
            _ => None,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self.standing.reach, Reach::Gone { .. })
    }
}

#[test]
fn what_the_table_calls_hard_ends_an_address_at_once() {
    for cause in [C::MailboxUnknown, C::DomainUnknown, C::AddressMoved] {
        let mut address = Address::new();
        address.met(bounced(cause, HARD, 1), day(0));
        assert_eq!(address.standing.reach, Reach::Gone { since: day(0), cause });
        let key = AddressKey::stored("ada@orchard.example".into());
        let suppression = address.standing.suppression(&key, "550 5.1.1".into()).unwrap();
        assert_eq!((suppression.reason, suppression.since), (SuppressionReason::Hard, day(0)));
        assert_eq!((suppression.until, suppression.evidence.as_str()), (None, "550 5.1.1"));
    }
}

#[test]
fn a_hard_word_alone_ends_nobody() {
    for cause in BounceCause::ALL {
        let ends = Policy::default().row(cause, HARD).consequence == Consequence::AtOnce;
        let mut address = Address::new();
        address.met(bounced(cause, HARD, 1), day(0));
        assert_eq!(address.is_gone(), ends, "{cause}");
    }
}

#[test]
fn the_senders_fault_never_counts() {
    let ours = [
        C::MessageTooLarge,
        C::SpamSuspected,
        C::ContentRejected,
        C::Virus,
        C::ReputationBlock,
        C::PolicyOther,
        C::AuthFailure,
        C::SenderDns,
        C::SenderRejected,
        C::RateLimited,
        C::Greylisted,
        C::SecurityRequired,
        C::ProtocolError,
        C::Undetermined,
    ];
    for cause in ours {
        let mut address = Address::new();
        for at in 0..90 {
            address.back(cause, day(at));
        }
        assert_eq!(address.standing, Standing::default(), "{cause}");
    }
}

#[test]
fn only_evidence_of_ours_counts_and_nothing_that_is_excused() {
    let change = |grade, excused| Fact::Bounced {
        cause: C::MailboxUnknown,
        permanence: HARD,
        grade,
        campaign: CampaignId(1),
        excused,
    };
    for (grade, excused, ends) in [
        (Grade::TextOnly, false, false),
        (Grade::Returned, false, true),
        (Grade::Ours, false, true),
        (Grade::Ours, true, false),
    ] {
        let mut address = Address::new();
        address.met(change(grade, excused), day(0));
        assert_eq!(address.is_gone(), ends, "{grade:?}, excused: {excused}");
        if !ends {
            assert_eq!(address.standing, Standing::default());
        }
    }
}

#[test]
fn one_counts_per_campaign_and_per_day() {
    let mut address = Address::new();
    address.met(bounced(C::MailboxFull, SOFT, 1), hour(0));
    address.met(bounced(C::MailboxFull, SOFT, 2), hour(23));
    assert_eq!(address.count(), 1, "within 24 hours of the last that counted");
    address.met(bounced(C::MailboxFull, SOFT, 2), hour(24));
    assert_eq!(address.count(), 2);
    address.met(bounced(C::RoutingError, SOFT, 2), hour(60));
    address.met(bounced(C::MailboxFull, SOFT, 1), hour(90));
    assert_eq!(address.count(), 2, "a campaign that is resent counts once, whatever came between");
    address.met(bounced(C::RoutingError, SOFT, 3), hour(90));
    assert_eq!(address.count(), 3, "other causes count with it");
}

#[test]
fn at_the_limit_over_a_week_it_rests() {
    let mut address = Address::new();
    for at in 0..7 {
        address.back(C::MailboxFull, day(at));
        assert_eq!(address.standing.reach, Reach::Reachable, "day {at}: {} in a row, and no week", at + 1);
    }
    address.back(C::MailboxFull, day(7));
    assert_eq!(address.standing.reach, Reach::Resting { since: day(7), until: day(37), cause: C::MailboxFull });
    let key = AddressKey::stored("ada@orchard.example".into());
    let suppression = address.standing.suppression(&key, String::new()).unwrap();
    assert_eq!((suppression.reason, suppression.until), (SuppressionReason::Soft, Some(day(37))));
    assert!(suppression.stands(day(36)) && !suppression.stands(day(37)));

    let mut slow = Address::new();
    for at in [0, 10, 20, 30] {
        slow.back(C::MailboxFull, day(at));
    }
    assert_eq!((slow.count(), slow.rests_until()), (4, None), "four are not five");
}

#[test]
fn a_host_in_trouble_has_thirty_days() {
    for cause in [C::HostUnreachable, C::TimeoutExpired, C::RecipientSystem, C::RoutingError] {
        let mut address = Address::new();
        for at in 0..30 {
            address.back(cause, day(at));
        }
        assert_eq!(address.rests_until(), None, "{cause}");
        address.back(cause, day(30));
        assert_eq!(address.rests_until(), Some(day(60)), "{cause}");
    }
}

#[test]
fn the_second_rest_is_twice_as_long_and_the_third_is_for_good() {
    let mut address = Address::new();
    assert_eq!(address.first_rest().rests_until(), Some(day(38)));
    // What was sent before the rest and comes back late is no failed come-back.
    assert_eq!(address.back(C::MailboxFull, day(12)).rests_until(), Some(day(38)));
    // It is tried once by the next campaign.
    assert_eq!(address.back(C::MailboxFull, day(40)).rests_until(), Some(day(100)));
    assert_eq!(address.back(C::HostUnreachable, day(50)).rests_until(), Some(day(100)), "late again");
    address.back(C::MailboxFull, day(101));
    assert_eq!(address.standing.reach, Reach::Gone { since: day(101), cause: C::MailboxFull });
}

#[test]
fn who_comes_back_and_is_reached_starts_anew() {
    let mut address = Address::new();
    address.first_rest().met(Fact::Accepted, day(40));
    address.back(C::MailboxFull, day(46));
    assert_eq!((address.count(), address.standing.rests), (1, 0), "five days unbounced clear the rests, too");
}

#[test]
fn certain_contact_and_proven_acceptance_clear_the_count() {
    let four = || {
        let mut address = Address::new();
        for at in [0, 2, 4, 6] {
            address.back(C::MailboxFull, day(at));
        }
        address
    };
    let mut reached = four();
    reached.met(Fact::Reached, day(7)).back(C::MailboxFull, day(8));
    assert_eq!(reached.count(), 1);

    let mut proven = four();
    proven.met(Fact::Accepted, day(7)).back(C::MailboxFull, day(12));
    assert_eq!(proven.count(), 1, "unbounced for five days");

    let mut early = four();
    early.met(Fact::Accepted, day(7)).back(C::MailboxFull, hour(12 * 24 - 1));
    assert!(early.rests_until().is_some(), "an hour less proves nothing");

    let mut returned = four();
    returned.met(Fact::Accepted, day(7)).met(bounced(C::MailboxFull, SOFT, 9), hour(7 * 24 + 1));
    assert!(returned.rests_until().is_some(), "it was taken, and came back");
}

#[test]
fn doubtful_causes_end_an_address_the_second_time_three_days_later() {
    for cause in [C::MailboxInactive, C::RelayDenied, C::RecipientRefused] {
        let mut address = Address::new();
        address.back(cause, day(0)).back(cause, hour(71));
        assert_eq!(address.standing.reach, Reach::Reachable, "{cause}: not yet three days");
        assert_eq!(address.count(), 0, "{cause}: no soft bounce either");
        address.back(cause, day(3));
        assert!(address.is_gone(), "{cause}");
    }
    let mut different = Address::new();
    different.back(C::MailboxInactive, day(0)).back(C::RelayDenied, day(9));
    assert_eq!(different.standing.reach, Reach::Reachable, "another doubt is no second time");
    let mut cleared = Address::new();
    cleared.back(C::MailboxInactive, day(0)).met(Fact::Accepted, day(10)).back(C::MailboxInactive, day(20));
    assert_eq!(cleared.standing.reach, Reach::Reachable, "mail arrived in between");
}

#[test]
fn a_person_may_lift_what_stands() {
    let mut address = Address::new();
    address.first_rest().met(Fact::Lifted, day(9));
    assert_eq!(address.standing, Standing::default());
    address.met(bounced(C::MailboxUnknown, HARD, 9), day(10)).met(Fact::Lifted, day(11));
    assert_eq!(address.standing, Standing::default());
}

#[test]
fn an_admin_may_set_other_numbers() {
    let mut address = Address::new();
    let of_full = |number| Setting::Of(Case::of(C::MailboxFull, SOFT), number);
    for (setting, value) in [
        (of_full(Number::Limit), 2),
        (of_full(Number::RestDays), 3),
        (Setting::SecondTimeDays, 1),
        (Setting::ProvenDays, 1),
    ] {
        address.policy.set(setting, value).unwrap();
    }
    address.back(C::MailboxFull, day(0)).back(C::MailboxFull, day(7));
    assert_eq!(address.rests_until(), Some(day(10)));
}

fn fact() -> impl Strategy<Value = Fact> {
    let bounce =
        (proptest::sample::select(BounceCause::ALL.to_vec()), any::<bool>(), 1_i64..30, 0_usize..3, any::<bool>());
    prop_oneof![
        5 => bounce.prop_map(|(cause, hard, campaign, grade, excused)| Fact::Bounced {
            cause,
            permanence: if hard { HARD } else { SOFT },
            grade: [Grade::TextOnly, Grade::Returned, Grade::Ours][grade],
            campaign: CampaignId(campaign),
            excused,
        }),
        2 => Just(Fact::Accepted),
        1 => Just(Fact::Reached),
        1 => Just(Fact::Lifted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: a rest lasts 30 or 60 days, an end is the table's or the third failure, and nothing but a
    /// person takes back an end.
    #[test]
    fn no_history_ends_an_address_that_the_rules_keep(
        history in proptest::collection::vec((0_i64..100, fact()), 0..60)
    ) {
        let policy = Policy::default();
        let (mut standing, mut hours) = (Standing::default(), 0);
        for (after, fact) in history {
            hours += after;
            let next = fold(&policy, &standing, &fact, hour(hours));
            let judges = matches!(fact, Fact::Bounced { grade: Grade::Ours | Grade::Returned, excused: false, .. });
            let changed = next.reach != standing.reach;
            prop_assert!(!changed || judges || fact == Fact::Lifted);
            match (next.reach, fact) {
                (Reach::Resting { since, until, cause }, _) if changed => {
                    prop_assert!([30, 60].contains(&(until - since).num_days()));
                    let row = policy.row(cause, SOFT).consequence;
                    prop_assert!(matches!(row, Consequence::Counted { .. }), "{cause} rests");
                }
                (Reach::Gone { .. }, Fact::Bounced { cause, permanence, .. }) if changed => {
                    let row = policy.row(cause, permanence).consequence;
                    let third = matches!(row, Consequence::Counted { .. }) && standing.rests == 2;
                    prop_assert!(third || matches!(row, Consequence::AtOnce | Consequence::SecondTime), "{cause}");
                }
                _ => {}
            }
            if matches!(standing.reach, Reach::Gone { .. }) && fact != Fact::Lifted {
                prop_assert_eq!(next.reach, standing.reach);
            }
            standing = next;
        }
    }
}
