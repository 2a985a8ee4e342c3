//! Many histories of messages and addresses, each from a number.

use crate::world::Chance;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{
    BounceCause as C, CampaignId, Case, Fact, Grade, Next, Permanence, Policy, Reach, Refusal, Standing, Tries, fold,
    next_try,
};

const SOFT: Permanence = Permanence::Soft;

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// G8: retries that were planned outside their window, in so many histories of one message each. The window is taken
/// from the table of waits, not from the code that plans.
pub(crate) fn schedule_violations(histories: u64) -> (u64, u64) {
    let policy = Policy::default();
    let mut chance = Chance(8);
    let (mut planned, mut wrong) = (0, 0);
    let cases: Vec<Case> = Case::all().collect();
    for _ in 0..histories {
        let case = cases[chance.below(cases.len())];
        let mut now = start() + TimeDelta::seconds((chance.share() * 1e7) as i64);
        let since = now;
        for made in 1..200 {
            let refusal = if chance.share() < 0.8 { Refusal::Transient } else { Refusal::Permanent };
            let told = (chance.share() < 0.1).then(|| (chance.share() * 20_000.0) as u32);
            let judged = (case.cause(), case.permanence());
            let next = next_try(&policy, judged, refusal, Tries { since, made }, told, chance.share(), now);
            let Next::Again(due) = next else {
                let row = policy.row_of(case);
                let waits = if refusal == Refusal::Transient { row.after_4yz } else { row.after_5yz };
                let is_over = waits.is_none_or(|waits| now - since >= TimeDelta::hours(waits.give_up_hours.into()));
                let too_often = refusal == Refusal::Permanent && made > policy.tries_after_5yz;
                wrong += u64::from(!is_over && !too_often);
                break;
            };
            planned += 1;
            wrong += u64::from(!is_in_window(&policy, case, made, told, (since, now, due)));
            // The worker comes a little late.
            now = due + TimeDelta::seconds((chance.share() * 60.0) as i64);
        }
    }
    (planned, wrong)
}

type Times = (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>);

fn is_in_window(policy: &Policy, case: Case, made: u32, told: Option<u32>, (since, now, due): Times) -> bool {
    let Some(waits) = policy.row_of(case).after_4yz.or(policy.row_of(case).after_5yz) else { return false };
    let end = since + TimeDelta::hours(waits.give_up_hours.into());
    let mut longest = i64::from(waits.base_minutes);
    for _ in 1..made {
        longest = (longest * 2).min(i64::from(waits.cap_minutes));
    }
    let (least, most) = match told {
        Some(told) => {
            let told = i64::from(told.max(1)) * 1000;
            (told, told + told / 10 + 1)
        }
        None => (longest * 30_000, longest * 60_000),
    };
    let wait = (due - now).num_milliseconds();
    due <= end && due > now && (wait <= most) && (wait >= least || due == end)
}

/// G13: of messages that become deliverable within 72 hours, the percentage that arrives: by our waits; by three
/// retries half an hour apart; and by retries half an hour apart, as many as ours.
pub(crate) fn rescued(messages: u32) -> [f64; 3] {
    let policy = Policy::default();
    let mut chance = Chance(13);
    let causes =
        [C::MailboxFull, C::HostUnreachable, C::Greylisted, C::RateLimited, C::RecipientSystem, C::Undetermined];
    let mut arrived = [0_u32; 3];
    let apart = TimeDelta::minutes(30);
    for _ in 0..messages {
        let cause = causes[chance.below(causes.len())];
        // From five minutes to 72 hours, each order of magnitude alike; a full mailbox is emptied in hours or days.
        let least: f64 = if cause == C::MailboxFull { 60.0 } else { 5.0 };
        let most = if cause == C::Greylisted { 60.0 } else { 72.0 * 60.0 };
        let minutes = least * (most / least).powf(chance.share());
        let ready = start() + TimeDelta::seconds((minutes * 60.0) as i64);
        let (mut now, mut made) = (start(), 1);
        while now < ready {
            let tries = Tries { since: start(), made };
            match next_try(&policy, (cause, SOFT), Refusal::Transient, tries, None, chance.share(), now) {
                Next::Again(due) => now = due,
                Next::GiveUp => break,
            }
            made += 1;
        }
        let retries = i32::try_from(made - 1).unwrap();
        arrived[0] += u32::from(now >= ready);
        arrived[1] += u32::from(start() + apart * 3 >= ready);
        arrived[2] += u32::from(start() + apart * retries >= ready);
    }
    arrived.map(|count| f64::from(count) * 100.0 / f64::from(messages))
}

/// G14: healthy addresses that rest or are gone after a year of campaigns of which three in ten meet a block, a fault
/// of our authentication, or a limit of our rate.
pub(crate) fn wrongly_suppressed(histories: u64) -> u64 {
    let policy = Policy::default();
    let ours = [
        C::ReputationBlock,
        C::PolicyOther,
        C::AuthFailure,
        C::SenderDns,
        C::SenderRejected,
        C::RateLimited,
        C::Greylisted,
        C::SpamSuspected,
        C::ContentRejected,
        C::SecurityRequired,
    ];
    let mut chance = Chance(14);
    let mut wrong = 0;
    for _ in 0..histories {
        let mut standing = Standing::default();
        let mut now = start();
        for campaign in 0..40 {
            let bounced = Fact::Bounced {
                cause: ours[chance.below(ours.len())],
                permanence: SOFT,
                grade: if chance.share() < 0.9 { Grade::Ours } else { Grade::Returned },
                campaign: CampaignId(campaign),
                // Whether or not somebody noticed that it was an incident.
                excused: chance.share() < 0.5,
            };
            let fact = if chance.share() < 0.3 { bounced } else { Fact::Accepted };
            standing = fold(&policy, &standing, &fact, now);
            now += TimeDelta::hours(1 + (chance.share() * 400.0) as i64);
        }
        wrong += u64::from(standing.reach != Reach::Reachable);
    }
    wrong
}
