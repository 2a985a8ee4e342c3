//! How long the pages of a running installation take: `page_times URL EMAIL PASSWORD [REQUESTS] [CONTACTS] [LIMIT]`.
//! Fails where one page in twenty takes longer than LIMIT milliseconds.
//!
//! `make bench-pages` runs it over a million contacts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "it stops where it cannot go on, and says so"
)]

use std::time::{Duration, Instant};

/// Pages, and the addresses that each is asked for in turn; `#` is a number that changes, `+` follows "more" to the next page.
const PAGES: [(&str, &[&str]); 25] = [
    ("contacts", &["/contacts"]),
    (
        "contacts: search by address",
        &["/contacts?q=mira.holt", "/contacts?q=ada.silva1#", "/contacts?q=uwe", "/contacts?q=x"],
    ),
    ("contacts: search by name", &["/contacts?q=Mira+Holt", "/contacts?q=holt", "/contacts?q=ada+n"]),
    ("contacts: one domain", &["/contacts?q=@post.example", "/contacts?q=@firm#.example"]),
    ("contacts: list, rests, by address, 5 deep", &["/contacts?list=1&state=soft&sort=address", "+", "+", "+", "+"]),
    ("contacts: hard, at one provider, 5 deep", &["/contacts?state=hard&domain=post.example", "+", "+", "+", "+"]),
    ("contacts: mailable on a list, oldest", &["/contacts?list=2&state=mailable&sort=oldest", "+", "+", "+", "+"]),
    ("contacts: complained", &["/contacts?state=complaint&sort=address", "+"]),
    (
        "contacts: came, left",
        &["/contacts?list=1&member=came", "/contacts?list=1&member=gone", "/contacts?list=2&member=left"],
    ),
    ("profile", &["/contacts/#"]),
    ("lists", &["/lists"]),
    ("campaigns", &["/campaigns"]),
    ("report: overview", &["/campaigns/48", "/campaigns/49", "/campaigns/50"]),
    (
        "report: recipients",
        &[
            "/campaigns/49/recipients",
            "+",
            "+",
            "/campaigns/49/recipients?state=bounced",
            "+",
            "/campaigns/50/recipients",
        ],
    ),
    ("report: bounces", &["/campaigns/48/bounces", "/campaigns/49/bounces", "/campaigns/50/bounces"]),
    ("bounces", &["/bounces", "+", "+"]),
    ("bounces: by cause", &["/bounces?cause=mailbox_full", "+", "/bounces?group=E", "/bounces?kind=hard"]),
    ("bounces: by provider", &["/bounces?domain=post.example", "/bounces?domain=firm#.example"]),
    ("bounces: by campaign", &["/bounces?campaign=49", "+", "/bounces?campaign=31&cause=greylisted"]),
    ("bounces: by day", &["/bounces?days=1", "/bounces?days=7", "/bounces?days=30"]),
    ("campaigns: of a day", &["/campaigns?day=2026-11-20"]),
    ("audit log", &["/audit", "/audit?by=people", "/audit?kind=suppressed"]),
    ("incidents", &["/incidents", "/incidents?state=open"]),
    (
        "suppressions: of a day",
        &["/suppressions?reason=soft&back=2026-12-01", "/suppressions?reason=soft&back=2026-11-28&later=1"],
    ),
    ("suppressions", &["/suppressions", "+", "/suppressions?reason=soft", "/suppressions?q=mira.holt"]),
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, email, password] = [0, 1, 2].map(|n| arguments[n].clone());
    let requests: usize = arguments.get(3).map_or(100, |text| text.parse().unwrap());
    let contacts: u64 = arguments.get(4).map_or(1_000_000, |text| text.parse().unwrap());
    let limit: u64 = arguments.get(5).map_or(u64::MAX, |text| text.parse().unwrap());
    let mut late = Vec::new();
    let browser = reqwest::Client::builder().cookie_store(true).build().unwrap();
    let form = [("email", email), ("password", password)];
    let signed = browser.post(format!("{url}/sign-in")).header("origin", &url).form(&form).send().await.unwrap();
    assert!(signed.url().path() == "/", "signed in");

    println!("{:<44} {:>7} {:>7} {:>7} {:>8}", "page", "first", "p50", "p95", "most");
    for (name, addresses) in std::iter::once(("overview", ["/"].as_slice())).chain(PAGES) {
        let mut times = Vec::new();
        let (mut page, mut at) = (String::new(), String::new());
        for n in 0..requests {
            let number = (n as u64 * 7_919 + 17) % contacts + 1;
            let address = match addresses[n % addresses.len()] {
                "+" => next(&page, &at).unwrap_or_else(|| panic!("{name} has no further page")),
                // Domains of the long tail are fewer than contacts.
                tail if tail.contains("firm#") => tail.replace('#', &(number % 20_011).to_string()),
                search if search.contains("1#") => search.replace('#', &(number % 90).to_string()),
                other => other.replace('#', &number.to_string()),
            };
            let start = Instant::now();
            let answer = browser.get(format!("{url}{address}")).send().await.unwrap();
            assert!(answer.status().is_success(), "{address}: {}", answer.status());
            page = answer.text().await.unwrap();
            times.push(start.elapsed());
            at = address;
        }
        let first = times[0];
        times.sort();
        let part = |part: usize| times[(times.len() * part).div_ceil(100).max(1) - 1];
        println!("{name:<44} {:>7} {:>7} {:>7} {:>8}", ms(first), ms(part(50)), ms(part(95)), ms(part(100)));
        if part(95) > Duration::from_millis(limit) {
            late.push(name);
        }
    }
    assert!(late.is_empty(), "over {limit} ms for one in twenty: {late:?}");
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// The link to the page after this one, which is at `address`.
fn next(page: &str, address: &str) -> Option<String> {
    let found = page.find("after=")?;
    let start = page[..found].rfind("href=\"")? + 6;
    let link = &page[start..start + page[start..].find('"')?];
    let link = link.replace("&#38;", "&").replace("&amp;", "&");
    let path = address.split('?').next().unwrap_or_default();
    Some(if link.starts_with('?') { format!("{path}{link}") } else { link })
}
