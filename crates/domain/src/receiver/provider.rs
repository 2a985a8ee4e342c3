//! Whose a mail host is.

/// The domain of whoever runs `host`, in lower case.
///
/// A host whose name has no registered domain in it, such as `localhost` or an address, stands for itself.
pub(super) fn owner(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if let Some((_, owner)) = PROVIDERS.iter().find(|(suffix, _)| is_below(&host, suffix)) {
        return (*owner).to_owned();
    }
    match psl::domain_str(&host) {
        Some(registered) if host.parse::<std::net::IpAddr>().is_err() => registered.to_owned(),
        Some(_) | None => host,
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Where the names of a provider's hosts end, and the domain that it is known by. Only those are named here whose
/// hosts lie under several registered domains, under one that is not the name people know, or under a public suffix.
const PROVIDERS: &[(&str, &str)] = &[
    // Google: its own mailboxes, and the domains of its customers
    ("google.com", "google.com"),
    ("googlemail.com", "google.com"),
    ("psmtp.com", "google.com"),
    // Microsoft: Outlook.com and Hotmail, and the domains of its customers
    ("protection.outlook.com", "outlook.com"),
    ("outlook.com", "outlook.com"),
    ("mx.microsoft", "outlook.com"),
    ("hotmail.com", "outlook.com"),
    ("office365.us", "outlook.com"),
    // Yahoo and AOL
    ("yahoodns.net", "yahoo.com"),
    ("aol.com", "yahoo.com"),
    // Apple
    ("mail.icloud.com", "icloud.com"),
    ("mail.me.com", "icloud.com"),
    // GMX, WEB.DE and mail.com, and the hosting of the same house
    ("gmx.net", "gmx.net"),
    ("web.de", "gmx.net"),
    ("mail.com", "gmx.net"),
    ("kundenserver.de", "ionos.com"),
    ("ionos.de", "ionos.com"),
    ("ionos.co.uk", "ionos.com"),
    ("1and1.com", "ionos.com"),
    ("perfora.net", "ionos.com"),
    // Proton
    ("protonmail.ch", "proton.me"),
    ("proton.ch", "proton.me"),
    // Fastmail
    ("messagingengine.com", "fastmail.com"),
    // Zoho, by continents
    ("zoho.com", "zoho.com"),
    ("zoho.eu", "zoho.com"),
    ("zoho.in", "zoho.com"),
    ("zoho.com.au", "zoho.com"),
    ("zohomail.com", "zoho.com"),
    // Yandex
    ("yandex.ru", "yandex.ru"),
    ("yandex.net", "yandex.ru"),
    // Tencent
    ("qq.com", "qq.com"),
    ("qqmail.com", "qq.com"),
    // NetEase
    ("netease.com", "163.com"),
    ("163.com", "163.com"),
    // Filters in front of the mailboxes of others
    ("pphosted.com", "proofpoint.com"),
    ("ppe-hosted.com", "proofpoint.com"),
    ("gpphosted.com", "proofpoint.com"),
    ("mimecast.com", "mimecast.com"),
    ("mimecast.co.za", "mimecast.com"),
    ("messagelabs.com", "messagelabs.com"),
    ("barracudanetworks.com", "barracuda.com"),
    ("iphmx.com", "cisco.com"),
    ("hornetsecurity.com", "hornetsecurity.com"),
    ("antispameurope.com", "hornetsecurity.com"),
    ("trendmicro.com", "trendmicro.com"),
    ("trendmicro.eu", "trendmicro.com"),
    ("mailcontrol.com", "forcepoint.com"),
    ("cloudflare.net", "cloudflare.net"),
    // Other large houses of mailboxes
    ("secureserver.net", "godaddy.com"),
    ("emailsrvr.com", "rackspace.com"),
    ("registrar-servers.com", "namecheap.com"),
    ("privateemail.com", "namecheap.com"),
    ("mail.ovh.net", "ovh.net"),
    ("mail.ovh.ca", "ovh.net"),
    ("amazonaws.com", "amazonaws.com"),
];

#[cfg(test)]
mod tests {
    use super::PROVIDERS;
    use crate::{BounceCause, PaceRules, Permanence, Receiver, Verdict};

    /// The group of rules that `name` belongs to.
    fn group(name: &str) -> Option<&'static str> {
        PaceRules::built_in().group(&Receiver::of_domain(name)).map(|group| group.name.as_str())
    }

    #[test]
    fn domains_whose_mail_one_provider_takes_are_one_receiver() {
        for (domain, hosts, expected) in [
            ("gmail.com", &["gmail-smtp-in.l.google.com"][..], "google.com"),
            ("orchard.example", &["ASPMX.L.GOOGLE.COM.", "alt1.aspmx.l.google.com"], "google.com"),
            ("old.example", &["aspmx2.googlemail.com"], "google.com"),
            ("hotmail.com", &["hotmail-com.olc.protection.outlook.com"], "outlook.com"),
            ("fernhill.example", &["fernhill-example.mail.protection.outlook.com"], "outlook.com"),
            ("new.example", &["new-example.a1b2.mx.microsoft"], "outlook.com"),
            ("yahoo.com", &["mta5.am0.yahoodns.net"], "yahoo.com"),
            ("aol.com", &["mx-aol.mail.gm0.yahoodns.net"], "yahoo.com"),
            ("web.de", &["mx-ha02.web.de"], "gmx.net"),
            ("gmx.at", &["mx00.gmx.net", "mx01.gmx.net"], "gmx.net"),
            ("bank.example", &["mxa-00123.gslb.pphosted.com"], "proofpoint.com"),
            // by the list of public suffixes: what is registered, not what two labels give
            ("shop.example", &["mx1.host.co.uk"], "host.co.uk"),
            ("shop.example", &["mx1.eu.house.example", "mx2.us.house.example"], "house.example"),
            ("Club.Example", &["mail.club.example"], "club.example"),
            // no owner in common, or none at all
            ("moving.example", &["mx.old.example", "aspmx.l.google.com"], "moving.example"),
            ("Bare.Example", &[], "bare.example"),
            ("local.example", &["localhost"], "localhost"),
            ("numbers.example", &["192.0.2.1"], "192.0.2.1"),
            // a name that only looks like a provider's
            ("trap.example", &["mx.notgoogle.com"], "notgoogle.com"),
            ("trap.example", &["google.com.evil.example"], "evil.example"),
        ] {
            assert_eq!(Receiver::of_exchange(domain, hosts).as_str(), expected, "{domain} {hosts:?}");
        }
    }

    #[test]
    fn a_provider_is_in_the_group_of_its_domains_by_the_name_of_its_hosts_too() {
        for (suffix, owner) in PROVIDERS {
            let parents = suffix.match_indices('.').map(|(dot, _)| &suffix[dot + 1..]);
            let of_domain = std::iter::once(*suffix).chain(parents).find_map(group);
            assert!(of_domain.is_none() || of_domain == group(owner), "{suffix} is {of_domain:?}, but {owner} is not");
        }
    }

    #[test]
    fn what_is_known_of_a_provider_holds_for_its_domains_and_for_those_of_its_customers() {
        for (domain, host, name, limits) in [
            ("gmail.com", "gmail-smtp-in.l.google.com", "google", (5, 50)),
            ("orchard.example", "aspmx.l.google.com", "google", (5, 50)),
            ("yahoo.co.uk", "mx-eu.mail.am0.yahoodns.net", "yahoo", (20, 20)),
            ("aol.com", "mx-aol.mail.gm0.yahoodns.net", "yahoo", (20, 20)),
            ("hotmail.fr", "eur.olc.protection.outlook.com", "microsoft", (5, 50)),
            ("fernhill.example", "fernhill-example.mail.protection.outlook.com", "microsoft", (5, 50)),
            ("me.com", "mx01.mail.icloud.com", "apple", (10, 5)),
            ("wanadoo.fr", "smtp-in.orange.fr", "orange", (2, 100)),
            ("comcast.net", "mx1a1.comcast.net", "comcast", (25, 1_000)),
            ("orchard.example", "mx.orchard.example", "", (1_000, 100)),
        ] {
            let receiver = Receiver::of_exchange(domain, &[host]);
            assert_eq!(group(receiver.as_str()).unwrap_or_default(), name, "{domain} at {host}");
            assert_eq!(PaceRules::built_in().limits(&receiver), limits, "{domain} at {host}");
        }
        let words = "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail from your IP address";
        let verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, words);
        let customer = Receiver::of_exchange("orchard.example", &["aspmx.l.google.com"]);
        let found = PaceRules::built_in().find(&customer, &verdict).map(|(_, rule)| rule.id.as_str());
        assert_eq!(found, Some("google.unusual-rate"));
    }
}
