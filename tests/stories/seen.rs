//! Every page that a person can come to by links.

use crate::engine::{Engine, on_both_engines};
use crate::pages::menu;
use crate::world::World;
use rebound_sandbox::Settings;
use std::collections::{BTreeSet, VecDeque};

on_both_engines! {
    every_page_that_is_linked_is_there_and_has_a_heading,
}

async fn every_page_that_is_linked_is_there_and_has_a_heading(engine: Engine) {
    let world = World::with(engine, Settings { faster: 14_400.0, ..Settings::default() }, "").await;
    let people = "ada gone full emptied gone-report complains blocked spam large moved away";
    let people: String = people.split(' ').map(|name| format!("{name}@sandbox.test\n")).collect();
    world.import(&format!("email\n{people}not an address\n")).await;
    world.send("Spring").await;
    world.create("Summer").await;
    let browser = world.browser().await;
    let (_, first) = browser.get("/").await;
    assert!(menu(&first).len() >= 7, "the menu is there: {:?}", menu(&first));

    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut open: VecDeque<String> = VecDeque::from(["/".to_owned()]);
    let mut wrong = vec![];
    while let Some(path) = open.pop_front() {
        let (status, page) = browser.get(&path).await;
        let is_page = page.contains("<!doctype html>") && !path.ends_with("/preview");
        if !status.is_success() || (is_page && !page.contains("<h1")) {
            wrong.push(format!("{path}: {status}"));
        }
        for link in links(&page).filter(|_| is_page) {
            if known.len() < 400 && known.insert(link.clone()) {
                open.push_back(link);
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known.len() > 40, "there is more than the menu: {known:?}");
    let (status, page) = browser.get("/nowhere").await;
    assert!(status == 404 && page.contains("<h1"), "{status}: {page}");
}

/// The places on this site that a page leads to.
fn links(page: &str) -> impl Iterator<Item = String> {
    let targets = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let here = targets.filter(|target| target.starts_with('/') && !target.starts_with("/assets"));
    here.map(|target| target.split('#').next().unwrap_or_default().replace("&amp;", "&"))
}
