//! Whether a signature, and the domain that people see, can be believed: DKIM (RFC 6376) and DMARC (RFC 7489).

use super::dns::{Dns, Silent};
use super::domains::{aligned, organisation};
use super::{Check, DkimState, Finding};
use data_encoding::BASE64;
use rebound_domain::DkimKey;

/// Bytes of an RSA key of 1024 bits as it stands in a record; shorter ones are too weak (RFC 8301 §3.2).
const SHORTEST_RSA: usize = 160;

/// How messages are signed for `domain`, against what DNS says.
pub(super) async fn dkim(dns: &Dns, domain: &str, state: &DkimState) -> Result<Vec<Finding>, Silent> {
    let (signing, keys) = match state {
        DkimState::None => {
            let what =
                format!("Rebound does not sign for {domain}, and whether the relay does cannot be seen from here.");
            let remedy = "Add the domain under Sending domains, or have the relay sign in the sender’s name.";
            return Ok(vec![Finding::new(Check::DkimUnseen, what, remedy)]);
        }
        DkimState::Waiting => {
            let what = format!("The DKIM record of {domain} has not been found in DNS yet.");
            return Ok(vec![Finding::new(Check::DkimWaiting, what, "Add the record, or wait until it is seen.")]);
        }
        DkimState::Active(signing, keys) => (signing, keys),
    };
    let mut findings = vec![];
    for key in keys {
        let name = key.record_name(signing);
        let records = dns.texts(&name).await?;
        findings.extend(judge(&name, records.first().map(String::as_str), key));
    }
    Ok(findings)
}

fn judge(name: &str, record: Option<&str>, key: &DkimKey) -> Option<Finding> {
    let tags = [record.unwrap_or_default(), &key.record_value()].map(tags);
    let [(there, kind), (ours, signs)] = tags.map(|tags| {
        let tag = |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| squeezed(value));
        (tag("p").unwrap_or_default(), tag("k").unwrap_or_else(|| "rsa".to_owned()))
    });
    if there.is_empty() {
        let what = format!("There is no DKIM key at {name}.");
        return Some(Finding::new(Check::DkimMissing, what, "Add the record that the page of the domain shows."));
    }
    if there != ours || !kind.eq_ignore_ascii_case(&signs) {
        let what = format!("The DKIM record at {name} holds another key than the one that signs.");
        return Some(Finding::new(Check::DkimDiffers, what, "Put in the record that the page of the domain shows."));
    }
    let length = BASE64.decode(there.as_bytes()).map_or(0, |bytes| bytes.len());
    (kind.eq_ignore_ascii_case("rsa") && length < SHORTEST_RSA).then(|| {
        let what = format!("The DKIM key at {name} is shorter than 1024 bits.");
        Finding::new(Check::DkimWeak, what, "Make one of 2048 bits.")
    })
}

/// What a domain asks receivers to do with mail that is not its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dmarc {
    strict_spf: bool,
    strict_dkim: bool,
}

/// The record of `domain` or of its organisation, and what is wrong with it.
pub(super) async fn dmarc(dns: &Dns, domain: &str) -> Result<Result<Dmarc, Finding>, Silent> {
    let house = organisation(domain);
    let mut found = (domain, records(dns, domain).await?);
    if found.1.is_empty() && house != domain {
        found = (house, records(dns, house).await?);
    }
    let (at, records) = found;
    Ok(match &records[..] {
        [] => {
            let what = format!("{domain} has no DMARC record.");
            let remedy = "Add one at _dmarc, with p=none to begin with.";
            Err(Finding::new(Check::DmarcMissing, what, remedy))
        }
        [record] => read(record).ok_or_else(|| {
            let what = format!("The DMARC record of {at} cannot be read: “{record}”.");
            Finding::new(Check::DmarcBroken, what, "Begin it with v=DMARC1; p=none, and check each tag.")
        }),
        several => {
            let what = format!("{at} has {} DMARC records.", several.len());
            Err(Finding::new(Check::DmarcBroken, what, "Leave one of them."))
        }
    })
}

async fn records(dns: &Dns, domain: &str) -> Result<Vec<String>, Silent> {
    let texts = dns.texts(&format!("_dmarc.{domain}")).await?;
    Ok(texts.into_iter().filter(|text| text.trim_start().to_ascii_uppercase().starts_with("V=DMARC1")).collect())
}

fn read(record: &str) -> Option<Dmarc> {
    let tags = tags(record);
    let tag = |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.to_ascii_lowercase());
    let strict = |name: &str| match tag(name).as_deref() {
        None | Some("r") => Some(false),
        Some("s") => Some(true),
        Some(_) => None,
    };
    let first = tags.first().is_some_and(|(tag, value)| tag == "v" && value == "DMARC1");
    let policy = |name: &str| tag(name).is_some_and(|value| ["none", "quarantine", "reject"].contains(&&*value));
    let good = first && policy("p") && (tag("sp").is_none() || policy("sp"));
    good.then_some(Dmarc { strict_spf: strict("aspf")?, strict_dkim: strict("adkim")? })
}

/// Whether SPF or DKIM can speak for `from`.
pub(super) fn alignment(from: &str, return_domain: &str, dkim: &DkimState, dmarc: Dmarc) -> Option<Finding> {
    let by_spf = aligned(from, return_domain, dmarc.strict_spf);
    let by_dkim = matches!(dkim, DkimState::Active(signing, _) if aligned(from, signing, dmarc.strict_dkim));
    if by_spf || by_dkim {
        return None;
    }
    let strictly = if dmarc.strict_spf && aligned(from, return_domain, false) {
        " Its DMARC record asks for the very same domain (aspf=s)."
    } else {
        ""
    };
    let what = format!("Bounces come back to {return_domain}, so SPF does not speak for {from}.{strictly}");
    let remedy = "Sign with DKIM in the sender’s name, or use a return path below it.";
    Some(Finding::new(Check::Unaligned, what, remedy))
}

/// `a=1; b=2`, as DKIM and DMARC write it.
fn tags(record: &str) -> Vec<(String, String)> {
    let pairs = record.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(tag, value)| (tag.trim().to_ascii_lowercase(), value.trim().to_owned())).collect()
}

fn squeezed(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dmarc_record_is_read_as_receivers_read_it() {
        let record = |strict_spf, strict_dkim| Some(Dmarc { strict_spf, strict_dkim });
        for (text, expected) in [
            ("v=DMARC1; p=none", record(false, false)),
            ("v=DMARC1;p=reject;sp=none;aspf=s;adkim=s;rua=mailto:a@b.test", record(true, true)),
            ("v=DMARC1; p = quarantine ; adkim=S", record(false, true)),
            ("v=DMARC1", None),
            ("v=DMARC1; p=never", None),
            ("v=DMARC1; p=none; aspf=x", None),
            ("p=none; v=DMARC1", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
