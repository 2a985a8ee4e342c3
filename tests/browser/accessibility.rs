//! What people who use no mouse, no wide screen or no eyes need of a page.

use crate::chromium::{Chromium, DESK, PHONE};
use serde_json::{Value, json};
use thirtyfour::Key;

/// Checks a page against the rules of WCAG that a machine can check (axe-core, for tests only).
fn axe() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("run `scripts/assets test`: {file}: {error}"))
}

/// Runs all rules that matter, or the one about contrast; answers with those that the page breaks in earnest.
const CHECK: &str = r#"
const [contrastOnly, done] = arguments;
const run = contrastOnly ? { runOnly: ["color-contrast"] } : { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
axe.run(document, { ...run, preload: false, iframes: false, resultTypes: ["violations"] }).then(({ violations }) => done(
  violations.filter(({ impact }) => impact === "serious" || impact === "critical").flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 3).map(({ html, any }) => `${id} (${help}): ${html.slice(0, 160)} ${any.map(({ message }) => message).join("; ").slice(0, 160)}`)),
), (error) => done([`axe: ${error}`]));
"#;

/// The page that is open, in each size and colour; what is wrong with it.
pub(crate) async fn faults(browser: &Chromium) -> Vec<String> {
    browser.run(&axe(), vec![]).await;
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true", vec![]).await;
    let mut faults = Vec::new();
    for (width, scheme) in [(PHONE, "dark"), (PHONE, "light"), (DESK, "dark"), (DESK, "light")] {
        browser.look(width, scheme).await;
        let found = browser.run_on(CHECK, vec![json!(scheme == "dark")]).await;
        faults.extend(strings(&found).into_iter().map(|fault| format!("{width} {scheme}: {fault}")));
        faults.extend(wider(browser).await.map(|fault| format!("{width}: {fault}")));
        faults.extend(overlapping(browser).await.map(|fault| format!("{width}: {fault}")));
    }
    faults
}

/// What is wider than the window, when the page scrolls sideways.
async fn wider(browser: &Chromium) -> Option<String> {
    let script = r#"
        const width = window.innerWidth;
        if (document.scrollingElement.scrollWidth <= width) return null;
        const over = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > width + 1);
        return `scrolls sideways, ${document.scrollingElement.scrollWidth} px: ${over.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(" … ")}`;
    "#;
    browser.run(script, vec![]).await.as_str().map(str::to_owned)
}

/// Two links that lie over each other, so that neither can be read.
async fn overlapping(browser: &Chromium) -> Option<String> {
    let script = r#"
        const links = [...document.querySelectorAll("main :is(.n, .t)")];
        const boxes = links.flatMap((link) => [...link.getClientRects()].map((box) => ({ link, box })));
        boxes.sort((one, other) => one.box.top - other.box.top);
        for (const [at, { link, box }] of boxes.entries()) {
            for (const other of boxes.slice(at + 1)) {
                if (other.box.top > box.bottom - 6) break;
                const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
                const down = Math.min(box.bottom, other.box.bottom) - other.box.top;
                if (other.link !== link && across > 4 && down > 6)
                    return `${link.outerHTML.slice(0, 120)} lies over ${other.link.outerHTML.slice(0, 120)}`;
            }
        }
        return null;
    "#;
    browser.run(script, vec![]).await.as_str().map(str::to_owned)
}

/// Walks a page with the Tab key; what is wrong on the way: a way past the navigation is missing, the focus is lost or
/// cannot be seen, or it stays where it is.
pub(crate) async fn walk(browser: &Chromium) -> Vec<String> {
    let mut faults = Vec::new();
    browser.key(Key::Tab).await;
    let first = browser.run("return document.activeElement.textContent", vec![]).await;
    if first == json!("Skip to the content") {
        browser.key(Key::Enter).await;
        let inside = browser.run("return document.activeElement.id === 'main'", vec![]).await;
        if inside != json!(true) {
            faults.push("the skip link does not lead to the content".to_owned());
        }
    } else {
        faults.push(format!("the first stop of Tab is no skip link: {first}"));
    }
    for _ in 0..12 {
        browser.key(Key::Tab).await;
        let found = browser.run(FOCUS, vec![]).await;
        faults.extend(found.as_str().map(str::to_owned));
    }
    faults.dedup();
    faults
}

/// What is wrong with the focus where it is now.
const FOCUS: &str = r#"
const one = document.activeElement;
if (!one || one === document.body || one.tagName === "IFRAME") return null;
const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
const seen = (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
const { width, height, right, bottom } = one.getBoundingClientRect();
const there = width > 0 && height > 0 && right > 0 && bottom > 0;
return seen && there ? null : `the focus cannot be seen on ${one.outerHTML.slice(0, 160)}`;
"#;

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
