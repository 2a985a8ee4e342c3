//! The documentation holds together: links lead somewhere, pages are in the book, examples are well formed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::{files, root};

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for link in links(&fs::read_to_string(&page).unwrap()) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            if !target.exists() || !(anchor.is_empty() || anchors(&target).contains(anchor)) {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "links into nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_book() {
    let book = root().join("docs");
    let listed: BTreeSet<PathBuf> =
        links(&fs::read_to_string(book.join("SUMMARY.md")).unwrap()).into_iter().map(|link| book.join(link)).collect();
    let written: BTreeSet<PathBuf> = files(&book)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(listed, written, "docs/SUMMARY.md lists the pages of docs/, all of them and no other");
}

#[test]
fn settings_in_examples_are_well_formed() {
    for page in pages() {
        for (language, code) in examples(&fs::read_to_string(&page).unwrap()) {
            let fault = match language.as_str() {
                "toml" => code.parse::<toml::Table>().err().map(|error| error.to_string()),
                "json" => serde_json::from_str::<serde_json::Value>(&code).err().map(|error| error.to_string()),
                _ => None,
            };
            assert!(fault.is_none(), "{}: {}\n{code}", page.display(), fault.unwrap_or_default());
        }
    }
}

#[test]
fn a_heading_is_linked_as_the_book_links_it() {
    for (heading, expected) in [
        ("Who may use whom", "who-may-use-whom"),
        ("A bounce, from socket to suppression", "a-bounce-from-socket-to-suppression"),
        ("`rebound demo --check`", "rebound-demo---check"),
    ] {
        assert_eq!(anchor(heading.trim_matches('`')), expected);
    }
}

/// The pages people read: those at the top, and the book.
fn pages() -> Vec<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let all = top.chain(files(&root().join("docs")));
    all.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Links and pictures of a page that stay within the project.
fn links(page: &str) -> Vec<String> {
    Parser::new(page)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        })
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .collect()
}

/// Fenced examples of a page, with the language each is marked with.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                found.push((language.to_string(), String::new()));
                inside = true;
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => found.last_mut().unwrap().1.push_str(&text),
            _ => {}
        }
    }
    found
}

/// What a link to a heading of `page` may end with.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new(&text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), Some(words)) => {
                found.insert(anchor(words));
                heading = None;
            }
            (Event::Text(text) | Event::Code(text), Some(words)) => words.push_str(&text),
            _ => {}
        }
    }
    found
}

/// The anchor that mdBook gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}
