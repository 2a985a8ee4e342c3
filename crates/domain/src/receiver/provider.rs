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
    use crate::Receiver;

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
}
