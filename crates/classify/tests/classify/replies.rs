//! What hosts answer to an attempt of ours.

use rebound_classify::reply;
use rebound_domain::{BounceCause::*, Permanence::*};

#[test]
fn replies_mean_what_hosts_meant() {
    for (line, expected) in [
        ("250 2.0.0 queued", None),
        ("354 go on", None),
        ("550 5.1.1 nobody of that name: no such user here", Some((Hard, MailboxUnknown))),
        (
            "550-5.1.1 The email account that you tried\r\n550 5.1.1 to reach does not exist",
            Some((Hard, MailboxUnknown)),
        ),
        ("450 4.1.1 <x@a.test>: User unknown, maybe later", Some((Soft, MailboxUnknown))), // a 4yz never ends an address
        ("550 5.7.1 Mailbox does not exist", Some((Hard, MailboxUnknown))), // words outrank a code of many uses
        ("550 Rejected", Some((Soft, Undetermined))),                       // no address is lost to a bare 550
        ("452 4.2.2 over quota", Some((Soft, MailboxFull))),
        ("552 5.2.2 the inbox is out of storage space", Some((Soft, MailboxFull))),
        ("550 5.2.1 this mailbox is disabled", Some((Soft, MailboxInactive))),
        ("551 5.1.6 the user has moved to new@b.test", Some((Hard, AddressMoved))),
        ("556 5.1.10 this domain does not accept mail (null MX)", Some((Hard, DomainUnknown))),
        ("451 4.4.3 temporary DNS failure", Some((Soft, HostUnreachable))),
        ("552 5.3.4 message size exceeds the fixed limit", Some((Soft, MessageTooLarge))),
        ("550 5.7.1 listed in zen.spamhaus.org", Some((Soft, ReputationBlock))), // says more about us than about them
        ("554 5.7.1 this message looks like spam", Some((Soft, SpamSuspected))),
        ("550 5.7.26 DMARC policy of the domain is reject", Some((Soft, AuthFailure))),
        ("550 5.7.25 your address has no PTR record", Some((Soft, SenderDns))),
        ("553 5.1.8 Domain of sender address does not resolve", Some((Soft, SenderRejected))),
        ("421 4.7.28 too many messages, slow down", Some((Soft, RateLimited))),
        ("450 4.2.0 Greylisted, try again in 5 minutes", Some((Soft, Greylisted))),
        ("552 5.7.0 attachment type not allowed", Some((Soft, ContentRejected))),
        ("554 5.7.1 infected: virus found", Some((Soft, Virus))),
        ("530 5.7.0 Must issue a STARTTLS command first", Some((Soft, SecurityRequired))),
        ("550 5.7.1 Relaying denied", Some((Soft, RelayDenied))),
        ("554 5.4.6 too many hops", Some((Soft, RoutingError))),
        ("452 4.3.1 insufficient system storage", Some((Soft, RecipientSystem))),
        ("500 5.5.1 command not recognized", Some((Soft, ProtocolError))),
        ("550 5.7.133 only members of this group may write to it", Some((Soft, RecipientRefused))),
        ("550 5.7.1 refused by local policy", Some((Soft, PolicyOther))),
        ("554 5.1.1 utilisateur inconnu", Some((Hard, MailboxUnknown))),
        ("552 Postfach voll", Some((Soft, MailboxFull))),
        ("550 5.7.501 refused", Some((Soft, SenderRejected))), // Microsoft's code; the words of whoever gives it outrank it
        ("550 5.7.501 no such user here", Some((Hard, MailboxUnknown))),
        ("550 mx.docomo.ne.jp: Unknown user x", Some((Soft, RecipientRefused))), // a missing mailbox, or its owner's filter
        ("550 mx.docomo.ne.jp: 5.1.1 Unknown user x", Some((Hard, MailboxUnknown))),
        ("550 mx.a.test: Unknown user x", Some((Hard, MailboxUnknown))),
        ("550 no such domain, check the domain and try again", Some((Hard, DomainUnknown))), // advice, and no promise
        ("550 no such domain, try again", Some((Soft, DomainUnknown))),
        ("550 unknown user <x@a.test> Included is a copy of the message header", Some((Hard, MailboxUnknown))),
        ("550 unknown user <x@a.test> in the header From", Some((Soft, MailboxUnknown))),
        ("Invalid Address, ERROR_CODE :550, ERROR_CODE :5.2.1 x... User Unknown", Some((Soft, RecipientRefused))),
        ("Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 x... User Unknown", Some((Hard, MailboxUnknown))),
        ("550 5.4.4 type=MX: Malformed or unexpected name server reply", Some((Soft, DomainUnknown))),
        ("450 4.4.3 type=MX: Malformed or unexpected name server reply", Some((Soft, HostUnreachable))),
        ("552 5.4.14 over quota", Some((Soft, MailboxFull))),
        ("550 5.7.64 mailbox is full", Some((Soft, MailboxFull))),
        ("550 5.7.509 this message contains a virus", Some((Soft, Virus))),
    ] {
        let verdict = reply(line.as_bytes()).map(|verdict| (verdict.permanence, verdict.cause));
        assert_eq!(verdict, expected, "{line}");
    }
}

#[test]
fn only_a_missing_mailbox_is_a_missing_mailbox_in_any_language() {
    for (line, unknown) in [
        ("550 5.1.1 Die Adresse <x@a.test> existiert nicht", true),
        ("550 Empfänger existiert nicht", true),
        ("554 Die Datei existiert nicht", false),
        ("550 L'adresse n'existe pas", true),
        ("554 Le domaine n'existe pas", false),
        ("550 El buzón no existe", true),
        ("554 El dominio no existe", false),
        ("550 Пользователь x@a.test не существует", true),
        ("554 Домен не существует", false),
        ("550 Адрес отправителя не существует", false),
        ("550 nie znaleziono odbiorcy", true),
        ("554 nie znaleziono domeny", false),
        ("550 宛先アドレスが存在しません", true),
        ("554 ドメインが存在しません", false),
        ("550 존재하지 않는 계정입니다", true),
        ("554 존재하지 않는 도메인", false),
        ("554 your address is not listed in our allow list", false),
    ] {
        let verdict = reply(line.as_bytes()).unwrap();
        let expected = if unknown { (Hard, true) } else { (Soft, false) };
        assert_eq!((verdict.permanence, verdict.cause == MailboxUnknown), expected, "{line}");
    }
    for line in ["550 this list has moved to another server", "554 our filter has been replaced by a better one"] {
        assert_ne!(reply(line.as_bytes()).unwrap().cause, AddressMoved, "{line}");
    }
    let policies = |line: &str| reply(line.as_bytes()).unwrap().cause;
    assert_eq!(policies("554 Email rejected due to security policies - https://community.mimecast.com/x"), Virus);
    assert_eq!(policies("554 Email rejected due to security policies"), PolicyOther);
}

#[test]
fn evidence_points_at_the_words() {
    let verdict = reply(b"550 5.2.2 sorry, this Mailbox  is full").unwrap();
    let evidence = &verdict.evidence[0];
    assert_eq!(&verdict.diagnostic[evidence.start..evidence.end], "Mailbox is full");
    assert_eq!((evidence.rule.as_str(), evidence.raw), ("common.mailbox-full", Some((22, 38))));

    let verdict = reply(b"553 5.7.00 Reject").unwrap();
    let codes = verdict.evidence.iter().find(|evidence| evidence.rule.starts_with("status.")).unwrap();
    assert_eq!((codes.matched.as_str(), codes.raw), ("5.7.00", Some((4, 10))));
}

#[test]
fn details_are_kept_beside_the_cause() {
    for (line, detail, blocklist, provider_code, retry_after) in [
        ("550 5.7.1 blocked, see bl.spamcop.net", None, Some("SpamCop"), None, None),
        ("556 5.1.10 null MX", Some("domain_null_mx"), None, None, None),
        ("552 5.7.0 prohibited attachment", Some("attachment_rejected"), None, None, None),
        ("451 4.7.1 greylisted, try again in 10 minutes", None, None, None, Some(600)),
        ("421 4.7.0 [TSS04] temporarily deferred due to user complaints", None, None, Some("TSS04"), None),
    ] {
        let verdict = reply(line.as_bytes()).unwrap();
        let found = (verdict.detail.as_deref(), verdict.blocklist.as_deref(), verdict.provider_code.as_deref());
        assert_eq!(found, (detail, blocklist, provider_code), "{line}");
        assert_eq!(verdict.retry_after, retry_after, "{line}");
    }
}

#[test]
fn a_word_in_an_address_says_nothing() {
    let verdict = reply(b"550 5.2.2 <user-unknown.spam@virus.test> over quota").unwrap();
    assert_eq!((verdict.cause, verdict.second), (MailboxFull, None));
}
