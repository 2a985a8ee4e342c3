//! A small world: Rebound, its database in a folder of its own, and a pretend internet that it writes to.

use crate::engine::Engine;
use crate::pages::Browser;
use crate::program::{self, Said};
use rebound_sandbox::{Received, Sandbox, Settings, Truth, read_truth};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

/// How long a story waits for what it expects, before it says that it did not come.
const PATIENCE: Duration = Duration::from_secs(90);

/// The list that everyone is on.
/// What letters say.
const BULBS: &str =
    r#"<p>The bulbs are in.</p><p><a href="https://fernhill.test/bulbs?for={{ email|urlencode }}">See them</a></p>"#;

pub(crate) const LIST: &str = "Newsletter";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) pages: SocketAddr,
    pub(crate) bounces: SocketAddr,
    folder: TempDir,
    database: String,
    environment: Vec<(String, String)>,
    program: Option<Child>,
    workers: Vec<Child>,
}

/// A line of the ledger, as `rebound ledger --jsonl` writes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) recipient: String,
    pub(crate) message_id: String,
    pub(crate) state: String,
    pub(crate) attempts: u8,
    pub(crate) in_doubt: i64,
    pub(crate) verdict: Option<String>,
}

impl World {
    /// Rebound serves, and all hosts answer.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with(engine, Settings::default(), "").await
    }

    /// The same with other hosts; `relay` are more lines of that part of the configuration. When the hosts live
    /// faster, so does Rebound.
    pub(crate) async fn with(engine: Engine, hosts: Settings, relay: &str) -> Self {
        let mut world = Self::asleep(engine.database(), hosts, relay).await;
        world.serve().await;
        world
    }

    /// Everything is there, and Rebound does not run yet.
    pub(crate) async fn asleep(database: String, hosts: Settings, relay: &str) -> Self {
        Self::forgetful(database, Settings { keep_messages: true, ..hosts }, relay).await
    }

    /// The same, where mailboxes keep no messages unless they are told to: there would be too many.
    pub(crate) async fn forgetful(database: String, hosts: Settings, relay: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faster = hosts.faster;
        let truth = Some(folder.path().join("truth.jsonl"));
        let sandbox = Sandbox::start(Settings { truth, ..hosts }).await.unwrap();
        let (pages, bounces) = (program::free_port(), program::free_port());
        sandbox.set_return_host(bounces);
        let clock = format!("{} {faster}", chrono::Utc::now().to_rfc3339());
        let environment = if faster > 1.0 { vec![("REBOUND_CLOCK".to_owned(), clock)] } else { vec![] };
        let world = Self { sandbox, pages, bounces, folder, database, environment, program: None, workers: vec![] };
        world.configure(world.sandbox.address(), relay);
        world
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, relay: SocketAddr, more: &str) {
        let (host, port) = (relay.ip(), relay.port());
        let tls = "tls = 'none'\nhello = 'news.fernhill.test'";
        self.configure_servers("", &format!("[relay]\nhost = '{host}'\nport = {port}\n{tls}\n{more}"));
    }

    /// Writes a configuration without a relay, unless it is in `sections`: `first` are settings of the whole.
    pub(crate) fn configure_servers(&self, first: &str, sections: &str) {
        let text = format!(
            "database = '{}'\npublic_url = 'http://{}'\nlisten = '{}'\n{first}\n\
             [return_path]\ndomain = 'bounce.fernhill.test'\nlisten = '{}'\n{sections}\n",
            self.database, self.pages, self.pages, self.bounces,
        );
        self.write("rebound.toml", &text);
    }

    /// Names another database in the configuration, and changes nothing else in it.
    pub(crate) fn moved_to(&mut self, database: &str) {
        let text = std::fs::read_to_string(self.folder().join("rebound.toml")).unwrap();
        self.write("rebound.toml", text.replace(&format!("'{}'", self.database), &format!("'{database}'")));
        database.clone_into(&mut self.database);
    }

    /// Has the time run `factor` times as fast from `origin` on, from the next start on.
    pub(crate) fn set_clock(&mut self, origin: chrono::DateTime<chrono::Utc>, factor: f64) {
        let clock = format!("{} {factor}", origin.to_rfc3339());
        self.environment = vec![("REBOUND_CLOCK".to_owned(), clock)];
    }

    /// The address of the database.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder that Rebound works in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Starts `rebound serve`, and waits until it answers.
    pub(crate) async fn serve(&mut self) {
        self.serve_with(&["serve"]).await;
    }

    /// The same without its worker.
    pub(crate) async fn serve_without_worker(&mut self) {
        self.serve_with(&["serve", "--without-worker"]).await;
    }

    /// Starts one more `rebound worker`.
    pub(crate) fn add_worker(&mut self) {
        self.workers.push(program::start(self.folder(), &self.environment, &["worker"]));
    }

    /// Ends the worker that was started first, at once.
    pub(crate) async fn kill_worker(&mut self) {
        self.workers.remove(0).kill().await.unwrap();
    }

    /// Asks the worker that was started first to stop.
    pub(crate) async fn stop_worker(&mut self) {
        let worker = self.workers.remove(0);
        self.stopped(worker).await;
    }

    async fn serve_with(&mut self, args: &[&str]) {
        self.program = Some(program::start(self.folder(), &self.environment, args));
        for address in [self.pages, self.bounces] {
            until("Rebound serves", async || TcpStream::connect(address).await.ok()).await;
        }
    }

    /// Ends `rebound serve` at once, as if the power went.
    pub(crate) async fn kill(&mut self) {
        self.program.take().unwrap().kill().await.unwrap();
    }

    /// Asks `rebound serve` to stop, and says how long that took.
    pub(crate) async fn stop(&mut self) -> Duration {
        let program = self.program.take().unwrap();
        self.stopped(program).await
    }

    async fn stopped(&self, mut program: Child) -> Duration {
        let asked = Instant::now();
        program::ask_to_stop(&program).await;
        let ended = tokio::time::timeout(PATIENCE, program.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it does not stop: {}", self.log())).unwrap();
        assert!(ended.success(), "{}", self.log());
        asked.elapsed()
    }

    /// What `rebound serve` printed.
    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(self.folder().join("out")).unwrap_or_default()
    }

    /// The link by which the owner is made.
    pub(crate) async fn setup_link(&self) -> String {
        let printed =
            async || self.printed().split_whitespace().find(|word| word.contains("/setup/")).map(ToOwned::to_owned);
        until("the link is printed", printed).await
    }

    /// What `rebound serve` noted for its operator.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("err")).unwrap_or_default()
    }

    /// Runs a command.
    pub(crate) async fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, "").await
    }

    /// Runs a command, and types `input`.
    pub(crate) async fn run_with(&self, args: &[&str], input: &str) -> Said {
        program::run(self.folder(), &self.environment, args, input).await
    }

    /// Runs a command that must do well; what it answered.
    pub(crate) async fn rebound(&self, args: &[&str]) -> String {
        let said = self.run(args).await;
        assert!(said.well, "`rebound {}`: {}{}", args.join(" "), said.out, said.err);
        said.out
    }

    /// Brings people onto the list; what was answered.
    pub(crate) async fn import(&self, csv: &str) -> String {
        self.import_to(LIST, csv).await
    }

    /// Brings people onto `list`; what was answered.
    pub(crate) async fn import_to(&self, list: &str, csv: &str) -> String {
        let file = self.write("people.csv", csv);
        self.rebound(&["import", file.to_str().unwrap(), "--list", list]).await
    }

    /// Keeps a campaign to the list as a draft.
    pub(crate) async fn create(&self, name: &str) {
        self.create_to(LIST, name).await;
    }

    /// Keeps a campaign to `list` as a draft.
    pub(crate) async fn create_to(&self, list: &str, name: &str) {
        self.create_as(list, name, "resend").await;
    }

    /// The same, and what becomes of those in doubt.
    pub(crate) async fn create_as(&self, list: &str, name: &str, doubt: &str) {
        let text = format!(
            "name = '{name}'\ndoubt = '{doubt}'\nlist = '{list}'\nfrom_name = 'Fernhill Garden'\nfrom = 'news@fernhill.test'\n\
             subject = '{name}'\nhtml = '{BULBS}'\npostal_address = '1 Garden Row, Fernhill'\n"
        );
        let file = self.write("campaign.toml", text);
        self.rebound(&["campaign", "create", file.to_str().unwrap()]).await;
    }

    /// Writes a campaign and launches it.
    pub(crate) async fn launch(&self, name: &str) {
        self.create(name).await;
        self.rebound(&["campaign", "launch", name]).await;
    }

    /// Writes a campaign, launches it, and waits until nothing is left to do.
    pub(crate) async fn send(&self, name: &str) {
        self.launch(name).await;
        self.reaches(name, "sent").await;
    }

    /// Waits until a campaign is in `state`.
    pub(crate) async fn reaches(&self, name: &str, state: &str) -> serde_json::Value {
        let what = format!("“{name}” is {state}");
        until(&what, async || Some(self.status(name).await).filter(|status| status["state"] == state)).await
    }

    /// Where a campaign stands.
    pub(crate) async fn status(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.rebound(&["campaign", "status", name, "--json"]).await).unwrap()
    }

    /// What became of each recipient, by address.
    pub(crate) async fn ledger(&self, name: &str) -> BTreeMap<String, Line> {
        let text = self.rebound(&["ledger", name, "--jsonl"]).await;
        let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
        lines.map(|line| (line.recipient.clone(), line)).collect()
    }

    /// The state of one recipient.
    pub(crate) async fn state(&self, name: &str, recipient: &str) -> String {
        self.ledger(name).await.get(recipient).map(|line| line.state.clone()).unwrap_or_default()
    }

    /// Waits until one recipient is in `state`.
    pub(crate) async fn becomes(&self, name: &str, recipient: &str, state: &str) {
        let what = format!("{recipient} of “{name}” is {state}");
        until(&what, async || (self.state(name, recipient).await == state).then_some(())).await;
    }

    /// The subjects in somebody's mailbox, oldest first.
    pub(crate) fn subjects(&self, recipient: &str) -> Vec<String> {
        self.sandbox.received(recipient).into_iter().map(|received| received.subject).collect()
    }

    /// The one message in somebody's mailbox, when it is there.
    pub(crate) async fn letter(&self, recipient: &str) -> Received {
        let what = format!("a letter for {recipient}");
        until(&what, async || self.sandbox.received(recipient).into_iter().next()).await
    }

    /// What the hosts did.
    pub(crate) fn truth(&self) -> Vec<Truth> {
        read_truth(self.folder().join("truth.jsonl")).unwrap()
    }

    /// Where the link in somebody's first letter leads at first.
    pub(crate) async fn counted_link(&self, recipient: &str) -> String {
        let letter = self.letter(recipient).await;
        let message = mail_parser::MessageParser::new().parse(&letter.raw).unwrap();
        let html = message.body_html(0).unwrap();
        html.split('"').find(|text| text.contains("/c/")).unwrap().to_owned()
    }

    /// The address to which bounces of the first letter to `recipient` come back.
    pub(crate) fn return_path(&self, recipient: &str) -> String {
        self.truth().into_iter().find(|line| line.recipient == recipient).unwrap().sender
    }

    /// A browser whose owner has signed in.
    pub(crate) async fn browser(&self) -> Browser {
        Browser::signed_in(self).await
    }
}

/// A file of `count` people whose mailboxes are fine, and of `others` after them.
pub(crate) fn people(count: usize, others: &[&str]) -> String {
    let fine = (0..count).map(|number| format!("person{number}@sandbox.test"));
    let lines: Vec<String> = fine.chain(others.iter().map(ToString::to_string)).collect();
    format!("email\n{}\n", lines.join("\n"))
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begin.elapsed() < PATIENCE, "waited for {} s, in vain: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
