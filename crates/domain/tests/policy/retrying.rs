//! When the same message goes out again, and when it is given up.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rebound_domain::{
    Backoff, BounceCause, BounceCause as C, Case, MOST_TRIES, Next, Permanence, Policy, Refusal, Row, Tries, next_try,
};

const HARD: Permanence = Permanence::Hard;
const SOFT: Permanence = Permanence::Soft;

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// The wait in minutes after try `made`, right after the first.
fn wait(cause: C, refusal: Refusal, made: u32, told: Option<u32>, jitter: f64) -> Option<f64> {
    let tries = Tries { since: start(), made };
    match next_try(&Policy::default(), (cause, SOFT), refusal, tries, told, jitter, start()) {
        Next::Again(due) => Some((due - start()).num_milliseconds() as f64 / 60_000.0),
        Next::GiveUp => None,
    }
}

#[test]
fn waits_double_from_base_to_cap_with_full_jitter() {
    let not_now = Refusal::Transient;
    for (cause, longest) in [
        (C::Greylisted, [5.0, 10.0, 20.0, 20.0, 20.0]),
        (C::RateLimited, [10.0, 20.0, 40.0, 60.0, 60.0]),
        (C::HostUnreachable, [10.0, 20.0, 40.0, 80.0, 160.0]),
        (C::DomainUnknown, [15.0, 30.0, 60.0, 120.0, 240.0]),
        (C::MailboxFull, [360.0, 720.0, 1440.0, 1440.0, 1440.0]),
        (C::MailboxUnknown, [60.0, 120.0, 240.0, 480.0, 720.0]),
        (C::Undetermined, [30.0, 60.0, 120.0, 240.0, 360.0]),
    ] {
        for (made, longest) in (1..).zip(longest) {
            for jitter in [0.0, 0.25, 1.0] {
                let expected = longest / 2.0 * (1.0 + jitter);
                assert_eq!(wait(cause, not_now, made, None, jitter), Some(expected), "{cause} after try {made}");
            }
        }
    }
}

#[test]
fn a_host_that_says_how_long_is_obeyed() {
    let not_now = Refusal::Transient;
    assert_eq!(wait(C::Greylisted, not_now, 1, Some(300), 0.0), Some(5.0));
    assert_eq!(
        wait(C::Greylisted, not_now, 1, Some(300), 1.0),
        Some(5.5),
        "a little later, so that not all come at once"
    );
    assert_eq!(wait(C::RateLimited, not_now, 4, Some(7_200), 0.0), Some(120.0), "beyond the cap, too");
    assert_eq!(wait(C::RateLimited, not_now, 1, Some(0), 0.0), Some(1.0 / 60.0));
    assert_eq!(wait(C::RateLimited, not_now, 1, Some(u32::MAX), 0.0), Some(1_440.0), "nobody is obeyed beyond a day");
    assert_eq!(wait(C::MessageTooLarge, not_now, 1, Some(300), 0.0), None, "where there is nothing to wait for");
}

/// A host that greylists for ever and names a short wait each time: a try's number is a byte.
#[test]
fn a_message_is_given_up_at_its_time_before_its_tries_have_no_number() {
    for (seconds, hours) in [(1, 72), (300, 72), (300, 336), (3_600, 72)] {
        let mut policy = Policy::default();
        let case = Case::of(C::Greylisted, SOFT);
        let row = policy.row_of(case);
        let after_4yz = row.after_4yz.map(|backoff| Backoff { give_up_hours: hours, ..backoff });
        policy.rows.insert(case, Row { after_4yz, ..row });
        let (mut now, mut made) = (start(), 1);
        let again = |made, now| {
            let tries = Tries { since: start(), made };
            next_try(&policy, (C::Greylisted, SOFT), Refusal::Transient, tries, Some(seconds), 0.5, now)
        };
        while let Next::Again(due) = again(made, now) {
            assert!(due > now, "{made}");
            (now, made) = (due, made + 1);
        }
        assert!(made <= MOST_TRIES, "{made}");
        assert_eq!(now, start() + TimeDelta::hours(hours.into()), "not before its time: {seconds}, {made}");
    }
}

#[test]
fn a_message_to_a_receiver_that_rests_is_kept_for_the_longer_of_both_times() {
    for (general, of_cause, expected) in [(72, 72, 72), (72, 100, 100), (100, 72, 100)] {
        let mut policy = Policy { give_up_hours: general, ..Policy::default() };
        let case = Case::of(C::RateLimited, SOFT);
        let row = policy.row_of(case);
        let after_4yz = row.after_4yz.map(|backoff| Backoff { give_up_hours: of_cause, ..backoff });
        policy.rows.insert(case, Row { after_4yz, ..row });
        assert_eq!(policy.give_up_after_rest(C::RateLimited, SOFT), TimeDelta::hours(expected));
    }
}

#[test]
fn after_a_5yz_only_a_full_mailbox_is_tried_again_and_three_times() {
    for cause in BounceCause::ALL {
        let again: Vec<bool> = (1..=5).map(|made| wait(cause, Refusal::Permanent, made, None, 0.5).is_some()).collect();
        let full = cause == C::MailboxFull;
        assert_eq!(again, [full, full, full, false, false], "{cause}");
    }
    let tries = Tries { since: start(), made: 1 };
    let after = |cause, permanence, refusal| {
        next_try(&Policy::default(), (cause, permanence), refusal, tries, None, 0.5, start())
    };
    assert_eq!(after(C::MailboxUnknown, HARD, Refusal::Transient), Next::GiveUp);
}

#[test]
fn size_content_and_viruses_are_never_tried_again() {
    for cause in [C::MessageTooLarge, C::SpamSuspected, C::ContentRejected, C::Virus, C::TimeoutExpired] {
        for refusal in [Refusal::Transient, Refusal::Permanent] {
            assert_eq!(wait(cause, refusal, 1, Some(60), 0.5), None, "{cause}");
        }
    }
}

#[test]
fn a_message_is_given_up_after_72_hours_and_not_before() {
    let end = start() + TimeDelta::hours(72);
    let tries = Tries { since: start(), made: 9 };
    let at = |now| next_try(&Policy::default(), (C::RoutingError, SOFT), Refusal::Transient, tries, None, 1.0, now);
    assert_eq!(at(end - TimeDelta::hours(13)), Next::Again(end - TimeDelta::hours(1)));
    assert_eq!(at(end - TimeDelta::hours(11)), Next::Again(end), "the last try is made when the time is up");
    assert_eq!(at(end - TimeDelta::seconds(1)), Next::Again(end));
    assert_eq!(at(end), Next::GiveUp);
    assert_eq!(at(end + TimeDelta::days(9)), Next::GiveUp);
}

/// Tries until the end; how many tries there were, and how long it took.
fn until_given_up(cause: C, refusal: Refusal, jitter: f64) -> (u32, TimeDelta) {
    let (mut now, mut made) = (start(), 1);
    while let Next::Again(due) =
        next_try(&Policy::default(), (cause, SOFT), refusal, Tries { since: start(), made }, None, jitter, now)
    {
        (now, made) = (due, made + 1);
    }
    (made, now - start())
}

#[test]
fn a_full_mailbox_and_a_greylist_are_given_up_as_the_policy_says() {
    assert_eq!(until_given_up(C::MailboxFull, Refusal::Permanent, 1.0), (4, TimeDelta::hours(42)));
    let (tries, took) = until_given_up(C::Greylisted, Refusal::Transient, 0.5);
    assert_eq!(took, TimeDelta::hours(72));
    assert!(tries > 200, "{tries} tries");
    assert_eq!(until_given_up(C::Virus, Refusal::Transient, 0.5), (1, TimeDelta::zero()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every planned try lies inside the window of its cause, whatever was said and however long it went on.
    #[test]
    fn every_planned_try_lies_inside_the_window_of_its_cause(
        answers in proptest::collection::vec(
            (
                proptest::sample::select(BounceCause::ALL.to_vec()),
                any::<bool>(),
                prop_oneof![4 => Just(Refusal::Transient), 1 => Just(Refusal::Permanent)],
                proptest::option::weighted(0.2, any::<u32>()),
                0.0_f64..1.0,
                0_i64..120,
            ),
            1..40,
        ),
    ) {
        let policy = Policy::default();
        let (mut now, end) = (start(), start() + policy.give_up_after());
        for ((cause, hard, refusal, told, jitter, late), made) in answers.into_iter().zip(1_u32..) {
            now += TimeDelta::minutes(late);
            let judged = (cause, if hard { HARD } else { SOFT });
            let row = policy.row(judged.0, judged.1);
            let backoff = if refusal == Refusal::Transient { row.after_4yz } else { row.after_5yz };
            let Next::Again(due) = next_try(&policy, judged, refusal, Tries { since: start(), made }, told, jitter, now)
            else {
                let used_up = refusal == Refusal::Permanent && made > policy.tries_after_5yz;
                prop_assert!(backoff.is_none() || used_up || now >= end, "{cause} was given up early");
                break;
            };
            let backoff = backoff.expect("a try again has a row");
            let longest = f64::from(backoff.base_minutes) * 2.0_f64.powi(made as i32 - 1);
            let longest = longest.min(f64::from(backoff.cap_minutes)) * 60.0;
            let (least, most) = match told {
                Some(seconds) => (f64::from(seconds.clamp(1, 86_400)), f64::from(seconds.clamp(1, 86_400)) * 1.1),
                None => (longest / 2.0, longest),
            };
            let waited = (due - now).num_milliseconds() as f64 / 1000.0;
            prop_assert!(due > now && due <= end);
            prop_assert!(waited <= most + 0.001, "{cause}: {waited} s, at most {most}");
            prop_assert!(waited >= least - 0.001 || due == end, "{cause}: {waited} s, at least {least}");
            now = due;
        }
    }
}
