//! One fault at a time: it is found by its name, and nothing else is.

use crate::installation::{LETTER, Setup, dkim_record, found, key, public_key};
use crate::web::{Host, Pages};
use rebound_send::DkimState;
use rebound_send::Level::{self, Stops, Warns};

/// What a test does to an installation about which all is well, and what is to be found then.
type Fault = (&'static str, Level, fn(&mut Setup));

const DOMAIN: &str = "fernhill.test";
const BOUNCE: &str = "bounce.fernhill.test";

fn html(setup: &mut Setup, more: &str) {
    setup.draft.html = format!("{LETTER}{more}");
}

fn spf(setup: &mut Setup, record: &str) {
    setup.zone.without(BOUNCE, "TXT");
    setup.zone.text(BOUNCE, record);
}

fn dkim(setup: &mut Setup, record: &str) {
    setup.zone.without("r1._domainkey.fernhill.test", "TXT");
    setup.zone.text("r1._domainkey.fernhill.test", record);
}

fn dmarc(setup: &mut Setup, record: &str) {
    setup.zone.without("_dmarc.fernhill.test", "TXT");
    setup.zone.text("_dmarc.fernhill.test", record);
}

/// Subject and content.
const LETTERS: &[Fault] = &[
    ("subject_empty", Stops, |s| s.draft.subject = " ".into()),
    ("subject_shouts", Warns, |s| s.draft.subject = "THE BULBS ARE IN".into()),
    ("subject_pretends", Warns, |s| s.draft.subject = "Re: your order of bulbs".into()),
    ("message_empty", Stops, |s| s.draft.html = String::new()),
    ("address_missing", Stops, |s| s.draft.postal_address = String::new()),
    ("address_hidden", Stops, |s| html(s, "<!-- {{ postal_address }} -->")),
    ("unsubscribe_hidden", Stops, |s| html(s, r#"<p style="display:none"><a href="{{ unsubscribe_url }}">x</a></p>"#)),
    ("field_empty", Stops, |s| html(s, "<p>Dear {{ first_name }}</p>")),
    ("cannot_be_made", Stops, |s| html(s, "<p>{{ first_name</p>")),
    ("cannot_be_made", Stops, |s| s.draft.html = "<mjml>\n<mj-body><mj-txt></mj-body></mjml>".into()),
    ("text_empty", Warns, |s| s.draft.text = "This is an HTML email. {{ unsubscribe_url }}".into()),
    ("text_empty", Warns, |s| s.draft.text = "Unsubscribe: {{ unsubscribe_url }}".into()),
    ("clipped", Warns, |s| html(s, &"<p>Tulips, crocuses and snowdrops</p>\n".repeat(1_600))),
    ("too_large", Stops, |s| {
        // A kilobyte that says itself over and over.
        let inner = "<p>Tulips and crocuses</p>\n".repeat(40);
        let many: Vec<String> = (0..90).map(|n| n.to_string()).collect();
        let each = format!("{{% for a in [{}] %}}", many.join(","));
        html(s, &format!("{each}{each}{inner}{{% endfor %}}{{% endfor %}}"));
    }),
    ("link_broken", Warns, |s| html(s, r#"<a href="/bulbs">Bulbs</a>"#)),
    ("link_plain", Warns, |s| html(s, r#"<a href="http://fernhill.test/bulbs">Bulbs</a>"#)),
    ("link_bare_ip", Warns, |s| html(s, r#"<a href="https://192.0.2.7/">Bulbs</a>"#)),
    ("link_shortened", Warns, |s| html(s, r#"<a href="https://bit.ly/bulbs">Bulbs</a>"#)),
    ("link_dangerous", Stops, |s| html(s, r#"<a href="javascript:alert(1)">Bulbs</a>"#)),
    ("link_dangerous", Stops, |s| html(s, r#"<a href="data:text/html,bulbs">Bulbs</a>"#)),
    ("picture_silent", Warns, |s| html(s, r#"<img src="https://fernhill.test/b.png" alt="">"#)),
    ("picture_inside", Warns, |s| html(s, r#"<img alt="A bulb" src="data:image/png;base64,AAAA">"#)),
];

/// Who gets it, and how many.
const AUDIENCES: &[Fault] = &[
    ("nobody_left", Stops, |s| s.people.clear()),
    ("same_mailbox", Warns, |s| s.people.extend(["ada.b@gmail.com".into(), "adab+news@gmail.com".into()])),
    ("role_addresses", Warns, |s| s.people.push("postmaster@orchard.test".into())),
    ("never_written", Warns, |s| s.people.extend((0..100).map(|n| format!("q{n}@orchard.test")))),
    ("dead_domains", Warns, |s| s.people.push("ada@nowhere.test".into())),
    ("dead_domains", Warns, |s| {
        s.people.push("ada@declines.test".into());
        s.zone.mx("declines.test", ".");
    }),
    ("expected_bounces", Warns, |s| {
        s.known(200, "orchard.test");
        s.past.bounced = 30;
    }),
    ("volume_jump", Warns, |s| {
        s.known(1_100, "orchard.test");
        s.past.yesterday = 10;
    }),
    ("complaints", Warns, |s| (s.past.yesterday, s.past.complaints) = (10_000, 10)),
    ("complaints", Stops, |s| (s.past.yesterday, s.past.complaints) = (10_000, 30)),
];

/// The sender's domain.
const SENDERS: &[Fault] = &[
    ("mailbox_provider", Stops, |s| s.draft.from = "fernhill@yahoo.com".parse().unwrap()),
    ("from_beyond_ascii", Stops, |s| s.draft.from = "zoë@fernhill.test".parse().unwrap()),
    ("reply_to_beyond_ascii", Stops, |s| s.draft.reply_to = Some("zoë@fernhill.test".parse().unwrap())),
    ("from_domain_missing", Stops, |s| s.zone.without(DOMAIN, "MX")),
    ("from_deaf", Warns, |s| {
        s.zone.without(DOMAIN, "MX");
        s.zone.mx(DOMAIN, ".");
    }),
    ("reply_to_deaf", Warns, |s| s.draft.reply_to = Some("ines@nowhere.test".parse().unwrap())),
    ("spf_missing", Warns, |s| s.zone.without(BOUNCE, "TXT")),
    ("spf_several", Warns, |s| s.zone.text(BOUNCE, "v=spf1 a -all")),
    ("spf_broken", Warns, |s| spf(s, "v=spf1 ipv4:192.0.2.25 -all")),
    ("spf_broken", Warns, |s| spf(s, "v=spf1 ip4:192.0.2.25 include:nothing.test -all")),
    ("spf_lookups", Warns, |s| {
        let hosts: Vec<String> = (0..11).map(|n| format!("a:h{n}.fernhill.test")).collect();
        spf(s, &format!("v=spf1 ip4:192.0.2.25 {} -all", hosts.join(" ")));
    }),
    ("spf_open", Warns, |s| spf(s, "v=spf1 ip4:192.0.2.25 +all")),
    ("spf_refuses", Warns, |s| spf(s, "v=spf1 ip4:198.51.100.0/24 mx -all")),
    ("dkim_unseen", Warns, |s| s.dkim = DkimState::None),
    ("dkim_waiting", Warns, |s| s.dkim = DkimState::Waiting),
    ("dkim_missing", Warns, |s| s.zone.without("r1._domainkey.fernhill.test", "TXT")),
    ("dkim_missing", Warns, |s| dkim(s, "v=DKIM1; k=rsa; p=")),
    ("dkim_differs", Warns, |s| dkim(s, &dkim_record(&public_key(300)))),
    ("dkim_weak", Warns, |s| {
        s.dkim = key(public_key(94));
        dkim(s, &dkim_record(&public_key(94)));
    }),
    ("dmarc_missing", Warns, |s| s.zone.without("_dmarc.fernhill.test", "TXT")),
    ("dmarc_broken", Warns, |s| dmarc(s, "v=DMARC1; p=sometimes")),
    ("dmarc_broken", Warns, |s| s.zone.text("_dmarc.fernhill.test", "v=DMARC1; p=reject")),
    ("ptr_missing", Warns, |s| s.zone.without("25.2.0.192.in-addr.arpa", "PTR")),
    ("ptr_forward", Warns, |s| {
        s.zone.without("25.2.0.192.in-addr.arpa", "PTR");
        s.zone.reverse([192, 0, 2, 25], "elsewhere.fernhill.test");
    }),
];

/// The way back, and the way out.
const WAYS: &[Fault] = &[
    ("return_unreachable", Stops, |s| s.zone.without(BOUNCE, "MX")),
    ("return_unreachable", Stops, |s| {
        s.zone.without(BOUNCE, "MX");
        s.zone.mx(BOUNCE, "gone.fernhill.test");
    }),
    ("return_unreachable", Stops, |s| s.exchanger = Host::Other),
    ("return_unsure", Warns, |s| s.exchanger = Host::Open),
    ("return_unsure", Warns, |s| s.exchanger = Host::Away),
    ("listener_silent", Warns, |s| s.listener = Host::Away),
    ("one_click_plain", Stops, |s| s.public_url = Some("http://news.fernhill.test".into())),
    ("one_click_fails", Stops, |s| s.pages = Pages::Missing),
    ("one_click_fails", Stops, |s| s.pages = Pages::Redirect),
    ("one_click_acts", Stops, |s| s.pages = Pages::ActsAtOnce),
    ("one_click_unreachable", Warns, |s| s.pages = Pages::Away),
    ("not_public", Warns, |s| s.public_url = Some("http://127.0.0.1:8025".into())),
];

async fn each_is_found(faults: &[Fault]) {
    let mut wrong = Vec::new();
    for (number, (check, level, fault)) in faults.iter().enumerate() {
        let mut setup = Setup::well();
        fault(&mut setup);
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let found = found(setup, &db).await;
        if found != [(*check, *level)] {
            wrong.push(format!("{number}: {check} {level:?}, but found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
}

#[test]
fn there_are_forty_and_more() {
    let all = [LETTERS, AUDIENCES, SENDERS, WAYS];
    assert!(all.iter().map(|faults| faults.len()).sum::<usize>() >= 40);
}

#[tokio::test]
async fn each_fault_of_a_letter_is_found() {
    each_is_found(LETTERS).await;
}

#[tokio::test]
async fn each_fault_of_an_audience_is_found() {
    each_is_found(AUDIENCES).await;
}

#[tokio::test]
async fn each_fault_of_a_sender_is_found() {
    each_is_found(SENDERS).await;
}

#[tokio::test]
async fn each_fault_of_the_ways_is_found() {
    each_is_found(WAYS).await;
}

#[tokio::test]
async fn spf_speaks_for_another_house_only_by_a_signature() {
    for (return_domain, signed, rule, expected) in [
        ("bounce.relay.test", false, "", vec![("dkim_unseen", Warns), ("unaligned", Warns)]),
        ("bounce.relay.test", true, "", vec![]),
        ("bounce.fernhill.test", false, "; aspf=s", vec![("dkim_unseen", Warns), ("unaligned", Warns)]),
        ("bounce.fernhill.test", true, "; aspf=s; adkim=s", vec![]),
    ] {
        let mut setup = Setup::well();
        setup.return_domain = return_domain.into();
        if return_domain == "bounce.relay.test" {
            setup.zone.mx(return_domain, "mx.fernhill.test");
            setup.zone.text(return_domain, "v=spf1 ip4:192.0.2.25 -all");
        }
        dmarc(&mut setup, &format!("v=DMARC1; p=none{rule}"));
        if !signed {
            setup.dkim = DkimState::None;
        }
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        assert_eq!(found(setup, &db).await, expected, "{return_domain} {signed} {rule}");
    }
}

#[tokio::test]
async fn what_only_warns_stops_a_bulk_sender() {
    for (people, expected) in [(4_900, Warns), (5_001, Stops)] {
        let mut setup = Setup::well();
        setup.known(people, "gmail.com");
        setup.zone.without(BOUNCE, "TXT");
        setup.zone.without("_dmarc.fernhill.test", "TXT");
        setup.dkim = DkimState::Waiting;
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let all = vec![("dkim_waiting", expected), ("dmarc_missing", expected), ("spf_missing", expected)];
        assert_eq!(found(setup, &db).await, all, "{people}");
    }
}
