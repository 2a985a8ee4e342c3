//! Text that would like to be code, wherever others can write: names, fields, subjects, files, headers, bounces.

use crate::chromium::Chromium;
use crate::engine::Engine;
use crate::every_page;
use crate::smtp::{Talk, bounce};
use crate::world::{World, until};
use serde_json::json;

/// One payload a line; see there.
const PAYLOADS: &str = include_str!("payloads.txt");

/// The list that everybody is on.
const EVERYBODY: &str = "Everybody";

fn payloads() -> Vec<String> {
    let lines = PAYLOADS.lines().filter(|line| !line.starts_with("## "));
    let plain = |(number, line): (usize, &str)| {
        let line = line.replace("(#)", &format!("({})", number + 1)).replace("`#`", &format!("`{}`", number + 1));
        line.replace('␀', "\0").replace('␉', "\t").replace('␊', "\n").replace('␍', "\r")
    };
    lines.enumerate().map(plain).collect()
}

#[tokio::test]
async fn nothing_that_others_wrote_is_ever_run() {
    let world = World::start(Engine::Sqlite).await;
    let payloads = payloads();
    assert!(payloads.len() >= 150);
    write_everywhere(&world, &payloads).await;
    let browser = Chromium::signed_in(&world).await;

    let mut findings = Vec::new();
    let each = 1..=payloads.len();
    let own = |path: &'static str| each.clone().map(move |id| format!("{path}/{id}"));
    let pages = every_page::addresses().into_iter().map(str::to_owned);
    for address in pages.chain(own("/contacts")).chain(own("/bounces")).chain(own("/campaigns")).chain(own("/imports"))
    {
        findings.extend(look(&browser, &address).await);
    }
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
    launch(world, "Spring & <b>all</b>", &payloads[0]).await;
    for (number, payload) in payloads.iter().enumerate() {
        let recipient = address(number);
        let file = world.write(
            &file_name(payload),
            format!("email,{0}\n{recipient},{0}\n", cell(&payload.replace(['\r', '\n'], " "))),
        );
        let list = format!("{} {number}", payload.replace('\0', " "));
        world.rebound(&["import", file.to_str().unwrap(), &format!("--list={list}")]).await;
        create(world, payload, payload).await;
    }
    world.letter(&address(payloads.len() - 1)).await;
    for (number, payload) in payloads.iter().enumerate() {
        let letter = world.letter(&address(number)).await;
        let report = hostile(&bounce(&address(number), &letter.message_id), payload);
        let reply = Talk::with(world.bounces).await.hand_over(&world.return_path(&address(number)), &report).await;
        assert!(reply.starts_with("250"), "{payload}: {reply}");
    }
    until("all bounces are read", async || {
        let ledger = world.ledger("Spring & <b>all</b>").await;
        (ledger.values().filter(|line| line.verdict.is_some()).count() >= payloads.len()).then_some(())
    })
    .await;
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

/// As much of a payload as the name of a file may hold.
fn file_name(payload: &str) -> String {
    let letters = payload.chars().map(|letter| if matches!(letter, '/' | '\0') { '∕' } else { letter });
    letters.take(60).collect::<String>() + ".csv"
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
            ("from_name", &subject.replace(['\r', '\n', '\0'], " ")),
            ("from", "news@fernhill.test"),
            (
                "subject",
                &subject
                    .replace("{{", "{ {")
                    .replace("{%", "{ %")
                    .replace("{#", "{ #")
                    .replace(['\r', '\n', '\0'], " "),
            ),
            ("html", "<p>Dear {{ first_name }} of {{ town }}: {{ note }}</p>"),
            ("postal_address", subject),
        ]
        .map(|(key, value)| (key.to_owned(), toml::Value::String(value.replace('\0', " ")))),
    );
    let file = world.write("campaign.toml", table.to_string());
    world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;
}

async fn launch(world: &World, name: &str, subject: &str) {
    create(world, name, subject).await;
    world.rebound(&["campaign", "launch", name]).await;
}

/// What the page at `address` runs, or holds, that we did not write.
async fn look(browser: &Chromium, address: &str) -> Vec<String> {
    browser.open(address).await;
    let strange = browser.run(STRANGE, vec![]).await;
    let strange = strange.as_array().into_iter().flatten().map(|one| format!("{address} holds {one}"));
    let complaints = browser.complaints().await;
    // In the letter that a page shows, the browser refuses what the campaign's own text may hold; it must not run it.
    let ran = |complaint: &String| complaint.contains("boom was called") || complaint.contains("boom is not defined");
    let told = complaints.into_iter().filter(|complaint| ran(complaint) || !complaint.contains("/preview"));
    strange.chain(told.map(|complaint| format!("{address}: {complaint}"))).collect()
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
    let script = "const [address, done] = arguments; fetch(address).then(async (answer) => done([answer.status, await answer.text()]));";
    let answer = browser.run_on(script, vec![json!(address)]).await;
    if answer[0] != 200 {
        return vec![format!("{address} answers {}", answer[0])];
    }
    let text = answer[1].as_str().unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let cells: Vec<String> =
        reader.records().flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(cells.len() > 100, "{address} has only {} cells", cells.len());
    let formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    cells.iter().filter(formula).map(|cell| format!("{address}: a spreadsheet would calculate {cell:?}")).collect()
}
