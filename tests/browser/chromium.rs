//! A browser with a window, as far as pages can tell.

use crate::world::{World, until};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use thirtyfour::Capabilities;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Finds things by their role and name, and notes what the browser complains of; in every page before its own scripts.
const EYES: &str = include_str!("eyes.js");

/// Nothing is asked of the network but our own pages.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox", // in containers the tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--lang=en-GB",
];

/// The widths of a desk and of a phone.
pub(crate) const DESK: u32 = 1280;
pub(crate) const PHONE: u32 = 390;

/// A browser with a profile of its own. When it goes, its window closes.
pub(crate) struct Chromium {
    window: WebDriver,
    pub(crate) site: SocketAddr,
    driver: Child,
    _profile: TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Closed politely, the window would wait for a driver whose words nobody reads now: this thread is here.
        let _ = self.window.clone().leak();
        let Some(driver) = self.driver.id() else { return };
        let group = format!("-{driver}"); // the driver, and the browser that it started
        let _ = std::process::Command::new("kill").args(["-s", "KILL", "--", &group]).status();
    }
}

impl Chromium {
    /// A browser that nobody has used yet, to look at the pages of `world`.
    pub(crate) async fn start(world: &World) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = driver().await;
        let window = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes(profile.path())).await.unwrap();
        let browser = Self { window, site: world.pages, driver, _profile: profile };
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": EYES })).await;
        browser.look(DESK, "light").await;
        browser
    }

    /// A browser whose owner has signed in through the form.
    pub(crate) async fn signed_in(world: &World) -> Self {
        world.browser().await;
        let browser = Self::start(world).await;
        browser.sign_in(crate::pages::EMAIL, crate::pages::PASSWORD).await;
        browser.sees("Sign out").await;
        browser
    }

    /// Fills in the form for signing in.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) {
        self.open("/sign-in").await;
        self.write("E-mail address", email).await;
        self.write("Password", password).await;
        self.press("Sign in").await;
    }

    /// Goes to a page of ours, or elsewhere.
    pub(crate) async fn open(&self, address: &str) {
        let address =
            if address.starts_with('/') { format!("http://{}{address}", self.site) } else { address.to_owned() };
        self.window.goto(&address).await.unwrap();
    }

    /// The path of the page, and what follows it.
    pub(crate) async fn path(&self) -> String {
        self.run("return location.pathname + location.search", vec![]).await.as_str().unwrap().to_owned()
    }

    /// A window of that width in pixels, on a system that likes `scheme`.
    pub(crate) async fn look(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        // Colours on their way from one to the other are no finding.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Presses the button or follows the link whose name is `name`, or begins so.
    pub(crate) async fn press(&self, name: &str) {
        // A page that is being replaced takes the button away under our hand.
        let what = format!("to press “{name}”");
        self.wait(&what, async || self.find("pressable", name).await.click().await.ok()).await;
    }

    /// Writes into the field with that label.
    pub(crate) async fn write(&self, label: &str, text: &str) {
        let field = self.find("field", label).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Ticks the box, or the choice, with that label.
    pub(crate) async fn press_field(&self, label: &str) {
        self.find("field", label).await.click().await.unwrap();
    }

    /// Gives a file to the field with that label.
    pub(crate) async fn attach(&self, label: &str, file: &Path) {
        self.find("field", label).await.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// Chooses an option of the select with that label.
    pub(crate) async fn choose(&self, label: &str, option: &str) {
        let field = self.find("field", label).await;
        self.run("eyes.choose(arguments[0], arguments[1])", vec![field.to_json().unwrap(), json!(option)]).await;
    }

    /// The link, button or field with that name, as soon as it is there.
    pub(crate) async fn find(&self, kind: &str, name: &str) -> WebElement {
        let what = format!("a {kind} “{name}”");
        let script = "return window.eyes ? eyes[arguments[0]](arguments[1]) : null";
        let found = self.wait(&what, async || {
            let found = self.window.execute(script, vec![json!(kind), json!(name)]).await.ok()?;
            found.element().ok()
        });
        found.await
    }

    /// Waits until the page shows these words.
    pub(crate) async fn sees(&self, words: &str) {
        self.wait(&format!("the words “{words}”"), async || self.text().await.contains(words).then_some(())).await;
    }

    /// The words on the page, one blank between them.
    pub(crate) async fn text(&self) -> String {
        let text = self.window.execute("return document.body?.innerText ?? ''", vec![]).await;
        // Between two pages there is none.
        let text = text.ok().and_then(|text| text.json().as_str().map(str::to_owned)).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Runs a script in the page, with `arguments`.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let ran = self.window.execute(script, arguments).await;
        ran.unwrap_or_else(|error| panic!("{script:.200}: {error}")).json().clone()
    }

    /// Runs a script that answers later: it calls its last argument.
    pub(crate) async fn run_on(&self, script: &str, arguments: Vec<Value>) -> Value {
        let ran = self.window.execute_async(script, arguments).await;
        ran.unwrap_or_else(|error| panic!("{script:.200}: {error}")).json().clone()
    }

    /// What a page of ours answers to whoever has signed in here, without showing it: the status, and the text. 0 where
    /// there is no answer.
    pub(crate) async fn answer(&self, address: &str) -> (u16, String) {
        let script = "const [address, done] = arguments; fetch(address)
            .then(async (answer) => done([answer.status, await answer.text()])).catch((error) => done([0, `${error}`]));";
        serde_json::from_value(self.run_on(script, vec![json!(address)]).await).unwrap()
    }

    /// Presses a key, on whatever has the focus.
    pub(crate) async fn key(&self, key: Key) {
        self.window.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// What the browser has complained of since it was asked last: errors of scripts, refused styles, missing files.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.window.browser_log().await.unwrap();
        let loud = log.into_iter().filter(|entry| matches!(entry.level.as_str(), "SEVERE" | "WARNING"));
        loud.map(|entry| entry.message).collect()
    }

    /// Gives an order that only Chromium understands.
    pub(crate) async fn devtools(&self, order: &str, values: Value) -> Value {
        self.window.cdp().send_raw(order, values).await.unwrap_or_else(|error| panic!("{order}: {error}"))
    }

    /// Looks again and again; when in vain, says what is on the page instead.
    async fn wait<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let patience = tokio::time::timeout(PATIENCE, until(what, &mut look)).await;
        match patience {
            Ok(found) => found,
            Err(_) => panic!("{} never had {what}; it says: {:.1500}", self.path().await, self.text().await),
        }
    }
}

/// How long a page may take to show what is expected of it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// A WebDriver on a port that it chose itself. It looks for one that IPv6 leaves free, and ends when another program has
/// the same one of IPv4: then the next may be luckier.
async fn driver() -> (Child, u16) {
    let mut words = String::new();
    for _ in 0..10 {
        match try_driver().await {
            Ok(started) => return started,
            Err(said) => words = said,
        }
    }
    panic!("chromedriver does not start: {words}")
}

/// A WebDriver; or what it said before it ended.
async fn try_driver() -> Result<(Child, u16), String> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver is missing: scripts/setup test");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let port = line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.'));
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            // It stops when nobody reads what it says.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((driver, port));
        }
        said = format!("{said} {line}");
    }
    Err(said)
}

fn wishes(profile: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let flags: Vec<&str> = FLAGS.iter().copied().chain([profile.as_str()]).collect();
    let mut wishes = Capabilities::default();
    wishes.set("browserName", json!("chrome")).unwrap();
    wishes.set("goog:chromeOptions", json!({ "args": flags })).unwrap();
    wishes.set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
    // A dialog that a page opens is a finding: what comes next fails.
    wishes.set("unhandledPromptBehavior", json!("dismiss and notify")).unwrap();
    wishes
}
