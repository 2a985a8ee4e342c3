//! Text that would like to be code, wherever others can write: names, fields, subjects, files, headers, bounces.

use crate::chromium::Chromium;
use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::smtp::{Talk, bounce};
use crate::world::{World, until};
use crate::{every_page, furnished};
use reqwest::StatusCode;
use std::collections::BTreeMap;

/// One payload a line; see there.
const PAYLOADS: &str = include_str!("payloads.txt");

/// The list that everybody is on.
const EVERYBODY: &str = "Everybody";

/// The campaign that everybody got.
const SPRING: &str = "Spring & <b>all</b>";

fn payloads() -> Vec<String> {
    let lines = PAYLOADS.lines().filter(|line| !line.starts_with("## "));
    let plain = |(number, line): (usize, &str)| {
        let line = line.replace("(#)", &format!("({})", number + 1)).replace("`#`", &format!("`{}`", number + 1));
        line.replace('␀', "\0").replace('␉', "\t").replace('␊', "\n").replace('␍', "\r")
    };
    lines.enumerate().map(plain).collect()
}

on_both_engines!(nothing_that_others_wrote_is_ever_run);

async fn nothing_that_others_wrote_is_ever_run(engine: Engine) {
    let world = World::start(engine).await;
    let payloads = payloads();
    assert!(payloads.len() >= 150);
    write_everywhere(&world, &payloads).await;

    // The lists of all hold every payload; of the pages of one row, every sixth is enough, as all are made alike; on the
    // second engine a few are.
    let step = if engine == Engine::Sqlite { 6 } else { 36 };
    let own = |path: &str| (1..=payloads.len()).step_by(step).map(|id| format!("{path}/{id}")).collect::<Vec<_>>();
    let rows = ["/contacts", "/lists", "/bounces", "/campaigns", "/imports"].map(own).concat();
    let pages = every_page::addresses().into_iter().map(str::to_owned).chain(rows).collect::<Vec<_>>();
    let mut pages = pages.into_iter().chain(furnished::letter_pages(&world, &address(0)).await).collect::<Vec<_>>();
    let undo = furnished::undo_pages(&Chromium::signed_in(&world).await).await;
    assert!(!undo.is_empty());
    pages.extend(undo.into_iter().step_by(step));
    let half = pages.split_off(pages.len() / 2);
    let (one, other) = tokio::join!(look_at_all(&world, &pages), look_at_all(&world, &half));
    let mut findings = [one, other].concat();
    let browser = Chromium::signed_in(&world).await;
    for address in every_page::files() {
        findings.extend(formulas(&browser, address).await);
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Puts each payload into whatever comes from outside: a person's fields, a file and its columns, a list, a campaign,
/// and a bounce.
async fn write_everywhere(world: &World, payloads: &[String]) {
    let answer = world.import_to(EVERYBODY, &people(payloads)).await;
    assert!(answer.contains(&format!("{} new", payloads.len())), "{answer}");
    create(world, SPRING, &payloads[0]).await;
    world.rebound(&["campaign", "launch", SPRING]).await;
    let owner = world.browser().await;
    for payload in payloads {
        write_forms(&owner, payload).await;
    }
    suppress_formulas(&owner).await;
    let mut senders = BTreeMap::new();
    until("everybody has a letter", async || {
        senders = world.truth().into_iter().map(|line| (line.recipient, line.sender)).collect();
        (senders.len() == payloads.len()).then_some(())
    })
    .await;
    for (number, payload) in payloads.iter().enumerate() {
        let letter = world.letter(&address(number)).await;
        let report = hostile(&bounce(&address(number), &letter.message_id), payload);
        let reply = Talk::with(world.bounces).await.hand_over(&senders[&address(number)], &report).await;
        assert!(reply.starts_with("250"), "{payload}: {reply}");
    }
    until("all bounces are read", async || {
        let ledger = world.ledger(SPRING).await;
        (ledger.values().filter(|line| line.verdict.is_some()).count() >= payloads.len()).then_some(())
    })
    .await;
}

/// A list, a campaign, and a file whose name and column it is.
async fn write_forms(owner: &Browser, payload: &str) {
    let taken = |(status, page): (StatusCode, String)| {
        let refused = payload.contains('\0') && status == StatusCode::UNPROCESSABLE_ENTITY;
        assert!(status.is_success() || refused, "{payload}: {status}: {}", text_of(&page));
    };
    taken(owner.press("/lists", "/lists", &[("name", payload)]).await);
    let subject = payload.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #");
    let line = subject.replace(['\r', '\n', '\t', '\0'], " ");
    let fields = [
        ("name", payload),
        ("list", "1"),
        ("from_name", &line),
        ("from", "news@fernhill.test"),
        ("subject", &line),
        ("html", "<p>Dear {{ first_name }} of {{ town }}: {{ note }}</p>"),
        ("postal_address", payload),
    ];
    taken(owner.press("/campaigns/new", "/campaigns/new", &fields).await);
    let csv = format!("email,{0}\nada@sandbox.test,{0}\n", cell(&payload.replace(['\r', '\n'], " ")));
    let file = format!("{}.csv", payload.replace('\0', "")); // no file's name holds it
    taken(owner.upload("/imports/new", &[("list", "1"), ("consent", payload)], &file, &csv).await);
}

/// Addresses that a spreadsheet would calculate, if it were let.
async fn suppress_formulas(owner: &Browser) {
    let formula = |number: u32| format!("{}1{number}@sandbox.test", ["=", "+", "-"][number as usize % 3]);
    let addresses: Vec<String> = (0..60).map(formula).collect();
    let (status, page) = owner.press("/suppressions", "/suppressions", &[("addresses", &addresses.join("\n"))]).await;
    assert!(status.is_success(), "{status}: {}", text_of(&page));
}

fn address(number: usize) -> String {
    format!("person-{number}@sandbox.test")
}

/// A file in which each payload is somebody's name, town and note; and once an address, which it is not.
fn people(payloads: &[String]) -> String {
    // A line break is refused in a field; as a bad row it comes back as it was.
    let line = |payload: &str| cell(&payload.replace(['\r', '\n'], " "));
    let good = payloads.iter().enumerate().map(|(number, payload)| (address(number), line(payload)));
    let bad = payloads.iter().map(|payload| (cell(payload), cell(payload)));
    let rows = good.chain(bad).map(|(address, cell)| format!("{address},{cell},{cell},{cell}\n"));
    std::iter::once("email,first_name,town,note\n".to_owned()).chain(rows).collect()
}

fn cell(payload: &str) -> String {
    format!("\"{}\"", payload.replace('"', "\"\"").replace('\0', ""))
}

/// A report whose host wrote the payload wherever a host may write.
fn hostile(report: &str, payload: &str) -> String {
    // A line break ends a header; the rest of the payload would be another.
    let line = payload.replace(['\r', '\n'], " ");
    report
        .replace("Mail Delivery Subsystem", &line.replace(['<', '>'], " "))
        .replace("Subject: Undelivered Mail Returned to Sender", &format!("Subject: {line}\nX-Note: {line}"))
        .replace(
            "Reporting-MTA: dns; mx.elsewhere.test",
            &format!("Reporting-MTA: dns; {line}\nRemote-MTA: dns; {line}"),
        )
        .replace("user unknown", &format!("user unknown {line}"))
        .replace("does not exist.", &format!("does not exist. {}", payload.replace('\r', "\n")))
}

async fn create(world: &World, name: &str, subject: &str) {
    let table = toml::Table::from_iter(
        [
            ("name", name),
            ("list", EVERYBODY),
            ("from_name", subject),
            ("from", "news@fernhill.test"),
            ("subject", subject),
            ("html", "<p>Dear {{ first_name }} of {{ town }}: {{ note }}</p>"),
            ("postal_address", subject),
        ]
        .map(|(key, value)| (key.to_owned(), toml::Value::String(value.to_owned()))),
    );
    let file = world.write("campaign.toml", table.to_string());
    world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;
}

/// What these pages run, or hold, that we did not write.
async fn look_at_all(world: &World, addresses: &[String]) -> Vec<String> {
    let browser = Chromium::signed_in(world).await;
    let mut findings = Vec::new();
    for address in addresses {
        browser.open(address).await;
        let strange = browser.run(STRANGE, vec![]).await;
        let strange = strange.as_array().into_iter().flatten();
        findings.extend(strange.map(|one| format!("{address} holds {one}")));
    }
    // A complaint says on which page it was. In the letter that a page shows, the browser refuses what the campaign's
    // own text may hold; it must not run it. What this world does not have is no page.
    let ran = |complaint: &String| complaint.contains("boom was called") || complaint.contains("boom is not defined");
    let told = browser.complaints().await.into_iter();
    let absent = |complaint: &String| complaint.contains("404 (Not Found)");
    findings.extend(told.filter(|one| ran(one) || !(absent(one) || one.contains("/preview"))));
    findings
}

/// Whatever no template of ours holds.
const STRANGE: &str = r#"
const strange = [];
const say = (one) => strange.push(one.outerHTML.slice(0, 200));
const goes = /^(href|src|action|formaction|data|xlink:href|srcdoc|poster|background)$/i;
for (const one of document.querySelectorAll("*")) {
  const attributes = [...one.attributes];
  if (attributes.some(({ name }) => /^on/i.test(name) || /^(data-)?hx-on/i.test(name))) say(one);
  else if (attributes.some(({ name, value }) => goes.test(name) && /^[\s\0-\x20]*(javascript|vbscript|data):/i.test(value))) say(one);
  else if (one.matches("script:not([src^='/assets/']), iframe:not(.letter), object, embed, base, math, style, template, marquee, meta[http-equiv], link:not([href^='/assets/'])")) say(one);
}
return strange;
"#;

/// The cells of a file that a spreadsheet would take for a formula.
async fn formulas(browser: &Chromium, address: &str) -> Vec<String> {
    let (status, text) = browser.answer(address).await;
    if status != 200 {
        return vec![format!("{address} answers {status}: {text:.200}")];
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let cells: Vec<String> =
        reader.records().flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(cells.len() > 100, "{address} has only {} cells", cells.len());
    let formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    cells.iter().filter(formula).map(|cell| format!("{address}: a spreadsheet would calculate {cell:?}")).collect()
}
