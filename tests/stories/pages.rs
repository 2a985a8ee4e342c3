//! The pages, as a browser without a screen sees them.

use crate::world::World;
use reqwest::{Client, StatusCode, redirect};
use std::net::SocketAddr;

pub(crate) const EMAIL: &str = "ines@fernhill.test";
pub(crate) const PASSWORD: &str = "tulips before the frost";

/// Follows a link as a person does; where it leads.
pub(crate) async fn follow(link: &str) -> (StatusCode, String) {
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let client = Client::builder().user_agent(agent).redirect(redirect::Policy::none()).build().unwrap();
    let answer = client.get(link).send().await.unwrap();
    let leads = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
    (answer.status(), leads.unwrap_or_default())
}

pub(crate) struct Browser {
    client: Client,
    pages: SocketAddr,
}

impl Browser {
    /// A browser that nobody has used yet.
    pub(crate) fn new(pages: SocketAddr) -> Self {
        let client = Client::builder().cookie_store(true).redirect(redirect::Policy::limited(5)).build().unwrap();
        Self { client, pages }
    }

    /// Adds an owner by command, and signs in as them through the form.
    pub(crate) async fn signed_in(world: &World) -> Self {
        let added = world.run_with(&["user", "add", EMAIL, "--name", "Ines", "--role", "owner"], PASSWORD).await;
        assert!(added.well || added.err.contains("owner already"), "{}{}", added.out, added.err);
        let browser = Self::new(world.pages);
        let (status, page) = browser.sign_in(EMAIL, PASSWORD).await;
        assert!(status.is_success() && page.contains("Sign out"), "{status}: {}", text_of(&page));
        browser
    }

    /// Fills in the sign-in form; where that led.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> (StatusCode, String) {
        self.get("/sign-in").await;
        self.send("/sign-in", &[("email", email), ("password", password), ("back", "")]).await
    }

    /// Opens a page.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The words on a page that must be there.
    pub(crate) async fn text(&self, path: &str) -> String {
        let (status, page) = self.get(path).await;
        assert!(status.is_success(), "{path} answers {status}: {}", text_of(&page));
        text_of(&page)
    }

    /// Sends the form on the page `form` to `path`, as its button would.
    pub(crate) async fn press(&self, form: &str, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let csrf = self.token(form).await;
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.send(path, &fields).await
    }

    /// Sends the form on the page at `path` with a file, as a browser does.
    #[allow(dead_code, reason = "each program of tests uses a part of it")]
    pub(crate) async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        name: &str,
        content: &str,
    ) -> (StatusCode, String) {
        let csrf = self.token(path).await;
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let part = |(field, text): (&str, &str)| {
            format!("--part\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{text}\r\n")
        };
        let words: String = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).map(part).collect();
        let body = format!(
            "{words}--part\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: text/csv\r\n\r\n{content}\r\n--part--\r\n"
        );
        let asked = self.client.post(self.url(path)).header("Content-Type", "multipart/form-data; boundary=part");
        let answer = asked.body(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The token in the form on a page.
    async fn token(&self, form: &str) -> String {
        let (_, page) = self.get(form).await;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        csrf.unwrap_or_else(|| panic!("{form} holds no form")).to_owned()
    }

    /// Sends fields as they are.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let answer = self.client.post(self.url(path)).form(fields).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.pages) }
    }
}

/// The words of the main part of a page, one blank between them.
pub(crate) fn text_of(page: &str) -> String {
    let main = page.split_once("<main").and_then(|(_, rest)| rest.split_once('>')).map_or(page, |(_, main)| main);
    let main = main.split("</main>").next().unwrap_or(main);
    let mut text = String::new();
    for (index, piece) in main.split('<').enumerate() {
        let words = if index == 0 { piece } else { piece.split_once('>').map_or("", |(_, words)| words) };
        text.push_str(words);
        text.push(' ');
    }
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// All places in the menu of a page.
pub(crate) fn menu(page: &str) -> Vec<String> {
    let items = page.split("<a class=\"item\" href=\"").skip(1);
    items.filter_map(|item| item.split('"').next()).map(str::to_owned).collect()
}

/// The first link of `page` to one thing below `place`.
pub(crate) fn link(page: &str, place: &str) -> String {
    let mut targets = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let found = targets.find(|target| target.strip_prefix(place).is_some_and(is_number));
    found.unwrap_or_else(|| panic!("no link to {place} in {page}")).to_owned()
}
