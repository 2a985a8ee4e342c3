//! What a person may set, and what that would have changed.

use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{
    BadSetting, BounceCause as C, CampaignId, Case, Effect, Fact, Grade, History, Number, Permanence, Policy, Refusal,
    Setting, Totals, Troubled,
};

fn full(number: Number) -> Setting {
    Setting::Of(Case::of(C::MailboxFull, Permanence::Soft), number)
}

fn with(changes: &[(Setting, u32)]) -> Policy {
    let mut policy = Policy::default();
    for (setting, value) in changes {
        policy.set(*setting, *value).unwrap();
    }
    policy
}

fn day(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

fn bounced(cause: C, campaign: i64) -> Fact {
    let (permanence, grade) = (Permanence::Soft, Grade::Ours);
    Fact::Bounced { cause, permanence, grade, campaign: CampaignId(campaign), excused: false }
}

#[test]
fn every_number_is_set_by_its_name_and_nothing_else_changes() {
    let before = Policy::default();
    assert_eq!(before.settings().len(), 5 + 16 * 3 + 7 * 3 + 3, "the whole, waits, counted rows, repeats");
    for (setting, value) in before.settings() {
        let mut policy = before.clone();
        let other = if setting.range().contains(&(value + 1)) { value + 1 } else { value - 1 };
        policy.set(setting, other).unwrap();
        assert_eq!(before.changes(&policy), [(setting, Some(value), Some(other))], "{setting}");
        assert!(!setting.title().is_empty());
        let (least, most) = (*setting.range().start(), *setting.range().end());
        let refused = Err(BadSetting::OutOfRange { from: least, to: most });
        assert_eq!(policy.set(setting, most + 1), refused, "{setting}");
    }
    let mut names: Vec<String> = before.settings().iter().map(|(setting, _)| setting.to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), before.settings().len());
}

#[test]
fn the_senders_fault_cannot_be_made_to_count() {
    let mut policy = Policy::default();
    for cause in [C::MessageTooLarge, C::SpamSuspected, C::ReputationBlock, C::RateLimited, C::AuthFailure] {
        let limit = Setting::Of(Case::of(cause, Permanence::Soft), Number::Limit);
        assert_eq!(policy.set(limit, 1), Err(BadSetting::NotThere), "{cause}");
    }
    assert_eq!(policy, Policy::default());
}

#[test]
fn the_first_wait_is_no_longer_than_the_longest() {
    assert!(Policy::default().contradictions().is_empty());
    let policy = with(&[(full(Number::BaseMinutes), 1_441)]);
    assert_eq!(policy.contradictions(), [(full(Number::BaseMinutes), BadSetting::BaseOverCap)]);
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    let policy = with(&[(full(Number::Limit), 7), (full(Number::GiveUpHours), 24), (Setting::ProvenDays, 9)]);
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
    // What an older version did not know is as the program came with.
    let mut older: serde_json::Value = serde_json::from_str(&written).unwrap();
    older["rows"].as_object_mut().unwrap().remove("mailbox_full").unwrap();
    let older: Policy = serde_json::from_value(older).unwrap();
    assert_eq!(older.get(full(Number::Limit)), Some(5));
}

#[test]
fn a_higher_limit_lets_fewer_rest_and_that_is_seen_before() {
    // Full on eight days; then mail arrives.
    let mut facts: Vec<_> = (0..8).map(|n| (day(n), bounced(C::MailboxFull, n))).collect();
    facts.push((day(9), Fact::Accepted));
    let rests = History { facts, troubled: vec![] };
    let twice = History { facts: (0..2).map(|n| (day(n), bounced(C::MailboxFull, n))).collect(), troubled: vec![] };
    let now = Policy::default();
    let effect = |new: &Policy| {
        let mut effect = Effect::default();
        [&rests, &twice].into_iter().for_each(|history| effect.add(&now, new, history));
        effect
    };

    let higher = effect(&with(&[(full(Number::Limit), 9)]));
    assert_eq!((higher.now.rested, higher.now.wrongly), (1, 1));
    assert_eq!((higher.new.rested, higher.new.wrongly), (0, 0));
    assert_eq!((higher.gained, higher.lost), (1, 0));

    let lower = effect(&with(&[(full(Number::Limit), 2), (full(Number::OverDays), 1)]));
    assert_eq!((lower.new.rested, lower.gained, lower.lost), (2, 0, 1));
    assert_eq!(effect(&now), Effect { now: lower.now, new: lower.now, gained: 0, lost: 0 });
}

#[test]
fn shorter_patience_saves_tries_and_misses_messages() {
    let full_for = |hours: Option<i64>| Troubled {
        since: day(0),
        case: Case::of(C::MailboxFull, Permanence::Soft),
        refusal: Refusal::Transient,
        arrived: hours.map(|hours| day(0) + TimeDelta::hours(hours)),
    };
    let history = History { facts: vec![], troubled: vec![full_for(Some(30)), full_for(None)] };
    let mut effect = Effect::default();
    effect.add(&Policy::default(), &with(&[(full(Number::GiveUpHours), 12)]), &history);
    // Waits of 4.5, 9, 18 and 18 hours, and a last one when the time is up; the first message is taken at the fourth try.
    assert_eq!(effect.now, Totals { tries: 4 + 7, ..Totals::default() });
    assert_eq!(effect.new, Totals { tries: 3 + 3, missed: 1, ..Totals::default() });
    assert_eq!((effect.gained, effect.lost), (0, 0), "nobody rests by it");
}
